/**
 * The state of a run that sends an input directly: which entries were read, which messages are in flight, and how the
 * others ended.
 */
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Delivery from "mailrace/Delivery"
import type * as Mailer from "mailrace/Mailer"
import type { CommandError } from "../CommandError.ts"
import { type Entry, idOf, type IndexedEntry, placeOf, sourceOf } from "../input/Entry.ts"
import type { Input } from "../input/Input.ts"
import * as DeliveryLog from "../output/DeliveryLog.ts"
import type { ConnectionStats } from "./Meter.ts"
import { type Extent, RunState } from "./RunState.ts"

/** The state of one run. */
export class SendState extends RunState {
  private readonly input: Pick<Input, "size" | "unit">
  /** Messages that were handed to `sendAll` and have not ended, by their index there. */
  private readonly inFlight = new Map<number, IndexedEntry>()
  private started = 0
  /** Of the messages that were begun, the last one in the input. */
  private lastBegun: IndexedEntry | undefined
  private entriesRead = 0
  private mailsRead = 0
  private readUpTo = 0
  private isReadToEnd = false
  private readonly unbegunMails: Array<IndexedEntry> = []

  constructor(connections: ConnectionStats, input: Pick<Input, "size" | "unit">, clock: Clock.Clock) {
    super(connections, clock)
    this.input = input
  }

  /** Counts an entry; returns its index. */
  read(entry: Entry): number {
    this.readUpTo = entry.end
    if (entry._tag === "MailEntry") this.mailsRead++
    return this.entriesRead++
  }

  /** The source has ended by itself. */
  readToEnd(): void {
    this.isReadToEnd = true
  }

  /** Starts a message. */
  begin(indexed: IndexedEntry): Mailer.Source {
    this.inFlight.set(this.started++, indexed)
    return sourceOf(indexed.entry)
  }

  /** Ends a message; returns `undefined` if it was abandoned before. */
  end(delivery: Delivery.Delivery): IndexedEntry | undefined {
    const indexed = this.inFlight.get(delivery.index)
    this.inFlight.delete(delivery.index)
    return indexed
  }

  /** Notes a message that was started here and not begun by the transport, because the run stopped. */
  unbegun(indexed: IndexedEntry): void {
    this.unbegunMails.push(indexed)
  }

  /** Notes a message that was begun. */
  ended(indexed: IndexedEntry): void {
    if (this.lastBegun === undefined || indexed.index > this.lastBegun.index) this.lastBegun = indexed
  }

  /** Counts all messages in flight as unknown; returns their lines for the delivery log. */
  abandon(): ReadonlyArray<DeliveryLog.Line> {
    const abandoned = [...this.inFlight.values()]
    this.inFlight.clear()
    for (const indexed of abandoned) this.ended(indexed)
    const places = abandoned.map(({ entry }) => placeOf(entry))
    this.tally.abandoned(places, this.addressed.total)
    const message = "stopped before the final reply; the relay may or may not have it"
    return abandoned.map((indexed) =>
      DeliveryLog.lineWithout(indexed.index, idOf(indexed), "unknown", "Abandoned", message)
    )
  }

  /** Ends the input here and fails the command; messages read before are still sent. */
  readonly endInput = (error: CommandError): Effect.Effect<void> =>
    Effect.suspend(() => {
      this.fail(error)
      return Deferred.succeed(this.enough, undefined)
    })

  protected override get begunNow(): number {
    return this.inFlight.size
  }

  protected override get lastStarted(): string | undefined {
    return this.lastBegun && placeOf(this.lastBegun.entry)
  }

  protected override get unsent(): ReadonlyArray<string> {
    const last = this.lastBegun?.index ?? -1
    return this.unbegunMails.filter(({ index }) => index < last).map(({ entry }) => placeOf(entry))
  }

  protected override get isExhausted(): boolean {
    return this.isReadToEnd && this.started === this.mailsRead && this.unbegunMails.length === 0
  }

  protected override get extent(): Extent {
    return { done: this.tally.total + this.tally.screening.counts.mails, ...this.expectation() }
  }

  /** How many entries there will be: estimated from the size of those read, where it is not known. */
  private expectation(): Pick<Extent, "expected" | "isExact"> {
    const { size, unit } = this.input
    if (this.isReadToEnd) return { expected: this.entriesRead, isExact: true }
    if (size === undefined || unit === "entries") return { expected: size, isExact: true }
    const estimate = this.readUpTo === 0 ? undefined : Math.round((size / this.readUpTo) * this.entriesRead)
    return { expected: estimate, isExact: false }
  }
}
