/**
 * What a sender must be able to do to take part.
 *
 * A contestant runs in a process of its own, which loads nothing but the contestant, so that its memory and start are
 * its own. That is also why this contract is made of promises and not of effects: a contestant that does not use
 * Effect is not charged for it.
 */
import type { Messages } from "./Messages.ts"
import type { SendSpec } from "./Protocol.ts"

/** Messages to send, and where their ends are told. */
export interface Batch {
  /** The number of the first message. */
  readonly first: number
  readonly count: number
  /** A message was taken; its latency in milliseconds, or `undefined` when the contestant cannot tell. */
  readonly accepted: (latencyMs: number | undefined) => void
  /** A message was not taken. One is enough to void the run. */
  readonly failed: (problem: string) => void
}

/** Figures that the contestant measures itself: it is yet another process, or only a part of what it does counts. */
export interface Elsewhere {
  readonly elapsedMs: number
  readonly cpuMicros: number
  readonly rssPeakBytes: number
  /** Bytes that a message takes on the disk beside its own data. */
  readonly storedBytesPerMessage?: number | undefined
}

/** A sender that is ready. */
export interface Contestant {
  /** Messages that it has in flight at once. */
  readonly concurrency: number
  /** The fewest messages of a batch that can be measured. Defaults to what is in flight. */
  readonly leastBatch?: number | undefined
  /** Whether it gets faster while it runs, as what is compiled on the way does. Defaults to true. */
  readonly warmsUp?: boolean | undefined
  /** Sends a batch; resolves when every message of it has its end. */
  readonly send: (batch: Batch) => Promise<Elsewhere | void>
  /** The bytes it makes of a message, when it composes or sends others than `Messages.content` has. */
  readonly contentOf?: ((index: number) => Promise<Uint8Array>) | undefined
  /** Closes its connections. */
  readonly close: () => Promise<void>
}

/** Makes a contestant ready, without sending. */
export type MakeContestant = (spec: SendSpec, messages: Messages) => Promise<Contestant>
