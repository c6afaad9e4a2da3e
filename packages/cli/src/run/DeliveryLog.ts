/**
 * How each message ended, one JSON line a message, written as the messages end.
 *
 * Lines are gathered into blocks; who adds a line while a block is being written waits for it, so a slow disk slows the
 * sending down instead of filling the memory.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as PlatformError from "effect/PlatformError"
import * as Semaphore from "effect/Semaphore"
import type * as Delivery from "mailrace/Delivery"
import type * as Intake from "mailrace/Intake"
import type { CommandError } from "../CommandError.ts"
import { unwritable } from "../internal/files.ts"
import type { Outcome } from "./Tally.ts"

/** One line. */
export interface Line {
  /** The message's place in the input, from 0, bad lines counted too. */
  readonly index: number
  /** The message's own id, else its index. */
  readonly id: string
  /** `dropped` is for recipients that were left out; a mail with others has another line for how it ended. */
  readonly outcome: Outcome | "dropped"
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
  readonly error?: { readonly reason: string; readonly message: string; readonly remedy?: string } | undefined
}

/** Takes lines. */
export interface DeliveryLog {
  readonly add: (line: Line) => Effect.Effect<void, CommandError>
  /** Writes what was gathered. */
  readonly flush: Effect.Effect<void, CommandError>
}

/** Opens the file, emptying one that is there. What is gathered when the scope closes is written. */
export const open = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  const failed = (error: PlatformError.PlatformError) => unwritable(path, error)
  const file = yield* Effect.mapError(fs.open(path, { flag: "w" }), failed)
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
      const text = `${JSON.stringify(line)}\n`
      gathered.push(text)
      size += text.length
      return size >= blockSize || clock.currentTimeMillisUnsafe() - flushedAt >= maxDelayMs ? flush : Effect.void
    })
  yield* Effect.addFinalizer(() => Effect.ignore(flush))
  const log: DeliveryLog = { add, flush }
  return log
})

/** The line of a delivery. */
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
  ...(delivery._tag === "Accepted"
    ? {}
    : {
        error: {
          reason: delivery.error.reason._tag,
          message: delivery.error.reason.message,
          remedy: delivery.error.remedy
        }
      })
})

/** The line of something that never came to a delivery. */
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

/** The line of recipients that were left out of a mail; `undefined` when none was. */
export const lineDropped = (index: number, id: string, findings: ReadonlyArray<Intake.Finding>): Line | undefined => {
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

const droppedFor: Readonly<Record<Intake.Kind, string>> = {
  invalid: "Invalid",
  suppressed: "Suppressed",
  role: "RoleAddress",
  duplicate: "Duplicate"
}

/** A block in characters. */
const blockSize = 64 * 1024

/** How old a gathered line gets while others come, in milliseconds. */
const maxDelayMs = 250
