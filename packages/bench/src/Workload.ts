/**
 * One family of measurements, and what the project states about them. A workload is a file in `workloads/`, named in
 * `Workloads`; its rows and targets join those of all others in one report.
 */
import type * as Effect from "effect/Effect"
import type { Row } from "./BenchReport.ts"
import type { Lab } from "./Lab.ts"
import type { Plot } from "./Plot.ts"
import type { Target } from "./Target.ts"

/** One family of measurements. */
export interface Workload {
  /** As it is named on the command line. */
  readonly name: string
  /** A heading for the report. */
  readonly title: string
  /** What is measured and how, for a reader of the report; one paragraph. */
  readonly description: string
  /** Measures. A contestant that fails is noted by the lab and gives no row. */
  readonly run: Effect.Effect<ReadonlyArray<Row>, never, Lab>
  readonly targets: ReadonlyArray<Target>
  /** The pictures of its rows; none where a table says it all. */
  readonly plots?: ((rows: ReadonlyArray<Row>) => ReadonlyArray<Plot>) | undefined
}
