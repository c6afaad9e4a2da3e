/**
 * What a run knows of itself while it goes on: what was read, what is on its way, how what has ended went.
 */
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Delivery from "mailrace/Delivery"
import type * as Mailer from "mailrace/Mailer"
import type { CommandError } from "../CommandError.ts"
import { type Entry, type MailEntry, placeOf, sourceOf } from "../input/Entry.ts"
import type { Input } from "../input/Input.ts"
import { Addressed } from "./Addressed.ts"
import * as DeliveryLog from "../output/DeliveryLog.ts"
import { type ConnectionStats, Meter } from "./Meter.ts"
import type * as Progress from "../output/Progress.ts"
import type * as Report from "../output/Report.ts"
import { type ErrorGroup, Tally } from "./Tally.ts"

/** A mail and its place in the input, from 0, bad lines counted too. */
export interface IndexedEntry {
  readonly entry: MailEntry
  readonly index: number
}

/** How a run ended. */
export interface Result {
  readonly report: Report.Report
  readonly errors: ReadonlyArray<ErrorGroup>
  /** Why the source was given up, when it was. */
  readonly failure: CommandError | undefined
  /** Whether the source was read to its end and all its mails were begun. */
  readonly isComplete: boolean
  /** Where the last mail that was begun stands in the input, as in `line 3`. */
  readonly lastBegun?: string | undefined
}

/** The name of a mail in reports: its own id, else its index. */
export const idOf = ({ entry, index }: IndexedEntry): string => entry.mail.id ?? String(index)

/** The state of one run. */
export class RunState {
  readonly tally = new Tally()
  /** Recipients of what is on its way. */
  readonly addressed = new Addressed()
  /** Completes when no more is to be read. */
  readonly enough = Deferred.makeUnsafe<void>()
  warnings = 0
  private readonly link: ConnectionStats
  private readonly input: Pick<Input, "size" | "unit">
  private readonly meter: Meter
  /** What was handed to `sendAll` and has not ended, by the index that it has there. */
  private readonly onTheirWay = new Map<number, IndexedEntry>()
  private begun = 0
  private lastBegun: MailEntry | undefined
  private entriesRead = 0
  private mailsRead = 0
  private readUpTo = 0
  private isExhausted = false
  private isStopped = false
  private failure: CommandError | undefined

  constructor(link: ConnectionStats, input: Pick<Input, "size" | "unit">, clock: Clock.Clock) {
    this.link = link
    this.input = input
    this.meter = new Meter(link, clock)
  }

  /** Whether the source was given up. */
  get isOver(): boolean {
    return this.failure !== undefined
  }

  /** Counts an entry; gives its index. */
  read(entry: Entry): number {
    this.readUpTo = entry.end
    if (entry._tag === "MailEntry") this.mailsRead++
    return this.entriesRead++
  }

  /** The source has ended by itself. */
  exhausted(): void {
    this.isExhausted = true
  }

  /** A mail goes on its way. */
  begin(numbered: IndexedEntry): Mailer.Source {
    this.onTheirWay.set(this.begun++, numbered)
    this.lastBegun = numbered.entry
    return sourceOf(numbered.entry)
  }

  /** A mail has ended; `undefined` when it was abandoned before. */
  end(delivery: Delivery.Delivery): IndexedEntry | undefined {
    const numbered = this.onTheirWay.get(delivery.index)
    this.onTheirWay.delete(delivery.index)
    return numbered
  }

  /** Counts all that are on their way as unknown, and gives the lines that say so. */
  abandon(): ReadonlyArray<DeliveryLog.Line> {
    const abandoned = [...this.onTheirWay.values()]
    this.onTheirWay.clear()
    const message = "stopped before the final reply; the relay may have it or not"
    const places = abandoned.map(({ entry }) => placeOf(entry))
    this.tally.abandoned(places, this.addressed.total)
    return abandoned.map((numbered) =>
      DeliveryLog.lineWithout(numbered.index, idOf(numbered), "unknown", "Abandoned", message)
    )
  }

  /** Whether no further mail is to be begun, be it read already or not. */
  get isStopping(): boolean {
    return this.isStopped
  }

  /** Begins nothing more. */
  readonly stop: Effect.Effect<void> = Effect.suspend(() => {
    this.isStopped = true
    return Deferred.succeed(this.enough, undefined)
  })

  /** Begins nothing more, for a reason that fails the command. */
  readonly giveUp = (error: CommandError): Effect.Effect<void> => Effect.andThen(this.endInput(error), this.stop)

  /** Takes the input as ended here, for a reason that fails the command; what came before is still sent. */
  readonly endInput = (error: CommandError): Effect.Effect<void> =>
    Effect.suspend(() => {
      this.failure ??= error
      return Deferred.succeed(this.enough, undefined)
    })

  /** This moment. */
  readonly snapshot: Effect.Effect<Progress.Snapshot> = Effect.suspend(() =>
    Effect.map(this.link.stats, ({ open }) => ({
      counts: this.tally.counts,
      dropped: this.tally.screening.counts.mails,
      done: this.tally.total + this.tally.screening.counts.mails,
      ...this.expectation(),
      retries: this.tally.retries,
      p99Ms: this.tally.latency.quantile(0.99),
      connections: open
    }))
  )

  /** What it came to up to now. */
  readonly result: Effect.Effect<Result> = Effect.suspend(() =>
    Effect.map(this.meter.report(this.tally), (report) => ({
      report,
      errors: this.tally.errors,
      failure: this.failure,
      isComplete: this.isExhausted && this.begun === this.mailsRead && this.failure === undefined,
      lastBegun: this.lastBegun && placeOf(this.lastBegun)
    }))
  )

  /** How many entries there will be: guessed from the size of those that were read, where it is not known. */
  private expectation(): { readonly expected: number | undefined; readonly isExact: boolean } {
    const { size, unit } = this.input
    if (this.isExhausted) return { expected: this.entriesRead, isExact: true }
    if (size === undefined || unit === "entries") return { expected: size, isExact: true }
    const guess = this.readUpTo === 0 ? undefined : Math.round((size / this.readUpTo) * this.entriesRead)
    return { expected: guess, isExact: false }
  }
}
