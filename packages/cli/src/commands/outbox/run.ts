/**
 * `mailrace outbox run`: its flags and its help.
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { optional } from "../flags.ts"
import { outcomeFlags } from "../outcomeFlags.ts"
import { relayFlags } from "../relayFlags.ts"
import { mode, location } from "./flags.ts"

const flags = {
  ...location,
  mode,
  ...relayFlags,
  drain: Flag.Boolean("drain").pipe(
    Flag.withDescription("End when nothing is due any more. Default: go on until Ctrl-C"),
    Flag.withDefault(false)
  ),
  heartbeat: optional(
    Flag.String("heartbeat").pipe(
      Flag.withMetavar("TIME"),
      Flag.withDescription(
        "How often this process says to others that it is there, and looks after its share of a PostgreSQL outbox, as 500ms or 2s; who dies is replaced within two of them. Default: 1s"
      )
    )
  ),
  lease: optional(
    Flag.String("lease").pipe(
      Flag.withMetavar("TIME"),
      Flag.withDescription(
        "For how long this process goes on without hearing from PostgreSQL, and after which it is replaced when it is frozen; at least three heartbeats. Default: 15s"
      )
    )
  ),
  retries: relayFlags.retries.pipe(
    Flag.withDescription(
      "How often a message that failed for now is tried again at once, before it is put off by minutes and hours. Default: 3"
    )
  ),
  ...outcomeFlags
}

/** Sends what is due. */
export const run = Command.make("run", flags, (values) =>
  Effect.flatMap(
    Effect.promise(() => import("../../programs/outbox/run.ts")),
    (program) => program.run(values)
  )
).pipe(
  Command.withDescription(
    "Send what is due, and what becomes due or is enqueued meanwhile, by this or any other process. One process at a time sends from a file; several share a PostgreSQL database. Ctrl-C once finishes what is on its way and gives back the rest, twice stops at once; nothing is lost either way. Exits with 0 after Ctrl-C; with --drain, with 1 when some recipient was not accepted; with 1 when what was accepted could not be recorded; with 2 when the command is wrong or another process sends from the file already."
  ),
  Command.withShortDescription("Send what is due: the dispatcher"),
  Command.withExamples([
    {
      command: "mailrace outbox run --db outbox.db --relay smtp://127.0.0.1:2525",
      description: "Until Ctrl-C, as a service"
    },
    {
      command: "mailrace outbox run --db outbox.db --drain --rate 100/s --deliveries out.ndjson",
      description: "What is due now, at most a hundred a second; the relay's URL is in MAILRACE_RELAY"
    },
    {
      command: "mailrace outbox run --db outbox.db --suppress-add gone.txt",
      description: "Note whose mailbox does not exist, for enqueue --suppress gone.txt"
    }
  ])
)
