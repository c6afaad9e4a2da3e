/**
 * Several runs as one, for `mailrace top` over a fleet: what is counted is added up, and of a state the worst counts.
 */
import type { RunStatus } from "../results/RunStatus.ts"

/** The sum of runs; `undefined` of none. */
export const combine = (runs: ReadonlyArray<RunStatus>): RunStatus | undefined => {
  const [first, ...others] = runs
  if (first === undefined || others.length === 0) return first
  const sum = (count: (run: RunStatus) => number): number => total(runs.map(count))
  const counted = (outcome: keyof RunStatus["counts"]): number => sum(({ counts }) => counts[outcome])
  return {
    durationMs: largest(runs.map(({ durationMs }) => durationMs)),
    outbox: named(runs.map(({ outbox }) => outbox)),
    isStopping: runs.every(({ isStopping }) => isStopping),
    done: sum(({ done }) => done),
    expected: expected(runs),
    isExact: runs.every(({ isExact }) => isExact),
    counts: {
      accepted: counted("accepted"),
      rejected: counted("rejected"),
      deferred: counted("deferred"),
      unknown: counted("unknown"),
      invalid: counted("invalid")
    },
    dropped: sum(({ dropped }) => dropped),
    retries: sum(({ retries }) => retries),
    // Percentiles do not add up; none of the runs is slower than this.
    p99Ms: largest(runs.map(({ p99Ms }) => p99Ms)),
    inFlight: sum(({ inFlight }) => inFlight),
    relays: relays(runs),
    gates: gates(runs),
    waits: waits(runs),
    errors: errors(runs)
  }
}

/** A run whose current state is unknown. */
export const silent = (run: RunStatus): RunStatus => ({ ...run, inFlight: 0, relays: [], waits: [] })

/** The messages done and waiting. Each run of one outbox reports everything that waits in it, which counts once. */
const expected = (runs: ReadonlyArray<RunStatus>): number | null => {
  const waiting = (run: RunStatus): number | null => (run.expected === null ? null : run.expected - run.done)
  const ofOutboxes = grouped(
    runs.filter(({ outbox }) => outbox !== null),
    ({ outbox }) => outbox!
  )
  const left = [
    ...runs.filter(({ outbox }) => outbox === null).map(waiting),
    ...ofOutboxes.map((same) =>
      same.some((run) => waiting(run) === null) ? null : largest(same.map((run) => waiting(run)!))
    )
  ]
  return totalOrNull([...runs.map(({ done }) => done), ...left])
}

const relays = (runs: ReadonlyArray<RunStatus>): RunStatus["relays"] =>
  grouped(
    runs.flatMap((run) => run.relays),
    ({ name }) => name
  ).map((same) => ({
    name: same[0].name,
    open: total(same.map(({ open }) => open)),
    busy: total(same.map(({ busy }) => busy)),
    waiting: total(same.map(({ waiting }) => waiting)),
    pipelining: named(same.map(({ pipelining }) => pipelining)),
    health: same.some(({ health }) => health === "down") ? "down" : named(same.map(({ health }) => health))
  }))

const gates = (runs: ReadonlyArray<RunStatus>): RunStatus["gates"] => {
  const all = runs.flatMap((run) => (run.gates === null ? [] : [run.gates]))
  if (all.length === 0) return null
  const lanes = grouped(
    all.flatMap((one) => one.lanes),
    ({ lane }) => lane
  )
  return {
    ...limits(all, runs.length),
    circuit: circuits.find((state) => all.some(({ circuit }) => circuit === state)) ?? all[0]!.circuit,
    lanes: lanes.map((same) => ({ lane: same[0].lane, ...limits(same, same.length) }))
  }
}

/** The worst first. */
const circuits = ["open", "halfOpen"]

type Limits = Pick<NonNullable<RunStatus["gates"]>, "window" | "perSecond" | "phase">

/** A sum of limits means something only if each of the runs is limited. */
const limits = (all: ReadonlyArray<Limits>, runs: number): Limits => {
  const isLimited = all.length === runs
  return {
    window: isLimited ? totalOrNull(all.map(({ window }) => window)) : null,
    perSecond: isLimited ? totalOrNull(all.map(({ perSecond }) => perSecond)) : null,
    phase: (all.find(({ phase }) => phase !== "stopped") ?? all[0])!.phase
  }
}

const waits = (runs: ReadonlyArray<RunStatus>): RunStatus["waits"] =>
  grouped(
    runs.flatMap((run) => run.waits),
    ({ gate, key }) => JSON.stringify([gate, key])
  ).map((same) => ({ ...same[0], forMs: largest(same.map(({ forMs }) => forMs)) }))

const errors = (runs: ReadonlyArray<RunStatus>): RunStatus["errors"] =>
  grouped(
    runs.flatMap((run) => run.errors),
    ({ code, enhanced, reason }) => JSON.stringify([reason, code, enhanced])
  )
    .map((same) => ({ ...same[0], count: total(same.map(({ count }) => count)) }))
    .sort((a, b) => b.count - a.count)

type NonEmpty<A> = readonly [A, ...ReadonlyArray<A>]

const grouped = <A>(all: ReadonlyArray<A>, keyOf: (one: A) => string): ReadonlyArray<NonEmpty<A>> =>
  [...Map.groupBy(all, keyOf).values()] as unknown as ReadonlyArray<NonEmpty<A>>

const total = (numbers: ReadonlyArray<number>): number => numbers.reduce((sum, one) => sum + one, 0)

const totalOrNull = (numbers: ReadonlyArray<number | null>): number | null =>
  numbers.includes(null) ? null : total(numbers as ReadonlyArray<number>)

const largest = (numbers: ReadonlyArray<number>): number => Math.max(0, ...numbers)

/** The different names, in their order. */
const named = (names: ReadonlyArray<string | null>): string | null => {
  const known = [...new Set(names.filter((name) => name !== null))]
  return known.length === 0 ? null : known.join(", ")
}
