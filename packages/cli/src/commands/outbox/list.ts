/**
 * `mailrace outbox list`: its flags and its help.
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { selection, json, location } from "./flags.ts"

const flags = {
  ...location,
  ...selection,
  addresses: Flag.Boolean("addresses").pipe(
    Flag.withDescription("Show recipients, and the addresses in replies. Default: only their domains"),
    Flag.withDefault(false)
  ),
  dispatchers: Flag.Boolean("dispatchers").pipe(
    Flag.withDescription("List the processes that send from the outbox instead of mails"),
    Flag.withDefault(false)
  ),
  json: json("Print one JSON object a mail, all of them unless --limit says so; or one a dispatcher")
}

/** Lists mails. */
export const list = Command.make("list", flags, (values) =>
  Effect.flatMap(
    Effect.promise(() => import("../../programs/outbox/list.ts")),
    (program) => program.run(values)
  )
).pipe(
  Command.withDescription(
    "List mails with their state, in the order of enqueueing: when each is tried next or since when it is over, and what the relay said last. The first 100, unless --limit or --json is given. --state is found by an index, and so is --lane with --state due; other conditions are looked for in every mail that this leaves, a million in about half a second."
  ),
  Command.withShortDescription("List mails and where they stand"),
  Command.withExamples([
    {
      command: "mailrace outbox list --db outbox.db --state dead --since 1d",
      description: "What was given up since yesterday"
    },
    {
      command: "mailrace outbox list --db outbox.db --lane gmail.com --json | jq -r .reply | sort | uniq -c",
      description: "What a provider says, counted"
    }
  ])
)
