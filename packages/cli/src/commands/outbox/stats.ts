/**
 * `mailrace outbox stats`: its flags and its help.
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { atLeast } from "../flags.ts"
import { json, location } from "./flags.ts"

const flags = {
  ...location,
  limit: atLeast("limit", 1).pipe(
    Flag.withDescription("So many lanes at most, the fullest first. Default: 20"),
    Flag.withDefault(20)
  ),
  json: json("Print it as one JSON object, with every lane")
}

/** Shows how the outbox stands. */
export const stats = Command.make("stats", flags, (values) =>
  Effect.flatMap(
    Effect.promise(() => import("../../programs/outbox/stats.ts")),
    (program) => program.run(values)
  )
).pipe(
  Command.withDescription(
    "Show how many mails are in which state, which lanes wait and since when, and how many a second were accepted in the last minute."
  ),
  Command.withShortDescription("Show states, lanes, the oldest due, the rate"),
  Command.withExamples([{ command: "watch mailrace outbox stats --db outbox.db", description: "Over and over" }])
)
