/**
 * Errors that end the command: a sentence about the problem, a remedy, and an exit status.
 *
 * The statuses are part of the command's contract: 0 if every recipient of every message was accepted (apart from those
 * dropped as asked), 1 if some were not, 2 if the command or its input was wrong, 130 if it was stopped by a second Ctrl-C
 * or in a dry run.
 */
import * as Data from "effect/Data"

/** The command cannot continue. Printed on standard error as a line for the problem and one for the remedy. */
export class CommandError extends Data.TaggedError("CommandError")<{
  /** The problem, one sentence without a full stop. */
  readonly problem: string
  /** The remedy, an imperative without a full stop. */
  readonly remedy?: string | undefined
  /** Lines below the remedy that hold nothing from outside, such as a grammar. Defaults to none. */
  readonly details?: string | undefined
  /** More of the kind, as of a file with several faults. Defaults to none. */
  readonly others?: ReadonlyArray<{ readonly problem: string; readonly remedy: string }> | undefined
}> {
  override get message(): string {
    return this.remedy === undefined ? this.problem : `${this.problem}; ${this.remedy}`
  }
}

/** The command has printed everything; only its exit status is left to set. */
export class ExitStatus extends Data.TaggedError("ExitStatus")<{ readonly status: number }> {}
