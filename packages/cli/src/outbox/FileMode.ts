/**
 * Who may read an outbox's file, which holds addresses and whole mails.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import { CommandError } from "../CommandError.ts"

/** Permissions of a new outbox file. */
export interface Options {
  /** Permissions in octal, as in `0660`. */
  readonly mode?: string | undefined
}

/** Reads `--mode`. */
export const parse = (text: string): Effect.Effect<number, CommandError> =>
  /^0?[67][0-7]{2}$/.test(text)
    ? Effect.succeed(parseInt(text, 8) & 0o666)
    : Effect.fail(
        new CommandError({
          problem: `--mode ${text} is no mode that lets the owner read and write`,
          remedy: "write it in octal, as 0600 (the owner alone) or 0660 (the group too)"
        })
      )

/** There is no file that could have a mode. */
export const withoutFile = Effect.fail(
  new CommandError({
    problem: "--mode says who may read an outbox's file, and this outbox has none",
    remedy: "leave it out, or name a file with --db or --durable"
  })
)

/**
 * Warns of a file that everybody on the machine may read. It keeps its permissions, as somebody may rely on them. `name`
 * is the outbox's, which of one in a database names no file.
 */
export const warnings = Effect.fnUntraced(function* (name: string) {
  const info = yield* Effect.option((yield* FileSystem.FileSystem).stat(name))
  const isReadByAll = Option.isSome(info) && info.value.type === "File" && (info.value.mode & 0o004) !== 0
  return isReadByAll
    ? [`every user of this machine can read ${name}, with all its mails; to end that: chmod o= ${name}*`]
    : []
})
