/**
 * The result of a run, which the summary and the reports show.
 */
import type { CommandError } from "../CommandError.ts"
import type * as Report from "./Report.ts"
import type { ErrorGroup } from "./Tally.ts"
import type { Timeline } from "./Timeline.ts"

/** The result of a run. */
export interface Result {
  readonly report: Report.Report
  readonly errors: ReadonlyArray<ErrorGroup>
  /** The course of the run, if it was recorded. */
  readonly course:
    | {
        readonly timeline: Timeline
        /** When the run started, in milliseconds since 1970. */
        readonly startedAt: number
      }
    | undefined
  /** Why the run was given up, if it was. */
  readonly failure: CommandError | undefined
  /** True if the source was read to its end and all its messages were started. */
  readonly isComplete: boolean
  /** The place in the input of the last message that was started, as in `line 3`. */
  readonly lastStarted?: string | undefined
  /** The places of messages before it that were not sent, because the run stopped before they were begun. */
  readonly unsent: ReadonlyArray<string>
}
