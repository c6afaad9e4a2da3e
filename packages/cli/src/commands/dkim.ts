/**
 * `mailrace dkim`: its subcommands, their flags and their help.
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { optional, path } from "./flags.ts"

const flags = {
  domain: Flag.String("domain").pipe(
    Flag.withMetavar("DOMAIN"),
    Flag.withDescription("The domain that signs, as in the From address")
  ),
  selector: Flag.String("selector").pipe(
    Flag.withMetavar("NAME"),
    Flag.withDescription("The key's name at that domain, new for each key, as s1 or 2026-01")
  ),
  algorithm: Flag.Literals("algorithm", ["rsa", "ed25519"]).pipe(
    Flag.withDescription("Default: rsa of 2,048 bits, which every receiver verifies; not all know ed25519"),
    Flag.withDefault("rsa" as const)
  ),
  out: optional(
    path("out").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription(
        "Where the private key is written, or - for standard output. A file that is there stays. Default: SELECTOR.DOMAIN.pem"
      )
    )
  )
}

const keygen = Command.make("keygen", flags, (values) =>
  Effect.flatMap(
    Effect.promise(() => import("../programs/keygen.ts")),
    (program) => program.run(values)
  )
).pipe(
  Command.withDescription("Make a key to sign mail with, and print the DNS record that goes with it."),
  Command.withShortDescription("Make a key and its DNS record"),
  Command.withExamples([
    {
      command: "mailrace dkim keygen --domain example.org --selector s1 --out key.pem",
      description: "The private key in a file that only you can read, the DNS record on standard output"
    },
    {
      command: "mailrace dkim keygen --domain example.org --selector s2 --algorithm ed25519 --out - | secret-store put",
      description: "The private key to a program, the DNS record on standard error"
    }
  ])
)

/** Keys that sign mail. */
export const dkim = Command.make("dkim").pipe(
  Command.withDescription("Keys that sign mail (DKIM, RFC 6376)."),
  Command.withShortDescription("Make keys that sign mail"),
  Command.withSubcommands([keygen])
)
