/**
 * Standard output for data, standard error for everything else.
 *
 * All that the command writes goes through here. Texts are strings: `guard` takes out of them what would control a
 * terminal, because relays and files choose many of them. Bytes pass as they are: they are a message that the user asked
 * for, or what this program draws.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Option from "effect/Option"
import { systemError } from "effect/PlatformError"
import * as Semaphore from "effect/Semaphore"
import * as Sink from "effect/Sink"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { Terminal } from "effect/Terminal"
import { type CommandError, ExitStatus } from "../CommandError.ts"
import { unwritable } from "../internal/files.ts"
import * as LogLines from "./LogLines.ts"
import * as Printable from "../text/printable.ts"
import type { Style } from "./Table.ts"

/** Writes a line to standard error. */
export type Log = (line: string) => Effect.Effect<void>

/** Writes texts to standard output. Ends without an error when the reader has gone, as `head` does. */
export const write = <E, R>(texts: Stream.Stream<string, E, R>): Effect.Effect<void, E, R | Stdio.Stdio> =>
  Effect.gen(function* () {
    const stdio = yield* Stdio.Stdio
    let failure: { readonly error: E } | undefined
    const untilFailure = Stream.catch(texts, (error) => {
      failure = { error }
      return Stream.empty
    })
    yield* Effect.ignore(Stream.run(untilFailure, stdio.stdout()))
    if (failure !== undefined) return yield* Effect.fail(failure.error)
  })

/** Writes one text to standard output. */
export const print = (text: string): Effect.Effect<void, never, Stdio.Stdio> => write(Stream.succeed(text))

/** Writes texts to standard output, where no service can be asked for. */
export const printer: Effect.Effect<(text: string) => Effect.Effect<void>, never, Stdio.Stdio> = Effect.map(
  Stdio.Stdio,
  (stdio) => (text) => Effect.provideService(print(text), Stdio.Stdio, stdio)
)

/** Writes bytes to standard output, as they are. */
export const printBytes = (bytes: Uint8Array): Effect.Effect<void, never, Stdio.Stdio> =>
  Effect.flatMap(Stdio.Stdio, (stdio) => Effect.ignore(Stream.run(Stream.succeed(bytes), stdio.stdout())))

/** A line of standard error, and what a program reads of it. */
export interface Record extends Omit<LogLines.Entry, "at"> {
  /** Output for a person to read. */
  readonly text: string
}

/** Writes lines to standard error, where no service can be asked for: texts or, with `--log-format json`, objects. */
export const recorder: Effect.Effect<(record: Record) => Effect.Effect<void>, never, Stdio.Stdio> = Effect.gen(
  function* () {
    const stdio = yield* Stdio.Stdio
    const format = yield* LogLines.format
    const write = (line: string) => Effect.ignore(Stream.run(Stream.succeed(`${line}\n`), stdio.stderr()))
    return ({ text, ...entry }) =>
      format === "text"
        ? write(text)
        : Effect.flatMap(Clock.currentTimeMillis, (now) => write(LogLines.json({ ...entry, at: new Date(now) }, 0)))
  }
)

/** Writes lines that tell how things are going to standard error, where no service can be asked for. */
export const logger: Effect.Effect<Log, never, Stdio.Stdio> = Effect.map(
  recorder,
  (record) => (line) => record({ text: line, level: "Info", message: line, facts: {} })
)

/** Writes a line to standard error. */
export const log = (line: string): Effect.Effect<void, never, Stdio.Stdio> => Effect.flatMap(logger, (log) => log(line))

/** Draws on standard error, where no service can be asked for: escape sequences have their effect. */
export const pen: Effect.Effect<(drawing: string) => Effect.Effect<void>, never, Stdio.Stdio> = Effect.map(
  Stdio.Stdio,
  (stdio) => (drawing) => Effect.ignore(Stream.run(Stream.succeed(Buffer.from(drawing)), stdio.stderr()))
)

/** Draws on standard output, where no service can be asked for: escape sequences have their effect. */
export const canvas: Effect.Effect<(drawing: string) => Effect.Effect<void>, never, Stdio.Stdio> = Effect.map(
  Stdio.Stdio,
  (stdio) => (drawing) => Effect.provideService(printBytes(Buffer.from(drawing)), Stdio.Stdio, stdio)
)

/** Collects lines for standard output and writes them in blocks, after a moment at most; the last when the scope closes. */
export const lineWriter = Effect.gen(function* () {
  const print = yield* printer
  const scope = yield* Effect.scope
  const oneAtATime = yield* Semaphore.make(1)
  let gathered: Array<string> = []
  const flush = oneAtATime.withPermits(1)(
    Effect.suspend(() => {
      const block = gathered.join("")
      gathered = []
      return block === "" ? Effect.void : print(block)
    })
  )
  const later = Effect.andThen(Effect.sleep("20 millis"), flush)
  yield* Effect.addFinalizer(() => flush)
  return (line: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      const size = gathered.push(`${line}\n`)
      if (size === blockLines) return flush
      return size === 1 ? Effect.asVoid(Effect.forkIn(later, scope)) : Effect.void
    })
})

const blockLines = 500

/** The terminal's width, then COLUMNS in the environment; tables are not cut when neither is known. */
export const style: Effect.Effect<Style, never, Stdio.Stdio | Terminal> = Effect.gen(function* () {
  const { canColor } = yield* TerminalCapabilities.TerminalCapabilities
  const isTerminal = yield* (yield* Stdio.Stdio).stdoutIsTerminal
  const width = isTerminal ? yield* (yield* Terminal).columns : 0
  const configured = yield* Effect.orElseSucceed(Config.option(Config.Int("COLUMNS")), () => Option.none<number>())
  const columns = width > 0 ? width : Option.getOrElse(configured, () => 0)
  return { colors: canColor, columns: columns > 0 ? columns : undefined }
})

/** Takes control characters out of all texts that the effect writes to standard output and standard error. */
export const guard = <A, E, R>(main: Effect.Effect<A, E, R>) =>
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

/**
 * Fails at the end when standard output did not take all that was written, such as a key or an export on a full disk. A
 * reader that has gone, as `head` or a closed terminal, is not a failure.
 */
export const checkWritten = <A, E, R>(main: Effect.Effect<A, E, R>): Effect.Effect<A, E | CommandError, R> =>
  Effect.suspend(() => {
    let problem: NodeJS.ErrnoException | undefined
    const onError = (error: NodeJS.ErrnoException): void => {
      const isReaderGone = error.code === "EPIPE" || (error.code === "EIO" && process.stdout.isTTY)
      if (!isReaderGone) problem ??= error
    }
    process.stdout.on("error", onError)
    return Effect.flatMap(Effect.exit(main), (exit): Effect.Effect<A, E | CommandError> => {
      process.stdout.off("error", onError)
      const hasFailedOtherwise = Exit.isFailure(exit) && !(Cause.squash(exit.cause) instanceof ExitStatus)
      if (problem === undefined || hasFailedOtherwise) return exit
      const error = systemError({ module: "Stdio", method: "stdout", _tag: "Unknown", cause: problem })
      return Effect.fail(unwritable("standard output", error))
    })
  })
