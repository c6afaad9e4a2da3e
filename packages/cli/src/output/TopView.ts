/**
 * The picture that `mailrace top` draws of runs and their outbox: rates, relays, limits, lanes and errors, as lines.
 */
import * as StatsView from "./StatsView.ts"
import type { RunStatus } from "../results/RunStatus.ts"
import type { Observation, OutboxNow, RunNow } from "../watching/Observation.ts"
import * as Format from "../text/format.ts"
import { fit, type Painted, plain } from "./PaintedLine.ts"
import * as Printable from "../text/printable.ts"
import * as Table from "./Table.ts"
import * as Times from "../text/Times.ts"

/** The order of the lanes. */
export type Sort = (typeof sorts)[number]

/** In the order in which the key takes them. */
export const sorts = ["waiting", "oldest", "trouble", "name"] as const

/** A lane, as the outbox and the run know it. */
export interface LaneRow {
  readonly lane: string
  /** Absent without an outbox. */
  readonly waiting: number | undefined
  readonly oldestDueAt: Date | undefined
  readonly isPaused: boolean
  /** The limits that hold it back, in words; empty if none do. */
  readonly limits: string
}

/** Messages of each run that ended, a second; `undefined` of a run that has not answered yet. */
export type Rates = ReadonlyArray<number | undefined>

/** The data of a picture. */
export interface Scene {
  readonly title: string
  readonly observation: Observation
  readonly rates: Rates
  readonly sort: Sort
  readonly style: Table.Style
  /** The number of lines of the terminal, where the text has to fit with its keys; `undefined` for a text without them. */
  readonly screen?: Screen | undefined
}

/** The terminal, and what the user does there. */
export interface Screen {
  readonly rows: number
  /** The lane that keys act on. */
  readonly selected: string | undefined
  /** The effect of the last key. */
  readonly notice: string | undefined
  /** True if lanes can be paused. */
  readonly canPause: boolean
}

/** All lanes that are known of, sorted. */
export const laneRows = ({ outbox, run }: Observation, sort: Sort): ReadonlyArray<LaneRow> => {
  const limits = limitsOf(run)
  const rows = (outbox?.stats.lanes ?? []).map(({ lane, oldestDueAt, paused, waiting }): LaneRow => {
    const held = limits.get(lane) ?? ""
    limits.delete(lane)
    return { lane, waiting, oldestDueAt, isPaused: paused, limits: held }
  })
  for (const [lane, held] of limits)
    rows.push({ lane, waiting: undefined, oldestDueAt: undefined, isPaused: false, limits: held })
  return rows.sort((a, b) => compare[sort](a, b) || byName(a, b))
}

/** The rates since the observation before; of a run that was not seen then, since it began. */
export const rates = (now: Observation, before: Observation | undefined): Rates =>
  now.runs.map(({ answers, status }, index) => {
    if (!answers) return status === undefined ? undefined : 0
    const run = status!
    const last = before?.runs[index]?.status
    const since = last !== undefined && last.durationMs < run.durationMs ? last : undefined
    const ms = run.durationMs - (since?.durationMs ?? 0)
    return ms <= 0 ? 0 : Math.max(0, ((run.done - (since?.done ?? 0)) / ms) * 1000)
  })

