/**
 * `mailrace outbox purge`: its help.
 */
import * as Command from "effect/cli/Command"
import { change, changing } from "./changing.ts"

/** Deletes finished messages. */
export const purge = Command.make("purge", changing, (values) => change("purge", values)).pipe(
  Command.withDescription(
    "Delete finished messages with their history and idempotency keys; the same message can then be enqueued again. Prints the number and asks. A dispatcher deletes by itself what has been over for 30 days. The file keeps its size until vacuum makes it smaller."
  ),
  Command.withShortDescription("Delete finished messages"),
  Command.withExamples([
    {
      command: "mailrace outbox purge --db outbox.db --state accepted --until 7d",
      description: "Delete accepted messages enqueued more than a week ago"
    }
  ])
)
