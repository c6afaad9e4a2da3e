/**
 * Messages that are already written: one `.eml` file, or a folder of them in the order of their names.
 *
 * A file is read when its turn comes, so a folder of any size takes the memory of the few that are on their way.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import * as EmlMessage from "../internal/emlMessage.ts"
import type { BadEntry, Entry } from "./Entry.ts"

/** The sender and the recipients of the messages. */
export interface Options {
  /** Replaces the envelope that each header gives (From, and To, Cc, Bcc). */
  readonly envelope?: EmlMessage.EnvelopeOverride | undefined
}

/** Reads messages from files. */
export const entriesFromFiles = (
  files: ReadonlyArray<string>,
  options: Options = {}
): Stream.Stream<Entry, never, FileSystem.FileSystem | Path.Path> =>
  Stream.fromIterable(files.entries()).pipe(
    Stream.mapEffect(
      ([index, file]) =>
        Effect.gen(function* () {
          const name = (yield* Path.Path).basename(file)
          return yield* (yield* FileSystem.FileSystem).readFile(file).pipe(
            Effect.match({
              onFailure: (error) => bad(index, name, { problem: `the file cannot be read: ${error.message}` }),
              onSuccess: (bytes) => entry(index, name, bytes, options)
            })
          )
        }),
      { concurrency: readAhead }
    )
  )

/** Reads one message from bytes, as from standard input. */
export const entriesFromBytes =
  (name: string, options: Options = {}) =>
  <E, R>(bytes: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Entry, E, R> =>
    Stream.fromEffect(Effect.map(Stream.runCollect(bytes), (chunks) => entry(0, name, Buffer.concat(chunks), options)))

/** How many files are read ahead of their turn, so that the disk is not waited for. */
const readAhead = 4

const entry = (index: number, name: string, bytes: Uint8Array, options: Options): Entry => {
  const composed = EmlMessage.compose(bytes, options.envelope ?? {}, randomUUID)
  return Result.isSuccess(composed)
    ? {
        _tag: "MailEntry",
        mail: { ...composed.success, id: name },
        line: index + 1,
        end: index + 1,
        place: `file ${name}`
      }
    : bad(index, name, composed.failure)
}

const bad = (index: number, file: string, fault: Partial<EmlMessage.EmlFault> & { problem: string }): BadEntry => ({
  _tag: "BadEntry",
  line: index + 1,
  end: index + 1,
  place: `file ${file}`,
  field: fault.field,
  problem: fault.problem,
  malformed: true
})
