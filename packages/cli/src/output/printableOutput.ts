/**
 * The one way by which texts reach standard output and standard error: what a terminal would obey is taken out of them.
 *
 * Texts are strings. Bytes go out as they are: they are a message that the user asked for, or what this program draws.
 */
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Effect from "effect/Effect"
import * as Sink from "effect/Sink"
import * as Stdio from "effect/Stdio"
import * as Printable from "./printable.ts"

/** Makes printable what a command writes. */
export const guarded = <A, E, R>(main: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const stdio = yield* Stdio.Stdio
    const { canColor } = yield* TerminalCapabilities.TerminalCapabilities
    const through =
      (make: (text: string) => string) =>
      (piece: string | Uint8Array): string | Uint8Array =>
        typeof piece === "string" ? make(piece) : piece
    return yield* Effect.provideService(main, Stdio.Stdio, {
      ...stdio,
      stdout: (options) =>
        Sink.mapInput(stdio.stdout(options), through(canColor ? Printable.painted : Printable.lines)),
      stderr: (options) => Sink.mapInput(stdio.stderr(options), through(Printable.lines))
    })
  })
