/**
 * A session with a relay that is logged in, and ready for one message after the other. `SmtpOpening` makes one.
 *
 * `send` makes a message's envelope into commands (`SmtpCommand`), gives both to the pipeline as a `Transaction`, and waits for
 * its end, by one callback and no fiber or timer of its own. On the way back it makes the transaction's outcome into a receipt or
 * a `MailError` (`ReplyClassification`, `ConnectionEnd`). Below it are `SmtpPipeline`, which decides what may be written now, and
 * `SmtpConnection`, which writes it.
 *
 * @since 0.1.0
 */

import type * as Composed from "mailrace/Composed"
import * as MailError from "mailrace/MailError"
import type { Gate, Receipt } from "mailrace/MailTransport"
import type * as Reply from "mailrace/Reply"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Tracer from "effect/Tracer"
import type { Capabilities } from "./Capabilities.ts"
import type { Limit } from "./internal/connection/deadline.ts"
import * as ConnectionEnd from "./internal/connection/connectionEnd.ts"
import { turnTime } from "./internal/connection/turnClock.ts"
import * as Pipelining from "./Pipelining.ts"
import * as ReplyClassification from "./ReplyClassification.ts"
import * as SmtpCommand from "./internal/protocol/command.ts"
import type { Receiver, SmtpConnection } from "./internal/connection/smtpConnection.ts"
import { messagesAllowed, type RelayMemory } from "./RelayMemory.ts"
import type { Settings } from "./SmtpOptions.ts"
import { SmtpPipeline, type Waiting } from "./internal/session/pipeline.ts"
import { type SessionLimit, sessionLimit } from "./internal/session/sessionLimit.ts"
import * as SpeculationTest from "./internal/session/speculationTest.ts"
import { type Outcome, Transaction } from "./internal/session/transaction.ts"

/**
 * How many refused transactions a connection sees before it is replaced, at a relay that counts them. Exim counts each
 * RSET that does not follow a message and drops the connection after 10 (`smtp_accept_max_nonmail`); the self-test takes
 * one or two of them, and what is under way needs some room.
 */
const refusalBudget = 4

/**
 * How a message ended on this session; `undefined` when the session ended, and that was no attempt at this message.
 *
 * @since 0.1.0
 */
export type SessionOutcome = Result.Result<Receipt, MailError.MailError> | undefined

/**
 * Called with a message's end. `wasBegun` tells, where it was not sent, whether some of it had been written; `transaction`
 * has its times, if it became one.
 *
 * @since 0.1.0
 */
export type OnEnd = (sent: SessionOutcome, wasBegun?: boolean, transaction?: Transaction) => void

/**
 * A connection that mail may be sent over: the relay has greeted it, and TLS and login are done.
 *
 * @since 0.1.0
 */
export interface ReadyConnection {
  readonly connection: SmtpConnection
  /** The relay's offers on this connection. */
  readonly capabilities: Capabilities
  /** The text of its reply to EHLO. */
  readonly offer?: string | undefined
}

/**
 * A session with a relay.
 *
 * @since 0.1.0
 */
export class SmtpSession {
  readonly capabilities: Capabilities
  /** The fastest mode that it may take up. */
  readonly fastestMode: Pipelining.Mode
  /** The span of `smtp.connect`, for transactions to link to. */
  readonly span: Tracer.AnySpan | undefined
  private readonly connection: SmtpConnection
  private readonly settings: Settings
  private readonly pipeline: SmtpPipeline
  private readonly memory: RelayMemory
  /** The relay's offers as it wrote them, one a line. */
  private readonly extensions: ReadonlyArray<string>
  private readonly maxMessages: number
  private taken = 0
  /** Roughly how many messages the relay has decided about. */
  private carried = 0
  private isRetired = false
  private onRetire: (() => void) | undefined
  private onIdle: (() => void) | undefined
  /** Called when replies have come, so that `depth` and `pace` may have changed. */
  onProgress: () => void = () => {}
  /** Called when the relay announces a limit that this session is past. */
  onLimit: (limit: SessionLimit) => void = () => {}
  private pastLimit: ConnectionEnd.ConnectionEnd | undefined

