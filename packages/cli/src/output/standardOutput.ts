/**
 * Whether what was written to standard output got there.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { systemError } from "effect/PlatformError"
import { type CommandError, ExitStatus } from "../CommandError.ts"
import { unwritable } from "../internal/files.ts"

/**
 * Fails in the end when standard output did not take what was written, as a key or an export on a full disk. That its
 * reader has gone, as `head` does or a terminal that was closed, is no failure.
 */
export const minded = <A, E, R>(main: Effect.Effect<A, E, R>): Effect.Effect<A, E | CommandError, R> =>
  Effect.suspend(() => {
    let problem: NodeJS.ErrnoException | undefined
    const note = (error: NodeJS.ErrnoException): void => {
      const isReaderGone = error.code === "EPIPE" || (error.code === "EIO" && process.stdout.isTTY)
      if (!isReaderGone) problem ??= error
    }
    process.stdout.on("error", note)
    return Effect.flatMap(Effect.exit(main), (exit): Effect.Effect<A, E | CommandError> => {
      process.stdout.off("error", note)
      const hasFailedBesides = Exit.isFailure(exit) && !(Cause.squash(exit.cause) instanceof ExitStatus)
      if (problem === undefined || hasFailedBesides) return exit
      const error = systemError({ module: "Stdio", method: "stdout", _tag: "Unknown", cause: problem })
      return Effect.fail(unwritable("standard output", error))
    })
  })
