/**
 * The state machine of a session that is ready to send (RFC 5321 §4.1.4, RFC 2920, RFC 3030): which command may be
 * written now, and what each reply means.
 *
 * It holds no socket, no timer and no fiber. Transactions go in by `submit`, replies by `reply`; commands and content
 * come out through a `Wire`. Replies are matched by count: they come in the order of the commands, so the first
 * transaction that is still on its way always owns the next one.
 *
 * **The rules it keeps**
 *
 * - DATA is the last of its group. Nothing is written between it and its reply, and after a 354 only content or, when
 *   nobody was accepted, a lone dot (RFC 2920 §3.1).
 * - A transaction begins with RSET when the one before it may still be open. Ahead of the replies that cannot be known,
 *   so in `speculative` each begins with it: without RSET a server was seen to send message 2 under the sender of
 *   message 1.
 * - 503 to MAIL, or to what follows an accepted one, means that this rule was broken or the peer is out of step: the
 *   connection fails, not the message. So does a reply to what had not been written when it was sent.
 * - An envelope goes early only in the same write as the content before it. Sent after it on its own it would save a
 *   round trip, but a relay that answers in two small segments and leaves Nagle's algorithm on then waits for an ACK
 *   that this side delays: 40 ms a message, seen with Postfix's smtp-sink.
 * - Content runs ahead of its envelope's replies only on a connection that has just completed a transaction. The first
 *   one, and the first after a pause, waits for its 354: then a connection that the peer has closed meanwhile costs no
 *   outcome, and a peer that answers twice is caught before anything is counted wrongly.
 *
 * **When the connection ends**
 *
 * RSET answered by a refusal counts as such an announcement too, if the connection then ends without another word.
 * A transaction whose content was wholly handed over is unknown; one whose replies already said no is refused; any other
 * was not sent. After a 421 nothing that lacks its final reply was taken.
 */
import type * as Composed from "mailrace/Composed"
import type * as Reply from "mailrace/Reply"
import type { Ending } from "./Ending.ts"
import * as LineEndings from "./LineEndings.ts"
import type * as Pipelining from "./Pipelining.ts"
import * as SmtpCommand from "./SmtpCommand.ts"
import type { Outcome, Transaction } from "./Transaction.ts"

/** Where commands and content go. */
export interface Wire {
  /** Adds text to what is sent next. */
  readonly write: (text: string) => void
  /** Adds bytes to what is sent next. */
  readonly writeBytes: (bytes: Uint8Array) => void
  /** Sends content in pieces as the peer takes them, then calls back, with the problem if there was one. */
  readonly stream: (content: Composed.StreamedContent, onEnd: (problem?: { readonly cause: unknown }) => void) => void
  /** The same for bytes at hand that need no encoding; never calls back when the connection ends before. */
  readonly writeSlices: (bytes: Uint8Array, onEnd: () => void) => void
  /** Whether the peer keeps up; when it does not, nothing new is begun until `resume`. */
  readonly isWritable: () => boolean
}

/** How the machine runs. */
export interface Options {
  readonly mode: Pipelining.Mode
  /** How many transactions may be on their way in `speculative`. */
  readonly depth: number
  /** The largest content in bytes that runs ahead of its envelope's replies. */
  readonly maxSpeculativeSize: number
  /** After how many milliseconds without traffic the next transaction goes carefully again. */
  readonly pauseMs: number
  /** The time in milliseconds, on any scale that does not jump. */
  readonly now: () => number
  /** Called once, when the machine itself finds that the connection must end. */
  readonly onFailure: (ending: Ending) => void
  /** After how many refused transactions another connection should be used; infinite for most relays. */
  readonly maxRefusals: number
  /** Called when no more should be begun on this connection, because of refusals or because the peer takes its leave. */
  readonly onWorn: () => void
}

/**
 * The largest content in bytes that is handed to the socket in one piece. A larger one goes in slices, so that what the
 * peer has taken shows, and a connection that breaks in its middle is known to have broken there.
 */
const largestWrite = 262_144

/** What the next reply is awaited for; `idle` when none is. */
export type Waiting = "idle" | "envelope" | "content" | "finalReply"

