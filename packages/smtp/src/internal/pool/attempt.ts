/**
 * One attempt at a message: from the wait for a session to the outcome.
 *
 * Each message of a campaign comes through here, so that the usual way is one asynchronous effect: the message waits for its
 * place and is given to the session by plain calls, and the final reply resumes the fiber. A traced message, and one that
 * goes in several groups of recipients, continues as an effect once it has its session.
 */
import * as Composed from "mailrace/Composed"
import type * as MailError from "mailrace/MailError"
import type { Gate, Receipt, SendOptions } from "mailrace/MailTransport"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import type * as Tracer from "effect/Tracer"
import type * as Reply from "mailrace/Reply"
import type { Settings } from "../../SmtpOptions.ts"
import type { SmtpPool } from "../../SmtpPool.ts"
import type { OnEnd, SessionOutcome, SmtpSession } from "../../SmtpSession.ts"
import * as ConnectionEnd from "../connection/connectionEnd.ts"
import * as RecipientGroups from "../session/recipientGroups.ts"
import { ServiceTime } from "../session/serviceTime.ts"
import type { Transaction } from "../session/transaction.ts"
import { turnTime } from "../connection/turnClock.ts"
import { Borrower } from "./borrower.ts"
import type { RelayMetrics } from "./relayMetrics.ts"

/** The pool's side of an attempt. */
export interface Way {
  readonly pool: SmtpPool
  readonly settings: Settings
  readonly metrics: RelayMetrics
  /** The last attempt of a batch, emptied; see `Attempt.empty`. */
  spent: unknown
}

/** How a message is sent, from an uninterruptible region whose `restore` is given. */
export interface Options extends SendOptions {
  readonly restore: NonNullable<SendOptions["restore"]>
}

/**
 * How many sessions may end on a message without that being an attempt at it: those that ended with nothing carried, or
 * when its envelope was out and its content was not. A message may be why a relay goes without a word. One that says that it
 * ends the session has reasons of its own, and chance may have it end several on the same message.
 */
const maxEnds = 3
const maxAnnouncedEnds = 9

/** Makes one attempt, inside an uninterruptible region: an outcome that was reached is returned even when interrupted. */
export const attempt = (
  way: Way,
  message: Composed.Composed,
  options: Options,
  ends = 0
): Effect.Effect<Receipt, MailError.MailError> => {
  const { gate, restore } = options
  const made = new Attempt(way, message, options, ends)
  const admitted = gate === undefined || gate.isOpen ? made.run : Effect.andThen(gate.opened, made.run)
  return Effect.matchCauseEffect(restore(admitted), made)
}

class Attempt extends Borrower {
  private readonly way: Way
  private message: Composed.Composed
  private options: Options
  /** How many sessions have ended on the message already. */
  private readonly ends: number
  private resume: ((effect: Effect.Effect<SessionOutcome, MailError.MailError>) => void) | undefined
  private session: SmtpSession | undefined
  /** The transaction of a message that was given to the session by a plain call. */
  private transaction: Transaction | undefined
  /** When it asked for a session, in milliseconds; `undefined` if that is not recorded, or has been. */
  private askedAt: number | undefined
  private isTraced = false
  private wasBegun = false
  private outcome: SessionOutcome
  /** The outcome of the groups that have ended, of a message that goes in several. */
  private outcomeSoFar: (() => SessionOutcome) | undefined

  constructor(way: Way, message: Composed.Composed, options: Options, ends: number) {
    super({
      units: ServiceTime.unitsOf(message.size),
      isUrgent: options.priority === "urgent",
      isAlone: way.pool.contentEnds.goesAlone(message.messageId)
    })
    this.way = way
    this.message = message
    this.options = options
    this.ends = ends
  }

  /** Waits for a session and sends. */
  readonly run: Effect.Effect<SessionOutcome, MailError.MailError> = Effect.callback((resume) => {
    this.resume = resume
    if (this.way.metrics.isRecording) this.askedAt = turnTime()
    this.isTraced = isTraced()
    this.way.pool.borrow(this)
    return this.giveUp
  })

  /** Ends what is on the wire. A message that still waits leaves the queue in `onFailure`. */
  private readonly giveUp: Effect.Effect<void> = Effect.suspend(() =>
    this.transaction === undefined ? Effect.void : this.session!.conclude(this.transaction)
  )

  override onPlaced(session: SmtpSession): void {
    this.session = session
    const { message, options, way } = this
    const { host, port } = way.settings
    options.moments?.leased({ host, port, mode: session.mode, span: session.span })
    const { maxRecipients } = session.capabilities
    if (maxRecipients !== undefined && message.envelope.to.length > maxRecipients) {
      this.resume!(this.sendInGroups(session, maxRecipients))
    } else if (this.isTraced) {
      this.resume!(this.transact(session))
    } else {
      this.submit(session)
    }
  }

  override onRefused(error: MailError.MailError): void {
    this.resume!(Effect.fail(error))
  }

  private submit(session: SmtpSession): void {
    const { message, options } = this
    try {
      this.transaction = session.submit(
        message,
        (outcome, wasBegun, transaction) => {
          this.noteOutcome(outcome, wasBegun, transaction)
          this.resume!(Effect.succeed(outcome))
        },
        options.gate
      )
    } catch (defect) {
      this.resume!(Effect.die(defect))
    }
  }

  private transact(session: SmtpSession): Effect.Effect<SessionOutcome> {
    const { message, options, way } = this
    const onEnd: OnEnd = (outcome, wasBegun, transaction) => this.noteOutcome(outcome, wasBegun, transaction)
    return transact(session, way.settings, message, onEnd, options.gate)
  }

