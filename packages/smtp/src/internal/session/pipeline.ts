/**
 * The state machine of a session that is ready to send (RFC 5321 §4.1.4, RFC 2920, RFC 3030): which command may be
 * written now, and what each reply means.
 *
 * It holds no socket, no timer and no fiber. Transactions go in by `submit`, from `SmtpSession`; replies by `reply`, and commands
 * and content come out through a `Wire`, both of which are `SmtpConnection`, except in tests. Replies are matched by count: they
 * come in the order of the commands, so the first transaction that is still on its way always owns the next one, after what is
 * open of the self-test before it.
 *
 * **The rules it keeps**
 *
 * - DATA is the last of its group. Nothing is written between it and its reply, and after a 354 only content or, when
 *   nobody was accepted, a lone dot (RFC 2920 §3.1).
 * - Nothing is written behind the end of DATA before its reply, but in `overlap`. In `speculative` that is the way of what
 *   is too large to run ahead, of streams, and of the first message: relays were seen to fall silent at a large chunk,
 *   and beside the time of such content the round trip costs little.
 * - A transaction begins with RSET when the one before it may still be open. Ahead of the replies that cannot be known,
 *   so in `speculative` each begins with it: without RSET a server was seen to send message 2 under the sender of
 *   message 1.
 * - A reply that cannot be the answer to what was asked (`internal/session/replyDesync`) fails the connection, not the message. So
 *   does a reply to what had not been written when it was sent.
 * - A relay that holds back replies to commands that came together gets those of an envelope one by one (`EnvelopeGrouping`).
 * - How many transactions run ahead, and when content may go with its envelope, is for `internal/session/speculationWindow` to say, and for
 *   `PipeliningRecord`, which the relay's connections share. Once the relay has stepped down, all of them go on in `envelope`.
 * - A connection speculates after its own self-test (`SpeculationTest`), which is written before the envelope of its first
 *   message, or before a later one when that is when it becomes worth it. Until then it is in `envelope`.
 *
 * **When the connection ends**
 *
 * Each transaction that was begun gets the end that its replies leave open (`Transaction.endedBy`). A refused RSET counts
 * as a 421, if the connection then ends without another word.
 */
import type * as Composed from "mailrace/Composed"
import type * as Reply from "mailrace/Reply"
import { EnvelopeGrouping } from "./envelopeGrouping.ts"
import { SpeculationWindow, type Options as LeadOptions } from "./speculationWindow.ts"
import { replyDesync } from "./replyDesync.ts"
import * as ConnectionEnd from "../connection/connectionEnd.ts"
import * as LineEndings from "../../LineEndings.ts"
import * as Pipelining from "../../Pipelining.ts"
import { ServiceTime } from "./serviceTime.ts"
import { type PipeliningRecord, shortSession } from "./pipeliningRecord.ts"
import * as SmtpCommand from "../protocol/command.ts"
import * as SpeculationTest from "./speculationTest.ts"
import type { Outcome, Transaction } from "./transaction.ts"

/** The output for commands and content. */
export interface Wire {
  /** Adds text to what is sent next. */
  readonly write: (text: string) => void
  /** Adds bytes to what is sent next. */
  readonly writeBytes: (bytes: Uint8Array) => void
  /** Sends content in pieces as the peer takes them, then calls back, with the problem if there was one. */
  readonly stream: (content: Composed.StreamedContent, onEnd: (problem?: { readonly cause: unknown }) => void) => void
  /** The same for bytes at hand that need no encoding; never calls back when the connection ends before. */
  readonly writeSlices: (bytes: Uint8Array, onEnd: () => void) => void
  /** True if the peer keeps up; when it does not, nothing new is begun until `resume`. */
  readonly isWritable: () => boolean
}

/** The options of the machine. */
export interface Options extends LeadOptions {
  /** The fastest mode that it may take up. */
  readonly mode: Pipelining.Mode
  /** The relay's record of pipelining. */
  readonly record: PipeliningRecord
  /** True if more messages wait for the relay than it has connections, so that running ahead is useful. */
  readonly isBusy: () => boolean
  /** Called once, when the machine itself finds that the connection must end. */
  readonly onFailure: (ending: ConnectionEnd.ConnectionEnd) => void
  /** After how many refused transactions another connection should be used; infinite for most relays. */
  readonly maxRefusals: number
  /** Called when no more should be begun on this connection, because of refusals or because the peer takes its leave. */
  readonly onExhausted: () => void
}

