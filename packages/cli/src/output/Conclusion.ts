/**
 * The end of a run: the report where it was asked for, the summary, and the status.
 */
import * as Effect from "effect/Effect"
import { type CommandError, ExitStatus } from "../CommandError.ts"
import * as Replacement from "../internal/replacement.ts"
import type * as Progress from "./Progress.ts"
import * as Report from "../results/Report.ts"
import * as Terminal from "./Terminal.ts"
import type { Result } from "../results/Result.ts"
import * as Summary from "./Summary.ts"
import * as Printable from "../text/printable.ts"

/** The options for showing and recording a run. */
export interface Options {
  /** The file that the report is written to. */
  readonly report?: string | undefined
  /** The file that the report is written to as a page with plots. */
  readonly reportHtml?: string | undefined
  /** The file that each message's outcome is written to. */
  readonly deliveries?: string | undefined
  /** Prints the report as JSON instead of the summary. */
  readonly json: boolean
  readonly progress: Progress.Mode
}

/** Writes the reports that were asked for. */
export type ReportFiles = (result: Result) => Effect.Effect<void, CommandError>

/**
 * Checks that the reports can be written before there is anything to report. Those of an earlier run stay until this run
 * ends and are then replaced atomically, so that a killed run leaves no partial report.
 */
export const openReports = Effect.fnUntraced(function* ({
  report,
  reportHtml
}: Pick<Options, "report" | "reportHtml">) {
  const json = report === undefined ? undefined : yield* Replacement.open(report)
  const html = reportHtml === undefined ? undefined : yield* Replacement.open(reportHtml)
  const write: ReportFiles = Effect.fnUntraced(function* (result) {
    if (json !== undefined) yield* json(`${Printable.json(result.report, 2)}\n`)
    if (html !== undefined) {
      // Its plotting library is read only if there is a page to write.
      const HtmlReport = yield* Effect.promise(() => import("./htmlReport/HtmlReport.ts"))
      yield* html(HtmlReport.render(result))
    }
  })
  return write
})

/** Prints the result of a run, as a summary or as JSON. `triesAgain`: deferred messages stay in an outbox. */
export const show = Effect.fnUntraced(function* (
  { errors, failure, isComplete, report }: Result,
  json: boolean,
  triesAgain = false
) {
  if (json) return yield* Terminal.print(`${Printable.json(report)}\n`)
  const isStopped = !isComplete && failure === undefined
  yield* Terminal.print(Summary.render(report, errors, { ...(yield* Terminal.style), triesAgain, isStopped }))
})

/** A sentence for a run without messages. */
export const nothingToSend = (dropped: number): string =>
  dropped === 0 ? "the input holds no messages" : "every message of the input was dropped"

/** Ends the command with the status that the run deserves. */
export const settle = ({ failure, isComplete, report }: Result): Effect.Effect<void, CommandError | ExitStatus> => {
  if (failure !== undefined) return Effect.fail(failure)
  return isComplete && Report.isAllAccepted(report) ? Effect.void : Effect.fail(new ExitStatus({ status: 1 }))
}
