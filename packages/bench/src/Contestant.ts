/**
 * The interface of a sender that takes part.
 *
 * A contestant runs in a process of its own, which loads nothing but the contestant, so that the memory and the start
 * measured are the contestant's. For the same reason this interface uses promises and not effects: a contestant that does
 * not use Effect does not pay for it.
 */
import type { Messages } from "./Messages.ts"
import type { SendSpec } from "./Protocol.ts"

/** Messages to send, and the callbacks for their outcomes. */
export interface Batch {
  /** The number of the first message. */
  readonly first: number
  readonly count: number
  /**
   * Call it when a message was accepted, with its latency in milliseconds, or `undefined` if the contestant does not know
   * it.
   */
  readonly accepted: (latencyMs: number | undefined) => void
  /** Call it when a message was not accepted. One such message voids the run. */
  readonly failed: (problem: string) => void
}

/**
 * Figures that the contestant measures itself, because it runs in yet another process or because only a part of its work
 * counts.
 */
export interface Elsewhere {
  readonly elapsedMs: number
  readonly cpuMicros: number
  readonly rssPeakBytes: number
  /** The bytes that a message takes on the disk beyond its own data. */
  readonly storedBytesPerMessage?: number | undefined
}

/** A sender that is ready. */
export interface Contestant {
  /** The number of messages that it has in flight at once. */
  readonly concurrency: number
  /** The smallest batch that can be measured. Defaults to `concurrency`. */
  readonly leastBatch?: number | undefined
  /** True if it gets faster while it runs, as code does that V8 compiles on the way. Defaults to true. */
  readonly warmsUp?: boolean | undefined
  /** Sends a batch; resolves when each of its messages has an outcome. */
  readonly send: (batch: Batch) => Promise<Elsewhere | void>
  /** The bytes of a message as it sends them, if it composes or if they differ from `Messages.content`. */
  readonly contentOf?: ((index: number) => Promise<Uint8Array>) | undefined
  /** Closes its connections. */
  readonly close: () => Promise<void>
}

/** Makes a contestant ready, without sending. */
export type MakeContestant = (spec: SendSpec, messages: Messages) => Promise<Contestant>
