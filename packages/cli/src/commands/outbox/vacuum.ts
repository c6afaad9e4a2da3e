/**
 * `mailrace outbox vacuum`: its flags and its help.
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import { json, location } from "./flags.ts"

const flags = { ...location, json: json("Print how many bytes it took before and takes now as JSON") }

/** Gives space back. */
export const vacuum = Command.make("vacuum", flags, (values) =>
  Effect.flatMap(
    Effect.promise(() => import("../../programs/outbox/vacuum.ts")),
    (program) => program.run(values)
  )
).pipe(
  Command.withDescription(
    "Give back what deleted mails took: the file gets smaller, step by step. It needs no room on the disk, and other processes may send and enqueue meanwhile. A dispatcher gives back by itself what is more than a quarter of the file. In PostgreSQL the tables keep their size and the space is that of new mails."
  ),
  Command.withShortDescription("Make the file smaller after a purge"),
  Command.withExamples([
    { command: "mailrace outbox vacuum --db outbox.db", description: "After a purge of many mails" }
  ])
)
