/**
 * `mailrace outbox show`: its flags and its help.
 */
import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import { json, location } from "../outboxFlags.ts"

const flags = {
  id: Argument.String("id").pipe(Argument.withDescription("The message's id, as list shows it")),
  ...location,
  json: json("Print the message as one JSON object")
}

/** Shows one message. */
export const show = Command.make("show", flags, (values) =>
  Effect.flatMap(
    Effect.promise(() => import("../../programs/outbox/show.ts")),
    (program) => program.run(values)
  )
).pipe(
  Command.withDescription(
    "Show one message: its state, addresses and subject, and every attempt with the relay's reply."
  ),
  Command.withShortDescription("Show one message with its history"),
  Command.withExamples([
    {
      command: "mailrace outbox show 01jq8z6m4k7c2w9x3t5v --db outbox.db",
      description: "Show the message with this id"
    }
  ])
)
