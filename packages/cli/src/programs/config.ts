/**
 * The programs of `mailrace config`: make a configuration, check it, print its schema.
 */
import { jsonSchema } from "@mailrace/config/ConfigSchema"
import * as MailraceConfig from "@mailrace/config/MailraceConfig"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import { CommandError } from "../CommandError.ts"
import { unwritable } from "../internal/files.ts"
import * as SuppressionList from "../input/SuppressionList.ts"
import * as Printable from "../text/printable.ts"
import * as Terminal from "../output/Terminal.ts"
import * as Configuration from "../sending/Configuration.ts"

/** Writes a configuration to start from. */
export const init = Effect.fnUntraced(function* (file: string) {
  const fs = yield* FileSystem.FileSystem
  yield* Effect.mapError(fs.writeFileString(file, example, { flag: "wx" }), (error) =>
    error.reason._tag === "AlreadyExists"
      ? new CommandError({
          problem: `${file} is there already`,
          remedy: `name another file: mailrace config init FILE`
        })
      : unwritable(file, error)
  )
  yield* Terminal.print(
    Printable.lines(
      `${file} is written; edit it, then: mailrace config check${file === "mailrace.toml" ? "" : ` ${file}`}`
    ) + "\n"
  )
})

/** Checks a configuration with the secrets and lists that it names, and says what it does. */
export const check = Effect.fnUntraced(function* (file: string) {
  const config = yield* Configuration.asCommandError(MailraceConfig.load(file))
  if (config.settings.relay !== undefined)
    yield* Effect.scoped(Configuration.asCommandError(MailraceConfig.openRelays(config)))
  yield* Configuration.asCommandError(MailraceConfig.composer(config))
  const log = yield* Terminal.logger
  for (const { file, list } of yield* Configuration.asCommandError(MailraceConfig.suppressionLists(config)))
    if (list.size === 0) yield* log(SuppressionList.holdsNobody(file))
  const sentences = MailraceConfig.describe(config)
  const text = sentences.length === 0 ? "It sets nothing." : sentences.join("\n")
  yield* Terminal.print(Printable.lines(`${file} can be used.\n\n${text}`) + "\n")
})

/** Prints the JSON Schema of configurations. */
export const schema = Terminal.print(`${JSON.stringify(jsonSchema(), null, 2)}\n`)

const example = `# Relays, limits and routes of mailrace. Check it with: mailrace config check
# Secrets stand elsewhere: { env = "NAME" } is a variable of the environment, { file = "PATH" } a file of their own.

# suppress = ["unsubscribed.txt"]        # addresses that get no mail
# telemetry = { otlp = "http://localhost:4318", sample = 0.01 }   # where traces go; metrics by otlp_metrics

[relay.main]
url = "smtp://127.0.0.1:2525"            # smtps://user@host for TLS at once, smtp://user@host:587 for STARTTLS
# password = { env = "MAIN_PASSWORD" }   # goes with the user in the URL
# rate = ["14/s", "50000/d"]             # limits that all hold: s, m, h, d
# connections = 20
# weight = 3                             # the share beside other relays

# [relay.spare]
# url = "smtp://10.0.0.5"
# class = "backup"                       # takes messages while no other relay is usable

# [lane."gmail.com"]                     # messages to one recipient domain
# rate = "20/s"
# warmup = { from = "500/d", factor = 1.5, to = "200000/d", since = 2026-12-01 }

# [tenant.acme]                          # messages of one tenant ("tenant" in the input)
# rate = "100/s"
# weight = 2

# [[route]]                              # the first route that matches a message names its relays
# tenant = "acme"                        # also: sender = "*.shop.example", lane = ["gmail.com", "googlemail.com"]
# relay = ["main", "spare"]

# [[rule]]                               # what a reply means; mailrace rules list shows those for the big providers
# reply = "421 4.7.0 busy"
# lane = "partner.example"
# pause = "10m"                          # or retry = "1h" for the message alone, bounce_as = "5.7.1" to give it up,
#                                        # slow_to = "5/s", connections = 3 or messages_per_connection = 20, for = "1h"

# [dkim."example.org"]                   # signs messages from this domain; mailrace dkim keygen makes a key
# selector = "s1"
# key = { file = "s1.example.org.pem" }

`
