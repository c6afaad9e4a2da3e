/**
 * The end of a run: the report where it was asked for, the summary, and the status.
 */
import * as Effect from "effect/Effect"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Terminal from "effect/Terminal"
import { type CommandError, ExitStatus } from "../CommandError.ts"
import * as Replacement from "../internal/replacement.ts"
import type * as Progress from "./Progress.ts"
import * as Report from "./Report.ts"
import type { Result } from "../sending/RunState.ts"
import * as Summary from "./Summary.ts"
import * as Printable from "./printable.ts"

/** How a run is shown and recorded. */
export interface Options {
  /** The file that the report is written to. */
  readonly report?: string | undefined
  /** The file that each message's outcome is written to. */
  readonly deliveries?: string | undefined
  /** Prints the report as JSON instead of the summary. */
  readonly json: boolean
  readonly progress: Progress.Mode
}

/** Takes the report once it is there. */
export type ReportFile = (result: Result) => Effect.Effect<void, CommandError>

/**
 * Makes sure that the report can be written, before there is anything to report. What an earlier run has written stays
 * until this one ends, and then gives way at one stroke: a run that is killed leaves no half of a report.
 */
export const openReport = Effect.fnUntraced(function* (path: string) {
  const replace = yield* Replacement.open(path)
  const file: ReportFile = ({ report }) => replace(`${Printable.json(report, 2)}\n`)
  return file
})

/** Writes to standard output. */
export const print = (text: string) =>
  Effect.flatMap(Stdio.Stdio, (stdio) => Effect.ignore(Stream.run(Stream.succeed(text), stdio.stdout())))

/** Prints how a run ended, as a summary or as JSON. `triesAgain`: what was deferred stays in an outbox. */
export const show = Effect.fnUntraced(function* ({ errors, report }: Result, json: boolean, triesAgain = false) {
  if (json) return yield* print(`${Printable.json(report)}\n`)
  const stdio = yield* Stdio.Stdio
  const terminal = yield* Terminal.Terminal
  const { canColor } = yield* TerminalCapabilities.TerminalCapabilities
  const columns = (yield* stdio.stdoutIsTerminal) ? yield* terminal.columns : 0
  const style = { colors: canColor, columns: columns > 0 ? columns : undefined, triesAgain }
  yield* print(Summary.render(report, errors, style))
})

/** Why nothing was to be sent. */
export const nothingToSend = (dropped: number): string =>
  dropped === 0 ? "the input holds no message" : "no message of the input was left to send"

/** Ends the command with the status that the run deserves. */
export const settle = ({ failure, isComplete, report }: Result): Effect.Effect<void, CommandError | ExitStatus> => {
  if (failure !== undefined) return Effect.fail(failure)
  return isComplete && Report.isAllAccepted(report) ? Effect.void : Effect.fail(new ExitStatus({ status: 1 }))
}
