/**
 * `mailrace outbox vacuum`: its flags and its help.
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import { json, location } from "../outboxFlags.ts"

const flags = { ...location, json: json("Print its size in bytes before and after as JSON") }

/** Gives back free space. */
export const vacuum = Command.make("vacuum", flags, (values) =>
  Effect.flatMap(
    Effect.promise(() => import("../../programs/outbox/vacuum.ts")),
    (program) => program.run(values)
  )
).pipe(
  Command.withDescription(
    "Give back the space of deleted messages: the file shrinks step by step. This needs no free disk space, and other processes may send and enqueue meanwhile. A dispatcher gives back what exceeds a quarter of the file by itself. In PostgreSQL the tables keep their size, and new messages reuse the space."
  ),
  Command.withShortDescription("Make the file smaller after a purge"),
  Command.withExamples([
    { command: "mailrace outbox vacuum --db outbox.db", description: "Shrink the file after a large purge" }
  ])
)
