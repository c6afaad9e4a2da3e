/**
 * The program of `mailrace probe`: probes a relay, once or again and again, and prints what it found.
 */
import * as Probe from "@mailrace/smtp/Probe"
import * as SmtpOptions from "@mailrace/smtp/SmtpOptions"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Address from "mailrace/Address"
import { CommandError, ExitStatus } from "../CommandError.ts"
import { Interrupts } from "../Interrupts.ts"
import * as Printable from "../text/printable.ts"
import * as ProbeView from "../output/ProbeView.ts"
import * as Terminal from "../output/Terminal.ts"
import * as Times from "../text/Times.ts"
import * as Remedy from "../Remedy.ts"
import * as NameServers from "../sending/NameServers.ts"
import * as Relay from "../sending/Relay.ts"

/** The relay, and how far the probe goes. */
export interface Options extends Relay.Options {
  /** The recipient of test messages. Defaults to none. */
  readonly to?: string | undefined
  readonly from?: string | undefined
  readonly count?: number | undefined
  /** The time between two rounds, as `5s`. Defaults to one round. */
  readonly watch?: string | undefined
  /** The longest that each phase may take, as `5s`. */
  readonly timeout?: string | undefined
  readonly nameServer: ReadonlyArray<string>
  /** Prints the report as JSON. */
  readonly json: boolean
}

/** Probes the relay. */
export const run = Effect.fnUntraced(function* (options: Options) {
  const everyMs = yield* interval("--watch", options.watch)
  const limitMs = yield* interval("--timeout", options.timeout)
  const to = yield* address("--to", options.to)
  const from = yield* address("--from", options.from)
  yield* NameServers.check(options.nameServer)
  const relay: Probe.Options = {
    ...(yield* Relay.resolve(options)),
    ...(limitMs === undefined ? {} : { timeouts: allPhases(limitMs) }),
    nameServers: options.nameServer.length === 0 ? undefined : options.nameServer,
    to,
    from,
    count: options.count
  }
  const probe = (target: Probe.Options) =>
    Effect.mapError(
      Effect.map(Probe.run(target), inFlags),
      ({ message, remedy }) => new CommandError({ problem: message, remedy: Remedy.inFlags(remedy) })
    )
  let last = yield* probe(relay)
  yield* show(last, options.json, everyMs === undefined ? 2 : undefined)
  if (everyMs !== undefined) {
    const again = Effect.gen(function* () {
      while (true) {
        yield* Effect.sleep(everyMs)
        last = yield* probe({ ...relay, connectsOnly: true })
        yield* options.json ? show(last, true, undefined) : Terminal.print(yield* round(last))
      }
    })
    const { first } = yield* Interrupts
    yield* Effect.raceFirst(again, first)
  }
  if (!last.ok) return yield* new ExitStatus({ status: 1 })
})

/** Prints a whole report; JSON without an indent takes one line. */
const show = Effect.fnUntraced(function* (report: Probe.Report, json: boolean, indent: number | undefined) {
  yield* Terminal.print(json ? `${Printable.json(report, indent)}\n` : ProbeView.render(report, yield* Terminal.style))
})

/** The line of a later round. */
const round = Effect.fnUntraced(function* (report: Probe.Report) {
  const at = Times.absolute(new Date(yield* Clock.currentTimeMillis))
  return `${at}  ${ProbeView.line(report, yield* Terminal.style)}\n`
})

/** The same report with the command's words in its advice. */
const inFlags = (report: Probe.Report): Probe.Report => {
  const { diagnosis } = report
  return { ...report, diagnosis: { ...diagnosis, advice: diagnosis.advice.map(Remedy.inFlags) } }
}

const allPhases = (limitMs: number): SmtpOptions.Timeouts => ({
  dns: limitMs,
  connect: limitMs,
  tls: limitMs,
  greeting: limitMs,
  command: limitMs,
  content: limitMs,
  finalReply: limitMs
})

const interval = (flag: string, text: string | undefined): Effect.Effect<number | undefined, CommandError> =>
  text === undefined
    ? Effect.undefined
    : Effect.fromResult(
        Result.mapError(
          Times.parseInterval(text),
          (problem) => new CommandError({ problem: `${flag}: ${problem}`, remedy: "write it as 500ms or 5s" })
        )
      )

const address = (flag: string, text: string | undefined): Effect.Effect<string | undefined, CommandError> =>
  text === undefined
    ? Effect.undefined
    : Effect.fromResult(
        Result.mapError(
          Address.parse(text),
          ({ message }) => new CommandError({ problem: `${flag}: ${message}`, remedy: "give one address" })
        )
      )
