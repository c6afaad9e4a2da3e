/**
 * The folder of the files that an input's messages attach by `path`.
 *
 * A list of messages may have been written by anyone, and a path in it is read with this user's rights. So a message may
 * attach what lies beside its list and nothing else, unless the user names another folder.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type * as AttachmentFile from "mailrace/AttachmentFile"
import { CommandError } from "../CommandError.ts"
import { unreadable } from "../internal/files.ts"

/** The start of relative paths, and the folders that files may lie in. */
export interface AttachmentFolder {
  readonly base: string
  readonly policy: AttachmentFile.Policy
}

/** The folder of an input; `-` and other pipes have none. `named` is what `--attachments-from` says. */
export const ofInput = Effect.fnUntraced(function* (input: string, named: string | undefined) {
  const path = yield* Path.Path
  const own = yield* ownFolder(input)
  const from = named === undefined ? own : yield* folderNamed(named)
  return {
    base: own ?? path.resolve("."),
    policy: {
      from: from ?? "nowhere",
      remedy: named === undefined ? "name its folder with --attachments-from" : "name another --attachments-from"
    }
  } satisfies AttachmentFolder
})

/** The folder of a template's own files: the one that the template really lies in. */
export const ofTemplate = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const base = path.dirname(yield* Effect.mapError(fs.realPath(file), (error) => unreadable(file, error)))
  return {
    base,
    policy: { from: base, remedy: "move the file there, as a template's own files lie beside it" }
  } satisfies AttachmentFolder
})

const ownFolder = Effect.fnUntraced(function* (input: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  // The place of a file that the command was handed open, as by `<(…)`, does not tell who wrote it.
  if (input === "-" || /^\/(?:dev|proc)\//.test(path.resolve(input))) return undefined
  const info = yield* Effect.mapError(fs.stat(input), (error) => unreadable(input, error))
  if (info.type !== "File") return undefined
  return path.dirname(yield* Effect.mapError(fs.realPath(input), (error) => unreadable(input, error)))
})

const folderNamed = Effect.fnUntraced(function* (folder: string) {
  const fs = yield* FileSystem.FileSystem
  const info = yield* Effect.mapError(fs.stat(folder), (error) => unreadable(`--attachments-from ${folder}`, error))
  if (info.type !== "Directory") {
    return yield* new CommandError({ problem: `--attachments-from ${folder} is no folder`, remedy: "name a folder" })
  }
  return yield* Effect.mapError(fs.realPath(folder), (error) => unreadable(`--attachments-from ${folder}`, error))
})
