/** A row from a simulation, which sends nothing: it has a rate and no other figure. */
import type { Row } from "../BenchReport.ts"

type Simulated = Pick<Row, "workload" | "variant" | "ratePerSecond"> &
  Partial<Pick<Row, "connections" | "concurrency" | "rttMs" | "boundShare">>

/** Makes the row. */
export const simulatedRow = (simulated: Simulated): Row => ({
  contestant: "simulated",
  sink: "none",
  connections: 1,
  concurrency: 1,
  rttMs: 0,
  messageBytes: 0,
  recipients: 1,
  messages: 0,
  cpuMicrosPerMessage: null,
  rssPeakBytes: null,
  p50Ms: null,
  p90Ms: null,
  p99Ms: null,
  p999Ms: null,
  meanMs: null,
  maxMs: null,
  eventLoopDelayP99Ms: null,
  sockets: null,
  bytesPerSecond: null,
  sinkCpuShare: null,
  runs: [],
  verified: "none",
  ...simulated
})
