/**
 * Describes pictures of rows as data. `Svg` draws them.
 */
import type { Row } from "./BenchReport.ts"

/** One contestant's points, from left to right. */
export interface Series {
  /** A contestant, or a case of one. */
  readonly name: string
  readonly points: ReadonlyArray<readonly [x: number, y: number]>
}

/** Lines over a quantity. */
export interface LinePlot {
  readonly kind: "line"
  readonly title: string
  readonly x: Axis
  readonly y: Axis
  readonly series: ReadonlyArray<Series>
}

/** Bars from zero, one below the other. */
export interface BarPlot {
  readonly kind: "bar"
  readonly title: string
  /** The quantity that their length shows. */
  readonly label: string
  readonly bars: ReadonlyArray<Bar>
}

export interface Bar {
  readonly name: string
  /** Tells bars of the same name apart. */
  readonly detail?: string | undefined
  readonly value: number
}

/** The quantity and the scale of an axis. */
export interface Axis {
  readonly label: string
  /** `log` suits values that lie far apart; `ordinal` gives each value a place of its own. Defaults to `linear`. */
  readonly scale?: "linear" | "log" | "ordinal" | undefined
  /** How a value is written. Defaults to `Figure.format`. */
  readonly format?: ((value: number) => string) | undefined
}

/** A picture. */
export type Plot = LinePlot | BarPlot

/** Makes one line for each contestant; leaves out points without a value. */
export const lines = (
  rows: ReadonlyArray<Row>,
  x: (row: Row) => number,
  y: (row: Row) => number | null,
  name: (row: Row) => string = (row) => row.contestant
): ReadonlyArray<Series> => {
  const byName = new Map<string, Array<readonly [number, number]>>()
  for (const row of rows) {
    const value = y(row)
    if (value === null) continue
    const points = byName.get(name(row)) ?? []
    points.push([x(row), value])
    byName.set(name(row), points)
  }
  return [...byName].map(([each, points]) => ({ name: each, points: points.toSorted((a, b) => a[0] - b[0]) }))
}

/** Makes one bar for each row; leaves out rows without a value. */
export const bars = (
  rows: ReadonlyArray<Row>,
  value: (row: Row) => number | null,
  detail?: (row: Row) => string
): ReadonlyArray<Bar> =>
  rows.flatMap((row) => {
    const measured = value(row)
    return measured === null ? [] : [{ name: row.contestant, detail: detail?.(row), value: measured }]
  })

/** Messages a second, on a scale where tenfold is a step. */
export const rateAxis: Axis = { label: "messages a second", scale: "log" }

/** The sender's CPU time a message, on a scale where tenfold is a step. */
export const cpuAxis: Axis = { label: "sender CPU, µs a message", scale: "log" }

/** Bars of messages a second. */
export const rateBars = (rows: ReadonlyArray<Row>, detail?: (row: Row) => string): BarPlot => ({
  kind: "bar",
  title: "Rate",
  label: rateAxis.label,
  bars: bars(rows, (row) => row.ratePerSecond, detail)
})

/** Bars of the median time of an event, named by the row's case. */
export const timeBars = (rows: ReadonlyArray<Row>): BarPlot => ({
  kind: "bar",
  title: "Time",
  label: "ms",
  bars: bars(
    rows,
    ({ p50Ms }) => p50Ms,
    ({ variant }) => variant
  )
})

/** Bars of the sender's CPU time a message. */
export const cpuBars = (rows: ReadonlyArray<Row>, detail?: (row: Row) => string): BarPlot => ({
  kind: "bar",
  title: "CPU by message",
  label: cpuAxis.label,
  bars: bars(rows, (row) => row.cpuMicrosPerMessage, detail)
})
