/**
 * `mailrace sink`: its flags and its help.
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { atLeast, optional, path } from "./flags.ts"

const offered = (name: string, what: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(`Offer ${what}; --no-${name} does not`), Flag.withDefault(true))

const flags = {
  port: atLeast("port", 0).pipe(
    Flag.withAlias("p"),
    Flag.withDescription("The port to listen on, 0 for a free one. Default: 2525"),
    Flag.withDefault(2525)
  ),
  host: Flag.String("host").pipe(
    Flag.withMetavar("ADDRESS"),
    Flag.withDescription("The address to listen on. Default: 127.0.0.1, this machine only"),
    Flag.withDefault("127.0.0.1")
  ),
  fault: Flag.String("fault").pipe(
    Flag.withMetavar("PHASE:ACTION[:ODDS]"),
    Flag.withDescription(
      "Go wrong, as in rcpt:450:10% or final:drop:1%; may be repeated, a wrong one shows the grammar"
    ),
    Flag.atLeast(0)
  ),
  latency: optional(
    Flag.String("latency").pipe(Flag.withMetavar("TIME"), Flag.withDescription("Add a round-trip time, as in 20ms"))
  ),
  count: optional(atLeast("count", 1).pipe(Flag.withDescription("End after so many messages"))),
  mailbox: optional(
    path("mailbox", "directory").pipe(
      Flag.withMetavar("DIR"),
      Flag.withDescription("Keep each message as an .eml file. Default: throw them away")
    )
  ),
  user: Flag.String("user").pipe(
    Flag.withMetavar("NAME:PASSWORD"),
    Flag.withDescription("Ask for a login, which this one may do; may be repeated"),
    Flag.atLeast(0)
  ),
  tls: Flag.Boolean("tls").pipe(
    Flag.withDescription("Offer STARTTLS with a certificate made up for localhost"),
    Flag.withDefault(false)
  ),
  pipelining: offered("pipelining", "PIPELINING"),
  chunking: offered("chunking", "CHUNKING (BDAT)"),
  size: offered("size", "SIZE"),
  eightBitMime: offered("8bitmime", "8BITMIME"),
  smtpUtf8: offered("smtputf8", "SMTPUTF8"),
  dsn: offered("dsn", "DSN"),
  enhancedStatusCodes: offered("enhanced-codes", "ENHANCEDSTATUSCODES")
}

/** Runs a relay to try things against. */
export const sink = Command.make("sink", flags, (values) =>
  Effect.flatMap(
    Effect.promise(() => import("../programs/sink.ts")),
    (program) => program.run(values)
  )
).pipe(
  Command.withDescription("Run an SMTP server that takes everything and goes wrong when told to. Ctrl-C ends it."),
  Command.withShortDescription("Run a relay to try things against"),
  Command.withExamples([
    { command: "mailrace sink", description: "Take mail on port 2525 and throw it away" },
    {
      command: "mailrace sink --fault rcpt:450:10% --fault final:drop:1% --latency 20ms",
      description: "A tenth of the recipients is refused for now, some final replies are lost, the link is long"
    },
    { command: "mailrace sink --mailbox inbox --count 10", description: "Keep ten messages as files, then end" }
  ])
)
