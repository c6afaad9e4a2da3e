/** Rows and reports for tests, with only what matters given. */
import type { BenchReport, Row } from "../../src/BenchReport.ts"

export const row = (fields: Partial<Row> = {}): Row => ({
  workload: "loopback",
  variant: "1 KB",
  contestant: "mailrace-speculative",
  sink: "mailrace",
  connections: 10,
  concurrency: 320,
  rttMs: 0,
  messageBytes: 1024,
  recipients: 1,
  messages: 1000,
  ratePerSecond: 50_000,
  cpuMicrosPerMessage: 12.5,
  rssPeakBytes: 150_000_000,
  p50Ms: 1.5,
  p90Ms: 2,
  p99Ms: 3,
  p999Ms: 4,
  meanMs: 1.6,
  maxMs: 5,
  eventLoopDelayP99Ms: 6,
  sockets: 10,
  bytesPerSecond: 51_200_000,
  sinkCpuShare: 0.4,
  runs: [49_000, 50_000, 51_000],
  verified: "digest",
  ...fields
})

export const report = (fields: Partial<BenchReport> = {}): BenchReport => ({
  startedAt: "2025-01-31T12:00:00.000Z",
  durationSeconds: 100,
  quick: true,
  machine: { cpu: "a <fast> one", cores: 2, memoryBytes: 2 ** 34, os: "Linux 6", loadAverage: 0.1 },
  versions: { mailrace: "0.1.0" },
  rows: [row()],
  targets: [],
  failures: [],
  ...fields
})