/** The lines of the picture; none is wider than the terminal. */
export const render = (scene: Scene): ReadonlyArray<string> => {
  const { observation, screen, style } = scene
  const paint = Format.paint(style.colors)
  const { outbox, run } = observation
  const head = [
    fit(
      [
        [`mailrace top: ${Printable.line(scene.title)}`, paint.bold(`mailrace top: ${Printable.line(scene.title)}`)],
        plain(Times.absolute(new Date(observation.at)).slice(11))
      ],
      widthOf(style)
    ),
    ...observation.failures.map(({ message }) => fit([colored(Printable.line(message), paint.red)], widthOf(style))),
    ...(run === undefined ? [] : runLines(run, scene)),
    ...(outbox === undefined ? [] : outboxLines(outbox, observation.at, scene))
  ]
  const runs = observation.runs.length < 2 ? [] : table(runColumns, runRows(scene), mostRuns, style)
  const relays = run === undefined || run.relays.length === 0 ? [] : table(relayColumns, run.relays, mostRelays, style)
  const all = errorRows(observation)
  const errors = all.length === 0 ? [] : table(errorColumns, all, mostErrors, style)
  const lanes = laneRows(observation, scene.sort)
  if (screen === undefined)
    return [head, runs, relays, table(laneColumns(undefined, observation.at), lanes, mostLanes, style), errors]
      .filter((part) => part.length > 0)
      .flatMap((part, index) => (index === 0 ? part : ["", ...part]))
  const room = Math.max(0, screen.rows - 1)
  const kept = lanes.length === 0 ? 0 : fewestLanes
  let left = room - head.length
  const fitting = (part: ReadonlyArray<string>): ReadonlyArray<string> => {
    if (part.length === 0 || left - part.length - 1 < kept) return []
    left -= part.length + 1
    return ["", ...part]
  }
  const above = [...fitting(runs), ...fitting(relays)]
  const below = fitting(errors)
  const listed = kept === 0 || left < kept ? [] : ["", ...laneTable(lanes, left - 1, screen, observation.at, style)]
  const body = [...head, ...above, ...listed, ...below].slice(0, room)
  return [...body, ...Array.from({ length: room - body.length }, () => ""), footer(scene, screen)]
}

const mostRuns = 12
const mostRelays = 8
const mostErrors = 6
/** Of a picture without keys. */
const mostLanes = 20
/** The room that lanes must have before anything else than the head is shown: an empty line, the titles and two lanes. */
const fewestLanes = 4

const widthOf = ({ columns }: Table.Style): number => (columns === undefined ? Infinity : Math.max(1, columns - 1))

const colored = (text: string, paint: (text: string) => string): Painted => [text, paint(text)]

/** Facts with a name before them. */
const facts = (name: string, all: ReadonlyArray<Painted>, style: Table.Style): string =>
  fit([colored(name.padEnd(8), Format.paint(style.colors).dim), ...all], widthOf(style))

const runLines = (run: RunStatus, { observation: { runs }, rates, style }: Scene): ReadonlyArray<string> => {
  const paint = Format.paint(style.colors)
  const known = rates.filter((rate) => rate !== undefined)
  const answering = runs.filter(({ answers }) => answers).length
  const { counts, expected, gates, isExact } = run
  const position =
    expected === null
      ? `${Format.count(run.done)} done`
      : `${Format.count(run.done)} of ${isExact ? "" : "about "}${Format.count(Math.max(expected, run.done))}`
  const waits = run.waits.filter(({ gate, key }) => gate !== "window" && key === null)
  return [
    facts(
      runs.length > 1 ? "runs" : "run",
      [
        ...(known.length === 0 ? [] : [colored(StatsView.rate(known.reduce((sum, rate) => sum + rate)), paint.bold)]),
        plain(position),
        plain(`${Format.count(run.inFlight)} in flight`),
        plain(Format.duration(run.durationMs)),
        ...(run.isStopping ? [colored("stopping", paint.yellow)] : []),
        ...(answering < runs.length && runs.length > 1
          ? [colored(`${answering} of ${runs.length} runs answer`, paint.red)]
          : [])
      ],
      style
    ),
    facts(
      "outcomes",
      [
        colored(`accepted ${Format.count(counts.accepted)}`, paint.green),
        ...shown(`rejected ${Format.count(counts.rejected)}`, counts.rejected, paint.red),
        ...shown(`deferred ${Format.count(counts.deferred)}`, counts.deferred, paint.yellow),
        ...shown(`unknown ${Format.count(counts.unknown)}`, counts.unknown, paint.yellow),
        ...shown(`invalid ${Format.count(counts.invalid)}`, counts.invalid, paint.red),
        ...(run.dropped > 0 ? [plain(`dropped ${Format.count(run.dropped)}`)] : []),
        plain(`p99 ${runs.length > 1 ? "up to " : ""}${Format.duration(run.p99Ms)}`),
        ...(run.retries > 0 ? [plain(`${Format.count(run.retries)} retries`)] : [])
      ],
      style
    ),
    ...(gates === null
      ? []
      : [
          facts(
            "limits",
            [
              gates.circuit === "closed"
                ? plain("circuit closed")
                : colored(`circuit ${circuitWord(gates.circuit)}`, paint.red),
              ...limitWords(gates).map((text) => colored(text, paint.yellow)),
              ...(limitWords(gates).length === 0 ? [plain("window open")] : []),
              ...waits.map(({ forMs, gate }) =>
                colored(`waits for ${gateWords[gate] ?? Printable.line(gate)} ${Format.duration(forMs)}`, paint.yellow)
              )
            ],
            style
          )
        ])
  ]
}

