/**
 * `mailrace rules`: its subcommands, their flags and their help.
 */
import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { optional } from "./flags.ts"
import { relayFlags } from "./relayFlags.ts"

const { config } = relayFlags

const program = Effect.promise(() => import("../programs/rules.ts"))

const list = Command.make("list", { config }, (options) => Effect.flatMap(program, ({ list }) => list(options))).pipe(
  Command.withDescription("List the rules for what providers mean by their replies, with their sources."),
  Command.withShortDescription("List the rules, with their sources"),
  Command.withExamples([
    { command: "mailrace rules list", description: "The rules for the big providers" },
    { command: "mailrace rules list --config mailrace.toml", description: "Those of a configuration before them" }
  ])
)

const test = Command.make(
  "test",
  {
    reply: Argument.String("reply").pipe(Argument.withDescription("The reply, as in a log: 421 4.7.28 …")),
    lane: optional(
      Flag.String("lane").pipe(Flag.withMetavar("DOMAIN"), Flag.withDescription("The recipient's domain"))
    ),
    via: optional(Flag.String("via").pipe(Flag.withMetavar("HOST"), Flag.withDescription("The relay's host name"))),
    config
  },
  (options) => Effect.flatMap(program, ({ test }) => test(options))
).pipe(
  Command.withDescription("Say what would be done at a reply."),
  Command.withShortDescription("Say what would be done at a reply"),
  Command.withExamples([
    {
      command: "mailrace rules test '421 4.7.28 unusual rate of unsolicited mail' --lane gmail.com",
      description: "What a reply of Gmail does"
    },
    {
      command:
        "mailrace rules test '454 Throttling failure: Maximum sending rate exceeded' --via email-smtp.eu-west-1.amazonaws.com",
      description: "What a reply of Amazon SES does"
    }
  ])
)

/** Rules for what replies mean. */
export const rules = Command.make("rules").pipe(
  Command.withDescription("What providers mean by their replies, and how long they are left alone then."),
  Command.withShortDescription("List and test the rules for providers' replies"),
  Command.withSubcommands([list, test])
)
