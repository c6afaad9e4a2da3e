/**
 * Where the outbox's commands write: data to stdout, all else to stderr.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Option from "effect/Option"
import * as Semaphore from "effect/Semaphore"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Terminal from "effect/Terminal"
import type { Style } from "./Table.ts"

/** Writes texts to stdout. Ends quietly when its reader has gone, as `head` does. */
export const write = <E, R>(texts: Stream.Stream<string, E, R>): Effect.Effect<void, E, R | Stdio.Stdio> =>
  Effect.gen(function* () {
    const stdio = yield* Stdio.Stdio
    let failure: { readonly error: E } | undefined
    const heard = Stream.catch(texts, (error) => {
      failure = { error }
      return Stream.empty
    })
    yield* Effect.ignore(Stream.run(heard, stdio.stdout()))
    if (failure !== undefined) return yield* Effect.fail(failure.error)
  })

/** Writes one text to stdout. */
export const print = (text: string): Effect.Effect<void, never, Stdio.Stdio> => write(Stream.succeed(text))

/** Takes lines for stdout and writes them in blocks, a moment later at most; the last when the scope closes. */
export const lineWriter = Effect.gen(function* () {
  const stdio = yield* Stdio.Stdio
  const scope = yield* Effect.scope
  const oneAtATime = yield* Semaphore.make(1)
  let gathered: Array<string> = []
  const flush = oneAtATime.withPermits(1)(
    Effect.suspend(() => {
      const block = gathered.join("")
      gathered = []
      return block === "" ? Effect.void : Effect.provideService(print(block), Stdio.Stdio, stdio)
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

/** Writes a line to stderr. */
export const say = (text: string): Effect.Effect<void, never, Stdio.Stdio> =>
  Effect.flatMap(Stdio.Stdio, (stdio) => Effect.ignore(Stream.run(Stream.succeed(`${text}\n`), stdio.stderr())))

/** How stdout draws tables: as wide as the terminal, else as COLUMNS in the environment says, else as they come. */
export const style: Effect.Effect<Style, never, Stdio.Stdio | Terminal.Terminal> = Effect.gen(function* () {
  const { canColor } = yield* TerminalCapabilities.TerminalCapabilities
  const isTerminal = yield* (yield* Stdio.Stdio).stdoutIsTerminal
  const drawn = isTerminal ? yield* (yield* Terminal.Terminal).columns : 0
  const said = yield* Effect.orElseSucceed(Config.option(Config.Int("COLUMNS")), () => Option.none<number>())
  const columns = drawn > 0 ? drawn : Option.getOrElse(said, () => 0)
  return { colors: canColor, columns: columns > 0 ? columns : undefined }
})