  private sendInGroups(session: SmtpSession, maxRecipients: number): Effect.Effect<SessionOutcome> {
    // Once the first group is begun, so is the message.
    let { gate } = this.options
    const sendOne: RecipientGroups.SendOne = (part, onPartEnd) => {
      const onSent: OnEnd = (sent, begun = false, transaction) => {
        this.wasBegun ||= begun
        this.record(transaction)
        onPartEnd(sent)
      }
      const sent = transact(session, this.way.settings, part, onSent, gate)
      if (gate !== undefined) gate = counting(gate)
      return sent
    }
    return RecipientGroups.send(this.message, maxRecipients, sendOne, (known) => {
      this.outcomeSoFar = known
    })
  }

  private noteOutcome(outcome: SessionOutcome, wasBegun = false, transaction?: Transaction): void {
    this.outcome = outcome
    this.wasBegun ||= wasBegun
    this.record(transaction)
  }

  /** Of several groups only the first has waited. */
  private record(transaction: Transaction | undefined): void {
    const { askedAt } = this
    if (transaction === undefined || transaction.begunAt === 0) return
    this.way.metrics.transacted(transaction, askedAt)
    this.askedAt = undefined
  }

  readonly onSuccess = (outcome: SessionOutcome): Effect.Effect<Receipt, MailError.MailError> => {
    const { message, session, way } = this
    way.pool.giveBack(this)
    if (outcome === undefined) return this.again()
    if (way.pool.isUnused()) this.empty()
    if (Result.isSuccess(outcome)) {
      way.pool.contentEnds.forget(message.messageId)
      return Effect.succeed(outcome.success)
    }
    if (outcome.failure.isRetryable && session?.ending !== undefined) way.pool.contentEnds.note(message.messageId)
    return Effect.fail(outcome.failure)
  }

  readonly onFailure = (cause: Cause.Cause<MailError.MailError>): Effect.Effect<Receipt, MailError.MailError> => {
    this.way.pool.giveBack(this)
    const outcome = this.outcome ?? this.outcomeSoFar?.()
    return outcome === undefined ? Effect.failCause(cause) : Effect.fromResult(outcome)
  }

  /**
   * Stays behind without its message. A garbage collection that finds no attempt and no transaction makes V8 forget their hidden
   * classes, and with them the optimized code of the whole way: the next batch began slowly and cost a quarter more CPU.
   */
  private empty(): void {
    this.transaction?.empty()
    this.message = nothing
    this.options = noOptions
    this.resume = undefined
    this.session = undefined
    this.outcome = undefined
    this.outcomeSoFar = undefined
    this.way.spent = this
  }

  /** The message was held back, or its session ended before its content: another session gets it, and no attempt is counted. */
  private again(): Effect.Effect<Receipt, MailError.MailError> {
    const { ends, message, options, session, way } = this
    const ending = this.wasBegun ? session?.leaving : session?.endedUnused
    if (ending === undefined) return attempt(way, message, options, ends)
    return ends < (ending._tag === "Closing" ? maxAnnouncedEnds : maxEnds)
      ? attempt(way, message, options, ends + 1)
      : Effect.fail(ConnectionEnd.toError(ending, "envelope"))
  }
}

const nothing = Composed.make({
  messageId: "",
  envelope: { from: undefined, to: [] },
  content: new Uint8Array(0)
})

const noOptions: Options = { restore: (effect) => effect }

/** True if the message of the current fiber is traced. */
const isTraced = (): boolean => {
  const cache = Fiber.getCurrent()?.cache
  return cache?.span?.sampled === true && cache.tracer !== undefined
}

/** Within a span when the message is traced; it links to the span of the connection, whose life is longer. */
const transact = (
  session: SmtpSession,
  settings: Settings,
  message: Composed.Composed,
  onEnd: OnEnd,
  gate: Gate | undefined
): Effect.Effect<SessionOutcome> =>
  Effect.suspend(() => {
    if (!isTraced()) return session.send(message, onEnd, gate)
    return Effect.useSpan(
      "smtp.transaction",
      {
        kind: "client",
        links: session.span === undefined ? [] : [{ span: session.span, attributes: {} }],
        attributes: {
          "server.address": settings.host,
          "server.port": settings.port,
          "network.protocol.name": "smtp",
          "smtp.pipelining": session.mode,
          "mailrace.size": message.size,
          "mailrace.recipients": message.envelope.to.length
        }
      },
      (span) =>
        Effect.map(session.send(message, onEnd, gate), (sent) => {
          const verdict = session.takeVerdict()
          if (verdict !== undefined) {
            span.attribute("smtp.speculation.safe", verdict.isSafe)
            if (!verdict.isSafe) span.attribute("smtp.speculation.why", verdict.why)
          }
          if (sent === undefined) {
            span.attribute("smtp.begun", false)
          } else if (Result.isSuccess(sent)) {
            describeReply(span, sent.success.reply)
          } else {
            span.attribute("error.type", sent.failure.reason._tag)
            const { reply } = sent.failure
            if (reply !== undefined) describeReply(span, reply)
          }
          return sent
        })
    )
  })

/** The codes alone, because the text often repeats the recipient. */
const describeReply = (span: Tracer.Span, { code, enhanced }: Reply.Reply): void => {
  span.attribute("smtp.reply.code", code)
  if (enhanced !== undefined) span.attribute("smtp.reply.enhanced_code", enhanced)
}

/** A gate for a message that was begun: it stays open, and counts further MAIL commands. */
const counting = (gate: Gate): Gate => ({ isOpen: true, opened: Effect.void, begun: () => gate.begun?.() })
