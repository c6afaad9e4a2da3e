/**
 * What looking at mails exchanges with either database.
 */
import type { RetryTerms } from "../OutboxStore.ts"

/** A row as the database gives it; `Entry` in other words. */
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
}

/** An attempt as the database gives it. */
export interface AttemptRow {
  readonly attempt_no: number
  readonly at: number
  readonly outcome: string
  readonly relay: string | null
  readonly code: number | null
  readonly enhanced: string | null
  readonly reply: string | null
}

/** Where a page ended. */
export interface PageCursor {
  /** Which of the filter's settled states, when it asks for those only. */
  readonly path: number
  readonly settledAt: number
  readonly seq: number
}

/** What to do with the rows of a page. */
export type PageAction =
  | { readonly _tag: "List" }
  | ({ readonly _tag: "Retry" } & RetryTerms)
  | { readonly _tag: "Cancel"; readonly now: number }
  | { readonly _tag: "Purge" }

/** Rows that were chosen (and changed), and where to go on. */
export interface Page {
  readonly rows: ReadonlyArray<EntryRow>
  readonly next: PageCursor | undefined
}

/** What the tallies and the index of due mails tell. */
export interface StatsRows {
  readonly tallies: ReadonlyArray<{ readonly state: number; readonly mails: number; readonly bytes: number }>
  readonly lanes: ReadonlyArray<{ readonly lane: string; readonly waiting: number; readonly oldest: number }>
  readonly paused: ReadonlyArray<{ readonly lane: string }>
  readonly acceptedLately: number
}
