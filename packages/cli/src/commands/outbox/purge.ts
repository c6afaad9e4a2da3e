/**
 * `mailrace outbox purge`: its help.
 */
import * as Command from "effect/cli/Command"
import { change, changing } from "./changing.ts"

/** Deletes mails that are over. */
export const purge = Command.make("purge", changing, (values) => change("purge", values)).pipe(
  Command.withDescription(
    "Delete mails that are over, with their history and their idempotency keys; the same mail can then be enqueued again. Says how many and asks. A dispatcher deletes by itself what has been over for 30 days. The file keeps its size until vacuum makes it smaller."
  ),
  Command.withShortDescription("Delete mails that are over"),
  Command.withExamples([
    {
      command: "mailrace outbox purge --db outbox.db --state accepted --until 7d",
      description: "What was enqueued more than a week ago and accepted"
    }
  ])
)
