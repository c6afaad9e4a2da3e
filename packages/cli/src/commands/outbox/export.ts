/**
 * `mailrace outbox export`: its flags and its help.
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { optional, path } from "../flags.ts"
import { selection, ids, location } from "./flags.ts"

const flags = {
  id: ids,
  ...location,
  ...selection,
  format: optional(
    Flag.Literals("format", ["ndjson", "eml"]).pipe(
      Flag.withDescription(
        "Lines that mailrace send reads, or messages as they go out. Default: ndjson on standard output or into a file named so, else eml"
      )
    )
  ),
  output: optional(
    path("output").pipe(
      Flag.withAlias("o"),
      Flag.withMetavar("PATH"),
      Flag.withDescription(
        "A file for ndjson, a folder for eml (a file for each mail). Default: standard output, on which eml has room for one mail"
      )
    )
  )
}

/** Writes mails out. */
export const export_ = Command.make("export", flags, (values) =>
  Effect.flatMap(
    Effect.promise(() => import("../../programs/outbox/export.ts")),
    (program) => program.run(values)
  )
).pipe(
  Command.withDescription(
    "Write mails out of the outbox, which keeps them. Bodies of accepted and cancelled mails are kept for a minute only. An .eml names no Bcc recipients. Exits with 1 when some could not be written."
  ),
  Command.withShortDescription("Write mails to .eml or NDJSON"),
  Command.withExamples([
    {
      command: "mailrace outbox export --db outbox.db --state dead --output dead.ndjson",
      description: "What was given up, to be looked through and sent another way"
    },
    {
      command: "mailrace outbox export --db outbox.db --state rejected --output rejected/",
      description: "As .eml files"
    },
    {
      command: "mailrace outbox export 01jq8z6m4k7c2w9x3t5v --db outbox.db --format eml | less",
      description: "One mail, as it goes out"
    }
  ])
)
