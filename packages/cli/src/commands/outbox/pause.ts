/**
 * `mailrace outbox pause`: its flags and its help.
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import { lanes, location } from "../outboxFlags.ts"

/** Stops claiming from lanes. */
export const pause = Command.make("pause", { lane: lanes, ...location }, (values) =>
  Effect.flatMap(
    Effect.promise(() => import("../../programs/outbox/lane.ts")),
    (program) => program.pause(values)
  )
).pipe(
  Command.withDescription(
    "Stop sending from lanes, in every process and across restarts, until they are resumed. Messages in flight are not stopped; new messages are still accepted."
  ),
  Command.withShortDescription("Hold back lanes"),
  Command.withExamples([
    {
      command: "mailrace outbox pause gmail.com --db outbox.db",
      description: "Hold back a provider while it has trouble"
    }
  ])
)
