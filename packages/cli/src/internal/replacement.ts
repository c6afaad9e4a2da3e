/**
 * Replaces a file atomically at the end of a long run: the content is written to a file beside it and renamed.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type * as PlatformError from "effect/PlatformError"
import { randomUUID } from "node:crypto"
import type { CommandError } from "../CommandError.ts"
import { unwritable } from "./files.ts"

/** Replaces the content of the file. */
export type Replace = (content: string) => Effect.Effect<void, CommandError>

/**
 * Checks that a file can be written, and keeps its content. Only its owner can read a new file; an existing one keeps its
 * permissions. A device, a pipe, or a file in a folder that takes no new file is written in place.
 */
export const open = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  const failed = <A>(effect: Effect.Effect<A, PlatformError.PlatformError>) =>
    Effect.mapError(effect, (error) => unwritable(path, error))
  const info = Option.getOrUndefined(yield* Effect.option(fs.stat(path)))
  const inPlace: Replace = (content) => failed(fs.writeFileString(path, content))
  if (info !== undefined && info.type !== "File") {
    yield* inPlace("")
    return inPlace
  }
  // A link stays a link.
  const target = info === undefined ? path : yield* failed(fs.realPath(path))
  const mode = info === undefined ? 0o600 : info.mode & 0o777
  const { dirname, join } = yield* Path.Path
  const beside = join(dirname(target), `.mailrace-${randomUUID()}.tmp`)
  const write = (content: string) => fs.writeFileString(beside, content, { flag: "wx", mode })
  const remove = Effect.ignore(fs.remove(beside))
  if (info !== undefined) yield* failed(Effect.scoped(fs.open(target, { flag: "r+" })))
  const probe = Effect.andThen(write(""), remove)
  const takesFiles = yield* info === undefined ? Effect.as(failed(probe), true) : Effect.isSuccess(probe)
  if (!takesFiles) return inPlace
  const replace: Replace = (content) =>
    failed(
      Effect.andThen(write(content), Effect.andThen(fs.chmod(beside, mode), fs.rename(beside, target))).pipe(
        Effect.tapError(() => remove)
      )
    )
  return replace
})
