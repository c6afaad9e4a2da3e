/**
 * Finds tenants that no message of a file can have, because the file does not contain their names.
 *
 * A limit for a tenant that is spelled in another way would limit nothing. To read all messages before the first is sent
 * would take minutes for a large file; to look for a few names in it takes a second a gigabyte.
 */
import * as Effect from "effect/Effect"
import { createReadStream, statSync } from "node:fs"
import { CommandError } from "../CommandError.ts"
import type { TenantLimits } from "./TenantLimits.ts"

/** Names that stand in a file as they are, whatever its format. */
const plain = /^[A-Za-z0-9._@-]+$/

/**
 * Fails if one of the tenants with a limit is nowhere in the input. A stream or a folder is not looked at; `TenantLimits` warns
 * of those at the end.
 */
export const require = (input: string, limits: TenantLimits): Effect.Effect<void, CommandError> =>
  Effect.suspend(() => {
    const names = limits.names.filter((name) => plain.test(name))
    if (names.length === 0 || !isFile(input)) return Effect.void
    return Effect.flatMap(
      // A file that cannot be read is reported where it is opened.
      Effect.orElseSucceed(
        Effect.tryPromise(() => absent(input, names)),
        () => []
      ),
      ([missing]) =>
        missing === undefined
          ? Effect.void
          : new CommandError({
              problem: limits.problemOf(missing, input),
              remedy: limits.remedy
            })
    )
  })

const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true

const absent = async (path: string, names: ReadonlyArray<string>): Promise<ReadonlyArray<string>> => {
  const missing = new Map(names.map((name) => [name, Buffer.from(name)]))
  const overlap = Math.max(...names.map((name) => name.length)) - 1
  let tail: Buffer = Buffer.alloc(0)
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    const piece = Buffer.concat([tail, chunk as Buffer])
    for (const [name, bytes] of missing) if (piece.includes(bytes)) missing.delete(name)
    if (missing.size === 0) return []
    tail = overlap === 0 ? Buffer.alloc(0) : piece.subarray(-overlap)
  }
  return [...missing.keys()]
}