  constructor(
    ready: ReadyConnection,
    settings: Settings,
    memory: RelayMemory,
    isBusy: () => boolean,
    span: Tracer.AnySpan | undefined
  ) {
    this.capabilities = ready.capabilities
    this.span = span
    this.connection = ready.connection
    this.settings = settings
    this.memory = memory
    this.extensions = extensionsIn(ready.offer)
    const offered = Pipelining.offered(settings.pipelining, ready.capabilities)
    const limit = ready.capabilities.maxMessages ?? Number.POSITIVE_INFINITY
    const isShort = Math.min(settings.maxMessages, limit) <= SpeculationTest.fewMessages
    const mode = isShort && offered === "speculative" ? "envelope" : offered
    this.fastestMode = mode
    // The relay counts transactions, and the self-test's is one (RFC 9422 §4.1).
    this.maxMessages = Math.min(settings.maxMessages, mode === "speculative" ? limit - SpeculationTest.mails : limit)
    const { connection } = this
    this.pipeline = new SmtpPipeline(connection, {
      mode,
      record: memory.pipelining,
      isBusy,
      depth: settings.depth,
      maxSpeculativeSize: settings.maxSpeculativeSize,
      pauseMs,
      now: turnTime,
      onFailure: (ending) => connection.destroy(ending),
      maxRefusals: memory.countsRefusals ? refusalBudget : Number.POSITIVE_INFINITY,
      onExhausted: () => {
        if (this.pipeline.isClosing) memory.countsRefusals = true
        this.retire()
      }
    })
    connection.receive(this.receiver(mode))
  }

  /** Hands the connection's replies and its end to the pipeline, and bounds its silence by the phase. */
  private receiver(mode: Pipelining.Mode): Receiver {
    const { connection, pipeline, settings } = this
    const limits = limitsOf(settings.timeouts)
    return {
      onReply: (reply) => {
        // Only now, because an empty line after the login may come late.
        if (mode !== "off") connection.beginGroups()
        pipeline.reply(reply)
      },
      onBatchEnd: () => {
        pipeline.resume()
        if (pipeline.size === 0) this.onIdle?.()
        this.onProgress()
      },
      onDrain: () => pipeline.resume(),
      onEnd: (ending) => {
        if (ending._tag === "Closing" && sessionLimit(ending.reply, false) === "messages") this.learnAllowance()
        this.retire()
        pipeline.end(ending)
        this.onIdle?.()
      },
      limit: () => limits[pipeline.waiting],
      bound: () => {
        const { preparing } = pipeline
        if (preparing === undefined) return undefined
        const limitMs = slowestMs(preparing.size, settings.timeouts)
        return { dueAt: preparing.since + limitMs, ending: { _tag: "Slow", limitMs } }
      }
    }
  }

  /** The mode that it is in now. */
  get mode(): Pipelining.Mode {
    return this.pipeline.mode
  }

  /** The number of messages that keeps it busy, from 1. */
  get depth(): number {
    return this.pipeline.depth
  }

  /** The time in milliseconds that one more message costs those behind it; `undefined` before the first reply. */
  get pace(): number | undefined {
    return this.pipeline.pace
  }

  /** The time in milliseconds in which a relay that does not think answers a first message; `undefined` before it is known. */
  get promptMs(): number | undefined {
    return this.pipeline.promptMs
  }

  /** Gives back the messages that it has not begun, at no cost to them. */
  giveBack(): void {
    this.pipeline.giveBack()
  }

  /** The self-test's verdict; only the first call returns it. */
  takeVerdict(): SpeculationTest.Verdict | undefined {
    return this.pipeline.takeVerdict()
  }

  /** True if it takes more messages. */
  get isOpen(): boolean {
    return !this.isRetired
  }

  /** Messages taken so far. */
  get messages(): number {
    return this.taken
  }

  /** Why it ended, once it has. */
  get ending(): ConnectionEnd.ConnectionEnd | undefined {
    return this.connection.ending
  }

  /** Why the session is over for its messages: it has ended, or the relay refuses more on it. */
  get leaving(): ConnectionEnd.ConnectionEnd | undefined {
    return this.connection.ending ?? this.pastLimit
  }

  /** Why it ended, if it ended before the relay had decided about any message. */
  get endedUnused(): ConnectionEnd.ConnectionEnd | undefined {
    return this.carried > 0 ? undefined : this.connection.ending
  }

  /** Calls back once when the session takes no more messages: it has ended, is exhausted, or was retired. */
  onceRetired(callback: () => void): void {
    if (this.isRetired) callback()
    else this.onRetire = callback
  }

  /** Retires if it has taken its maximum of messages, or the relay's. */
  retireIfExhausted(): void {
    if (this.taken >= Math.min(this.maxMessages, messagesAllowed(this.memory))) this.retire()
  }

  /** Takes no more messages; those in flight continue. */
  retire(): void {
    if (this.isRetired) return
    this.isRetired = true
    this.onRetire?.()
  }

