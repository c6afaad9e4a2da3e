/**
 * `mailrace probe`: its flags and its help.
 */
import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Option from "effect/Option"
import { CommandError } from "../CommandError.ts"
import { atLeast, optional } from "./flags.ts"
import { oneRelay, relayFlags } from "./relayFlags.ts"

const { localAddress, password, tlsCa } = relayFlags

/** Name servers to ask. */
export const nameServer = Flag.String("name-server").pipe(
  Flag.withMetavar("ADDRESS"),
  Flag.withDescription(
    "Ask this name server in place of the system's, such as 1.1.1.1 or 127.0.0.1:5353; may be repeated"
  ),
  Flag.atLeast(0)
)

const flags = {
  url: Argument.Redacted("url").pipe(
    Argument.withDescription("The relay, as in smtp://user@host:587 or smtps://host. Default: MAILRACE_RELAY"),
    Argument.optional,
    Argument.map(Option.getOrUndefined)
  ),
  relay: oneRelay,
  password,
  tlsCa,
  localAddress,
  to: optional(
    Flag.String("to").pipe(
      Flag.withMetavar("ADDRESS"),
      Flag.withDescription("Send test messages to this address, one of your own. Default: send none")
    )
  ),
  from: optional(
    Flag.String("from").pipe(
      Flag.withMetavar("ADDRESS"),
      Flag.withDescription(
        "The sender of test messages. Default: the user who logs in if that is an address, else the recipient"
      )
    )
  ),
  count: optional(
    atLeast("count", 1).pipe(
      Flag.withDescription("With --to: how many test messages, to see how long the relay thinks. Default: 1")
    )
  ),
  watch: optional(
    Flag.String("watch").pipe(
      Flag.withMetavar("TIME"),
      Flag.withDescription(
        "Probe again after this time, such as 5s, until Ctrl-C. Later rounds only connect: they neither log in nor test nor send"
      )
    )
  ),
  timeout: optional(
    Flag.String("timeout").pipe(
      Flag.withMetavar("TIME"),
      Flag.withDescription(
        "The longest that each phase may take, such as 5s. Default: 5s for DNS, 10s for TCP and TLS, 30s for the greeting, 60s for a command, 300s for the reply to content"
      )
    )
  ),
  nameServer,
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("Print the report as JSON; with --watch one line for each round"),
    Flag.withDefault(false)
  )
}

/** Walks through the phases of a session and names the one that is slow or fails. */
export const probe = Command.make("probe", flags, ({ url, ...values }) => {
  const refuse = (problem: string, remedy: string) => Effect.fail(new CommandError({ problem, remedy }))
  if (url !== undefined && values.relay !== undefined)
    return refuse("the relay is named twice", "leave out --relay, or the URL after probe")
  if (values.to === undefined && (values.count !== undefined || values.from !== undefined))
    return refuse(
      `--${values.count === undefined ? "from" : "count"} is about test messages, and none are sent`,
      "name their recipient with --to"
    )
  return Effect.flatMap(
    Effect.promise(() => import("../programs/probe.ts")),
    (program) => program.run({ ...values, relay: url ?? values.relay })
  )
}).pipe(
  Command.withDescription(
    "Find out why mail through a relay is slow or refused. Walks through DNS, TCP, TLS, the greeting, EHLO, STARTTLS and the login, and with --to through test messages; times each phase and names the cause. Opens two connections, one after the other, and logs in once. The exit status is 0 if every phase succeeded, 1 if one failed, and 2 if the command is wrong."
  ),
  Command.withShortDescription("Find out why a relay is slow or refuses mail"),
  Command.withExamples([
    {
      command: "mailrace probe smtp://mail.example.org:587",
      description: "Walk through all phases up to EHLO over TLS"
    },
    {
      command: "MAILRACE_PASSWORD=... mailrace probe smtps://user@mail.example.org --to me@example.org --count 5",
      description: "Log in, send five messages to yourself, and see how long the relay thinks about each"
    },
    {
      command: "mailrace probe smtp://mail.example.org --watch 5s",
      description: "See when a relay goes and comes back; no login, no message after the first round"
    },
    {
      command: "mailrace probe smtp://mail.example.org --json | jq .diagnosis",
      description: "Print the phase at fault, its cause and what to try"
    }
  ])
)
