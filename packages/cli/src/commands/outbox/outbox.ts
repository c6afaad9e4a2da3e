/**
 * `mailrace outbox`: the durable queue and its subcommands.
 */
import * as Command from "effect/cli/Command"
import { cancel } from "./cancel.ts"
import { enqueue } from "./enqueue.ts"
import { export_ } from "./export.ts"
import { list } from "./list.ts"
import { pause } from "./pause.ts"
import { purge } from "./purge.ts"
import { resume } from "./resume.ts"
import { retry } from "./retry.ts"
import { run } from "./run.ts"
import { show } from "./show.ts"
import { stats } from "./stats.ts"
import { vacuum } from "./vacuum.ts"

/** The durable queue. */
export const outbox = Command.make("outbox").pipe(
  Command.withDescription(
    "A durable queue of messages: what is enqueued is sent, whichever process dies. The queue is one SQLite file (--db, or MAILRACE_OUTBOX in the environment) or a PostgreSQL database (--postgres, or MAILRACE_OUTBOX_POSTGRES). Any process may enqueue and read messages while another one sends."
  ),
  Command.withShortDescription("A durable queue: enqueue, send, inspect, retry"),
  Command.withExamples([
    {
      command: "mailrace outbox enqueue --db outbox.db --input people.ndjson",
      description: "Enqueue a file of messages"
    },
    {
      command: "mailrace outbox run --db outbox.db --relay smtp://127.0.0.1:2525",
      description: "Send what is due, until Ctrl-C"
    },
    { command: "mailrace outbox stats --db outbox.db", description: "Show the states and lanes" },
    {
      command: "mailrace outbox retry --db outbox.db --state dead --since 1d",
      description: "Retry messages that were given up"
    }
  ]),
  Command.withSubcommands([enqueue, run, list, show, stats, retry, cancel, pause, resume, purge, vacuum, export_])
)
