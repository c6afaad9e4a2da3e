/**
 * `mailrace send`: its flags and its help.
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { CommandError } from "../CommandError.ts"
import { atLeast, optional, path } from "./flags.ts"
import { messageFlags } from "./messageFlags.ts"
import { outcomeFlags } from "./outcomeFlags.ts"
import { relayFlags } from "./relayFlags.ts"
import { mode } from "./outboxFlags.ts"

const flags = {
  ...messageFlags,
  ...relayFlags,
  dryRun: Flag.Boolean("dry-run").pipe(
    Flag.withDescription("Read and compose every message, but send none. Needs no relay"),
    Flag.withDefault(false)
  ),
  preview: optional(
    atLeast("preview", 1).pipe(
      Flag.withDescription("With --dry-run: print the first N messages, and write each as an .eml file")
    )
  ),
  previewDir: path("preview-dir", "directory").pipe(
    Flag.withMetavar("DIR"),
    Flag.withDescription("The folder that --preview writes to. Default: ./preview"),
    Flag.withDefault("./preview")
  ),
  durable: optional(
    path("durable").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription(
        "Put every message into this outbox first, and send from there: whatever stops the run, the same command continues it, even if the input was moved or renamed. See mailrace outbox"
      )
    )
  ),
  mode,
  again: Flag.Boolean("again").pipe(
    Flag.withDescription("With --durable: send the input again, although the outbox holds its messages already"),
    Flag.withDefault(false)
  ),
  ...outcomeFlags
}

/** Sends a file of messages. */
export const send = Command.make("send", flags, (values) => {
  const { dryRun, durable } = values
  if (
    dryRun &&
    (values.json ||
      values.report !== undefined ||
      values.reportHtml !== undefined ||
      values.deliveries !== undefined ||
      values.transcript !== undefined ||
      durable !== undefined)
  ) {
    return Effect.fail(
      new CommandError({
        problem: "--dry-run sends nothing, so there is nothing to store or to report",
        remedy: "leave out --durable, --json, --report, --report-html, --deliveries and --transcript"
      })
    )
  }
  if (values.again && durable === undefined) {
    return Effect.fail(
      new CommandError({
        problem: "--again sends the messages of an outbox again, but no outbox is named",
        remedy: "name it with --durable, or leave out --again: without an outbox every run sends the whole input"
      })
    )
  }
  if (values.mode !== undefined && durable === undefined) {
    return Effect.fail(
      new CommandError({
        problem: "--mode sets the permissions of an outbox's file, but no outbox is named",
        remedy: "name it with --durable, or leave out --mode"
      })
    )
  }
  if (!dryRun && values.preview !== undefined) {
    return Effect.fail(
      new CommandError({ problem: "--preview needs --dry-run", remedy: "add --dry-run, or leave out --preview" })
    )
  }
  if (dryRun) {
    return Effect.flatMap(
      Effect.promise(() => import("../programs/dryRun.ts")),
      (program) => program.run(values)
    )
  }
  return durable === undefined
    ? Effect.flatMap(
        Effect.promise(() => import("../programs/send.ts")),
        (program) => program.run(values)
      )
    : Effect.flatMap(
        Effect.promise(() => import("../programs/durable.ts")),
        (program) => program.run({ ...values, durable })
      )
}).pipe(
  Command.withDescription(
    "Send a file of messages through an SMTP relay. The exit status is 0 if the relay accepted every recipient of every message (apart from those dropped as asked), 1 if it did not, and 2 if the command or its input is wrong. Ctrl-C once finishes the messages in flight; twice stops at once."
  ),
  Command.withShortDescription("Send a file of messages"),
  Command.withExamples([
    {
      command: "mailrace send --relay smtp://127.0.0.1:2525 --input people.ndjson",
      description: `One JSON object a line: {"from":"a@example.org","to":"b@example.org","subject":"Hi","text":"..."}`
    },
    {
      command:
        'mailrace send --input people.csv --from "News <news@example.org>" --subject "Hello {{name}}" --text-file hello.txt --rate 100/s',
      description: "Send a campaign from a CSV with the columns to and name; the relay's URL is in MAILRACE_RELAY"
    },
    {
      command: "MAILRACE_PASSWORD=... mailrace send --relay smtps://user@mail.example.org --input drafts/",
      description: "Send a folder of .eml files over TLS, with a login"
    },
    {
      command: "generate | mailrace send --input - --deliveries out.ndjson --report run.json",
      description: "Send a program's output; write the outcome of each message and the run's figures to files"
    },
    {
      command: "mailrace send --dkim-domain example.org --dkim-selector s1 --dkim-key key.pem --input people.ndjson",
      description: "Sign each message with a key from mailrace dkim keygen"
    },
    {
      command:
        'mailrace send --template hello.html --from "News <news@example.org>" --subject "Hello {{name}}" --input people.csv',
      description: "Fill an HTML file with each line's columns, escaped"
    },
    {
      command:
        "mailrace send --input mailchimp.csv --template hello.html --from news@example.org --subject Hello --list-unsubscribe 'https://example.org/leave/{{id}}' --reply-to help@example.org --header 'X-Campaign: spring' --attach terms.pdf",
      description: "Send to a Mailchimp export with the headers that Gmail and Yahoo ask of bulk senders"
    },
    {
      command: `mailrace send --input people.csv --to-column "Work Email" --body-field message --from a@example.org --subject Hi`,
      description: "Send to a list with column names of its own"
    },
    {
      command: "mailrace send --template hello.eml --input people.csv --dry-run --preview 3",
      description: "Check every message, show three, send none"
    },
    {
      command: "mailrace send --template hello.json --input people.csv --suppress unsubscribed.txt --dedupe",
      description: "Drop unsubscribed and duplicate recipients, which is not a failure"
    },
    {
      command: "mailrace send --input people.csv --template hello.json --suppress gone.txt --suppress-add gone.txt",
      description: "Drop addresses that earlier runs found non-existent, and record new ones"
    },
    {
      command: "mailrace send --durable campaign.db --input people.ndjson",
      description: "Lose nothing and repeat nothing, whatever stops the run: run it again to continue"
    }
  ])
)
