/**
 * The messages of an input that are in the outbox, known by their marks.
 *
 * `send --durable` enqueues each message under an idempotency key that records its position and content (see `MarkKey`).
 * So the outbox itself knows how far an input has come, whatever ends the process, and a message that differs from the
 * mark at its position shows that the input has changed.
 *
 * All marks of one input make a series. An input is recognised by its messages and not by its path: the run continues the
 * series that holds most of the first messages read (`recognise`), so that a moved file, a switched link, or the same
 * lines on standard input are not sent a second time. If no series holds them the path decides: then that path holds a
 * different input now, which shows at the first message that differs.
 */
import type { State } from "@mailrace/outbox/OutboxEntry"
import type { KeyedMail } from "@mailrace/outbox/OutboxStore"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { realpathSync, statSync } from "node:fs"
import { type DroppedEntry, type MailEntry, unscreened } from "../input/Entry.ts"
import * as Fingerprint from "./Fingerprint.ts"
import { MarkSeries } from "./MarkSeries.ts"
import * as MarkKey from "./MarkKey.ts"
import type { Service } from "../outbox/OutboxLocation.ts"

/** The position of a message in its input. */
export interface Mark {
  readonly index: number
  /** As in `line 3` or `file welcome.eml`. */
  readonly place: string
}

/** The standing of a message: not in, in, or a different one is in at its position. */
export type Standing = "new" | "known" | "changed"

/** Messages that an input shares with another one. */
export interface Resemblance {
  /** The number of first messages that are in the other input. */
  readonly shared: number
  /** The number of messages compared. */
  readonly first: number
  /** The other input's path, in words. */
  readonly path: string
}

/** A message and its position in the input, even if it is dropped. */
export interface IndexedMessage {
  readonly entry: MailEntry | DroppedEntry
  readonly index: number
}

/** The messages of one input that are in an outbox. */
export class InputMarks {
  /** The number of messages due in the whole outbox, of any input. */
  dueNow = 0
  private readonly path: string
  private readonly source: string
  private readonly all = new Map<string, MarkSeries>()
  private series: MarkSeries
  private resembled: Resemblance | undefined
  private judged: { readonly entry: IndexedMessage["entry"]; readonly fingerprint: number } | undefined

  private constructor(path: string) {
    this.path = path
    this.source = MarkKey.sourceOf(path)
    this.series = new MarkSeries({ source: this.source, number: 1 })
  }

  /** Loads the messages of an input, a path or `-`, from an outbox. */
  static load(outbox: Service, input: string, now: number) {
    const marks = new InputMarks(isPiped(input) ? "-" : realpathSync(input))
    return Effect.gen(function* () {
      const { claimed } = yield* outbox.count({ states: ["claimed"] })
      const { due } = yield* outbox.count({ states: ["due"], dueUntil: new Date(now + 1) })
      marks.dueNow = claimed + due
      // The outbox reads the next page while this one is parsed.
      const pages = Stream.bufferArray(outbox.keyed(MarkKey.prefix), { capacity: 1 })
      yield* Stream.runForEachArray(pages, (mails) =>
        Effect.sync(() => {
          for (const mail of mails) marks.add(mail)
        })
      )
      marks.series = marks.newest ?? marks.series
      return marks
    })
  }

  /** The number of messages of the input that are in. */
  get known(): number {
    return this.series.known
  }

  /** The number of them in each state when they were loaded. */
  get states(): ReadonlyMap<State, number> {
    return this.series.states
  }

  /** Recipients that did not get a message that others got from earlier runs. */
  get missed(): number {
    return this.series.missed
  }

  /** The different path under which the input was read before, in words. */
  get movedFrom(): string | undefined {
    return this.series.name.source === this.source ? undefined : pathOf(this.series)
  }

  /** The overlap of the first messages with a different input. */
  get resemblance(): Resemblance | undefined {
    return this.resembled
  }

