/**
 * Makes rows of medians from the runs of a contender.
 */
import type { Row } from "./BenchReport.ts"
import type * as Protocol from "./Protocol.ts"
import type { Race } from "./Race.ts"
import * as Runner from "./Runner.ts"
import { median, medianOf } from "./Statistics.ts"

/** Runs of up to this many messages report their shortest time too. */
const fewMessages = 10

/** The row of a contender's runs. */
export const rowOf = (race: Race, { concurrency, contender, messages, name, runs }: Runner.Ready): Row => {
  const results = runs.map(({ result }) => result)
  const of = (field: (result: Protocol.RunResult) => number | null) => medianOf(results, field)
  const rates = results.map(Runner.rateOf)
  const ratePerSecond = median(rates)
  const digested = results[0]!.digest
  const messageBytes = digested.messages === 0 ? 0 : digested.bytes / digested.messages
  const elsewhere = results.some(({ sockets }) => sockets === null)
  const { samples, storedBytesPerMessage } = results.at(-1)!
  const boundShare = medianOf(runs, (run) => run.boundShare)
  return {
    workload: race.workload,
    variant: contender.variant ?? race.variant,
    contestant: name,
    sink: race.sink ?? "mailrace",
    connections: race.sink === "none" ? 0 : (contender.connections ?? 10),
    concurrency,
    rttMs: race.rttMs ?? 0,
    messageBytes: Math.round(messageBytes),
    recipients: contender.recipients ?? 1,
    messages,
    ratePerSecond,
    cpuMicrosPerMessage: of((result) => result.cpuMicros / result.messages),
    rssPeakBytes: Math.max(...results.map(({ rssPeakBytes }) => rssPeakBytes)),
    p50Ms: of(({ p50Ms }) => p50Ms),
    p90Ms: of(({ p90Ms }) => p90Ms),
    p99Ms: of(({ p99Ms }) => p99Ms),
    p999Ms: of(({ p999Ms }) => p999Ms),
    meanMs: of(({ meanMs }) => meanMs),
    maxMs: of(({ maxMs }) => maxMs),
    eventLoopDelayP99Ms:
      elsewhere || race.sink === "none" ? null : of(({ eventLoopDelayP99Ms }) => eventLoopDelayP99Ms),
    sockets: of(({ sockets }) => sockets),
    bytesPerSecond: messageBytes * ratePerSecond,
    sinkCpuShare: medianOf(runs, ({ sinkCpuShare }) => sinkCpuShare),
    runs: rates,
    cpuRuns: results.map((result) => result.cpuMicros / result.messages),
    verified: race.sink === "none" ? "none" : race.sink === "smtp-sink" ? "count" : "digest",
    // For a few events, the shortest and the longest show the spread; for thousands of messages they show little.
    ...(messages <= fewMessages ? { minMs: of(({ minMs }) => minMs) } : {}),
    ...(contender.samples === true ? { samples } : {}),
    ...(boundShare === null ? {} : { boundShare }),
    ...(storedBytesPerMessage === undefined ? {} : { storedBytesPerMessage })
  }
}

/** The rows of a contestant that was started several times from nothing: its start, and its idle time after that. */
export const startRows = (
  race: Race,
  started: ReadonlyArray<Runner.Ready>,
  idle: Protocol.IdleResult
): ReadonlyArray<Row> => {
  const firstEnds = started.flatMap(({ runs }) => runs.map(({ result }) => result.firstEndMs))
  const row = rowOf(race, { ...started[0]!, runs: started.flatMap(({ runs }) => runs) })
  const startMs = median(firstEnds)
  const unknown = { p90Ms: null, p99Ms: null, p999Ms: null, bytesPerSecond: null, eventLoopDelayP99Ms: null }
  return [
    {
      ...row,
      ...unknown,
      ratePerSecond: 1000 / startMs,
      runs: firstEnds.map((ms) => 1000 / ms),
      p50Ms: startMs,
      minMs: Math.min(...firstEnds),
      meanMs: startMs,
      maxMs: Math.max(...firstEnds)
    },
    {
      ...row,
      ...unknown,
      variant: "idle",
      messages: 0,
      ratePerSecond: 0,
      runs: [],
      cpuMicrosPerMessage: null,
      idleCpuShare: idle.cpuMicros / 1000 / idle.elapsedMs,
      p50Ms: null,
      minMs: null,
      meanMs: null,
      maxMs: null
    }
  ]
}