/** The machine. */
export class SmtpPipeline {
  private readonly wire: Wire
  private readonly options: Options
  /** Waiting for their turn. */
  private readonly queue: Array<Transaction> = []
  /** Begun and not ended, in the order in which they were written. */
  private readonly underway: Array<Transaction> = []
  /** Its envelope is out and its content is not: nothing else may be written. */
  private holding: Transaction | undefined
  /** The peer may still have a transaction open that was not completed. */
  private isTransactionOpen = false
  /** A transaction was completed a moment ago, so content may run ahead. */
  private isTrusted = false
  private lastReplyAt = 0
  /** Content was written in this very turn, so that an envelope joins it in one segment. */
  private canJoin = false
  /** Replies have been taken, and `resume` has not been called yet. */
  private isTakingReplies = false
  /** Replies still to come for what was written. */
  private outstanding = 0
  /** Those of them that can be among the replies being taken, because what they answer was written before. */
  private due = 0
  /** Its content broke off, so the connection ends as soon as those before it have ended. */
  private broken: { readonly transaction: Transaction; readonly ending: Ending } | undefined
  private ending: Ending | undefined
  /** The refusal of an RSET, which only a peer gives that is about to close. */
  private farewell: Reply.Reply | undefined
  private refusals = 0
  /**
   * How many transactions may run ahead. A refusal halves it, because content that follows a refused envelope is sent in
   * vain; four acceptances add one.
   */
  private window: number

  constructor(wire: Wire, options: Options) {
    this.wire = wire
    this.options = options
    this.window = options.depth
  }

  /** How many transactions have been taken and not ended. */
  get size(): number {
    return this.queue.length + this.underway.length
  }

  /** What the next reply is awaited for. */
  get waiting(): Waiting {
    const head = this.underway[0]
    if (head === undefined) return "idle"
    if (head.stage !== "final") return "envelope"
    return head.isHandedOver ? "finalReply" : "content"
  }

  /** Whether the peer has taken its leave by refusing RSET. */
  get isTakingLeave(): boolean {
    return this.farewell !== undefined
  }

  /** Takes a transaction; it is begun now or when its turn comes. */
  submit(transaction: Transaction): void {
    if (this.ending !== undefined) {
      this.settle(transaction, { _tag: "NotSent", begun: false, ending: this.ending })
      return
    }
    this.queue.push(transaction)
    // Nothing is begun between replies that came together: a surplus one among them must be seen first.
    if (!this.isTakingReplies) this.pump()
  }

  /** Takes a transaction back that was not begun. Tells whether that was so. */
  withdraw(transaction: Transaction): boolean {
    const index = this.queue.indexOf(transaction)
    if (index === -1) return false
    this.queue.splice(index, 1)
    transaction.stage = "done"
    return true
  }

  /** Takes the next reply. Call `resume` after the last one that came with it. */
  reply(reply: Reply.Reply): void {
    if (this.ending !== undefined) return
    if (!this.isTakingReplies) {
      this.isTakingReplies = true
      this.due = this.outstanding
    }
    if (reply.code === 421) {
      this.fail({ _tag: "Closing", reply })
      return
    }
    if (this.farewell !== undefined) {
      this.fail({ _tag: "Violation", problem: "the relay refused RSET and went on", reply })
      return
    }
    const transaction = this.underway[0]
    if (transaction === undefined || this.due === 0) {
      this.fail({ _tag: "Violation", problem: "the relay answered without having been asked", reply })
      return
    }
    this.due--
    this.outstanding--
    switch (transaction.stage) {
      case "rset":
        return this.onRset(transaction, reply)
      case "mail":
        return this.onMail(transaction, reply)
      case "rcpt":
        return this.onRcpt(transaction, reply)
      case "data":
        return this.onData(transaction, reply)
      case "emptyContent":
        return this.complete(transaction, transaction.refusal())
      case "final":
        return this.onFinal(transaction, reply)
    }
  }

  /** Goes on after replies were taken, or after the peer has taken what was written. */
  resume(): void {
    if (this.ending !== undefined) return
    this.isTakingReplies = false
    this.pump()
    this.canJoin = false
  }

  /** Ends every transaction, because the connection has ended. */
  end(ending: Ending): void {
    if (this.ending !== undefined) return
    if (this.farewell !== undefined && ending._tag === "Lost") ending = { _tag: "Closing", reply: this.farewell }
    this.ending = ending
    this.holding = undefined
    for (const transaction of this.underway.splice(0)) this.settle(transaction, endOf(transaction, ending))
    for (const transaction of this.queue.splice(0)) {
      this.settle(transaction, { _tag: "NotSent", begun: false, ending })
    }
  }

  private pump(): void {
    while (this.queue.length > 0 && this.wire.isWritable() && this.canBegin()) this.begin(this.queue.shift()!)
  }

