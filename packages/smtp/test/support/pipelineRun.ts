/**
 * Drives an `SmtpPipeline` against a `ModelServer` through any order of events: messages come, replies arrive in any
 * pieces, the peer stops taking bytes, time passes, a stream goes on or breaks off, the connection is lost.
 *
 * It notes what was written for each message and which replies were handed over, and from these alone says which
 * outcome is right.
 */
import type * as Composed from "mailrace/Composed"
import * as Stream from "effect/Stream"
import type { ConnectionEnd } from "../../src/internal/connection/connectionEnd.ts"
import type * as Pipelining from "../../src/Pipelining.ts"
import { PipeliningRecord } from "../../src/internal/session/pipeliningRecord.ts"
import { SmtpPipeline } from "../../src/internal/session/pipeline.ts"
import { type Outcome, Transaction } from "../../src/internal/session/transaction.ts"
import { type DotFault, ModelServer, type Pending } from "./modelServer.ts"

/** A message, by its place in the run. */
export interface Message {
  readonly recipients: number
  /** Lines of content. */
  readonly lines: number
  readonly isStreamed: boolean
}

/** A whole run. */
export interface Scenario {
  readonly mode: Pipelining.Mode
  readonly depth: number
  readonly maxRefusals: number
  readonly messages: ReadonlyArray<Message>
  readonly verdicts: ReadonlyArray<number>
  readonly goesAheadWithoutRecipients: boolean
  readonly ignoresRset?: boolean | undefined
  readonly dotFault?: DotFault | undefined
  readonly runsRefusedChunks?: boolean | undefined
  /** Whether the relay was found to hold back replies to commands that come together. */
  readonly holdsReplies?: boolean | undefined
  /** Whether there is more to send than connections. */
  readonly isBusy: boolean
  /** What happens, in order; afterwards everything is handed over until nothing moves. */
  readonly events: ReadonlyArray<Event>
  /** How many more messages come while one is being settled. */
  readonly greed: number
}

export type Event =
  | { readonly type: "submit"; readonly count: number }
  | { readonly type: "deliver"; readonly count: number }
  | { readonly type: "stall" }
  | { readonly type: "drain" }
  | { readonly type: "pause" }
  | { readonly type: "stream"; readonly count: number }
  | { readonly type: "breakStream" }
  | { readonly type: "refuseEarly" }
  /** The first reply at hand comes twice. */
  | { readonly type: "repeat" }
  | { readonly type: "withdraw" }
  | { readonly type: "end"; readonly ending: ConnectionEnd }

/** What became of a message. */
export interface Result {
  readonly transaction: Transaction
  readonly outcomes: Array<Outcome>
  readonly delivered: Array<Pending>
  isWithdrawn: boolean
  /** Whether its stream broke off. */
  isBroken: boolean
}

const maxSpeculativeSize = 60
const pauseMs = 1000

export const sender = (n: number): string => `from-${n}@a`
export const recipients = (n: number, { recipients }: Message): ReadonlyArray<string> =>
  Array.from({ length: recipients }, (_, i) => `to-${n}-${i}@b`)

/** Lines that would do harm as commands or as the end of content. */
const lines = ["QUIT", ".", "RSET", "..", "MAIL FROM:<x@y>", ""]
export const content = (n: number, message: Message): string =>
  `this is ${n}\r\n${Array.from({ length: message.lines }, (_, i) => `${lines[(n + i) % lines.length]}\r\n`).join("")}`

/** What DATA content looks like on the wire, to its last byte. */
const stuffed = (text: string): string => `${text.replaceAll(/(^|\r\n)\./g, "$1..")}.\r\n`

export class Run {
  readonly results: Array<Result> = []
  readonly server: ModelServer
  readonly record = new PipeliningRecord()
  /** Everything that was written. */
  written = ""
  ending: ConnectionEnd | undefined
  isWorn = false
  isRsetRefused = false
  hasRefusedEarly = false
  private refusedEarlyAt: number | undefined
  /** Whether nothing moved any more although something was on its way. */
  isStuck = false
  private readonly scenario: Scenario
  private readonly machine: SmtpPipeline
  private pending = ""
  private isStalled = false
  private now = 0
  private greed: number
  private streaming:
    | { readonly pieces: Array<string>; readonly onEnd: (problem?: { cause: unknown }) => void }
    | undefined

