/**
 * `mailrace outbox cancel`: its help.
 */
import * as Command from "effect/cli/Command"
import { change, changing } from "./changing.ts"

/** Withdraws waiting messages. */
export const cancel = Command.make("cancel", changing, (values) => change("cancel", values)).pipe(
  Command.withDescription(
    "Withdraw waiting messages; messages in flight are not stopped. Prints the number and asks, unless ids are given."
  ),
  Command.withShortDescription("Withdraw waiting messages"),
  Command.withExamples([
    {
      command: "mailrace outbox cancel --db outbox.db --tenant shop --since 10m",
      description: "Withdraw a tenant's messages of the last ten minutes"
    },
    {
      command: "mailrace outbox cancel --db outbox.db --all --yes",
      description: "Withdraw every waiting message without asking"
    }
  ])
)