  private canBegin(): boolean {
    if (this.ending !== undefined || this.holding !== undefined) return false
    if (this.broken !== undefined || this.farewell !== undefined) return false
    const { mode, now, pauseMs } = this.options
    const underway = this.underway.length
    if (underway === 0) {
      if (this.isTrusted && now() - this.lastReplyAt > pauseMs) this.isTrusted = false
      return true
    }
    return mode === "overlap"
      ? this.canJoin && underway < 2
      : mode === "speculative" && this.isTrusted && underway < this.window
  }

  private begin(transaction: Transaction): void {
    const { maxSpeculativeSize, mode } = this.options
    const { commands, content } = transaction
    this.underway.push(transaction)
    const startsWithRset = mode === "speculative" || this.isTransactionOpen
    transaction.stage = startsWithRset ? "rset" : "mail"
    if (mode === "off") {
      this.ask(startsWithRset ? SmtpCommand.rset : commands.mail)
      return
    }
    this.outstanding += commands.rcpt.length + (startsWithRset ? 3 : 2)
    const envelope = (startsWithRset ? SmtpCommand.rset : "") + commands.mail + joined(commands.rcpt)
    if (
      this.isTrusted &&
      mode === "speculative" &&
      content instanceof Uint8Array &&
      content.length <= maxSpeculativeSize
    ) {
      const bytes = LineEndings.forBdat(content)
      transaction.usesBdat = true
      transaction.isHandedOver = true
      this.wire.write(envelope + SmtpCommand.bdatLast(bytes.length))
      this.wire.writeBytes(bytes)
    } else {
      this.holding = transaction
      this.wire.write(envelope + SmtpCommand.data)
    }
  }

  /** Writes what is answered by one reply. */
  private ask(text: string): void {
    this.outstanding++
    this.wire.write(text)
  }

  private onRset(transaction: Transaction, reply: Reply.Reply): void {
    if (reply.code >= 300) {
      this.farewell = reply
      this.wearOut()
      return
    }
    this.isTransactionOpen = false
    transaction.stage = "mail"
    if (this.options.mode === "off") this.ask(transaction.commands.mail)
  }

  private onMail(transaction: Transaction, reply: Reply.Reply): void {
    if (reply.code === 503 || (reply.code >= 300 && reply.code < 400)) {
      this.fail({ _tag: "Violation", problem: "the relay and Mailrace are out of step at MAIL", reply })
      return
    }
    transaction.mailReply = reply
    this.isTransactionOpen = reply.code < 300
    transaction.stage = "rcpt"
    if (this.options.mode !== "off") return
    if (reply.code < 300) this.ask(transaction.commands.rcpt[0]!)
    else this.complete(transaction, transaction.refusal())
  }

  private onRcpt(transaction: Transaction, reply: Reply.Reply): void {
    const { commands, mailReply, rcptReplies } = transaction
    // Without a sender there is nobody to send to; with one, there is nothing out of sequence.
    const isOutOfStep = mailReply!.code >= 400 ? reply.code < 300 : reply.code === 503
    if (isOutOfStep || (reply.code >= 300 && reply.code < 400)) {
      this.fail({ _tag: "Violation", problem: "the relay and Mailrace are out of step at RCPT", reply })
      return
    }
    rcptReplies.push(reply)
    if (reply.code < 300) transaction.acceptedRecipients++
    const isOneByOne = this.options.mode === "off"
    if (rcptReplies.length < commands.rcpt.length) {
      if (isOneByOne) this.ask(commands.rcpt[rcptReplies.length]!)
      return
    }
    if (isOneByOne && !transaction.hasRecipients) {
      this.complete(transaction, transaction.refusal())
      return
    }
    transaction.stage = transaction.usesBdat ? "final" : "data"
    if (isOneByOne) this.ask(SmtpCommand.data)
  }

  private onData(transaction: Transaction, reply: Reply.Reply): void {
    if (reply.code === 354) {
      if (transaction.hasRecipients) {
        this.writeContent(transaction)
      } else {
        transaction.stage = "emptyContent"
        this.ask(LineEndings.endOfData)
      }
    } else if (reply.code < 400 || (reply.code === 503 && transaction.hasRecipients)) {
      this.fail({ _tag: "Violation", problem: "the relay and Mailrace are out of step at DATA", reply })
    } else {
      this.complete(
        transaction,
        transaction.hasRecipients ? { _tag: "Refused", at: "data", reply } : transaction.refusal()
      )
    }
  }

