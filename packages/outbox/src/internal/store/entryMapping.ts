/**
 * Maps rows of either database to the values that callers see.
 */
import {
  priorities,
  states,
  type Attempt,
  type Entry,
  type Recipient,
  type State,
  type StateCounts,
  type Stats
} from "../../OutboxEntry.ts"
import type { KeyedMail } from "../../OutboxStore.ts"
import type { AttemptRow, EntryRow, StatsRows } from "./queries.ts"

/** Maps a row to an `Entry`. */
export const toEntry = (row: EntryRow): Entry => ({
  id: row.id,
  state: states[row.state]!,
  tenant: row.tenant || undefined,
  idempotencyKey: row.idem_key ?? undefined,
  lane: row.lane,
  priority: priorities[row.priority]!,
  recipient: row.recipient,
  recipients: toRecipients(row.recipients),
  messageId: row.message_id,
  attempts: row.attempts,
  crashes: row.crashes,
  dueAt: new Date(row.due_at),
  expiresAt: new Date(row.expires_at),
  createdAt: new Date(row.created_at),
  updatedAt: new Date(row.updated_at),
  settledAt: row.settled_at === null ? undefined : new Date(row.settled_at),
  size: row.size,
  lastRelay: row.last_relay ?? undefined,
  lastCode: row.last_code ?? undefined,
  lastEnhanced: row.last_enhanced ?? undefined,
  lastReply: row.last_reply ?? undefined,
  // `traceparent`: version, trace id, span id, flags (W3C Trace Context).
  traceId: row.trace?.split("-")[1]
})

/** The outcomes of a message's several recipients. */
export const toRecipients = (stored: string | null): ReadonlyArray<Recipient> =>
  stored === null ? [] : (JSON.parse(stored) as ReadonlyArray<Recipient>)

/** Maps columns of keys to messages; `recipients` holds the outcomes of those with several recipients, by index. */
export const toKeyedMails = (
  keys: ReadonlyArray<string>,
  stateNumbers: ReadonlyArray<number>,
  recipients: ReadonlyArray<readonly [index: number, recipients: string]>
): ReadonlyArray<KeyedMail> => {
  const several = new Map(recipients)
  return keys.map((idempotencyKey, i) => ({
    idempotencyKey,
    state: states[stateNumbers[i]!]!,
    recipients: toRecipients(several.get(i) ?? null)
  }))
}

/** The history of a message: its failed attempts, and the accepted one, which its own row holds. */
export const toAttempts = (rows: ReadonlyArray<AttemptRow>, entry: Entry | undefined): ReadonlyArray<Attempt> => {
  const attempts = rows.map((row): Attempt => ({
    number: row.attempt_no,
    at: new Date(row.at),
    outcome: row.outcome,
    relay: row.relay ?? undefined,
    code: row.code ?? undefined,
    enhanced: row.enhanced ?? undefined,
    reply: row.reply ?? undefined
  }))
  if (entry?.state !== "accepted" || attempts.at(-1)?.number === entry.attempts) return attempts
  const last: Attempt = {
    number: entry.attempts,
    at: entry.settledAt ?? entry.updatedAt,
    outcome: "accepted",
    relay: entry.lastRelay,
    code: entry.lastCode,
    enhanced: entry.lastEnhanced,
    reply: entry.lastReply
  }
  return [...attempts, last]
}

/** Adds counts up, from state numbers to state names. */
export const toCounts = (counted: Iterable<readonly [state: number, mails: number]>): StateCounts => {
  const counts = Object.fromEntries(states.map((state) => [state, 0])) as Record<State, number>
  for (const [state, mails] of counted) counts[states[state]!] += Number(mails)
  return counts
}

/** Maps counts to `Stats`. */
export const toStats = (rows: StatsRows): Stats => {
  const counts = Object.fromEntries(states.map((state) => [state, 0])) as Record<State, number>
  let pendingBytes = 0
  for (const { bytes, mails, state } of rows.tallies) {
    counts[states[state]!] = Number(mails)
    if (state <= 1) pendingBytes += Number(bytes)
  }
  const paused = new Set(rows.paused.map(({ lane }) => lane))
  const waiting = rows.lanes.map(({ lane, oldest, waiting }) => ({
    lane,
    waiting: Number(waiting),
    oldestDueAt: new Date(Number(oldest)),
    paused: paused.delete(lane)
  }))
  const oldest = rows.lanes.reduce((first, lane) => Math.min(first, Number(lane.oldest)), Infinity)
  return {
    states: counts,
    pendingBytes,
    oldestDueAt: oldest === Infinity ? undefined : new Date(oldest),
    acceptedPerSecond: Number(rows.acceptedLately) / 60,
    lanes: [...waiting, ...[...paused].map((lane) => ({ lane, waiting: 0, oldestDueAt: undefined, paused: true }))],
    dispatchers: rows.dispatchers.map(({ beatAt, since, ...dispatcher }) => ({
      ...dispatcher,
      since: new Date(since),
      lastBeatAt: beatAt === undefined ? undefined : new Date(beatAt)
    }))
  }
}
