/**
 * `mailrace sink`: its flags and its help.
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { atLeast, optional, path, port } from "./flags.ts"

const offered = (name: string, what: string) =>
  Flag.Boolean(name).pipe(Flag.withDescription(`Offer ${what}; --no-${name} turns it off`), Flag.withDefault(true))

const flags = {
  port: port("port").pipe(
    Flag.withAlias("p"),
    Flag.withDescription("The port to listen on, 0 for a free one. Default: 2525"),
    Flag.withDefault(2525)
  ),
  host: Flag.String("host").pipe(
    Flag.withMetavar("ADDRESS"),
    Flag.withDescription("The address to listen on. Default: 127.0.0.1, which only this machine reaches"),
    Flag.withDefault("127.0.0.1")
  ),
  fault: Flag.String("fault").pipe(
    Flag.withMetavar("PHASE:ACTION[:ODDS]"),
    Flag.withDescription(
      "A fault, such as rcpt:450:10% or final:drop:1%; may be repeated. An invalid one prints the grammar"
    ),
    Flag.atLeast(0)
  ),
  latency: optional(
    Flag.String("latency").pipe(
      Flag.withMetavar("TIME"),
      Flag.withDescription("An added round-trip time, such as 20ms")
    )
  ),
  count: optional(atLeast("count", 1).pipe(Flag.withDescription("End after this many messages"))),
  mailbox: optional(
    path("mailbox", "directory").pipe(
      Flag.withMetavar("DIR"),
      Flag.withDescription("Keep each message as an .eml file in this folder. Default: discard them")
    )
  ),
  user: Flag.String("user").pipe(
    Flag.withMetavar("NAME:PASSWORD"),
    Flag.withDescription("Require a login and accept this one; may be repeated"),
    Flag.atLeast(0)
  ),
  tls: Flag.Boolean("tls").pipe(
    Flag.withDescription("Offer STARTTLS with a self-signed certificate for localhost"),
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
  Command.withDescription("Run an SMTP server that accepts every message and fails as you ask it to. Ctrl-C ends it."),
  Command.withShortDescription("Run a relay for experiments"),
  Command.withExamples([
    { command: "mailrace sink", description: "Accept mail on port 2525 and discard it" },
    {
      command: "mailrace sink --fault rcpt:450:10% --fault final:drop:1% --latency 20ms",
      description: "Refuse a tenth of the recipients for now, lose some final replies, add latency"
    },
    { command: "mailrace sink --mailbox inbox --count 10", description: "Keep ten messages as files, then end" }
  ])
)
