/**
 * The dispatchers of an outbox, as a table and as JSON.
 */
import type { DispatcherStats } from "@mailrace/outbox/OutboxEntry"
import * as Format from "../text/format.ts"
import * as Table from "./Table.ts"
import * as Times from "../text/Times.ts"

/** A dispatcher as JSON; no beat is `null`. */
export const toJson = ({ buckets, inFlight, lastBeatAt, name, since }: DispatcherStats) => ({
  name,
  since,
  buckets,
  inFlight,
  lastBeatAt: lastBeatAt ?? null
})

/** A table of the dispatchers, or a sentence if there are none; without a line end. */
export const draw = (dispatchers: ReadonlyArray<DispatcherStats>, now: number, style: Table.Style): string =>
  dispatchers.length === 0
    ? Format.paint(style.colors).yellow("no dispatcher: nothing is sent until one runs")
    : Table.render(columns(now), dispatchers, style).trimEnd()

const columns = (now: number): ReadonlyArray<Table.Column<DispatcherStats>> => [
  { title: "DISPATCHER", cell: ({ name }) => name, min: 12 },
  { title: "SINCE", cell: ({ since }) => Times.relative(since, now) },
  { title: "BUCKETS", cell: ({ buckets }) => Format.count(buckets), align: "right" },
  { title: "IN FLIGHT", cell: ({ inFlight }) => Format.count(inFlight), align: "right" },
  {
    title: "LAST BEAT",
    cell: ({ lastBeatAt }) => (lastBeatAt === undefined ? "" : Times.relative(lastBeatAt, now)),
    isOptional: true
  }
]
