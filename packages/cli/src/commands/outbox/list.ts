/**
 * `mailrace outbox list`: its flags and its help.
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { selection, json, location } from "../outboxFlags.ts"

const flags = {
  ...location,
  ...selection,
  addresses: Flag.Boolean("addresses").pipe(
    Flag.withDescription("Show recipients and the addresses in replies. Default: only their domains"),
    Flag.withDefault(false)
  ),
  dispatchers: Flag.Boolean("dispatchers").pipe(
    Flag.withDescription("List the processes that send from the outbox instead of messages"),
    Flag.withDefault(false)
  ),
  json: json(
    "Print one JSON object for each message, all of them unless --limit is given; with --dispatchers, for each process"
  )
}

export const list = Command.make("list", flags, (values) =>
  Effect.flatMap(
    Effect.promise(() => import("../../programs/outbox/list.ts")),
    (program) => program.run(values)
  )
).pipe(
  Command.withDescription(
    "List messages in the order of enqueueing: their state, the time of the next attempt or of the end, and the relay's last reply. Lists the first 100 unless --limit or --json is given. An index finds --state, and --lane with --state due; other conditions are checked on every message that remains, a million in about half a second."
  ),
  Command.withShortDescription("List messages and their state"),
  Command.withExamples([
    {
      command: "mailrace outbox list --db outbox.db --state dead --since 1d",
      description: "List messages given up since yesterday"
    },
    {
      command: "mailrace outbox list --db outbox.db --lane gmail.com --json | jq -r .reply | sort | uniq -c",
      description: "Count a provider's replies"
    }
  ])
)
