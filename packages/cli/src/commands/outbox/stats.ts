/**
 * `mailrace outbox stats`: its flags and its help.
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { atLeast } from "../flags.ts"
import { json, location } from "../outboxFlags.ts"

const flags = {
  ...location,
  limit: atLeast("limit", 1).pipe(
    Flag.withDescription("At most this many lanes, the fullest first. Default: 20"),
    Flag.withDefault(20)
  ),
  json: json("Print one JSON object, with every lane")
}

/** Shows the state of the outbox. */
export const stats = Command.make("stats", flags, (values) =>
  Effect.flatMap(
    Effect.promise(() => import("../../programs/outbox/stats.ts")),
    (program) => program.run(values)
  )
).pipe(
  Command.withDescription(
    "Show the number of messages in each state, the lanes that wait and since when, and the rate of acceptance in the last minute."
  ),
  Command.withShortDescription("Show states, lanes, the oldest message due, the rate"),
  Command.withExamples([
    { command: "watch mailrace outbox stats --db outbox.db", description: "Refresh every two seconds" }
  ])
)