  constructor(scenario: Scenario) {
    this.scenario = scenario
    this.greed = scenario.greed
    this.server = new ModelServer({ ...scenario, maxSpeculativeSize, pauseMs })
    this.record.holdsReplies = scenario.holdsReplies === true
    const write = (text: string) => {
      this.pending += text
    }
    this.machine = new SmtpPipeline(
      {
        write,
        writeBytes: (bytes) => write(Buffer.from(bytes).toString("latin1")),
        stream: (streamed: Composed.StreamedContent, onEnd) => {
          const n = this.results.findIndex(({ transaction }) => transaction.content === streamed)
          const whole = stuffed(content(n, scenario.messages[n]!)).slice(0, -3)
          this.streaming = { pieces: whole.match(/.{1,7}/gs) ?? [], onEnd }
        },
        writeSlices: (bytes, onEnd) => {
          write(Buffer.from(bytes).toString("latin1"))
          onEnd()
        },
        isWritable: () => !this.isStalled
      },
      {
        mode: scenario.mode,
        record: this.record,
        isBusy: () => scenario.isBusy,
        depth: scenario.depth,
        maxRefusals: scenario.maxRefusals,
        maxSpeculativeSize,
        pauseMs,
        now: () => this.now,
        onFailure: (ending) => this.close(ending),
        onExhausted: () => {
          this.isWorn = true
        }
      }
    )
    for (const event of scenario.events) this.happen(event)
    this.finish()
  }

  private happen(event: Event): void {
    this.server.next()
    switch (event.type) {
      case "submit":
        for (let i = 0; i < event.count; i++) this.submit()
        break
      case "deliver":
        this.deliver(event.count)
        break
      case "stall":
        this.isStalled = true
        break
      case "drain":
        this.isStalled = false
        this.machine.resume()
        break
      case "pause":
        this.now += pauseMs + 1
        break
      case "stream":
        for (let i = 0; i < event.count; i++) this.stream()
        break
      case "breakStream":
        this.breakStream()
        break
      case "refuseEarly":
        this.hasRefusedEarly ||= this.server.refuseEarly()
        break
      case "repeat":
        this.repeat()
        break
      case "withdraw":
        this.withdraw()
        break
      case "end":
        this.close(event.ending)
        this.machine.end(event.ending)
    }
    this.flush()
  }

  /** Lets everything come to its end. */
  private finish(): void {
    this.happen({ type: "drain" })
    for (let progress = -1; progress !== this.progress;) {
      progress = this.progress
      this.happen({ type: "submit", count: 1 })
      this.happen({ type: "stream", count: 3 })
      this.happen({ type: "deliver", count: 3 })
    }
    if (this.ending !== undefined || this.machine.size === 0) return
    // A peer that is going closes in the end.
    this.isStuck = !this.isRsetRefused && !this.hasRefusedEarly && !this.server.hasHungUp
    this.happen({ type: "end", ending: lost })
  }

  /** What was written after a content was refused before its end, where nothing can be written any more. */
  get writtenTooLate(): string {
    return this.refusedEarlyAt === undefined ? "" : this.written.slice(this.refusedEarlyAt)
  }

  private get progress(): number {
    const settled = this.results.filter(({ outcomes }) => outcomes.length > 0).length
    return this.written.length + this.results.length + settled - this.server.replies.length
  }

  private submit(): void {
    const n = this.results.length
    const message = this.scenario.messages[n]
    if (message === undefined || this.isWorn) return
    const outcomes: Array<Outcome> = []
    const bytes = Buffer.from(content(n, message))
    const transaction: Transaction = new Transaction(
      {
        mail: `MAIL FROM:<${sender(n)}>\r\n`,
        rcpt: recipients(n, message).map((address) => `RCPT TO:<${address}>\r\n`)
      },
      message.isStreamed ? { _tag: "StreamedContent", stream: Stream.make(bytes) } : bytes,
      (outcome) => {
        outcomes.push(outcome)
        // A caller that waits for the end may submit its next message at once.
        if (this.greed > 0) {
          this.greed--
          this.submit()
        }
      }
    )
    this.results.push({ transaction, outcomes, delivered: [], isWithdrawn: false, isBroken: false })
    this.machine.submit(transaction)
  }

  private deliver(count: number): void {
    // What answers the replies at hand is not answered in the same instant.
    const most = Math.min(count, this.server.replies.length)
    for (let i = 0; i < most && this.ending === undefined; i++) {
      const reply = this.server.deliver(this.now)
      const about = this.results.findIndex((_, n) => sender(n) === reply.about)
      if (about !== -1) this.results[about]!.delivered.push(reply)
      if (reply.kind === "rset" && reply.code >= 300) this.isRsetRefused = true
      if (this.streaming !== undefined && reply.kind === "final") this.refusedEarlyAt = this.written.length
      this.machine.reply({ code: reply.code, text: "" })
      this.flush()
      if (reply.code === 421) break
    }
    this.machine.resume()
  }

  private repeat(): void {
    if (this.server.replies.length === 0 || this.ending !== undefined) return
    const reply = this.server.deliver(this.now)
    this.machine.reply({ code: reply.code, text: "" })
    this.machine.reply({ code: reply.code, text: "" })
    this.machine.resume()
  }

  private stream(): void {
    const { streaming } = this
    if (streaming === undefined) return
    const piece = streaming.pieces.shift()
    if (piece !== undefined) this.pending += piece
    if (streaming.pieces.length > 0) return
    this.streaming = undefined
    streaming.onEnd()
  }

