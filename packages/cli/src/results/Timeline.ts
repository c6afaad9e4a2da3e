/**
 * The course of a run in bounded memory: its figures in intervals of equal length, for `--report-html`.
 *
 * The intervals begin at an eighth of a second, so that a short run has more than one. When there are too many, neighbours
 * are merged and later ones last twice as long: one second after two minutes, nine minutes after a day.
 */
import type { Receipt } from "mailrace/MailTransport"
import { Histogram } from "./Histogram.ts"
import type { Outcome } from "./Tally.ts"

/** Parts of a message's time. `waiting` is what an attempt spends before its envelope: on a connection, or on limits. */
export type Phase = "total" | "waiting" | "envelope" | "content"

/** The phases in the order in which they are shown. */
export const phases = ["total", "waiting", "envelope", "content"] as const satisfies ReadonlyArray<Phase>

/** The state of a run at one moment. Counts and CPU time are sums since its start. */
export interface Reading {
  /** Milliseconds since the start of the run. */
  readonly atMs: number
  readonly counts: Readonly<Record<Outcome, number>>
  readonly retries: number
  readonly cpuMs: number
  readonly rssBytes: number
  /** The time in which the event loop was not idle. */
  readonly loopActiveMs: number
  /** Sessions that are open. */
  readonly open: number
  /** Sessions that carry messages. */
  readonly busy: number
  /** Messages that wait for a session. */
  readonly queued: number
  /** Limits that hold messages back. */
  readonly closedGates: number
}

/** One interval: the differences of counts over it, and the largest of what rises and falls. */
export interface Interval extends Reading {
  readonly fromMs: number
  readonly latency: ReadonlyMap<Phase, Histogram>
}

/** Times of the messages that one relay accepted. */
export interface RelayTimes {
  readonly relay: string
  readonly envelope: Histogram
  readonly content: Histogram
}

/** The course of one run. */
export class Timeline {
  /** The finished intervals, in order. */
  intervals: Array<Interval> = []
  /** The length of an interval in milliseconds. */
  lengthMs = 125
  private readonly most: number
  private readonly whole = new Map<Phase, Histogram>()
  private readonly relayTimes = new Map<string, RelayTimes>()
  private current = new Map<Phase, Histogram>()
  private last: Reading = {
    atMs: 0,
    counts: { accepted: 0, rejected: 0, deferred: 0, unknown: 0, invalid: 0 },
    retries: 0,
    cpuMs: 0,
    rssBytes: 0,
    loopActiveMs: 0,
    open: 0,
    busy: 0,
    queued: 0,
    closedGates: 0
  }

  /** `most` is the number of intervals at which neighbours are merged. */
  constructor(most = 240) {
    this.most = most
  }

  /** Records a time of a message. */
  record(phase: Phase, ms: number): void {
    histogramOf(this.current, phase, intervalGrowth).record(ms)
    histogramOf(this.whole, phase).record(ms)
  }

  /** Records an accepted attempt that took `ms` in all. */
  accepted({ contentMs, envelopeMs, relay }: Receipt, ms: number): void {
    if (envelopeMs === undefined || contentMs === undefined) return
    this.record("waiting", Math.max(0, ms - envelopeMs - contentMs))
    this.record("envelope", envelopeMs)
    this.record("content", contentMs)
    const times = this.timesOf(relay)
    times.envelope.record(envelopeMs)
    times.content.record(contentMs)
  }

  /** Ends an interval. */
  sample(reading: Reading): void {
    const { last } = this
    if (reading.atMs <= last.atMs) return
    const interval: Interval = {
      ...reading,
      fromMs: last.atMs,
      counts: combine(reading.counts, last.counts, -1),
      retries: reading.retries - last.retries,
      cpuMs: reading.cpuMs - last.cpuMs,
      loopActiveMs: reading.loopActiveMs - last.loopActiveMs,
      latency: this.current
    }
    this.last = reading
    this.current = new Map()
    // The rate over a moment, as at the end of a run, says nothing.
    const before = interval.atMs - interval.fromMs < this.lengthMs / 2 ? this.intervals.pop() : undefined
    this.intervals.push(before === undefined ? interval : merge(before, interval))
    if (this.intervals.length >= this.most) this.halve()
  }

  /** The times of a phase over the whole run; `undefined` if none is known. */
  latency(phase: Phase): Histogram | undefined {
    return this.whole.get(phase)
  }

  /** The relays that accepted messages. */
  get relays(): ReadonlyArray<RelayTimes> {
    return [...this.relayTimes.values()]
  }

  private timesOf(relay: string): RelayTimes {
    const name = this.relayTimes.has(relay) || this.relayTimes.size < mostRelays ? relay : "others"
    let times = this.relayTimes.get(name)
    if (times === undefined) {
      times = { relay: name, envelope: new Histogram(), content: new Histogram() }
      this.relayTimes.set(name, times)
    }
    return times
  }

  private halve(): void {
    const { intervals } = this
    this.intervals = []
    for (let index = 0; index < intervals.length; index += 2) {
      const [first, second] = [intervals[index]!, intervals[index + 1]]
      this.intervals.push(second === undefined ? first : merge(first, second))
    }
    this.lengthMs *= 2
  }
}

/** Of 266 counters and so within 10 %, since there is one for each interval and phase. */
const intervalGrowth = 1.1

/** A transport can name any number of relays. */
const mostRelays = 50

const histogramOf = (all: Map<Phase, Histogram>, phase: Phase, growth?: number): Histogram => {
  let histogram = all.get(phase)
  if (histogram === undefined) all.set(phase, (histogram = new Histogram(growth)))
  return histogram
}

const combine = (a: Reading["counts"], b: Reading["counts"], sign: 1 | -1): Record<Outcome, number> => ({
  accepted: a.accepted + sign * b.accepted,
  rejected: a.rejected + sign * b.rejected,
  deferred: a.deferred + sign * b.deferred,
  unknown: a.unknown + sign * b.unknown,
  invalid: a.invalid + sign * b.invalid
})

const merge = (first: Interval, second: Interval): Interval => {
  const latency = new Map(first.latency)
  for (const [phase, histogram] of second.latency) {
    const before = latency.get(phase)
    if (before === undefined) latency.set(phase, histogram)
    else before.add(histogram)
  }
  return {
    fromMs: first.fromMs,
    atMs: second.atMs,
    counts: combine(first.counts, second.counts, 1),
    retries: first.retries + second.retries,
    cpuMs: first.cpuMs + second.cpuMs,
    loopActiveMs: first.loopActiveMs + second.loopActiveMs,
    rssBytes: Math.max(first.rssBytes, second.rssBytes),
    open: Math.max(first.open, second.open),
    busy: Math.max(first.busy, second.busy),
    queued: Math.max(first.queued, second.queued),
    closedGates: Math.max(first.closedGates, second.closedGates),
    latency
  }
}
