/**
 * Which way leads to the mails of a filter: the index that holds little else, in either database.
 *
 * Where nothing but settled states is asked for, or nothing but mails that wait, their own index is walked, so that
 * neither costs what the other kept for thirty days. Both together, or no state at all, are found by walking all mails
 * in the order of enqueueing. A recipient, a tenant and a time of enqueueing have no index: they are looked for along
 * whichever way the states leave.
 */
import * as Lane from "../../Lane.ts"
import { priorities, states, type Filter } from "../../OutboxEntry.ts"

/** A way through mails. */
export type Path =
  /** All mails, in the order of enqueueing. */
  | { readonly _tag: "Stored" }
  /** Those that are due, by `expires_at`: in the order of enqueueing, unless their expiry was said. */
  | { readonly _tag: "Due" }
  /** Those of a lane that are due, of one priority, by `due_at`. */
  | { readonly _tag: "DueInLane"; readonly bucket: number; readonly lane: string; readonly priority: number }
  /** Those on their way; there are never many. */
  | { readonly _tag: "Claimed" }
  /** Those of a settled state, by `settled_at`. */
  | { readonly _tag: "Settled"; readonly state: number }

/** The ways to walk, one after the other. A mail lies on one of them at most. */
export const pathsOf = (filter: Filter): ReadonlyArray<Path> => {
  if (filter.states === undefined) return [{ _tag: "Stored" }]
  const wanted = stateNumbers(filter.states)
  const settled = wanted.filter((state) => state > 1).map((state): Path => ({ _tag: "Settled", state }))
  const isDue = wanted.includes(0)
  const isClaimed = wanted.includes(1)
  if (settled.length > 0) return isDue || isClaimed ? [{ _tag: "Stored" }] : settled
  return [...(isClaimed ? [{ _tag: "Claimed" } as const] : []), ...(isDue ? dueIn(filter.lane) : [])]
}

/** The places of states in `OutboxEntry.states`, each once, in order. */
export const stateNumbers = (names: Filter["states"] & {}): ReadonlyArray<number> =>
  [...new Set(names)].map((name) => states.indexOf(name)).sort((a, b) => a - b)

const dueIn = (lane: string | undefined): ReadonlyArray<Path> =>
  lane === undefined
    ? [{ _tag: "Due" }]
    : priorities.map((_, priority) => ({ _tag: "DueInLane", bucket: Lane.bucket(lane), lane, priority }))
