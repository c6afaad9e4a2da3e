/**
 * `mailrace outbox export`: its flags and its help.
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { optional, path } from "../flags.ts"
import { selection, ids, location } from "../outboxFlags.ts"

const flags = {
  id: ids,
  ...location,
  ...selection,
  format: optional(
    Flag.Literals("format", ["ndjson", "eml"]).pipe(
      Flag.withDescription(
        "Lines that mailrace send reads (ndjson), or messages as they are sent (eml). Default: ndjson for standard output and for a file named so, otherwise eml"
      )
    )
  ),
  output: optional(
    path("output").pipe(
      Flag.withAlias("o"),
      Flag.withMetavar("PATH"),
      Flag.withDescription(
        "A file for ndjson, a folder for eml (one file a message). Default: standard output, which holds only one eml"
      )
    )
  )
}

/** Writes messages out. */
export const export_ = Command.make("export", flags, (values) =>
  Effect.flatMap(
    Effect.promise(() => import("../../programs/outbox/export.ts")),
    (program) => program.run(values)
  )
).pipe(
  Command.withDescription(
    "Write messages from the outbox, which keeps them. Bodies of accepted and cancelled messages are kept for one minute. An .eml does not name Bcc recipients. The exit status is 1 if some could not be written."
  ),
  Command.withShortDescription("Write messages as .eml or NDJSON"),
  Command.withExamples([
    {
      command: "mailrace outbox export --db outbox.db --state dead --output dead.ndjson",
      description: "Write dead messages to a file, to review them and send them another way"
    },
    {
      command: "mailrace outbox export --db outbox.db --state rejected --output rejected/",
      description: "Write rejected messages as .eml files"
    },
    {
      command: "mailrace outbox export 01jq8z6m4k7c2w9x3t5v --db outbox.db --format eml | less",
      description: "Show one message as it is sent"
    }
  ])
)
