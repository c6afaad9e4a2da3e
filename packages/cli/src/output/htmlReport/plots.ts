/**
 * The plots of a page: which figures of a timeline are drawn together, and in which unit.
 */
import { type Interval, type Phase, phases, type Timeline } from "../../results/Timeline.ts"
import type { Outcome } from "../../results/Tally.ts"

/** A line of a plot. */
export interface Series {
  readonly label: string
  /** A colour of the page's style. */
  readonly color: string
  readonly dash?: ReadonlyArray<number> | undefined
  /** One value for each interval; `null` where there is none. */
  readonly values: ReadonlyArray<number | null>
}

/** A plot over the time of the run. */
export interface Plot {
  readonly id: string
  readonly title: string
  readonly unit: string
  readonly series: ReadonlyArray<Series>
}

/** The plots of a run. A line that would be 0 throughout is left out, and so is a plot without lines. */
export const plotsOf = ({ intervals }: Timeline): ReadonlyArray<Plot> =>
  [...plotsOfMessages(intervals), ...plotsOfResources(intervals)].flatMap((plot) => {
    const series = plot.series.filter(({ values }) => values.some((value) => value !== null && value !== 0))
    return series.length === 0 ? [] : [{ ...plot, series }]
  })

type Intervals = ReadonlyArray<Interval>

const plotsOfMessages = (intervals: Intervals): ReadonlyArray<Plot> => {
  const quantile = (phase: Phase, q: number) =>
    valuesOf(intervals, (interval) => interval.latency.get(phase)?.quantile(q) ?? null)
  const rate = (outcome: Outcome) => valuesOf(intervals, (interval) => interval.counts[outcome] / seconds(interval))
  const retries = valuesOf(intervals, (one) => one.retries / seconds(one))
  return [
    {
      id: "throughput",
      title: "Throughput",
      unit: "/s",
      series: [
        { label: "accepted", color: "green", values: rate("accepted") },
        { label: "rejected", color: "red", values: rate("rejected") },
        { label: "deferred", color: "amber", values: rate("deferred") },
        { label: "unknown", color: "violet", values: rate("unknown") },
        { label: "invalid", color: "grey", values: rate("invalid") },
        { label: "retries", color: "blue", dash: [4, 4], values: retries }
      ]
    },
    {
      id: "latency",
      title: "Time of a message",
      unit: "ms",
      series: [
        { label: "p50", color: "green", values: quantile("total", 0.5) },
        { label: "p90", color: "amber", values: quantile("total", 0.9) },
        { label: "p99", color: "red", values: quantile("total", 0.99) }
      ]
    },
    {
      id: "phases",
      title: "Time by phase of accepted messages",
      unit: "ms",
      series: phases
        .filter((phase) => phase !== "total")
        .flatMap((phase) => [
          { label: `${phase} p50`, color: colorOf[phase], values: quantile(phase, 0.5) },
          { label: `${phase} p99`, color: colorOf[phase], dash: [4, 4], values: quantile(phase, 0.99) }
        ])
    }
  ]
}

const plotsOfResources = (intervals: Intervals): ReadonlyArray<Plot> => {
  const values = (of: (interval: Interval) => number) => valuesOf(intervals, of)
  return [
    {
      id: "pool",
      title: "Connections and waits",
      unit: "",
      series: [
        { label: "open", color: "blue", values: values(({ open }) => open) },
        { label: "busy", color: "green", dash: [4, 4], values: values(({ busy }) => busy) },
        { label: "messages that wait for one", color: "amber", values: values(({ queued }) => queued) },
        { label: "limits that hold back", color: "red", values: values(({ closedGates }) => closedGates) }
      ]
    },
    {
      id: "cpu",
      title: "CPU",
      unit: "%",
      series: [
        { label: "process, of one core", color: "blue", values: values((one) => one.cpuMs / seconds(one) / 10) },
        { label: "event loop", color: "violet", values: values((one) => one.loopActiveMs / seconds(one) / 10) }
      ]
    },
    {
      id: "memory",
      title: "Memory",
      unit: "MB",
      series: [{ label: "resident set", color: "violet", values: values((one) => one.rssBytes / 1e6) }]
    }
  ]
}

const seconds = ({ atMs, fromMs }: Interval): number => (atMs - fromMs) / 1000

/** A figure of each interval, to three decimals. */
const valuesOf = (intervals: Intervals, of: (interval: Interval) => number | null): ReadonlyArray<number | null> =>
  intervals.map((interval) => {
    const value = of(interval)
    return value === null ? null : Math.round(value * 1000) / 1000
  })

const colorOf: Readonly<Record<Exclude<Phase, "total">, string>> = {
  waiting: "amber",
  envelope: "blue",
  content: "violet"
}
