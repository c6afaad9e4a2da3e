/**
 * The program of `mailrace demo`: sends generated messages to a sink with a few faults, as `mailrace send` does.
 */
import { SmtpTransport } from "@mailrace/smtp/SmtpTransport"
import * as Sink from "@mailrace/testing/Sink"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { policy } from "mailrace/AttachmentFile"
import * as RetryPolicy from "mailrace/RetryPolicy"
import { CommandError } from "../CommandError.ts"
import type { Entry } from "../input/Entry.ts"
import * as Format from "../text/format.ts"
import * as Interrupts from "../Interrupts.ts"
import * as Conclusion from "../output/Conclusion.ts"
import * as Terminal from "../output/Terminal.ts"
import * as Relay from "../sending/Relay.ts"
import type { Result } from "../results/Result.ts"
import * as SendRun from "../sending/SendRun.ts"

/** The faults of the demo's relay; all but the last are worth another attempt. */
const faults = ["rcpt:450:3%", "final:451 4.7.1 slow down:1%", "mail:421:0.1%", "rcpt:550:to=*@gone.example"]

/** One recipient in this many is at a domain that the relay refuses for good. */
const goneEvery = 400

/** The size of the demo. */
export interface Options {
  /** How many messages are sent. */
  readonly messages: number
}

/** Runs the demo. */
export const run = Effect.fnUntraced(function* ({ messages }: Options) {
  const sink = yield* Effect.mapError(
    Sink.make({ faults, latency: "5 millis" }),
    (error) => new CommandError({ problem: error.message })
  )
  yield* Terminal.print(introduction(messages, sink.port))
  const transport = yield* Relay.connect({ host: sink.host, port: sink.port })
  const result = yield* SendRun.run({
    input: { entries: generate(messages), size: messages, unit: "entries", attachmentsFrom: policy("nowhere") },
    connections: Relay.connectionsOf(Context.get(transport, SmtpTransport)),
    progress: "auto",
    retry: RetryPolicy.make({ times: 5 }),
    onStopped: yield* Interrupts.exitAfter((stopped: Result) => Conclusion.show(stopped, false))
  }).pipe(Effect.provideContext(transport))
  yield* Conclusion.show(result, false)
  yield* Terminal.print(explanation(result))
  if (!isAsDesigned(result)) yield* Conclusion.settle(result)
}, Effect.scoped)

const generate = (messages: number): Stream.Stream<Entry> =>
  Stream.map(Stream.range(1, messages), (number) => ({
    _tag: "MailEntry",
    mail: {
      id: `demo-${number}`,
      from: "Mailrace <demo@mailrace.example>",
      to: `reader${number}@${number % goneEvery === 0 ? "gone" : "inbox"}.example`,
      subject: `Message ${number} of ${messages}`,
      text: `Dear reader ${number},\n\nthis message was generated for a demonstration.\n`,
      html: `<p>Dear reader ${number},</p><p>this message was generated for a <b>demonstration</b>.</p>`
    },
    line: number,
    end: number,
    place: `message ${number}`
  }))

/** True if exactly the recipients at the refused domain were rejected, and nothing was lost. */
const isAsDesigned = ({ isComplete, report }: Result): boolean =>
  isComplete && report.rejected === Math.floor(report.total / goneEvery) && report.deferred + report.unknown === 0

const introduction = (messages: number, port: number): string => `
  Sending ${Format.count(messages)} messages to a relay inside this process, on 127.0.0.1:${port}.
  It is 5 ms away, defers 4 in 100 messages, hangs up now and then, and refuses the domain gone.example.

`

const explanation = ({ report }: Result): string => {
  const command = commandHere()
  return `
  ${Format.count(report.retries)} retries delivered the messages that the relay had deferred; messages that it refused for good are not retried.

  Next, run a relay for experiments, and send your own messages:
    ${command} sink
    ${command} send --relay smtp://127.0.0.1:2525 --input people.ndjson
    ${command} send --help
`
}

/** How the user calls the command. In a clone pnpm runs it, and names itself in its user agent. */
const commandHere = (): string => {
  const version = /^pnpm\/(\S+)/.exec(process.env["npm_config_user_agent"] ?? "")?.[1]
  return version === undefined ? "mailrace" : `npx -y pnpm@${version} mailrace`
}
