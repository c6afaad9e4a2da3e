/**
 * The messages of one input that are in an outbox, by their positions: four bytes a line.
 */
import type { State } from "@mailrace/outbox/OutboxEntry"
import type { KeyedMail } from "@mailrace/outbox/OutboxStore"
import { type DroppedEntry, type MailEntry, unscreened } from "../input/Entry.ts"
import * as Fingerprint from "./Fingerprint.ts"
import type { MarkKey, SeriesName } from "./MarkKey.ts"

/** A message of the input, at its position. */
export interface ReadMessage {
  readonly entry: MailEntry | DroppedEntry
  readonly index: number
  readonly fingerprint: number
}

/** The overlap of some messages with a series. */
export interface Likeness {
  /** Messages whose position is occupied in the series. */
  readonly occupied: number
  /** Messages that are the series' message at that position. */
  readonly same: number
  /** Messages that the series holds, at any position. */
  readonly shared: number
}

export class MarkSeries {
  readonly name: SeriesName
  /** The input's path when the first message was put in; `-` is standard input. */
  path: string | undefined
  /** The number of messages. */
  known = 0
  /** The number of messages in each state when the series was loaded. */
  readonly states = new Map<State, number>()
  /** Recipients that did not get a message that others got, for good or unless it is retried. */
  missed = 0
  /** Fingerprints by index; 0 where there is none. */
  private lines = new Uint32Array(1024)
  private readonly files = new Map<string, number>()
  /** Files of each content that were not met yet. */
  private readonly contents = new Map<number, number>()

  constructor(name: SeriesName) {
    this.name = name
  }

  /** The file of an entry, if the input consists of files. */
  static fileOf({ place }: Pick<MailEntry, "place">): string | undefined {
    return place?.replace(/^file /, "")
  }

  /** True if this is its name. */
  isNamed({ number, source }: SeriesName): boolean {
    return this.name.source === source && this.name.number === number
  }

  /** Adds the mark of a message. */
  add(
    { file, fingerprint, index, path }: MarkKey,
    { recipients, state }: Pick<KeyedMail, "recipients" | "state">
  ): void {
    this.known++
    this.path ??= path
    this.states.set(state, (this.states.get(state) ?? 0) + 1)
    // A waiting message is retried for the recipients that lack it, and the run that retries it counts them.
    const isWaiting = state === "due" || state === "claimed"
    if (!isWaiting && state !== "accepted") return this.setMark(file, index, fingerprint)
    for (const { outcome } of recipients)
      if (outcome === "rejected" || (!isWaiting && outcome !== "accepted")) this.missed++
    this.setMark(file, index, fingerprint)
  }

  private setMark(file: string | undefined, index: number, fingerprint: number): void {
    if (file !== undefined) {
      this.files.set(file, fingerprint)
      this.contents.set(fingerprint, (this.contents.get(fingerprint) ?? 0) + 1)
      return
    }
    if (index >= this.lines.length) {
      const grown = new Uint32Array(Math.max(index + 1, this.lines.length * 2))
      grown.set(this.lines)
      this.lines = grown
    }
    this.lines[index] = fingerprint
  }

  /** The standing of a message. A renamed file is recognised by its content. */
  standing(message: ReadMessage): "new" | "known" | "changed" {
    const mark = this.at(message)
    const file = MarkSeries.fileOf(message.entry)
    if (mark === 0) return file !== undefined && this.take(message.fingerprint) ? "known" : "new"
    if (!isSame(mark, message)) return "changed"
    if (file !== undefined) this.take(mark)
    return "known"
  }

  /** The overlap of messages with the series. */
  compare(messages: ReadonlyArray<ReadMessage>): Likeness {
    let occupied = 0
    let same = 0
    const left = new Map<number, number>()
    for (const message of messages) {
      const mark = this.at(message)
      if (mark !== 0) occupied++
      if (mark !== 0 && isSame(mark, message)) same++
      else left.set(message.fingerprint, (left.get(message.fingerprint) ?? 0) + 1)
    }
    return { occupied, same, shared: same + this.having(left) }
  }

  /** The number of messages that the series holds at another position. */
  private having(left: ReadonlyMap<number, number>): number {
    if (left.size === 0) return 0
    const found = new Set<number>()
    for (const mark of this.lines) if (left.has(mark)) found.add(mark)
    for (const mark of this.files.values()) if (left.has(mark)) found.add(mark)
    let count = 0
    for (const mark of found) count += left.get(mark)!
    return count
  }

  private at({ entry, index }: ReadMessage): number {
    const file = MarkSeries.fileOf(entry)
    return (file === undefined ? this.lines[index] : this.files.get(file)) ?? 0
  }

  private take(fingerprint: number): boolean {
    const left = this.contents.get(fingerprint) ?? 0
    if (left > 0) this.contents.set(fingerprint, left - 1)
    return left > 0
  }
}

const isSame = (mark: number, { entry, fingerprint }: ReadMessage): boolean =>
  Fingerprint.matches(mark, fingerprint, unscreened(entry))
