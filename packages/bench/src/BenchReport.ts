/**
 * The results of a benchmark run, as written to the JSON file and drawn in the HTML report.
 *
 * Every family of workloads adds its rows and targets to the same report. Rows of one report were measured in one run
 * on one machine, and only such rows may be compared.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

/** The machine and what else it was doing. */
export const Machine = Schema.Struct({
  cpu: Schema.String,
  cores: Schema.Int,
  memoryBytes: Schema.Finite,
  os: Schema.String,
  /** Load average over one minute when the run began; well above 0 means that something else was running. */
  loadAverage: Schema.Finite
})

/** The machine and what else it was doing. */
export type Machine = typeof Machine.Type

/** The sender's resources at one moment of a run. */
export const Sample = Schema.Struct({
  /** The time since the run began. */
  ms: Schema.Finite,
  /** The number of messages that have ended. */
  messages: Schema.Finite,
  rssBytes: Schema.Finite,
  heapBytes: Schema.Finite
})

/** The sender's resources at one moment of a run. */
export type Sample = typeof Sample.Type

const Measured = Schema.NullOr(Schema.Finite)

/** One contestant in one case: medians over its runs. A figure that does not exist for it is null. */
export const Row = Schema.Struct({
  workload: Schema.String,
  /** The case within the workload, as in `20 ms` or `TLS resumed`. */
  variant: Schema.String,
  contestant: Schema.String,
  /** The server that took the messages: `mailrace`, `smtp-sink`, or `none` if nothing was sent. */
  sink: Schema.String,
  connections: Schema.Int,
  /** Messages in flight at once. */
  concurrency: Schema.Int,
  rttMs: Schema.Finite,
  /** Bytes of the content, on average. */
  messageBytes: Schema.Finite,
  /** Recipients of each message. */
  recipients: Schema.Int,
  /** Messages of one run. */
  messages: Schema.Finite,
  ratePerSecond: Schema.Finite,
  /** CPU time of the sender's process, user and system, in microseconds. */
  cpuMicrosPerMessage: Measured,
  /** The largest resident set over all runs. */
  rssPeakBytes: Measured,
  p50Ms: Measured,
  p90Ms: Measured,
  p99Ms: Measured,
  p999Ms: Measured,
  meanMs: Measured,
  maxMs: Measured,
  /** The shortest of a run; only in runs of a few messages. */
  minMs: Schema.optionalKey(Measured),
  eventLoopDelayP99Ms: Measured,
  /** The number of sockets that the sender held in the middle of a run. */
  sockets: Measured,
  /** Content bytes, without envelope and transport. */
  bytesPerSecond: Measured,
  /** The part of one core that the sink used. Near 1, the sink limited the rate. */
  sinkCpuShare: Measured,
  /** The rate of each run, in the order of the runs. */
  runs: Schema.Array(Schema.Finite),
  /** The CPU time per message of each run, in microseconds, in the order of the runs. */
  cpuRuns: Schema.optionalKey(Schema.Array(Schema.Finite)),
  /** The time that the sink's thinking alone would have taken, as a share of the time that the run took. */
  boundShare: Schema.optionalKey(Schema.Finite),
  /**
   * How delivery was checked: `digest` compares every byte, `count` counts messages, and `none` means that nothing was
   * sent.
   */
  verified: Schema.Literals(["digest", "count", "none"]),
  /** The part of one core that an open pool used while there was nothing to send. */
  idleCpuShare: Schema.optionalKey(Schema.Finite),
  /** The bytes that a message takes on the disk beyond its own data. */
  storedBytesPerMessage: Schema.optionalKey(Schema.Finite),
  samples: Schema.optionalKey(Schema.Array(Sample))
})

/** One contestant in one case. */
export type Row = typeof Row.Type

/** A statement that the project makes about itself, and whether this run confirms it. */
export const TargetResult = Schema.Struct({
  id: Schema.String,
  statement: Schema.String,
  /** The measured value; null if the run lacks a row that it needs. */
  value: Measured,
  target: Schema.Finite,
  /** Tells whether the value must reach the target or stay under it. */
  direction: Schema.Literals(["atLeast", "atMost"]),
  unit: Schema.String,
  met: Schema.NullOr(Schema.Boolean)
})

/** A statement and whether this run confirms it. */
export type TargetResult = typeof TargetResult.Type

/** A contestant that gave no figure, and why. */
export const Failure = Schema.Struct({
  workload: Schema.String,
  variant: Schema.String,
  contestant: Schema.String,
  problem: Schema.String
})

/** A contestant that gave no figure, and why. */
export type Failure = typeof Failure.Type

/** What a run of the benchmark found. */
export const BenchReport = Schema.Struct({
  startedAt: Schema.String,
  durationSeconds: Schema.Finite,
  /** True if the runs were short (`--quick`). */
  quick: Schema.Boolean,
  machine: Machine,
  /** By name; a program that is not installed is left out. */
  versions: Schema.Record(Schema.String, Schema.String),
  rows: Schema.Array(Row),
  targets: Schema.Array(TargetResult),
  failures: Schema.Array(Failure)
})

/** What a run of the benchmark found. */
export type BenchReport = typeof BenchReport.Type

const Json = Schema.fromJsonString(BenchReport)

const decodeJson = Schema.decodeEffect(Json)

/** The report as JSON, indented to be read and compared by line. */
export const format = (report: BenchReport): string => `${JSON.stringify(report, undefined, 1)}\n`

/** Reads what `format` wrote; fails when it is not a report. */
export const parse = (json: string): Effect.Effect<BenchReport, Schema.SchemaError> => decodeJson(json)

/** The rows that agree with all the given fields. */
export const select = (rows: ReadonlyArray<Row>, like: Partial<Row>): ReadonlyArray<Row> => {
  const wanted = Object.entries(like) as ReadonlyArray<[keyof Row, unknown]>
  return rows.filter((row) => wanted.every(([field, value]) => row[field] === value))
}

/** The first row that agrees with all the given fields. */
export const find = (rows: ReadonlyArray<Row>, like: Partial<Row>): Row | undefined => select(rows, like)[0]
