/**
 * `mailrace preflight`: its flags and its help.
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { CommandError } from "../CommandError.ts"
import { optional } from "./flags.ts"
import { messageFlags } from "./messageFlags.ts"
import { nameServer } from "./probe.ts"
import { oneRelay, relayFlags } from "./relayFlags.ts"

const { dkimDomain, dkimKey, localAddress, password, tlsCa } = relayFlags

const flags = {
  domain: optional(
    Flag.String("domain").pipe(
      Flag.withAlias("d"),
      Flag.withMetavar("DOMAIN"),
      Flag.withDescription("The domain of From. Default: that of the first message")
    )
  ),
  selector: Flag.String("selector").pipe(
    Flag.withAlias("s"),
    Flag.withMetavar("NAME"),
    Flag.withDescription(
      "The DKIM key's name at the domain, s= in a DKIM-Signature field; may be repeated. The first one belongs to --dkim-key"
    ),
    Flag.atLeast(0)
  ),
  dkimKey,
  dkimDomain,
  sendingAddress: optional(
    Flag.String("sending-address").pipe(
      Flag.withMetavar("ADDRESS"),
      Flag.withDescription(
        "The IP address from which receivers get the mail; it is in the Received fields of a mail that arrived"
      )
    )
  ),
  ehlo: optional(
    Flag.String("ehlo").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("The name by which that address greets receivers")
    )
  ),
  ...messageFlags,
  input: optional(messageFlags.input),
  transactional: Flag.Boolean("transactional").pipe(
    Flag.withDescription(
      "The messages are what readers asked for themselves, such as receipts, and need no way to unsubscribe"
    ),
    Flag.withDefault(false)
  ),
  relay: oneRelay,
  password,
  tlsCa,
  localAddress,
  nameServer,
  json: Flag.Boolean("json").pipe(Flag.withDescription("Print the findings as JSON"), Flag.withDefault(false))
}

/** Finds what receivers would hold against the sender's domain and messages. */
export const preflight = Command.make("preflight", flags, (values) =>
  values.input === undefined && (values.domain === undefined || values.template !== undefined)
    ? Effect.fail(
        new CommandError(
          values.template === undefined
            ? {
                problem: "nothing is named to check",
                remedy: "name a domain with --domain, messages with --input, or both"
              }
            : { problem: "a template alone is no message", remedy: "add --input with the values to fill in" }
        )
      )
    : Effect.flatMap(
        Effect.promise(() => import("../programs/preflight.ts")),
        (program) => program.run(values)
      )
).pipe(
  Command.withDescription(
    "Find out what Gmail, Yahoo and Microsoft would hold against a domain and its messages, before anything is sent: SPF, the DKIM record against the key, DMARC and alignment, one-click unsubscribe, the form of the messages, PTR, MTA-STS, TLS-RPT. What cannot be seen from here is said to be unknown. Sends nothing. The exit status is 0 if no rule is broken, 1 if one is, and 2 if the command or its input is wrong."
  ),
  Command.withShortDescription("Find what mailbox providers would hold against domain and messages"),
  Command.withExamples([
    {
      command: "mailrace preflight --domain example.org --selector s1",
      description: "Ask the DNS about a domain and its DKIM key"
    },
    {
      command: "mailrace preflight --domain example.org --selector s1 --dkim-key key.pem --sending-address 192.0.2.25",
      description: "Compare the record with the key; check SPF and the PTR record for an address"
    },
    {
      command:
        "mailrace preflight --input people.csv --template hello.html --from news@example.org --subject Hello --list-unsubscribe 'https://example.org/leave/{{id}}' --selector s1 --dkim-key key.pem",
      description: "Check a campaign's messages too, signed as they would be"
    },
    {
      command: "mailrace preflight --domain example.org --relay smtp://user@mail.example.org:587 --json",
      description: "Ask the relay whether it encrypts; print JSON"
    }
  ])
)
