/**
 * A message of the outbox as the commands show it: a line of a table, or a line of JSON.
 *
 * Addresses are personal data. Lists leave them out, even within the relays' replies, unless the user asks for them.
 */
import type { Attempt, Entry, State } from "@mailrace/outbox/OutboxEntry"
import type * as Format from "../text/format.ts"
import type { Column } from "./Table.ts"
import * as Times from "../text/Times.ts"

/** The options for showing entries. */
export interface View {
  readonly now: number
  readonly addresses: boolean
  /** Lanes that nothing is sent from. Defaults to none. */
  readonly paused?: ReadonlySet<string> | undefined
}

/** The columns of a list. */
export const columns = (view: View): ReadonlyArray<Column<Entry>> => [
  { title: "ID", cell: ({ id }) => id },
  { title: "STATE", cell: ({ state }) => state, color: ({ state }, paint) => colorOf(state, paint) },
  view.addresses
    ? { title: "RECIPIENT", cell: ({ recipient }) => recipient, min: 12 }
    : { title: "LANE", cell: ({ lane }) => lane, min: 8 },
  { title: "TRIES", cell: ({ attempts }) => String(attempts), align: "right" },
  { title: "WHEN", cell: (entry) => when(entry, view) },
  { title: "CODE", cell: codeOf, isOptional: true },
  { title: "REPLY", cell: ({ lastReply }) => text(lastReply ?? "", view), min: 20, isOptional: true }
]

/** A message as a line of JSON. */
export const toJson = (entry: Entry, view: View) => ({
  id: entry.id,
  state: entry.state,
  tenant: entry.tenant ?? null,
  lane: entry.lane,
  priority: entry.priority,
  ...(view.addresses ? { recipient: entry.recipient, recipients: entry.recipients } : {}),
  attempts: entry.attempts,
  crashes: entry.crashes,
  dueAt: entry.dueAt,
  expiresAt: entry.expiresAt,
  createdAt: entry.createdAt,
  updatedAt: entry.updatedAt,
  settledAt: entry.settledAt ?? null,
  size: entry.size,
  messageId: entry.messageId,
  idempotencyKey: entry.idempotencyKey === undefined ? null : text(entry.idempotencyKey, view),
  relay: entry.lastRelay ?? null,
  code: entry.lastCode ?? null,
  enhanced: entry.lastEnhanced ?? null,
  reply: entry.lastReply === undefined ? null : text(entry.lastReply, view),
  traceId: entry.traceId ?? null
})

export const attemptToJson = ({ at, code, enhanced, number, outcome, relay, reply }: Attempt) => ({
  number,
  at,
  outcome,
  relay: relay ?? null,
  code: code ?? null,
  enhanced: enhanced ?? null,
  reply: reply ?? null
})

/** A state's colour. */
export const colorOf = (state: State, paint: Format.Paint): ((text: string) => string) => {
  switch (state) {
    case "accepted":
      return paint.green
    case "rejected":
    case "dead":
      return paint.red
    case "expired":
      return paint.yellow
    case "due":
    case "claimed":
      return paint.cyan
    case "cancelled":
      return paint.dim
  }
}

/** `450 4.2.1`, or the part of it that is known. */
export const codeOf = (reply: {
  readonly lastCode?: number | undefined
  readonly lastEnhanced?: string | undefined
}): string => [reply.lastCode, reply.lastEnhanced].filter((part) => part !== undefined).join(" ")

/** The time when it is due, or since when it has its state. */
const when = (entry: Entry, { now, paused }: View): string => {
  if (entry.state === "due" && paused?.has(entry.lane) === true) return "paused"
  if (entry.state === "due") return entry.dueAt.getTime() <= now ? "now" : Times.relative(entry.dueAt, now)
  return Times.relative(entry.settledAt ?? entry.updatedAt, now)
}

/** A text without the local parts of its addresses. */
const text = (raw: string, { addresses }: View): string => (addresses ? raw : raw.replaceAll(/[^\s<>"'(),:;]+@/g, "…@"))