  /**
   * Takes a message and calls back once, when it has ended; at once when it cannot be begun. Returns the transaction, to wait for
   * or to take back, if it is on its way. The cheapest way to send, with nothing of Effect in it. A message whose turn comes
   * while the `gate` is closed is not begun, and ends with `undefined`.
   */
  submit(message: Composed.Composed, onEnd: OnEnd, gate?: Gate): Transaction | undefined {
    if (this.isRetired) {
      onEnd(undefined)
      return undefined
    }
    const commands = commandsOf(message, this.capabilities)
    if (Result.isFailure(commands)) {
      onEnd(Result.fail(commands.failure))
      return undefined
    }
    const transaction = new Transaction(
      commands.success,
      message.content,
      (outcome) => {
        const sent = this.endOf(message, transaction, outcome)
        onEnd(sent, sent === undefined && (outcome._tag !== "NotSent" || outcome.begun), transaction)
      },
      gate
    )
    transaction.size = message.size
    this.taken++
    this.pipeline.submit(transaction)
    // Only then, because a session that retires with nothing on its way says QUIT at once.
    this.retireIfExhausted()
    // With others on their way before it, the timer runs for them.
    if (this.pipeline.size === 1) this.connection.awaitProgress()
    return transaction
  }

  /**
   * Sends a message and returns its outcome; never fails.
   *
   * Interrupted before the message was begun, it is taken back. Interrupted later, the interrupt waits for the end, as
   * `interruptGrace` says, and then closes the connection; `onEnd` has been called by then in any case.
   */
  send(message: Composed.Composed, onEnd: OnEnd, gate?: Gate): Effect.Effect<SessionOutcome> {
    return Effect.callback((resume) => {
      const onSent: OnEnd = (sent, wasBegun, transaction) => {
        try {
          onEnd(sent, wasBegun, transaction)
          resume(Effect.succeed(sent))
        } catch (defect) {
          resume(Effect.die(defect))
        }
      }
      const transaction = this.submit(message, onSent, gate)
      return transaction === undefined ? undefined : Effect.suspend(() => this.conclude(transaction))
    })
  }

  /** Lets the messages on their way finish, says QUIT and closes. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.retire()
    if (this.connection.ending !== undefined) return Effect.void
    return Effect.andThen(
      this.pipeline.size === 0 ? Effect.void : this.idle,
      Effect.suspend(() =>
        this.connection.ending === undefined
          ? this.connection.quit(SmtpCommand.quit, this.settings.timeouts.quit)
          : Effect.void
      )
    )
  })

  /** Waits until nothing is on its way. */
  private readonly idle: Effect.Effect<void> = Effect.callback((resume) => {
    this.onIdle = () => resume(Effect.void)
  })

  /** Takes a transaction back, or waits for its end as `send` says, once its caller is interrupted. */
  conclude(transaction: Transaction): Effect.Effect<void> {
    if (transaction.stage === "done" || this.pipeline.withdraw(transaction)) return Effect.void
    return Effect.callback((resume) => {
      const { interruptGraceMs } = this.settings
      const cutOff = (): void => {
        // The relay may have the message, so giving up would send it twice; silence before the final reply has a limit of its
        // own.
        if (interruptGraceMs === undefined && this.pipeline.awaitsFinalReply) timer = setTimeout(cutOff, defaultGraceMs)
        else this.connection.destroy()
      }
      let timer = setTimeout(cutOff, interruptGraceMs ?? defaultGraceMs)
      transaction.onDone = () => {
        clearTimeout(timer)
        resume(Effect.void)
      }
    })
  }

  /** The message's outcome. An exception on the way is this message's error; the relay may have the message all the same. */
  private endOf(message: Composed.Composed, transaction: Transaction, outcome: Outcome): SessionOutcome {
    try {
      return this.sentFrom(message, transaction, outcome)
    } catch (defect) {
      const ending: ConnectionEnd.ConnectionEnd = {
        _tag: "Lost",
        problem: `Mailrace failed unexpectedly: ${MailError.describeThrown(defect)}`
      }
      const mayHaveIt = outcome._tag === "Accepted" || outcome._tag === "Unknown"
      return Result.fail(mayHaveIt ? ConnectionEnd.toUnknown(ending) : ConnectionEnd.toError(ending, "envelope"))
    }
  }

