/**
 * The types that queries exchange with either database.
 */
import type { Filter, State } from "../../OutboxEntry.ts"
import type { RetryTerms } from "../../OutboxStore.ts"

/** A row as the database returns it; the stored form of an `Entry`. */
export interface EntryRow {
  readonly seq: number
  readonly id: string
  readonly state: number
  readonly tenant: string
  readonly idem_key: string | null
  readonly lane: string
  readonly priority: number
  readonly recipient: string
  readonly recipients: string | null
  readonly message_id: string
  readonly attempts: number
  readonly crashes: number
  readonly watched: number
  readonly due_at: number
  readonly expires_at: number
  readonly created_at: number
  readonly updated_at: number
  readonly settled_at: number | null
  readonly size: number
  readonly last_relay: string | null
  readonly last_code: number | null
  readonly last_enhanced: string | null
  readonly last_reply: string | null
  readonly trace: string | null
}

/** An attempt as the database returns it. */
export interface AttemptRow {
  readonly attempt_no: number
  readonly at: number
  readonly outcome: string
  readonly relay: string | null
  readonly code: number | null
  readonly enhanced: string | null
  readonly reply: string | null
}

/** The position at which a page ended: behind a message on one of the filter's paths. */
export interface PageCursor {
  /** The path's index in `pathsOf`. */
  readonly path: number
  /** The time by which the path is ordered; 0 if it is ordered by `seq` alone. */
  readonly at: number
  readonly seq: number
}

/** Messages found, by their `seq`, and the position to go on from. */
export interface Found {
  readonly seqs: ReadonlyArray<number>
  readonly next: PageCursor | undefined
}

/** The action on the messages that a filter selects. */
export type PageAction =
  | { readonly _tag: "List" }
  | ({ readonly _tag: "Retry" } & RetryTerms)
  | { readonly _tag: "Cancel"; readonly now: number }
  | { readonly _tag: "Purge" }

/** Narrows a filter to the states in which an action is possible, so that no others are walked. */
export const narrowed = (filter: Filter, action: PageAction): Filter => {
  const possible: ReadonlyArray<State> | undefined =
    action._tag === "Cancel"
      ? ["due"]
      : action._tag === "Purge"
        ? ["accepted", "rejected", "expired", "dead", "cancelled"]
        : undefined
  if (possible === undefined || filter.ids !== undefined) return filter
  return { ...filter, states: filter.states?.filter((state) => possible.includes(state)) ?? possible }
}

/** True if the filter has nothing but states and a tenant, which the tallies count. */
export const isTallied = ({ states: _states, tenant: _tenant, ...rest }: Filter): boolean =>
  Object.values(rest).every((condition) => condition === undefined)

/** The rows from the tallies and the index of due messages. */
export interface StatsRows {
  readonly tallies: ReadonlyArray<{ readonly state: number; readonly mails: number; readonly bytes: number }>
  readonly lanes: ReadonlyArray<{ readonly lane: string; readonly waiting: number; readonly oldest: number }>
  readonly paused: ReadonlyArray<{ readonly lane: string }>
  readonly acceptedLately: number
  readonly dispatchers: ReadonlyArray<DispatcherRow>
}

/** A dispatcher as the database knows it. */
export interface DispatcherRow {
  readonly name: string
  readonly since: number
  readonly buckets: number
  readonly inFlight: number
  readonly beatAt: number | undefined
}
