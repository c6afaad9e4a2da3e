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
    Flag.withDescription("The domain that signs, usually that of the From address")
  ),
  selector: Flag.String("selector").pipe(
    Flag.withMetavar("NAME"),
    Flag.withDescription("The key's name at that domain, new for each key, such as s1 or 2026-01")
  ),
  algorithm: Flag.Literals("algorithm", ["rsa", "ed25519"]).pipe(
    Flag.withDescription(
      "The kind of key. Default: rsa with 2,048 bits, which every receiver verifies; some do not verify ed25519"
    ),
    Flag.withDefault("rsa" as const)
  ),
  out: optional(
    path("out").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription(
        "The file for the private key, or - for standard output. An existing file is not overwritten. Default: SELECTOR.DOMAIN.pem"
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
  Command.withDescription("Make a key that signs mail, and print its DNS record."),
  Command.withShortDescription("Make a key and its DNS record"),
  Command.withExamples([
    {
      command: "mailrace dkim keygen --domain example.org --selector s1 --out key.pem",
      description: "Write the private key to a file that only you can read, the DNS record to standard output"
    },
    {
      command: "mailrace dkim keygen --domain example.org --selector s2 --algorithm ed25519 --out - | secret-store put",
      description: "Pass the private key to a program, write the DNS record to standard error"
    }
  ])
)

/** Keys that sign mail. */
export const dkim = Command.make("dkim").pipe(
  Command.withDescription("Keys that sign mail (DKIM, RFC 6376)."),
  Command.withShortDescription("Make keys that sign mail"),
  Command.withSubcommands([keygen])
)
