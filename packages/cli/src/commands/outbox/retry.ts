/**
 * `mailrace outbox retry`: its help.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { change, changing } from "./changing.ts"

const flags = {
  ...changing,
  scheduled: Flag.Boolean("scheduled").pipe(
    Flag.withDescription("Also send messages now that wait for their --send-at and were never tried"),
    Flag.withDefault(false)
  )
}

/** Makes messages due again. */
export const retry = Command.make("retry", flags, (values) => change("retry", values)).pipe(
  Command.withDescription(
    "Make messages due now and restart their backoff: deferred, expired and dead ones; rejected and cancelled ones only by id or --state. Messages that wait for their --send-at and were never tried are left alone, unless they are given by id or --scheduled is set. Prints the number and asks, unless ids are given. The exit status is 1 if some could not be retried because their bodies are gone."
  ),
  Command.withShortDescription("Make messages due again"),
  Command.withExamples([
    {
      command: "mailrace outbox retry --db outbox.db --lane gmail.com --since 1d",
      description: "Retry messages that a provider did not accept since yesterday"
    },
    {
      command: "mailrace outbox retry --db outbox.db --state dead --limit 100 --yes",
      description: "Retry a hundred dead messages without asking"
    },
    {
      command: "mailrace outbox retry 01jq8z6m4k7c2w9x3t5v --db outbox.db",
      description: "Retry one message, whatever its state"
    }
  ])
)
