/**
 * The one policy for parts of the input that are not messages: each is skipped with a warning, or ends the run.
 *
 * The policy covers lines that cannot be read and messages that cannot be composed. Only the first warnings are printed
 * one by one, so that a file in the wrong format does not fill the screen.
 */
import * as Effect from "effect/Effect"
import { CommandError } from "../CommandError.ts"
import * as Printable from "../text/printable.ts"
import { type BadEntry, describe } from "./Entry.ts"

/** `skip` and `abort` hold for every bad line; `auto` skips, but aborts if the first line cannot be read at all. */
export type OnBadLine = "auto" | "skip" | "abort"

/** The policy for bad lines. */
export interface Options {
  /** Defaults to `auto`. */
  readonly onBadLine?: OnBadLine | undefined
  /** Prints a warning. */
  readonly log: (line: string) => Effect.Effect<void>
  /** The word before a bad line in a warning. Defaults to `skipped`. */
  readonly word?: string | undefined
  /** Where every bad line is listed, as in `--deliveries lists them all`. Defaults to nowhere. */
  readonly list?: string | undefined
}

/** The most bad lines that are printed one by one. */
const maxWarnings = 20

/** The bad lines of one run. */
export class BadLines {
  private readonly options: Options
  private warnings = 0

  constructor(options: Options) {
    this.options = options
  }

  /** Skips an entry with a warning, or fails with the error that ends the run. `index` is its position in the input. */
  entry(entry: BadEntry, index: number): Effect.Effect<void, CommandError> {
    const { onBadLine = "auto" } = this.options
    if (onBadLine === "auto" && index === 0 && entry.malformed) {
      const remedy =
        "check the format (standard input is read as NDJSON; --format csv or eml says otherwise), or skip bad lines with --on-bad-line skip"
      return Effect.fail(new CommandError({ problem: describe(entry), remedy }))
    }
    return this.message(describe(entry))
  }

  /** The same for a message that was read and cannot be composed; `problem` names its place. */
  message(problem: string): Effect.Effect<void, CommandError> {
    const { list, log, onBadLine, word = "skipped" } = this.options
    if (onBadLine === "abort") {
      const remedy = "correct it, or skip bad lines with --on-bad-line skip"
      return Effect.fail(new CommandError({ problem, remedy }))
    }
    this.warnings++
    if (this.warnings > maxWarnings) return Effect.void
    const hint = list === undefined ? "" : `; ${list}`
    const last = this.warnings === maxWarnings ? `\nfurther bad lines are counted but not shown${hint}` : ""
    return log(`${word} ${Printable.line(problem)}${last}`)
  }
}
