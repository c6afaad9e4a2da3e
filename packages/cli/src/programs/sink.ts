/**
 * The program of `mailrace sink`: runs a test server until its count is reached or Ctrl-C.
 */
import * as Fault from "@mailrace/testing/Fault"
import * as Sink from "@mailrace/testing/Sink"
import type * as TestServer from "@mailrace/testing/TestServer"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { CommandError } from "../CommandError.ts"
import * as Format from "../text/format.ts"
import { Interrupts } from "../Interrupts.ts"
import * as Terminal from "../output/Terminal.ts"

/** The options: the sink's address, its extensions and its faults. */
export interface Options {
  /** The port, 0 for a free one. */
  readonly port: number
  readonly host: string
  /** Faults, as in `rcpt:450:10%`. */
  readonly fault: ReadonlyArray<string>
  /** An added round-trip time, as in `20ms`. */
  readonly latency?: string | undefined
  /** Ends the sink after this many messages. */
  readonly count?: number | undefined
  /** The folder that keeps each message. Defaults to keeping none. */
  readonly mailbox?: string | undefined
  /** Logins, as in `name:password`. */
  readonly user: ReadonlyArray<string>
  /** Offers STARTTLS. */
  readonly tls: boolean
  readonly pipelining: boolean
  readonly chunking: boolean
  readonly size: boolean
  readonly eightBitMime: boolean
  readonly smtpUtf8: boolean
  readonly dsn: boolean
  readonly enhancedStatusCodes: boolean
}

/** Runs a sink until its count is reached or Ctrl-C. */
export const run = Effect.fnUntraced(function* (settings: Options) {
  const interrupts = yield* Interrupts
  const sink = yield* Effect.mapError(Sink.make(yield* optionsOf(settings)), cannotStart)
  yield* Terminal.print(`mailrace sink listens on ${urlOf(settings, sink.port)}\n`)
  const live = yield* Effect.forkChild(showLive(sink))
  const last = yield* Effect.raceFirst(sink.done, Effect.andThen(interrupts.first, sink.snapshot))
  yield* Fiber.interrupt(live)
  yield* Terminal.print(`${finalLine(last)}\n`)
}, Effect.scoped)

/** The value for --relay; the password goes into MAILRACE_PASSWORD. */
const urlOf = ({ host, tls, user: [first] }: Options, port: number): string => {
  const login = first === undefined ? "" : `${encodeURIComponent(first.slice(0, first.indexOf(":")))}@`
  const query = tls ? "?tlsVerify=false" : first === undefined ? "" : "?tls=off&allowInsecureAuth=true"
  return `smtp://${login}${host.includes(":") ? `[${host}]` : host}:${port}${query}`
}

const cannotStart = (error: TestServer.StartError): CommandError => {
  const code = error.cause instanceof Error && "code" in error.cause ? error.cause.code : undefined
  const where = `port ${error.port} on ${error.host}`
  const otherPort = "choose another --port (0 for a free one) or --host"
  const otherHost = "choose another --host: 127.0.0.1 for this machine alone, 0.0.0.0 for all that reach it"
  switch (code) {
    case "EADDRINUSE":
      return new CommandError({ problem: `${where} is in use`, remedy: otherPort })
    case "EACCES":
      return new CommandError({ problem: `${where} is not allowed`, remedy: otherPort })
    case "EADDRNOTAVAIL":
      return new CommandError({ problem: `${error.host} is not an address of this machine`, remedy: otherHost })
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return new CommandError({ problem: `the host "${error.host}" is not known`, remedy: otherHost })
    default:
      return new CommandError({ problem: error.message, remedy: otherPort })
  }
}

const optionsOf = Effect.fnUntraced(function* (settings: Options) {
  const faults = yield* Effect.forEach(settings.fault, (text) =>
    Effect.fromResult(
      Result.mapError(
        Fault.parse(text),
        ({ input, problem }) =>
          new CommandError({
            problem: `cannot read the fault "${input}": ${problem}`,
            remedy: "write it by this grammar",
            details: Fault.grammar
          })
      )
    )
  )
  const users = yield* Effect.forEach(settings.user, (text) => {
    const colon = text.indexOf(":")
    return colon > 0
      ? Effect.succeed([text.slice(0, colon), text.slice(colon + 1)] as const)
      : Effect.fail(new CommandError({ problem: "--user has no colon", remedy: "write it as name:password" }))
  })
  const latency = settings.latency === undefined ? undefined : yield* readLatency(settings.latency)
  const { pipelining, chunking, size, eightBitMime, smtpUtf8, dsn, enhancedStatusCodes } = settings
  const options: Sink.Options = {
    host: settings.host,
    port: settings.port,
    faults,
    latency,
    count: settings.count,
    directory: settings.mailbox,
    tls: settings.tls,
    ...(users.length === 0 ? {} : { users: Object.fromEntries(users), requireAuth: true }),
    extensions: { pipelining, chunking, size, eightBitMime, smtpUtf8, dsn, enhancedStatusCodes }
  }
  return options
})

const readLatency = (text: string): Effect.Effect<Duration.Duration, CommandError> => {
  const parts = /^(\d+(?:\.\d+)?)(ms|s)?$/.exec(text.trim())
  return parts === null
    ? Effect.fail(
        new CommandError({ problem: `--latency: "${text}" is not a time`, remedy: "write it as 20ms or 0.5s" })
      )
    : Effect.succeed(Duration.millis(Number(parts[1]) * (parts[2] === "s" ? 1000 : 1)))
}

/** Redraws one line on a terminal; elsewhere the final line is enough. */
const showLive = Effect.fnUntraced(function* (sink: Sink.Sink) {
  if (!(yield* (yield* Stdio.Stdio).stderrIsTerminal)) return
  const draw = yield* Terminal.pen
  yield* Effect.addFinalizer(() => draw("\r\u001B[K"))
  yield* Stream.runForEach(sink.snapshots("200 millis"), (now) =>
    draw(`\r${liveLine(now, process.stderr.columns)}\u001B[K`)
  )
}, Effect.scoped)

const liveLine = (now: Sink.Snapshot, columns: number | undefined): string =>
  Format.truncate(
    [
      Format.plural(now.messages, "message"),
      `${Format.count(now.currentPerSecond)}/s`,
      Format.plural(now.open, "connection"),
      Format.bytes(now.bytesReceived),
      ...(now.faults > 0 ? [Format.plural(now.faults, "fault")] : [])
    ].join("  "),
    (columns ?? 80) - 1
  )

const finalLine = (last: Sink.Snapshot): string =>
  [
    `accepted ${Format.plural(last.messages, "message")}`,
    `${Format.bytes(last.bytesReceived)}`,
    `${Format.plural(last.connections, "connection")} (${Format.count(last.peak)} at once)`,
    Format.plural(last.faults, "fault"),
    ...(last.unanswered > 0 ? [`${Format.count(last.unanswered)} accepted without a reply`] : []),
    ...(last.violations > 0 ? [Format.plural(last.violations, "protocol error")] : []),
    ...(last.messages > 1 ? [`${Format.count(last.ratePerSecond)} messages/s`] : [])
  ].join(", ")