/**
 * The largest content in bytes that is handed to the socket in one piece. A larger one goes in slices, so that what the
 * peer has taken shows, and a connection that breaks in its middle is known to have broken there.
 */
const largestWrite = 262_144

/** The phase of the awaited reply; `idle` if none is awaited. */
export type Waiting = "idle" | "selfTest" | "envelope" | "content" | "finalReply"

export class SmtpPipeline {
  private readonly wire: Wire
  private readonly options: Options
  private readonly window: SpeculationWindow
  private readonly service: ServiceTime
  private readonly grouping: EnvelopeGrouping
  /** Waiting for their turn. */
  private readonly queue: Array<Transaction> = []
  /** Begun and not ended, in the order in which they were written. */
  private readonly underway: Array<Transaction> = []
  /** Its envelope is out and its content is not: nothing else may be written. */
  private holding: Transaction | undefined
  /** The peer may still have a transaction open that was not completed. */
  private isTransactionOpen = false
  /** Content was written in this very turn, so that an envelope joins it in one segment. */
  private canJoin = false
  /** Replies have been taken, and `resume` has not been called yet. */
  private isTakingReplies = false
  /** A transaction has ended by a reply, and the others that came with it are still being taken. */
  private hasCompleted = false
  /** Replies still to come for what was written. */
  private outstanding = 0
  /** Those of them that can be among the replies being taken, because what they answer was written before. */
  private due = 0
  /** Its content broke off, so the connection ends as soon as those before it have ended. */
  private broken: { readonly transaction: Transaction; readonly ending: ConnectionEnd.ConnectionEnd } | undefined
  private ending: ConnectionEnd.ConnectionEnd | undefined
  /** The self-test, from when it was written until the reply to the DATA behind it. */
  private test: SpeculationTest.SpeculationTest | undefined
  private hasPassedTest = false
  private verdict: SpeculationTest.Verdict | undefined
  /** How many messages the relay has decided about. */
  private carried = 0
  /** When the transaction before the first one ended. */
  private turnAt = Number.NEGATIVE_INFINITY
  /** The refusal of an RSET, which only a peer gives that is about to close. */
  private rsetRefusal: Reply.Reply | undefined
  private refusals = 0

  constructor(wire: Wire, options: Options) {
    this.wire = wire
    this.options = options
    this.window = new SpeculationWindow(options)
    this.service = new ServiceTime(options.depth)
    this.grouping = new EnvelopeGrouping(options.record)
  }

  /** How many transactions have been taken and not ended. */
  get size(): number {
    return this.queue.length + this.underway.length
  }

  /** The mode that it is in now. */
  get mode(): Pipelining.Mode {
    const { mode, record } = this.options
    if (mode === "off") return mode
    if (record.steppedDown !== undefined) return "envelope"
    return mode === "speculative" && !this.hasPassedTest ? "envelope" : mode
  }

  /** How many transactions keep the connection busy, as far as the relay has shown. */
  get depth(): number {
    const { mode, service } = this
    return service.depth === 1 || mode === "speculative" ? service.depth : Pipelining.depthOf(mode, this.options.depth)
  }

  /** The time in milliseconds that one more transaction costs those behind it; `undefined` before the first reply. */
  get pace(): number | undefined {
    return this.service.pace
  }

  /**
   * The time in milliseconds in which a relay that does not think answers a first message: a round trip for the envelope and one
   * for the content. `undefined` before a round trip is known, and where each command takes one.
   */
  get promptMs(): number | undefined {
    const { roundTrip } = this.service
    return roundTrip === Number.POSITIVE_INFINITY || this.options.mode === "off" || this.grouping.isOneByOne
      ? undefined
      : 2 * roundTrip
  }

  /** The self-test's verdict; only the first call returns it. */
  takeVerdict(): SpeculationTest.Verdict | undefined {
    const { verdict } = this
    this.verdict = undefined
    return verdict
  }

