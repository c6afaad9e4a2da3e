/**
 * The permissions of an outbox's file, which holds addresses and whole messages.
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
          problem: `--mode ${text} does not let the owner read and write`,
          remedy: "write it in octal, as 0600 (only the owner) or 0660 (the group too)"
        })
      )

/** The error for an outbox without a file. */
export const withoutFile = Effect.fail(
  new CommandError({
    problem: "--mode sets the permissions of an outbox's file, but this outbox has no file",
    remedy: "leave it out, or name a file with --db or --durable"
  })
)

/**
 * Warns of a file that every user of the machine may read. It keeps its permissions, because somebody may rely on them.
 * `name` is the outbox's name, which names no file if the outbox is in a database.
 */
export const warnings = Effect.fnUntraced(function* (name: string) {
  const info = yield* Effect.option((yield* FileSystem.FileSystem).stat(name))
  const isReadByAll = Option.isSome(info) && info.value.type === "File" && (info.value.mode & 0o004) !== 0
  return isReadByAll
    ? [`every user of this machine can read ${name}, with all its messages; to prevent that, run chmod o= ${name}*`]
    : []
})
