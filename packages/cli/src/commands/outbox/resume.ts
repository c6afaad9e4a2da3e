/**
 * `mailrace outbox resume`: its flags and its help.
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import { lanes, location } from "../outboxFlags.ts"

/** Continues paused lanes. */
export const resume = Command.make("resume", { lane: lanes, ...location }, (values) =>
  Effect.flatMap(
    Effect.promise(() => import("../../programs/outbox/lane.ts")),
    (program) => program.resume(values)
  )
).pipe(
  Command.withDescription("Continue sending from lanes that were paused."),
  Command.withShortDescription("Continue paused lanes"),
  Command.withExamples([
    {
      command: "mailrace outbox resume gmail.com --db outbox.db",
      description: "Continue when the provider works again"
    }
  ])
)
