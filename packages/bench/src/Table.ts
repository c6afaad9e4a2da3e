/**
 * Formats rows and targets as aligned text for a terminal.
 */
import type { Row, TargetResult } from "./BenchReport.ts"
import * as Figure from "./Figure.ts"

/** A column: its heading and a row's cell. */
export interface Column {
  readonly heading: string
  readonly cell: (row: Row) => string
  /** Defaults to right, as suits figures. */
  readonly align?: "left" | undefined
}

/** The columns of a table of rows: those for which some row has a figure. */
export const columnsOf = (of: ReadonlyArray<Row>): ReadonlyArray<Column> =>
  columns.filter(({ cell }) => of.some((row) => cell(row) !== Figure.none))

const columns: ReadonlyArray<Column> = [
  { heading: "case", cell: (row) => row.variant, align: "left" },
  { heading: "contestant", cell: (row) => row.contestant, align: "left" },
  { heading: "conns", cell: (row) => (row.connections === 0 ? Figure.none : String(row.connections)) },
  { heading: "in flight", cell: (row) => String(row.concurrency) },
  { heading: "RTT ms", cell: (row) => String(row.rttMs) },
  { heading: "size", cell: (row) => Figure.size(row.messageBytes) },
  { heading: "messages", cell: (row) => Figure.format(row.messages) },
  { heading: "msg/s", cell: (row) => Figure.format(row.ratePerSecond) },
  { heading: "spread", cell: spread },
  { heading: "of bound", cell: (row) => percent(row.boundShare ?? null) },
  { heading: "CPU µs/msg", cell: cpu },
  { heading: "RSS MB", cell: (row) => Figure.megabytes(row.rssPeakBytes) },
  { heading: "min ms", cell: (row) => Figure.format(row.minMs) },
  { heading: "p50 ms", cell: (row) => Figure.format(row.p50Ms) },
  { heading: "p99 ms", cell: (row) => Figure.format(row.p99Ms) },
  { heading: "max ms", cell: (row) => (row.minMs === undefined ? Figure.none : Figure.format(row.maxMs)) },
  { heading: "loop p99 ms", cell: (row) => Figure.format(row.eventLoopDelayP99Ms) },
  { heading: "sockets", cell: (row) => Figure.format(row.sockets) },
  { heading: "stored B/msg", cell: (row) => Figure.format(row.storedBytesPerMessage) },
  { heading: "sink CPU", cell: (row) => percent(row.sinkCpuShare) },
  { heading: "checked", cell: (row) => row.verified, align: "left" }
]

/** The rows of a workload, one to a line. */
export const rows = (of: ReadonlyArray<Row>): string => {
  const shown = columnsOf(of)
  return align(
    [shown.map(({ heading }) => heading), ...of.map((row) => shown.map(({ cell }) => cell(row)))],
    shown.map(({ align: side }) => side === "left")
  )
}

/** Targets, one to a line, with the measured values. */
export const targets = (of: ReadonlyArray<TargetResult>): string =>
  align(
    of.map((target) => [mark(target), target.statement, value(target), wanted(target)]),
    [true, true, false, true]
  )

/** The measured value, with its unit. */
export const value = (target: TargetResult): string =>
  target.value === null ? "not measured" : withUnit(target.value, target.unit)

/** The target value, with its unit. */
export const wanted = (target: TargetResult): string =>
  `${target.direction === "atLeast" ? "≥" : "≤"} ${withUnit(target.target, target.unit)}`

/** The spread of the runs, as a share of their median. */
export function spread(row: Row): string {
  if (row.runs.length < 2 || row.ratePerSecond === 0) return Figure.none
  return `±${Math.round(((Math.max(...row.runs) - Math.min(...row.runs)) / 2 / row.ratePerSecond) * 100)}%`
}

/** The CPU time per message. For an idle process, which has no messages to divide by, its share of a core. */
function cpu(row: Row): string {
  return row.idleCpuShare === undefined
    ? Figure.format(row.cpuMicrosPerMessage)
    : `${Figure.format(row.idleCpuShare * 100)}% of a core`
}

const percent = (share: number | null): string => (share === null ? Figure.none : `${Math.round(share * 100)}%`)

const mark = ({ met }: TargetResult): string => (met === null ? Figure.none : met ? "met" : "MISSED")

const withUnit = (figure: number, unit: string): string => `${Figure.format(figure)}${unit === "" ? "" : ` ${unit}`}`

const align = (lines: ReadonlyArray<ReadonlyArray<string>>, left: ReadonlyArray<boolean>): string => {
  const widths = left.map((_, at) => Math.max(...lines.map((line) => [...line[at]!].length)))
  const pad = (cell: string, at: number): string => {
    const space = " ".repeat(widths[at]! - [...cell].length)
    return left[at] ? cell + space : space + cell
  }
  return lines.map((line) => line.map(pad).join("  ").trimEnd()).join("\n")
}
