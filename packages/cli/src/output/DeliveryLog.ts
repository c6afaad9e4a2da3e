/**
 * The delivery log: the outcome of each message as a line of JSON, written as messages end.
 *
 * The runs of one outbox add to the same log. Bad lines and dropped recipients, which each run finds again in the same
 * input, are recorded once.
 *
 * Lines are collected into blocks. Adding a line waits while a block is written, so a slow disk slows sending down instead
 * of filling the memory.
 */
import type { Entry } from "@mailrace/outbox/OutboxEntry"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as PlatformError from "effect/PlatformError"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type * as Delivery from "mailrace/Delivery"
import type * as Screening from "mailrace/Screening"
import { createHash } from "node:crypto"
import type { CommandError } from "../CommandError.ts"
import * as Remedy from "../Remedy.ts"
import { addressesOf, type BadEntry, describe, placeOf } from "../input/Entry.ts"
import { unreadable, unwritable } from "../internal/files.ts"
import { LineSplitter, type Line as SplitLine } from "../internal/lines.ts"
import { type Outcome, type UntriedEnd, untriedWords } from "../results/Tally.ts"
import * as Printable from "../text/printable.ts"

export interface Line {
  /** The message's position in the input, from 0, bad lines counted too. */
  readonly index: number
  /** The message's own id, else its index. */
  readonly id: string
  /** Where an invalid message stands in the input, as in `line 3`. */
  readonly place?: string | undefined
  /** `expired`: the message was not tried. `dropped`: recipients were dropped; a message with others has a second line for its outcome. */
  readonly outcome: Outcome | "dropped" | "expired"
  readonly recipients: ReadonlyArray<{
    readonly address: string
    readonly outcome: string
    readonly code: number | null
    readonly enhanced: string | null
    readonly reply: string | null
  }>
  readonly relay: string | null
  readonly attempts: number
  readonly messageId: string | null
  readonly durationMs: number
  /** The trace of the message, if it has one. */
  readonly traceId?: string | undefined
  readonly error?: { readonly reason: string; readonly message: string; readonly remedy?: string } | undefined
}

export interface DeliveryLog {
  readonly add: (line: Line) => Effect.Effect<void, CommandError>
  /** Writes the collected lines. */
  readonly flush: Effect.Effect<void, CommandError>
}

/** How the file is opened. */
export interface Options {
  /** Adds to the lines of earlier runs instead of emptying the file. */
  readonly appends: boolean
}

/** Opens the file; only its owner can read a new one. Collected lines are written when the scope closes. */
export const open = Effect.fnUntraced(function* (path: string, { appends }: Options) {
  const fs = yield* FileSystem.FileSystem
  const failed = (error: PlatformError.PlatformError) => unwritable(path, error)
  const earlier = appends ? yield* EarlierLines.read(path) : EarlierLines.none
  const file = yield* Effect.mapError(fs.open(path, { flag: appends ? "a" : "w", mode: 0o600 }), failed)
  if (earlier.cutAt !== undefined) yield* Effect.mapError(file.truncate(earlier.cutAt), failed)
  if (earlier.endsWithinLine) yield* Effect.mapError(file.writeAll(Buffer.from("\n")), failed)
  const clock = yield* Clock.Clock
  let gathered: Array<string> = []
  let size = 0
  let flushedAt = clock.currentTimeMillisUnsafe()
  const oneAtATime = yield* Semaphore.make(1)
  const writeGathered = Effect.suspend(() => {
    const block = gathered.join("")
    gathered = []
    size = 0
    flushedAt = clock.currentTimeMillisUnsafe()
    return block === "" ? Effect.void : Effect.mapError(file.writeAll(Buffer.from(block)), failed)
  })
  const flush = oneAtATime.withPermits(1)(writeGathered)
  const add = (line: Line) =>
    Effect.suspend(() => {
      const text = `${Printable.json(line)}\n`
      if (isFoundAnew(line.outcome) && earlier.has(text)) return Effect.void
      gathered.push(text)
      size += text.length
      return size >= blockSize || clock.currentTimeMillisUnsafe() - flushedAt >= maxDelayMs ? flush : Effect.void
    })
  yield* Effect.addFinalizer(() => Effect.ignore(flush))
  const log: DeliveryLog = { add, flush }
  return log
})

/** Outcomes that each run finds again in the same input. */
const isFoundAnew = (outcome: Line["outcome"]): boolean => outcome === "invalid" || outcome === "dropped"

/** Lines of earlier runs that a later run would repeat. */
class EarlierLines {
  static readonly none = new EarlierLines()
  /** The offset of an unfinished last line of this log, left by a process that was killed; in bytes. */
  cutAt: number | undefined
  /** True if an unfinished last line is not of this log. */
  endsWithinLine = false
  private readonly hashes = new Set<number>()

