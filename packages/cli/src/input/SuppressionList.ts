/**
 * A list of addresses that get no mail, read from a file.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Stream from "effect/Stream"
import * as Suppression from "mailrace/Suppression"
import { CommandError } from "../CommandError.ts"
import * as Printable from "../text/printable.ts"
import { unreadable } from "../internal/files.ts"

/** A list in memory. */
export type List = Suppression.Suppression["Service"]

/** Reads a file, or a pipe as of `<(psql …)`. */
export const read = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const info = yield* Effect.mapError(fs.stat(file), (error) => unreadable(file, error))
  // A pipe is read at one go.
  const bytes = info.type === "File" ? fs.stream(file) : Stream.fromEffect(fs.readFile(file))
  return yield* parse(
    file,
    Stream.mapError(bytes, (error) => unreadable(file, error))
  )
})

/** Warns of an empty list, which is seldom intended. */
export const holdsNobody = (file: string): string => Printable.line(`the suppression list ${file} holds nobody`)

/** Reads a list's bytes; `name` is what the list is called. */
export const parse = (
  name: string,
  bytes: Stream.Stream<Uint8Array, CommandError>
): Effect.Effect<List, CommandError> =>
  Effect.mapError(Suppression.fromBytes(bytes), (error) =>
    error._tag === "CommandError"
      ? error
      : new CommandError({ problem: Suppression.faultIn(name, error), remedy: error.remedy })
  )