  /** True if the first messages are too few to tell this input from one under another path that shares some of them. */
  mustSeeMore(first: ReadonlyArray<IndexedMessage>): boolean {
    if (first.length >= enoughMessages) return false
    const messages = first.map((placed) => ({ ...placed, fingerprint: this.fingerprintOf(placed.entry) }))
    for (const series of this.all.values())
      if (series.name.source !== this.source && series.compare(messages).shared > 0) return true
    return false
  }

  /**
   * Finds the series of an input by its first messages: the one that holds most of them, if that is more than half of
   * them or of those at the same positions. Otherwise the path decides.
   */
  recognise(first: ReadonlyArray<IndexedMessage>): void {
    const messages = first.map((placed) => ({ ...placed, fingerprint: this.fingerprintOf(placed.entry) }))
    let most = 0
    let found: MarkSeries | undefined
    let next: Resemblance | undefined
    for (const series of this.all.values()) {
      const { occupied, same, shared } = series.compare(messages)
      const isAlike = shared * 2 > messages.length || same * 2 > occupied
      const isBetter =
        shared > most || (shared === most && (series.name.source === this.source || found?.name.source !== this.source))
      if (!isAlike && shared > (next?.shared ?? 0)) next = { shared, first: messages.length, path: pathOf(series) }
      if (!isAlike || !isBetter) continue
      most = shared
      found = series
    }
    this.series = found ?? this.newest ?? this.series
    this.resembled = this.series.known === 0 ? next : undefined
  }

  /** Starts a new series, so that everything is sent again. */
  sendAgain(): void {
    this.series = new MarkSeries({ source: this.source, number: (this.newest?.name.number ?? 0) + 1 })
  }

  /** The standing of a message. Check each message once: each of several files with the same content counts once. */
  check({ entry, index }: IndexedMessage): Standing {
    return this.series.standing({ entry, index, fingerprint: this.fingerprintOf(entry) })
  }

  /** The key under which a message is enqueued. */
  keyOf({ entry, index }: IndexedMessage): string {
    const isFirst = this.series.known === 0 && this.series.path === undefined
    if (isFirst) this.series.path = this.path
    return MarkKey.format({
      series: this.series.name,
      index,
      line: entry.line,
      file: MarkSeries.fileOf(entry),
      fingerprint: this.fingerprintOf(entry),
      path: isFirst ? this.path : undefined
    })
  }

  /** The position of the message with a key; `undefined` if it is not of this input. */
  markOf(key: string | undefined): Mark | undefined {
    const parsed = MarkKey.parse(key)
    if (parsed === undefined || !this.series.isNamed(parsed.series)) return undefined
    const { file, index, line } = parsed
    return { index, place: file === undefined ? `line ${line}` : `file ${file}` }
  }

  /** The newest series under the input's own path. */
  private get newest(): MarkSeries | undefined {
    let newest: MarkSeries | undefined
    for (const series of this.all.values()) {
      const { number, source } = series.name
      if (source === this.source && number > (newest?.name.number ?? 0)) newest = series
    }
    return newest
  }

  private add(mail: KeyedMail): void {
    const key = MarkKey.parse(mail.idempotencyKey)
    if (key === undefined) return
    const name = `${key.series.source}+${key.series.number}`
    let series = this.all.get(name)
    if (series === undefined) this.all.set(name, (series = new MarkSeries(key.series)))
    series.add(key, mail)
  }

  private fingerprintOf(entry: IndexedMessage["entry"]): number {
    if (this.judged?.entry !== entry) this.judged = { entry, fingerprint: Fingerprint.make(unscreened(entry)) }
    return this.judged.fingerprint
  }
}

/** More than the test addresses at the top of a list. */
const enoughMessages = 20

const pathOf = ({ path }: MarkSeries): string =>
  path === undefined ? "another path" : path === "-" ? "standard input" : path

/** A pipe's name, as of `<(…)`, tells as little about its content as `-` does. */
const isPiped = (input: string): boolean => {
  if (input === "-") return true
  const info = statSync(input)
  return !info.isFile() && !info.isDirectory()
}