  /** Reads a file; a pipe or a device has no earlier lines. */
  static readonly read = Effect.fnUntraced(function* (path: string) {
    const fs = yield* FileSystem.FileSystem
    const info = yield* Effect.option(fs.stat(path))
    const earlier = new EarlierLines()
    if (Option.isNone(info) || info.value.type !== "File") return earlier
    const splitter = new LineSplitter(longestLine)
    let end = 0
    const take = (chunk: Uint8Array): void => {
      for (const line of splitter.push(chunk)) {
        end = line.end
        earlier.add(line)
      }
    }
    yield* Effect.mapError(
      Stream.runForEach(fs.stream(path), (chunk) => Effect.sync(() => take(chunk))),
      (error) => unreadable(path, error)
    )
    for (const { bytes } of splitter.finish()) {
      if (bytes !== undefined && isBegunByUs(Buffer.from(bytes))) earlier.cutAt = end
      else earlier.endsWithinLine = true
    }
    return earlier
  })

  has(text: string): boolean {
    return this.hashes.has(hash(text))
  }

  private add({ bytes }: SplitLine): void {
    const text = bytes === undefined ? "" : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString()
    if (foundAnew.test(text)) this.hashes.add(hash(`${text}\n`))
  }
}

/** In bytes. */
const longestLine = 16 * 1024 * 1024

const isBegunByUs = (bytes: Buffer): boolean => {
  const begin = '{"index":'
  return bytes.subarray(0, begin.length).toString() === begin.slice(0, bytes.length)
}

const foundAnew = /^\{"index":\d+,"id":"(?:[^"\\]|\\.)*","outcome":"(?:invalid|dropped)"/

/** 48 bits. */
const hash = (text: string): number => createHash("sha256").update(text).digest().readUIntBE(0, 6)

export const lineOf = (delivery: Delivery.Delivery, index: number, id: string, outcome: Outcome): Line => ({
  index,
  id,
  outcome,
  recipients: delivery.recipients.map(({ address, outcome, reply }) => ({
    address,
    outcome,
    code: reply?.code ?? null,
    enhanced: reply?.enhanced ?? null,
    reply: reply?.text ?? null
  })),
  relay: delivery.relay ?? null,
  attempts: delivery.attempts,
  messageId: delivery.messageId ?? null,
  durationMs: Math.round(delivery.durationMs * 1000) / 1000,
  ...(delivery.traceId === undefined ? {} : { traceId: delivery.traceId }),
  ...(delivery._tag === "Accepted"
    ? {}
    : {
        error: {
          reason: delivery.error.reason._tag,
          message: delivery.error.reason.message,
          remedy: Remedy.of(delivery.error)
        }
      })
})

/** The line of an entry without a delivery. */
export const lineWithout = (
  index: number,
  id: string,
  outcome: Line["outcome"],
  reason: string,
  message: string
): Line => ({
  index,
  id,
  outcome,
  recipients: [],
  relay: null,
  attempts: 0,
  messageId: null,
  durationMs: 0,
  error: { reason, message }
})

export const lineBad = (entry: BadEntry, index: number): Line =>
  lineInvalid(
    lineWithout(index, String(index), "invalid", "BadLine", describe(entry)),
    placeOf(entry),
    addressesOf(entry)
  )

/** The line of a message that was never sent because the input is invalid; `addresses` are as the input has them. */
export const lineInvalid = (line: Line, place: string, addresses: ReadonlyArray<string>): Line => {
  const { id, index, outcome, ...rest } = line
  return {
    index,
    id,
    outcome,
    place,
    ...rest,
    recipients: addresses.map((address) => ({ address, outcome: "invalid", code: null, enhanced: null, reply: null }))
  }
}

/** The line of a message that ended without an attempt, for the recipients that do not have it. */
export const lineUntried = (index: number, id: string, end: UntriedEnd, entry: Entry): Line => {
  const { example, reason } = untriedWords[end]
  const owed = entry.recipients.filter(({ outcome }) => outcome !== "accepted" && outcome !== "rejected")
  const addresses = entry.recipients.length === 0 ? [entry.recipient] : owed.map(({ address }) => address)
  return {
    ...lineWithout(index, id, end, reason, example),
    recipients: addresses.map((address) => ({ address, outcome: end, code: null, enhanced: null, reply: null })),
    messageId: entry.messageId,
    ...(entry.traceId === undefined ? {} : { traceId: entry.traceId })
  }
}

/** The line of recipients that were dropped from a message; `undefined` if there are none. */
export const lineDropped = (
  index: number,
  id: string,
  findings: ReadonlyArray<Screening.Finding>
): Line | undefined => {
  const dropped = findings.filter(({ action }) => action === "dropped")
  const [first] = dropped
  if (first === undefined) return undefined
  return {
    ...lineWithout(index, id, "dropped", droppedFor[first.kind], first.detail),
    recipients: dropped.map(({ address, kind }) => ({
      address,
      outcome: kind,
      code: null,
      enhanced: null,
      reply: null
    }))
  }
}

const droppedFor: Readonly<Record<Screening.Kind, string>> = {
  invalid: "Invalid",
  suppressed: "Suppressed",
  role: "RoleAddress",
  duplicate: "Duplicate"
}

/** A block in characters. */
const blockSize = 64 * 1024

/** The longest time that a collected line waits while others arrive, in milliseconds. */
const maxDelayMs = 250