  private breakStream(): void {
    const { streaming } = this
    if (streaming === undefined) return
    this.streaming = undefined
    const head = this.results.find(
      ({ outcomes, transaction }) => outcomes.length === 0 && transaction.stage === "final"
    )
    if (head !== undefined) head.isBroken = true
    streaming.onEnd({ cause: new Error("the disk is gone") })
  }

  private withdraw(): void {
    const result = this.results.findLast(({ isWithdrawn, outcomes }) => !isWithdrawn && outcomes.length === 0)
    if (result !== undefined) result.isWithdrawn = this.machine.withdraw(result.transaction)
  }

  private close(ending: ConnectionEnd): void {
    this.flush()
    this.ending ??= ending
    this.streaming = undefined
  }

  private flush(): void {
    const text = this.pending
    this.pending = ""
    // What is written after the end reaches nobody.
    if (text === "" || this.ending !== undefined) return
    this.written += text
    this.server.write(text, this.now)
  }
}

export const lost: ConnectionEnd = { _tag: "Lost", problem: "the link is gone" }

/**
 * The outcomes of each message when the relay answers what it likes, as many replies at a time as it likes, until the
 * connection is lost. Nothing is judged but that nothing breaks.
 */
export const answeredAtWill = (
  { depth, isBusy, maxRefusals, messages, mode }: Scenario,
  answers: ReadonlyArray<readonly [code: number, more: number]>
): ReadonlyArray<ReadonlyArray<Outcome>> => {
  const machine: SmtpPipeline = new SmtpPipeline(
    {
      write: () => {},
      writeBytes: () => {},
      stream: (_, onEnd) => onEnd(),
      writeSlices: (_, onEnd) => onEnd(),
      isWritable: () => true
    },
    {
      mode,
      record: new PipeliningRecord(),
      isBusy: () => isBusy,
      depth,
      maxRefusals,
      maxSpeculativeSize,
      pauseMs,
      now: () => 0,
      onFailure: () => {},
      onExhausted: () => {}
    }
  )
  const results = messages.map((message, n) => {
    const outcomes: Array<Outcome> = []
    const rcpt = recipients(n, message).map((address) => `RCPT TO:<${address}>\r\n`)
    const bytes = Buffer.from(content(n, message))
    machine.submit(
      new Transaction(
        { mail: `MAIL FROM:<${sender(n)}>\r\n`, rcpt },
        message.isStreamed ? { _tag: "StreamedContent", stream: Stream.make(bytes) } : bytes,
        (outcome) => outcomes.push(outcome)
      )
    )
    return outcomes
  })
  for (const [i, [code, more]] of answers.entries()) {
    machine.reply({ code, text: "" })
    if (i % 4 >= more) machine.resume()
  }
  machine.end(lost)
  return results
}

/** Which outcome is right for a message, by what was written, what was answered and how it ended. */
export const rightOutcome = (run: Run, scenario: Scenario, n: number): string => {
  const { isBroken, transaction } = run.results[n]!
  const delivered = run.results[n]!.delivered.filter(({ code }) => code !== 421)
  const code = (kind: Pending["kind"]) => delivered.find((reply) => reply.kind === kind)?.code
  const rcpt = delivered.filter(({ kind }) => kind === "rcpt").map(({ code }) => code)
  const mail = code("mail") ?? 0
  const isNobodyLeft = rcpt.length === scenario.messages[n]!.recipients && rcpt.every((code) => code >= 400)
  const refusal = mail >= 400 ? "Refused at mail" : isNobodyLeft ? "RecipientsRefused" : undefined
  const final = code("final") ?? code("emptyContent")
  const data = code("data")
  // 503 is about the session, unless the envelope was refused.
  if (final !== undefined && (final < 300 || final >= 400) && (final !== 503 || refusal !== undefined))
    return refusal ?? (final < 300 ? "Accepted" : "Refused at content")
  if (data !== undefined && data >= 400 && (data !== 503 || refusal !== undefined)) return refusal ?? "Refused at data"
  const isOutOfStep = mail === 503 || (mail < 400 && rcpt.includes(503))
  if (transaction.isOneByOne && refusal !== undefined && !isOutOfStep) return refusal
  const isBegun = run.written.includes(`MAIL FROM:<${sender(n)}>`)
  if (run.ending === undefined) return run.isWorn && !isBegun ? "NotSent" : "nothing yet"
  if (refusal !== undefined && run.ending._tag !== "Violation") return refusal
  if (!isBegun) return "NotSent"
  const text = content(n, scenario.messages[n]!)
  const isHandedOver =
    run.written.includes(`BDAT ${text.length} LAST\r\n${text}`) || (run.written.includes(stuffed(text)) && !isBroken)
  // A peer that refuses RSET and goes has announced its going.
  const isAnnounced = run.ending._tag === "Closing" || (run.isRsetRefused && run.ending._tag === "Lost")
  return isHandedOver && !isAnnounced ? "Unknown" : "NotSent, begun"
}
