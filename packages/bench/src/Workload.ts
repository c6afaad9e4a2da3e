/**
 * One family of measurements, and the project's statements about them. A workload is a file in `workloads/`, listed in
 * `Workloads`; its rows and targets join those of all others in one report.
 */
import type * as Effect from "effect/Effect"
import type { Row } from "./BenchReport.ts"
import type { Lab } from "./Lab.ts"
import type { Plot } from "./Plot.ts"
import type { Target } from "./Target.ts"

/** One family of measurements. */
export interface Workload {
  /** Its name on the command line. */
  readonly name: string
  /** A heading for the report. */
  readonly title: string
  /** Tells a reader of the report, in one paragraph, what is measured and how. */
  readonly description: string
  /** Runs the measurements. The lab records a contestant that fails; it gives no row. */
  readonly run: Effect.Effect<ReadonlyArray<Row>, never, Lab>
  readonly targets: ReadonlyArray<Target>
  /** The pictures of its rows; none if a table suffices. */
  readonly plots?: ((rows: ReadonlyArray<Row>) => ReadonlyArray<Plot>) | undefined
}