  /** The phase of the awaited reply. */
  get waiting(): Waiting {
    const head = this.underway[0]
    if (head === undefined) return "idle"
    if (this.test?.isAnswered === false) return "selfTest"
    if (head.stage !== "final") return "envelope"
    return head.isHandedOver ? "finalReply" : "content"
  }

  /**
   * When and how long the first transaction has been at its envelope and its content, where that is what it is at. In the
   * wait for its final reply it is not.
   */
  get preparing(): { readonly since: number; readonly size: number } | undefined {
    const head = this.underway[0]
    if (head === undefined || (head.stage === "final" && head.isHandedOver)) return undefined
    return { since: Math.max(head.begunAt, this.turnAt), size: head.size }
  }

  /** True if the peer was handed the content of a message and has not answered it. */
  get awaitsFinalReply(): boolean {
    return this.underway.some(({ isHandedOver }) => isHandedOver)
  }

  /** True if the peer has taken its leave by refusing RSET. */
  get isClosing(): boolean {
    return this.rsetRefusal !== undefined
  }

  /** Takes a transaction; it is begun now or when its turn comes. */
  submit(transaction: Transaction): void {
    if (this.ending !== undefined) {
      this.settle(transaction, notBegun(this.ending))
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
      this.fail({ _tag: "Closing", reply, at: this.underway[0]?.command })
      return
    }
    if (this.rsetRefusal !== undefined) {
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
    if (this.service.awaitsRoundTrip) this.service.answered(this.options.now())
    if (this.test?.isAnswered === false) {
      const problem = this.test.take(reply)
      if (this.test.isSenderRefused) this.options.record.refusesNullSender = true
      if (problem !== undefined) this.fail({ _tag: "Violation", problem })
      return
    }
    const place = replyDesync(transaction, reply)
    if (place !== undefined) {
      this.fail({
        _tag: "Violation",
        problem: `the relay and Mailrace are out of step ${place}`,
        reply,
        at: transaction.command
      })
      return
    }
    if (this.test !== undefined && transaction.stage === "data") this.passTest()
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
    if (this.hasCompleted) {
      this.hasCompleted = false
      this.service.batchEnded(this.options.now(), this.underway[0]?.usesBdat === true)
    }
    this.pump()
    this.canJoin = false
  }

  /** Ends every transaction, because the connection has ended. */
  end(ending: ConnectionEnd.ConnectionEnd): void {
    if (this.ending !== undefined) return
    if (this.rsetRefusal !== undefined && ending._tag === "Lost") ending = { _tag: "Closing", reply: this.rsetRefusal }
    this.ending = ending
    this.holding = undefined
    // Before any caller learns of an end and sends again at once.
    this.noteEnding(ending)
    for (const transaction of this.underway.splice(0)) this.settle(transaction, transaction.endedBy(ending))
    for (const transaction of this.queue.splice(0)) this.settle(transaction, notBegun(ending))
  }

  private pump(): void {
    while (this.queue.length > 0 && this.wire.isWritable() && this.canBegin()) {
      const transaction = this.queue.shift()!
      const { gate } = transaction
      if (gate === undefined || gate.isOpen) {
        gate?.begun?.()
        this.begin(transaction)
      } else this.settle(transaction, notBegun({ _tag: "Closed" }))
    }
  }

  private canBegin(): boolean {
    if (this.ending !== undefined || this.holding !== undefined) return false
    if (this.broken !== undefined || this.rsetRefusal !== undefined) return false
    const last = this.underway.at(-1)
    if (last === undefined) return true
    switch (this.mode) {
      case "overlap":
        return this.canJoin && this.underway.length < 2
      case "speculative":
        return last.usesBdat && !this.options.record.isTrial(last) && this.window.canStart(this.underway.length)
      default:
        return false
    }
  }

  private begin(transaction: Transaction): void {
    const { mode } = this
    const { commands } = transaction
    transaction.isEarly = this.underway.length > 0
    if (!transaction.isEarly) {
      this.window.beginAlone()
      this.service.begunAlone(this.options.now())
    }
    this.underway.push(transaction)
    if (this.isTestDue(transaction)) this.writeTest(transaction)
    const startsWithRset = mode === "speculative" || this.isTransactionOpen
    transaction.stage = startsWithRset ? "rset" : "mail"
    transaction.begunAt = this.options.now()
    transaction.isOneByOne = mode === "off" || (mode === "envelope" && !transaction.isEarly && this.grouping.isOneByOne)
    if (transaction.isOneByOne) {
      this.ask(startsWithRset ? SmtpCommand.rset : commands.mail)
      return
    }
    this.outstanding += commands.rcpt.length + (startsWithRset ? 3 : 2)
    const envelope = (startsWithRset ? SmtpCommand.rset : "") + commands.mail + joined(commands.rcpt)
    const { content } = transaction
    if (
      mode === "speculative" &&
      this.window.canSendAhead(content) &&
      this.options.record.permitsChunk(content.length)
    ) {
      const bytes = LineEndings.forBdat(content)
      transaction.usesBdat = true
      transaction.chunkLength = bytes.length
      transaction.isHandedOver = true
      transaction.handedOverAt = transaction.begunAt
      if (!transaction.isEarly) this.service.handedOver(transaction.handedOverAt)
      this.options.record.chunkBegun(transaction)
      this.wire.write(envelope + SmtpCommand.bdatLast(bytes.length))
      this.wire.writeBytes(bytes)
    } else {
      this.holding = transaction
      this.wire.write(envelope + SmtpCommand.data)
    }
  }

  /** True if the self-test goes before this envelope: the connection wants it, and there is enough to send. */
  private isTestDue({ commands }: Transaction): boolean {
    const { isBusy, mode, record } = this.options
    if (mode !== "speculative" || this.hasPassedTest || record.steppedDown !== undefined) return false
    if (commands.rcpt.length > SpeculationTest.maxRecipients) return false
    if (record.endsSoon && this.carried <= shortSession) return false
    return this.window.prompt >= shortSession || isBusy()
  }

  private writeTest(transaction: Transaction): void {
    const { commands } = transaction
    transaction.isEarly = true
    const sender = this.options.record.refusesNullSender ? commands.mail : SpeculationTest.nullSender
    this.test = new SpeculationTest.SpeculationTest(sender, commands.rcpt.length)
    this.outstanding += SpeculationTest.replies
    // It begins and ends with RSET.
    this.isTransactionOpen = false
    // Its transaction is one more for the relay's count.
    transaction.gate?.begun?.()
    this.wire.write(this.test.text)
  }

  private passTest(): void {
    this.test = undefined
    this.hasPassedTest = true
    this.verdict = { isSafe: true }
    this.options.record.passed()
  }

  /** Writes what is answered by one reply. */
  private ask(text: string): void {
    this.outstanding++
    this.wire.write(text)
  }

  private onRset(transaction: Transaction, reply: Reply.Reply): void {
    if (reply.code >= 300) {
      this.rsetRefusal = reply
      this.exhaust()
      return
    }
    this.isTransactionOpen = false
    transaction.stage = "mail"
    if (transaction.isOneByOne) this.ask(transaction.commands.mail)
  }

  private onMail(transaction: Transaction, reply: Reply.Reply): void {
    transaction.mailReply = reply
    this.isTransactionOpen = reply.code < 300
    transaction.stage = "rcpt"
    if (!transaction.isOneByOne) return
    if (reply.code < 300) this.ask(transaction.commands.rcpt[0]!)
    else this.complete(transaction, transaction.refusal())
  }

  private onRcpt(transaction: Transaction, reply: Reply.Reply): void {
    const { commands, isOneByOne, rcptReplies } = transaction
    rcptReplies.push(reply)
    if (reply.code < 300) transaction.acceptedRecipients++
    if (rcptReplies.length < commands.rcpt.length) {
      if (isOneByOne) this.ask(commands.rcpt[rcptReplies.length]!)
      return
    }
    transaction.envelopeEndedAt = this.options.now()
    if (isOneByOne && !transaction.hasRecipients) {
      this.complete(transaction, transaction.refusal())
      return
    }
    transaction.stage = transaction.usesBdat ? "final" : "data"
    if (isOneByOne) this.ask(SmtpCommand.data)
  }

  private onData(transaction: Transaction, reply: Reply.Reply): void {
    if (reply.code !== 354) {
      this.complete(
        transaction,
        transaction.hasRecipients ? { _tag: "Refused", at: "data", reply } : transaction.refusal()
      )
    } else if (transaction.hasRecipients) {
      this.noteEnvelope(transaction)
      this.writeContent(transaction)
    } else {
      transaction.stage = "emptyContent"
      this.ask(LineEndings.endOfData)
    }
  }

  /** Learns from an envelope that was alone whether its commands should go together. */
  private noteEnvelope({ begunAt, commands, isEarly, isOneByOne }: Transaction): void {
    if (isEarly || this.mode !== "envelope") return
    const count = commands.rcpt.length + 2
    this.grouping.took(this.options.now() - begunAt, count, this.service.roundTrip, isOneByOne)
  }

  private writeContent(transaction: Transaction): void {
    const { content } = transaction
    transaction.stage = "final"
    transaction.contentBegunAt = this.options.now()
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
    transaction.handedOverAt = this.options.now()
    this.service.handedOver(transaction.handedOverAt)
    this.holding = undefined
    this.canJoin = true
    // Content may end at once, while replies are still being taken.
    if (!this.isTakingReplies) this.resume()
  }

  private onFinal(transaction: Transaction, reply: Reply.Reply): void {
    const isPositive = reply.code < 300
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
    this.turnAt = this.options.now()
    if (this.holding === transaction) this.holding = undefined
    if (transaction.stage === "emptyContent") this.isTransactionOpen = false
    const isAccepted = outcome._tag === "Accepted"
    this.carried++
    this.hasCompleted = true
    this.service.completed(unitsOf(transaction))
    this.window.onCompleted(isAccepted, transaction.usesBdat)
    if (!isAccepted && this.options.mode === "speculative" && ++this.refusals === this.options.maxRefusals) {
      this.exhaust()
    }
    this.settle(transaction, outcome)
    this.endIfBroken()
  }

  /** Gives back what was not begun, for another connection to take. */
  giveBack(): void {
    for (const transaction of this.queue.splice(0)) this.settle(transaction, notBegun({ _tag: "Closed" }))
  }

  private exhaust(): void {
    this.options.onExhausted()
    this.giveBack()
  }

  private endIfBroken(): void {
    if (this.broken !== undefined && this.broken.transaction === this.underway[0]) this.fail(this.broken.ending)
  }

  /** Records what the end of the connection shows about the relay. */
  private noteEnding(ending: ConnectionEnd.ConnectionEnd): void {
    const { record } = this.options
    if (this.test !== undefined) {
      // A session that the relay ends before the test has done anything wrong has ended for other reasons.
      if (ending._tag !== "Closing" || this.test.hasErred) {
        record.testEnded(ending)
        this.verdict = { isSafe: false, why: ConnectionEnd.describe(ending) }
      }
      this.test = undefined
    } else if (ending._tag === "Lost" || ending._tag === "Silent" || ending._tag === "Violation") {
      if (this.underway.some(({ usesBdat }) => usesBdat)) {
        record.stepDown(`the content of BDAT was not answered: ${ConnectionEnd.describe(ending)}`)
      } else if (this.underway.some(({ isEarly, stage }) => isEarly && stage !== "final")) {
        record.stepDown(`an envelope that came early was not answered: ${ConnectionEnd.describe(ending)}`)
      }
    }
    if ((ending._tag === "Lost" || ending._tag === "Closing") && this.carried > 0) record.sessionEnded(this.carried)
  }

  private settle(transaction: Transaction, outcome: Outcome): void {
    if (transaction.usesBdat) this.options.record.chunkEnded(transaction, outcome)
    transaction.stage = "done"
    transaction.settle(outcome)
    transaction.onDone?.()
  }

  private fail(ending: ConnectionEnd.ConnectionEnd): void {
    if (this.ending !== undefined) return
    // The owner must know first that this connection takes no more: a caller may send again as soon as its message ends.
    this.options.onFailure(ending)
    this.end(ending)
  }
}

const notBegun = (ending: ConnectionEnd.ConnectionEnd): Outcome => ({
  _tag: "NotSent",
  begun: false,
  isAttempt: false,
  ending
})

/** The weight of a transaction by its content; a stream's length is not known here. */
const unitsOf = ({ content }: Transaction): number =>
  content instanceof Uint8Array ? ServiceTime.unitsOf(content.length) : 1

const joined = (lines: ReadonlyArray<string>): string => (lines.length === 1 ? lines[0]! : lines.join(""))