const shown = (text: string, count: number, paint: (text: string) => string): ReadonlyArray<Painted> =>
  count > 0 ? [colored(text, paint)] : []

const circuitWord = (state: string): string => (state === "halfOpen" ? "half open" : Printable.line(state))

const gateWords: { readonly [gate: string]: string } = {
  rate: "--rate",
  connections: "connections",
  circuit: "the circuit",
  pace: "the pace"
}

/** The windows and limits that slow down a relay or a lane. */
const limitWords = ({
  perSecond,
  phase,
  window
}: Pick<NonNullable<RunStatus["gates"]>, "window" | "perSecond" | "phase">): ReadonlyArray<string> => [
  ...(window === null ? [] : [window === 0 ? "window closed" : `window ${Format.count(window)}`]),
  ...(phase === "stopped" ? ["stopped"] : perSecond === null ? [] : [`pace ${StatsView.rate(perSecond)}`])
]

const outboxLines = ({ stats }: OutboxNow, now: number, { style }: Scene): ReadonlyArray<string> => {
  const paint = Format.paint(style.colors)
  const { dispatchers, oldestDueAt, states } = stats
  const inFlight = dispatchers.reduce((sum, one) => sum + one.inFlight, 0)
  const isLate = oldestDueAt !== undefined && now - oldestDueAt.getTime() > lateMs
  return [
    facts(
      "outbox",
      [
        plain(`${Format.count(states.due + states.claimed)} waiting, ${Format.bytes(stats.pendingBytes)}`),
        ...(oldestDueAt === undefined
          ? []
          : [colored(`oldest due ${Times.relative(oldestDueAt, now)}`, isLate ? paint.yellow : (text) => text)]),
        plain(`accepted ${StatsView.rate(stats.acceptedPerSecond)} in the last minute`)
      ],
      style
    ),
    facts(
      "states",
      (["accepted", "rejected", "expired", "dead", "cancelled"] as const).flatMap((state) =>
        states[state] === 0 && state !== "accepted" ? [] : [plain(`${state} ${Format.count(states[state])}`)]
      ),
      style
    ),
    facts(
      "sending",
      dispatchers.length === 0
        ? [colored("no dispatcher: nothing is sent until one runs", paint.yellow)]
        : [plain(Format.plural(dispatchers.length, "dispatcher")), plain(`${Format.count(inFlight)} in flight`)],
      style
    )
  ]
}

/** From when on a due message is late, in milliseconds. */
const lateMs = 60_000

const table = <A>(
  columns: ReadonlyArray<Table.Column<A>>,
  rows: ReadonlyArray<A>,
  most: number,
  style: Table.Style
): ReadonlyArray<string> => {
  if (rows.length === 0) return []
  const lines = Table.render(columns, rows.slice(0, most), style).trimEnd().split("\n")
  const more = rows.length - most
  return more > 0
    ? [...lines, fit([colored(`and ${Format.count(more)} more`, Format.paint(style.colors).dim)], widthOf(style))]
    : lines
}

