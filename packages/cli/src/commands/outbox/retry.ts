/**
 * `mailrace outbox retry`: its help.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { change, changing } from "./changing.ts"

const flags = {
  ...changing,
  scheduled: Flag.Boolean("scheduled").pipe(
    Flag.withDescription("Also mails that wait for their --send-at and were never tried: they are sent now"),
    Flag.withDefault(false)
  )
}

/** Makes mails due again. */
export const retry = Command.make("retry", flags, (values) => change("retry", values)).pipe(
  Command.withDescription(
    "Make mails due again, now: deferred, expired and dead ones, their backoff begun anew; rejected and cancelled ones only when their ids or --state name them. Mails that wait for their --send-at and were never tried are left alone, unless their ids name them or --scheduled is given. Says how many and asks, unless ids are given. Exits with 1 when some could not be retried, because their bodies are gone."
  ),
  Command.withShortDescription("Make mails due again"),
  Command.withExamples([
    {
      command: "mailrace outbox retry --db outbox.db --lane gmail.com --since 1d",
      description: "What could not be delivered to a provider since yesterday"
    },
    {
      command: "mailrace outbox retry --db outbox.db --state dead --limit 100 --yes",
      description: "A hundred dead ones, without asking"
    },
    {
      command: "mailrace outbox retry 01jq8z6m4k7c2w9x3t5v --db outbox.db",
      description: "One mail, whatever its state"
    }
  ])
)