  /** True if a refusal is about this session and not about its message; the session then retires. */
  private isPastLimit(reply: Reply.Reply): boolean {
    const limit = sessionLimit(reply, this.carried > 0)
    if (limit === undefined) return false
    if (this.pastLimit === undefined) {
      this.pastLimit = { _tag: "Closing", reply }
      // The pool must know first, because it replaces a retired session at once.
      if (limit === "messages") this.learnAllowance()
      else this.onLimit(limit)
      this.retire()
      this.giveBack()
    }
    return true
  }

  /** The relay takes no more messages on a session than this one has carried. */
  private learnAllowance(): void {
    this.memory.messagesPerSession = Math.max(1, this.carried)
    this.onLimit("messages")
  }

  private sentFrom(message: Composed.Composed, transaction: Transaction, outcome: Outcome): SessionOutcome {
    const refusal = outcome._tag === "Refused" ? outcome.reply : firstRefusal(transaction, outcome)
    if (refusal !== undefined && this.isPastLimit(refusal)) return undefined
    if (outcome._tag !== "NotSent") this.carried++
    switch (outcome._tag) {
      case "Accepted":
        return Result.succeed({
          reply: outcome.reply,
          recipients: recipientsOf(message, transaction),
          relay: this.settings.relay,
          extensions: this.extensions,
          envelopeMs: transaction.envelopeEndedAt - transaction.begunAt,
          contentMs: turnTime() - transaction.envelopeEndedAt
        })
      case "Refused":
        return Result.fail(ReplyClassification.fromRefusal(outcome.at, outcome.reply, message.size, this.settings))
      case "RecipientsRefused":
        return Result.fail(ReplyClassification.fromRecipients(recipientsOf(message, transaction), this.settings))
      case "NotSent":
        return outcome.isAttempt ? Result.fail(ConnectionEnd.toError(outcome.ending, "envelope")) : undefined
      case "Unknown":
        return Result.fail(ConnectionEnd.toUnknown(outcome.ending))
    }
  }
}

/** How long an interrupt waits where no reply to content is to come, in milliseconds. */
const defaultGraceMs = 10_000

/** After this much time without traffic a peer may have closed unseen; see `SmtpPipeline`. */
const pauseMs = 2_000

/**
 * The longest that a message may take from MAIL to its last octet, in milliseconds: ten minutes, and the time of its content at
 * 16 KiB/s. Without it a relay that answers one of many recipients a minute, or takes an octet a minute, holds a
 * connection for days.
 */
const slowestMs = (size: number, { command, content }: Settings["timeouts"]): number =>
  Math.round(Math.max(600_000, command + content) + (size / 16_384) * 1_000)

/** The lines of the reply to EHLO, without the greeting. */
const extensionsIn = (offer = ""): ReadonlyArray<string> =>
  offer
    .split("\n")
    .slice(1)
    .map((line) => line.trim())
    .filter((line) => line !== "")

/** The limit of silence in each phase. */
const limitsOf = ({ command, content, finalReply }: Settings["timeouts"]): Record<Waiting, Limit | undefined> => {
  const limit = (phase: MailError.Phase, limitMs: number): Limit => ({
    limitMs,
    ending: { _tag: "Silent", phase, limitMs }
  })
  return {
    idle: undefined,
    selfTest: limit("envelope", Math.min(command, SpeculationTest.longestMs)),
    envelope: limit("envelope", command),
    content: limit("content", content),
    finalReply: limit("finalReply", finalReply)
  }
}

/** The first recipient's reply, where the relay accepted none. */
const firstRefusal = (transaction: Transaction, outcome: Outcome): Reply.Reply | undefined =>
  outcome._tag === "RecipientsRefused" ? transaction.rcptReplies[0] : undefined

/** The outcome of each recipient. */
const recipientsOf = (
  message: Composed.Composed,
  transaction: Transaction
): ReadonlyArray<MailError.RecipientOutcome> => {
  let hasAccepted = false
  return message.envelope.to.map((address, i) => {
    const reply = transaction.rcptReplies[i] ?? transaction.mailReply!
    const outcome = ReplyClassification.recipientOutcome(address, reply, hasAccepted)
    hasAccepted ||= outcome.outcome === "accepted"
    return outcome
  })
}

/** The envelope's commands. An untyped value may throw, and is refused before anything is written. */
const commandsOf = (message: Composed.Composed, capabilities: Capabilities) => {
  try {
    return SmtpCommand.envelope(message, capabilities)
  } catch (error) {
    const problem = `it cannot be written as commands: ${MailError.describeThrown(error)}`
    return Result.fail(MailError.invalid("envelope", problem))
  }
}
