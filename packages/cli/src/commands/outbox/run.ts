/**
 * `mailrace outbox run`: its flags and its help.
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { optional } from "../flags.ts"
import { outcomeFlags } from "../outcomeFlags.ts"
import { relayFlags } from "../relayFlags.ts"
import { mode, location } from "../outboxFlags.ts"

const flags = {
  ...location,
  mode,
  ...relayFlags,
  drain: Flag.Boolean("drain").pipe(
    Flag.withDescription(
      "End when nothing is due any more; in a PostgreSQL outbox, when nothing is due but in lanes that another running process sends from. Default: run until Ctrl-C"
    ),
    Flag.withDefault(false)
  ),
  heartbeat: optional(
    Flag.String("heartbeat").pipe(
      Flag.withMetavar("TIME"),
      Flag.withDescription(
        "How often this process renews its share of a PostgreSQL outbox, such as 1s; a process that dies is replaced within four heartbeats. Give all processes the same. Default: 500ms"
      )
    )
  ),
  lease: optional(
    Flag.String("lease").pipe(
      Flag.withMetavar("TIME"),
      Flag.withDescription(
        "How long this process continues without hearing from PostgreSQL, and after which a frozen one is replaced; at least three heartbeats. Default: 15s"
      )
    )
  ),
  retries: relayFlags.retries.pipe(
    Flag.withDescription(
      "The number of quick retries for a message that failed for now, before it is deferred for minutes and hours. Default: 3"
    )
  ),
  ...outcomeFlags
}

/** Sends messages that are due. */
export const run = Command.make("run", flags, (values) =>
  Effect.flatMap(
    Effect.promise(() => import("../../programs/outbox/run.ts")),
    (program) => program.run(values)
  )
).pipe(
  Command.withDescription(
    "Send messages that are due now or become due later, whichever process enqueues them. One process at a time sends from a file; several share a PostgreSQL database. Ctrl-C once finishes the messages in flight and gives back the rest; twice stops at once. With --config, SIGHUP reads the file anew. Either way nothing is lost. The exit status is 0 after Ctrl-C; 1 if, with --drain, a recipient was not accepted, or if an accepted message could not be recorded; 2 if the command is wrong or another process already sends from the file."
  ),
  Command.withShortDescription("Send messages that are due: the dispatcher"),
  Command.withExamples([
    {
      command: "mailrace outbox run --db outbox.db --relay smtp://127.0.0.1:2525",
      description: "Run as a service, until Ctrl-C"
    },
    {
      command: "mailrace outbox run --db outbox.db --drain --rate 100/s --deliveries out.ndjson",
      description: "Send what is due now, at most a hundred a second; the relay's URL is in MAILRACE_RELAY"
    },
    {
      command: "mailrace outbox run --db outbox.db --suppress-add gone.txt",
      description: "Record addresses whose mailbox does not exist, for enqueue --suppress gone.txt"
    }
  ])
)
