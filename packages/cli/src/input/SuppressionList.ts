/**
 * A list of those who get no mail, read from a file.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Suppression from "mailrace/Suppression"
import { CommandError } from "../CommandError.ts"
import { unreadable } from "../internal/files.ts"
import * as Utf16 from "../internal/utf16.ts"

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

/** Reads a list's bytes; `name` is what the list is called. */
export const parse = (
  name: string,
  bytes: Stream.Stream<Uint8Array, CommandError>
): Effect.Effect<List, CommandError> => {
  const lines = bytes.pipe(Utf16.toUtf8(name), Stream.decodeText(), Stream.splitLines)
  return Effect.scoped(Layer.build(Suppression.layerLines(lines))).pipe(
    Effect.map((context) => Context.get(context, Suppression.Suppression)),
    Effect.mapError((error) =>
      error._tag === "CommandError"
        ? error
        : new CommandError({ problem: `${name}, line ${error.line}: ${error.problem}`, remedy: error.remedy })
    )
  )
}
