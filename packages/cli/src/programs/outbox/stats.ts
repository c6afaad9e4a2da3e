/**
 * The program of `mailrace outbox stats`: shows states, lanes and the rate.
 */
import { states, type LaneStats, type State, type Stats, type StoredWait } from "@mailrace/outbox/OutboxEntry"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Format from "../../text/format.ts"
import * as Printable from "../../text/printable.ts"
import * as EntryView from "../../output/EntryView.ts"
import * as Terminal from "../../output/Terminal.ts"
import * as OutboxLocation from "../../outbox/OutboxLocation.ts"
import * as DispatcherView from "../../output/DispatcherView.ts"
import * as StatsView from "../../output/StatsView.ts"
import * as Table from "../../output/Table.ts"
import * as Times from "../../text/Times.ts"

/** Which outbox, and how much of it. */
export interface Options extends OutboxLocation.Options {
  /** The most lanes that are shown. */
  readonly limit: number
  readonly json: boolean
}

/** Shows the state of the outbox. */
export const run = Effect.fnUntraced(
  function* (options: Options) {
    const outbox = yield* OutboxLocation.open(options, { create: false })
    const stats = yield* outbox.stats
    const now = yield* Clock.currentTimeMillis
    yield* Terminal.print(
      options.json
        ? `${Printable.json(StatsView.toJson(outbox.name, stats))}\n`
        : draw(outbox.name, stats, { now, lanes: options.limit, style: yield* Terminal.style })
    )
  },
  Effect.scoped,
  OutboxLocation.asCommandErrors
)

interface Scene {
  readonly now: number
  /** The most lanes to show. */
  readonly lanes: number
  readonly style: Table.Style
}

const draw = (name: string, stats: Stats, { lanes, now, style }: Scene): string => {
  const paint = Format.paint(style.colors)
  const { waits = [] } = stats
  const waiting = stats.states.due + stats.states.claimed
  const facts: Array<readonly [string, string]> = [
    ["waiting", `${Format.plural(waiting, "message")}, ${Format.bytes(stats.pendingBytes)}`]
  ]
  if (stats.oldestDueAt !== undefined) facts.push(["oldest", `due ${Times.relative(stats.oldestDueAt, now)}`])
  if (stats.acceptedPerSecond > 0)
    facts.push(["accepted", `${StatsView.rate(stats.acceptedPerSecond)} in the last minute`])
  const shown = stats.lanes.slice(0, lanes)
  const hidden = stats.lanes.length - shown.length
  return [
    paint.bold(Printable.line(name)),
    ...facts.map(([what, value]) => `  ${paint.dim(what.padEnd(8))}  ${value}`),
    "",
    Table.render(
      stateColumns,
      states.map((state) => ({ state, mails: stats.states[state] })),
      style
    ).trimEnd(),
    "",
    DispatcherView.draw(stats.dispatchers, now, style),
    ...(waits.length === 0 ? [] : ["", Table.render(waitColumns(now), waits.slice(0, lanes), style).trimEnd()]),
    ...(shown.length === 0 ? [] : ["", Table.render(laneColumns(now), shown, style).trimEnd()]),
    ...(hidden > 0 ? [paint.dim(`and ${Format.plural(hidden, "more lane")}; use --limit or --json to see them`)] : [])
  ]
    .map((line) => `${line}\n`)
    .join("")
}

interface StateRow {
  readonly state: State
  readonly mails: number
}

const stateColumns: ReadonlyArray<Table.Column<StateRow>> = [
  {
    title: "STATE",
    cell: ({ state }) => state,
    color: ({ mails, state }, paint) => (mails === 0 ? paint.dim : EntryView.colorOf(state, paint))
  },
  {
    title: "MESSAGES",
    cell: ({ mails }) => Format.count(mails),
    align: "right",
    color: ({ mails }, paint) => (mails === 0 ? paint.dim : (text) => text)
  }
]

const waitColumns = (now: number): ReadonlyArray<Table.Column<StoredWait>> => [
  { title: "WAITS FOR", cell: StatsView.waitName, min: 12 },
  { title: "SINCE", cell: ({ since }) => Times.relative(since, now) },
  {
    title: "UNTIL",
    cell: ({ until }) => (until === undefined || until.getTime() <= now ? "" : Times.clock(until, now))
  },
  { title: "RELAY SAID", cell: ({ reply }) => Printable.line(reply ?? ""), min: 12, isOptional: true }
]

const laneColumns = (now: number): ReadonlyArray<Table.Column<LaneStats>> => [
  { title: "LANE", cell: ({ lane }) => StatsView.laneName(lane), min: 8 },
  { title: "WAITING", cell: ({ waiting }) => Format.count(waiting), align: "right" },
  {
    title: "OLDEST DUE",
    cell: ({ oldestDueAt }) => (oldestDueAt === undefined ? "" : Times.relative(oldestDueAt, now))
  },
  { title: "", cell: ({ paused }) => (paused ? "paused" : ""), color: (_, paint) => paint.yellow }
]
