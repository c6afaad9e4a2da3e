/**
 * What stops the command: one sentence about what happened, one about what to try, and an exit status.
 *
 * Statuses follow the command's contract: 0 every recipient of every message accepted but for those left out as asked,
 * 1 some were not, 2 the command or its input was wrong, 130 stopped by a second Ctrl-C or in a dry run.
 */
import * as Data from "effect/Data"

/** The command cannot go on. Printed on stderr as one line and a line of advice. */
export class CommandError extends Data.TaggedError("CommandError")<{
  /** What happened, one sentence without a full stop. */
  readonly problem: string
  /** What to try, an imperative without a full stop. */
  readonly remedy?: string | undefined
}> {
  override get message(): string {
    return this.remedy === undefined ? this.problem : `${this.problem}; ${this.remedy}`
  }
}

/** The command did its work and has told the user all; only its status is left to set. */
export class ExitStatus extends Data.TaggedError("ExitStatus")<{ readonly status: number }> {}
