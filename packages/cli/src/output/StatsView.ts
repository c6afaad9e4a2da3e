/**
 * The state of an outbox as JSON, and what its parts are called.
 */
import type { Stats, StoredWait } from "@mailrace/outbox/OutboxEntry"
import * as DispatcherView from "./DispatcherView.ts"
import * as Format from "../text/format.ts"

/** The state of the outbox with this name as JSON. */
export const toJson = (outbox: string, stats: Stats) => ({
  outbox,
  states: stats.states,
  pendingBytes: stats.pendingBytes,
  oldestDueAt: stats.oldestDueAt ?? null,
  acceptedPerSecond: stats.acceptedPerSecond,
  dispatchers: stats.dispatchers.map(DispatcherView.toJson),
  lanes: stats.lanes.map(({ lane, oldestDueAt, paused, waiting }) => ({
    lane,
    waiting,
    oldestDueAt: oldestDueAt ?? null,
    paused
  })),
  waits: (stats.waits ?? []).map(({ gate, key, reply, since, until }) => ({
    gate,
    key: key ?? null,
    since,
    until: until ?? null,
    reply: reply ?? null
  }))
})

/** The reasons for which messages of an outbox wait. */
export const waitName = ({ gate, key }: StoredWait): string => {
  if (gate === "tenant") return `limit of tenant ${key}`
  if (gate === "lane") return laneName(key ?? "")
  if (gate === "rate") return "limit of the relay"
  return gate === "circuit" ? "relay, which failed" : "relay, which asked to slow down"
}

/** `12/s`, or `12/min` for less than one a second. */
export const rate = (perSecond: number): string =>
  perSecond >= 1 || perSecond === 0 ? `${Format.count(perSecond)}/s` : `${Format.count(perSecond * 60)}/min`

/** A lane's name; a message without recipients' domain or tenant has none. */
export const laneName = (lane: string): string => (lane === "" ? "(none)" : lane)