  private writeContent(transaction: Transaction): void {
    const { content } = transaction
    transaction.stage = "final"
    this.outstanding++
    // Whatever the relay says to the content, the transaction ends with it (RFC 5321 §4.1.1.4).
    this.isTransactionOpen = false
    if (!(content instanceof Uint8Array)) {
      this.holding = transaction
      this.wire.stream(content, (problem) => {
        if (this.ending !== undefined) return
        if (problem === undefined) {
          this.endContent(transaction)
        } else {
          this.broken = { transaction, ending: { _tag: "ContentFailed", cause: problem.cause } }
          this.endIfBroken()
        }
      })
    } else if (content.length > largestWrite) {
      this.holding = transaction
      this.wire.writeSlices(LineEndings.forData(content), () => {
        if (this.ending === undefined) this.endContent(transaction)
      })
    } else {
      this.wire.writeBytes(LineEndings.forData(content))
      this.endContent(transaction)
    }
  }

  /** The content is out; its end follows, and in the same write perhaps the next envelope. */
  private endContent(transaction: Transaction): void {
    this.wire.write(LineEndings.endOfData)
    transaction.isHandedOver = true
    this.holding = undefined
    this.canJoin = true
    // Content may end at once, while replies are still being taken.
    if (!this.isTakingReplies) this.resume()
  }

  private onFinal(transaction: Transaction, reply: Reply.Reply): void {
    const isPositive = reply.code < 300
    if (
      (reply.code >= 300 && reply.code < 400) ||
      (reply.code === 503 && transaction.hasRecipients) ||
      (isPositive && !(transaction.hasRecipients && transaction.isHandedOver))
    ) {
      this.fail({ _tag: "Violation", problem: "the relay and Mailrace are out of step after the content", reply })
      return
    }
    if (transaction.usesBdat) this.isTransactionOpen = !isPositive
    const wasHandedOver = transaction.isHandedOver
    this.complete(
      transaction,
      isPositive
        ? { _tag: "Accepted", reply }
        : transaction.hasRecipients
          ? { _tag: "Refused", at: "content", reply }
          : transaction.refusal()
    )
    // Refused in the middle of its content, which then cannot be taken back from the wire.
    if (!wasHandedOver) this.fail({ _tag: "Closed" })
  }

  private complete(transaction: Transaction, outcome: Outcome): void {
    this.underway.shift()
    if (this.holding === transaction) this.holding = undefined
    if (transaction.stage === "emptyContent") this.isTransactionOpen = false
    this.lastReplyAt = this.options.now()
    this.isTrusted = true
    if (this.options.mode === "speculative") this.adapt(outcome)
    this.settle(transaction, outcome)
    this.endIfBroken()
  }

  private adapt(outcome: Outcome): void {
    if (outcome._tag === "Accepted") {
      this.window = Math.min(this.options.depth, this.window + 0.25)
      return
    }
    this.window = Math.max(1, this.window / 2)
    if (++this.refusals === this.options.maxRefusals) this.wearOut()
  }

  /** Gives back what was not begun, for another connection to take. */
  private wearOut(): void {
    const ending: Ending = { _tag: "Closed" }
    this.options.onWorn()
    for (const transaction of this.queue.splice(0)) this.settle(transaction, { _tag: "NotSent", begun: false, ending })
  }

  private endIfBroken(): void {
    if (this.broken !== undefined && this.broken.transaction === this.underway[0]) this.fail(this.broken.ending)
  }

  private settle(transaction: Transaction, outcome: Outcome): void {
    transaction.stage = "done"
    transaction.settle(outcome)
    transaction.onDone?.()
  }

  private fail(ending: Ending): void {
    if (this.ending !== undefined) return
    // First the owner learns that nothing more may come here: whoever is told of an end may send again at once.
    this.options.onFailure(ending)
    this.end(ending)
  }
}

/** What the end of its connection makes of a transaction that was begun. */
const endOf = (transaction: Transaction, ending: Ending): Outcome => {
  // After a violation the replies so far may have been another's, so they settle nothing.
  if (transaction.isRefused && ending._tag !== "Violation") return transaction.refusal()
  return transaction.isHandedOver && ending._tag !== "Closing"
    ? { _tag: "Unknown", ending }
    : { _tag: "NotSent", begun: true, ending }
}

const joined = (lines: ReadonlyArray<string>): string => (lines.length === 1 ? lines[0]! : lines.join(""))
