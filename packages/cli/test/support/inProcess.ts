/**
 * Runs the command within the test's own process, in a tenth of the time that a process of its own takes to start. For
 * tests of what a command says and does; what concerns signals, exit and the wire is shown on the real command.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Cause from "effect/Cause"
import * as Queue from "effect/Queue"
import * as Sink from "effect/Sink"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Cli from "../../src/Cli.ts"
import { ExitStatus } from "../../src/CommandError.ts"
import { Interrupts } from "../../src/Interrupts.ts"
import type { Ended } from "./command.ts"

interface Options {
  readonly env?: Record<string, string>
  readonly stdin?: string | undefined
  /** What completes at the first Ctrl-C. Defaults to none. */
  readonly interrupted?: Effect.Effect<void>
  /** Is given each piece of standard error as it is written. */
  readonly onStderr?: (text: string) => void
  /** Is given the words of each log line, which are written nowhere. */
  readonly onLog?: (text: string) => void
}

/** Runs the command to its end, without a terminal. */
export const mailrace = (
  args: ReadonlyArray<string>,
  { env = {}, interrupted = Effect.never, onLog, onStderr, stdin = "" }: Options = {}
): Effect.Effect<Ended> =>
  Effect.suspend(() => {
    const output = { stdout: "", stderr: "" }
    const gather = (name: keyof typeof output) => () =>
      Sink.forEach((piece: string | Uint8Array) =>
        Effect.sync(() => {
          const text = typeof piece === "string" ? piece : Buffer.from(piece).toString()
          output[name] += text
          if (name === "stderr") onStderr?.(text)
        })
      )
    const stdio = Stdio.layerTest({
      args: Effect.succeed(args),
      stdin: Stream.succeed(Buffer.from(stdin)),
      stdout: gather("stdout"),
      stderr: gather("stderr")
    })
    const { MAILRACE_OUTBOX: _outbox, MAILRACE_RELAY: _relay, ...inherited } = process.env
    return Effect.exit(Cli.run).pipe(
      Effect.map((exit) => ({ status: statusOf(exit), ...output })),
      Effect.provide(Layer.provideMerge(stdio, NodeServices.layer)),
      Effect.provide(Logger.layer(onLog === undefined ? [] : [Logger.make(({ message }) => onLog(String(message)))])),
      // A process has its own.
      Effect.provideService(Metric.MetricRegistry, new Map()),
      Effect.provideService(Interrupts, { first: interrupted, second: Effect.never, hangups: Queue.sliding<void>(1) }),
      Effect.provideService(TerminalCapabilities.TerminalCapabilities, {
        canColor: false,
        canAnimate: false,
        canPrompt: false
      }),
      Effect.provideService(
        ConfigProvider.ConfigProvider,
        ConfigProvider.fromEnvRecord({ ...(inherited as Record<string, string>), ...env })
      )
    )
  })

const statusOf = (exit: Exit.Exit<void, unknown>): number => {
  if (Exit.isSuccess(exit)) return 0
  const error = Cause.squash(exit.cause)
  if (error instanceof ExitStatus) return error.status
  throw error
}
