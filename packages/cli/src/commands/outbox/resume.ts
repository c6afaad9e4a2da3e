/**
 * `mailrace outbox resume`: its flags and its help.
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import { lanes, location } from "./flags.ts"

/** Lets paused lanes go on. */
export const resume = Command.make("resume", { lane: lanes, ...location }, (values) =>
  Effect.flatMap(
    Effect.promise(() => import("../../programs/outbox/lane.ts")),
    (program) => program.resume(values)
  )
).pipe(
  Command.withDescription("Go on sending the mails of lanes that were paused."),
  Command.withShortDescription("Let paused lanes go on"),
  Command.withExamples([{ command: "mailrace outbox resume gmail.com --db outbox.db", description: "It works again" }])
)