/** One of several runs. */
interface RunRow extends RunNow {
  readonly rate: number | undefined
}

const runRows = ({ observation, rates }: Scene): ReadonlyArray<RunRow> =>
  observation.runs.map((run, index) => ({ ...run, rate: rates[index] }))

const runColumns: ReadonlyArray<Table.Column<RunRow>> = [
  { title: "RUN", cell: ({ url }) => url.replace(/^http:\/\//, ""), min: 12 },
  { title: "RATE", cell: ({ rate }) => (rate === undefined ? "" : StatsView.rate(rate)), align: "right" },
  { title: "DONE", cell: ({ status }) => (status === undefined ? "" : Format.count(status.done)), align: "right" },
  {
    title: "IN FLIGHT",
    cell: ({ status }) => (status === undefined ? "" : Format.count(status.inFlight)),
    align: "right"
  },
  { title: "P99", cell: ({ status }) => (status === undefined ? "" : Format.duration(status.p99Ms)), align: "right" },
  {
    title: "STATE",
    cell: ({ answers, status }) =>
      [
        ...(answers ? [] : ["no answer"]),
        ...(status?.isStopping === true ? ["stopping"] : []),
        ...(status === undefined || status.gates === null ? [] : gateStates(status.gates))
      ].join(", "),
    color: ({ answers }, paint) => (answers ? paint.yellow : paint.red),
    min: 6
  }
]

/** The relay's troubles as a run sees them, and what slows it down. */
const gateStates = (gates: NonNullable<RunStatus["gates"]>): ReadonlyArray<string> => [
  ...(gates.circuit === "closed" ? [] : [`circuit ${circuitWord(gates.circuit)}`]),
  ...limitWords(gates)
]

type Relay = RunStatus["relays"][number]

const relayColumns: ReadonlyArray<Table.Column<Relay>> = [
  { title: "RELAY", cell: ({ name }) => name, min: 12 },
  { title: "OPEN", cell: ({ open }) => Format.count(open), align: "right" },
  { title: "BUSY", cell: ({ busy }) => Format.count(busy), align: "right" },
  { title: "QUEUED", cell: ({ waiting }) => Format.count(waiting), align: "right" },
  {
    title: "HEALTH",
    cell: ({ health }) => health ?? "",
    color: ({ health }, paint) => (health === "down" ? paint.red : (text) => text),
    isOptional: true
  },
  { title: "MODE", cell: ({ pipelining }) => pipelining ?? "", isOptional: true }
]

/** An error of the run, or of messages that wait in the outbox. */
interface ErrorRow {
  readonly count: number
  readonly what: string
  readonly code: string
  readonly remedy: string
}

const errorRows = ({ outbox, run }: Observation): ReadonlyArray<ErrorRow> => {
  const codeOf = (code: number | null | undefined, enhanced: string | null | undefined): string =>
    [code, enhanced].filter((part) => part !== null && part !== undefined).join(" ")
  return [
    ...(run?.errors ?? []).map(({ code, count, enhanced, reason, remedy }) => ({
      count,
      what: reason,
      code: codeOf(code, enhanced),
      remedy
    })),
    // A run knows more about the same messages.
    ...(run !== undefined ? [] : (outbox?.errors ?? [])).map(({ code, count, enhanced }) => ({
      count,
      what: "to be retried",
      code: codeOf(code, enhanced),
      remedy: "mailrace outbox list --state due shows the replies"
    }))
  ]
}

const errorColumns: ReadonlyArray<Table.Column<ErrorRow>> = [
  { title: "ERROR", cell: ({ what }) => what, min: 10, color: (_, paint) => paint.red },
  { title: "CODE", cell: ({ code }) => code },
  { title: "COUNT", cell: ({ count }) => Format.count(count), align: "right" },
  { title: "WHAT TO DO", cell: ({ remedy }) => remedy, min: 20, isOptional: true }
]

/** Lanes that the run holds back, and why. */
const limitsOf = (run: RunStatus | undefined): Map<string, string> => {
  const limits = new Map<string, Array<string>>()
  const add = (lane: string, ...words: ReadonlyArray<string>): void =>
    void limits.set(lane, [...(limits.get(lane) ?? []), ...words])
  for (const one of run?.gates?.lanes ?? []) add(one.lane, ...limitWords(one))
  for (const { forMs, gate, key } of run?.waits ?? [])
    if (key !== null) add(key, `${gate === "tenant" ? "tenant waits" : "waits"} ${Format.duration(forMs)}`)
  return new Map([...limits].map(([lane, words]) => [lane, words.join(", ")]))
}

const byName = (a: LaneRow, b: LaneRow): number => (a.lane < b.lane ? -1 : a.lane > b.lane ? 1 : 0)

const trouble = ({ isPaused, limits }: LaneRow): number => (isPaused ? 2 : limits === "" ? 0 : 1)

const compare: { readonly [S in Sort]: (a: LaneRow, b: LaneRow) => number } = {
  waiting: (a, b) => (b.waiting ?? 0) - (a.waiting ?? 0),
  oldest: (a, b) => (a.oldestDueAt?.getTime() ?? Infinity) - (b.oldestDueAt?.getTime() ?? Infinity) || 0,
  trouble: (a, b) => trouble(b) - trouble(a),
  name: byName
}

const laneColumns = (selected: string | undefined, now: number): ReadonlyArray<Table.Column<LaneRow>> => [
  {
    title: selected === undefined ? "LANE" : "  LANE",
    cell: ({ lane }) => `${selected === undefined ? "" : lane === selected ? "> " : "  "}${StatsView.laneName(lane)}`,
    min: 8,
    color: ({ lane }, paint) => (lane === selected ? paint.bold : (text) => text)
  },
  {
    title: "WAITING",
    cell: ({ waiting }) => (waiting === undefined ? "" : Format.count(waiting)),
    align: "right"
  },
  {
    title: "OLDEST DUE",
    cell: ({ oldestDueAt }) => (oldestDueAt === undefined ? "" : Times.relative(oldestDueAt, now))
  },
  {
    title: "STATE",
    cell: ({ isPaused, limits }) => [...(isPaused ? ["paused"] : []), ...(limits === "" ? [] : [limits])].join(", "),
    color: (_, paint) => paint.yellow,
    min: 6
  }
]

/** The lanes around the one that is selected, in so many lines. */
const laneTable = (
  lanes: ReadonlyArray<LaneRow>,
  lines: number,
  { selected }: Screen,
  now: number,
  style: Table.Style
): ReadonlyArray<string> => {
  const shown = Math.max(1, lines - 1)
  const at = Math.max(
    0,
    lanes.findIndex(({ lane }) => lane === selected)
  )
  const from = Math.max(0, Math.min(at - Math.floor(shown / 2), lanes.length - shown))
  const table = Table.layout(laneColumns(selected ?? "", now), lanes.slice(from, from + shown), style)
  return [table.header, ...lanes.slice(from, from + shown).map(table.line)]
}

const footer = ({ sort, style }: Scene, { canPause, notice, selected }: Screen): string => {
  const paint = Format.paint(style.colors)
  if (notice !== undefined) return fit([colored(Printable.line(notice), paint.cyan)], widthOf(style))
  return fit(
    [
      plain("q quit"),
      plain(`s sort (${sort})`),
      ...(canPause && selected !== undefined ? [plain("up/down choose"), plain("p pause"), plain("r resume")] : [])
    ],
    widthOf(style)
  )
}
