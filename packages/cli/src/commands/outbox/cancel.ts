/**
 * `mailrace outbox cancel`: its help.
 */
import * as Command from "effect/cli/Command"
import { change, changing } from "./changing.ts"

/** Withdraws mails that wait. */
export const cancel = Command.make("cancel", changing, (values) => change("cancel", values)).pipe(
  Command.withDescription(
    "Withdraw mails that wait; those on their way are not stopped. Says how many and asks, unless ids are given."
  ),
  Command.withShortDescription("Withdraw mails that wait"),
  Command.withExamples([
    {
      command: "mailrace outbox cancel --db outbox.db --tenant shop --since 10m",
      description: "A tenant's mails of the last ten minutes"
    },
    { command: "mailrace outbox cancel --db outbox.db --all --yes", description: "Whatever waits, without asking" }
  ])
)
