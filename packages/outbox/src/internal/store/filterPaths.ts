/**
 * Chooses the index that leads to the messages of a filter with the fewest others, in either database.
 *
 * A filter for settled states alone walks their index, and a filter for waiting messages alone walks theirs, so that
 * neither pays for what the other keeps for thirty days. A filter for both, or without states, walks all messages in
 * the order of enqueueing. A recipient, a tenant and a time of enqueueing have no index: they are checked along the
 * path that the states leave.
 */
import * as Lane from "../../Lane.ts"
import { priorities, states, type Filter } from "../../OutboxEntry.ts"

/** A path through the messages. */
export type Path =
  /** All messages, in the order of enqueueing. */
  | { readonly _tag: "Stored" }
  /** The due messages, by `expires_at`: in the order of enqueueing, unless they have an expiry of their own. */
  | { readonly _tag: "Due" }
  /** The due messages of a lane and priority, by `due_at`. */
  | { readonly _tag: "DueInLane"; readonly bucket: number; readonly lane: string; readonly priority: number }
  /** The claimed messages; there are never many. */
  | { readonly _tag: "Claimed" }
  /** The messages of a settled state, by `settled_at`. */
  | { readonly _tag: "Settled"; readonly state: number }

/** The paths to walk, one after the other. A message lies on one of them at most. */
export const pathsOf = (filter: Filter): ReadonlyArray<Path> => {
  if (filter.states === undefined) return [{ _tag: "Stored" }]
  const wanted = stateNumbers(filter.states)
  const settled = wanted.filter((state) => state > 1).map((state): Path => ({ _tag: "Settled", state }))
  const isDue = wanted.includes(0)
  const isClaimed = wanted.includes(1)
  if (settled.length > 0) return isDue || isClaimed ? [{ _tag: "Stored" }] : settled
  return [...(isClaimed ? [{ _tag: "Claimed" } as const] : []), ...(isDue ? dueIn(filter.lane) : [])]
}

/** The indexes of states in `OutboxEntry.states`, each once, in order. */
export const stateNumbers = (names: Filter["states"] & {}): ReadonlyArray<number> =>
  [...new Set(names)].map((name) => states.indexOf(name)).sort((a, b) => a - b)

const dueIn = (lane: string | undefined): ReadonlyArray<Path> =>
  lane === undefined
    ? [{ _tag: "Due" }]
    : priorities.map((_, priority) => ({ _tag: "DueInLane", bucket: Lane.bucket(lane), lane, priority }))
