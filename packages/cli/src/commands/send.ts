/**
 * `mailrace send`: its flags and its help.
 */
import * as Effect from "effect/Effect"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import { CommandError } from "../CommandError.ts"
import { atLeast, optional, type Values } from "./flags.ts"

/** Its flags; other commands that read an input or send to a relay take theirs from here. */
export const flags = {
  input: Flag.String("input").pipe(
    Flag.withAlias("i"),
    Flag.withMetavar("FILE"),
    Flag.withDescription("Messages: a .ndjson or .csv file, an .eml file or a folder of them, or - for standard input")
  ),
  format: optional(
    Flag.Literals("format", ["ndjson", "csv", "eml"]).pipe(
      Flag.withDescription("How the input is written. Default: by the file's name, ndjson on standard input")
    )
  ),
  relay: optional(
    Flag.Redacted("relay").pipe(
      Flag.withAlias("r"),
      Flag.withMetavar("URL"),
      Flag.withDescription(
        "smtp://user@host:587?tls=required, smtps://user@host, smtp://host. Default: MAILRACE_RELAY from the environment"
      )
    )
  ),
  password: optional(
    Flag.Redacted("password").pipe(
      Flag.withMetavar("SECRET"),
      Flag.withDescription("The relay's password. Better: MAILRACE_PASSWORD in the environment, which no one else sees")
    )
  ),
  tlsCa: optional(
    Flag.String("tls-ca").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("Trust the relay's certificate when this authority signed it (PEM)")
    )
  ),
  from: optional(
    Flag.String("from").pipe(
      Flag.withMetavar("ADDRESS"),
      Flag.withDescription("Who sends, where a message does not say. For .eml: the envelope's sender")
    )
  ),
  to: Flag.String("to").pipe(
    Flag.withMetavar("ADDRESS"),
    Flag.withDescription("Who receives, where a message does not say; may be repeated. For .eml: the envelope"),
    Flag.atLeast(0)
  ),
  subject: optional(
    Flag.String("subject").pipe(
      Flag.withMetavar("TEXT"),
      Flag.withDescription("The subject, where a message has none; {{name}} is replaced by the field or column")
    )
  ),
  textFile: optional(
    Flag.String("text-file").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("The plain text, where a message has no body; {{name}} is replaced")
    )
  ),
  htmlFile: optional(
    Flag.String("html-file").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("The HTML, where a message has no body; {{name}} is replaced, escaped")
    )
  ),
  concurrency: optional(
    atLeast("concurrency", 1).pipe(
      Flag.withDescription("Messages on their way at once. Default: what keeps the connections busy")
    )
  ),
  connections: optional(
    atLeast("connections", 1).pipe(Flag.withDescription("The most connections to the relay. Default: 10"))
  ),
  rate: optional(
    Flag.String("rate").pipe(
      Flag.withMetavar("N/s"),
      Flag.withDescription("The most messages in a time, as 100/s, 6000/m or 5000/h. Default: no limit")
    )
  ),
  retries: atLeast("retries", 0).pipe(
    Flag.withDescription("How often a message that failed for now is tried again. Default: 3"),
    Flag.withDefault(3)
  ),
  pipelining: optional(
    Flag.Literals("pipelining", ["auto", "off", "envelope", "overlap", "speculative"]).pipe(
      Flag.withDescription("How far to run ahead of the relay's replies. Default: auto, the best the relay can do")
    )
  ),
  onBadLine: optional(
    Flag.Literals("on-bad-line", ["skip", "abort"]).pipe(
      Flag.withDescription("At a line that is no message. Default: skip, but abort if the first line cannot be read")
    )
  ),
  dkimDomain: optional(
    Flag.String("dkim-domain").pipe(
      Flag.withMetavar("DOMAIN"),
      Flag.withDescription("Sign each message (DKIM) as this domain. For a key: mailrace dkim keygen")
    )
  ),
  dkimSelector: optional(
    Flag.String("dkim-selector").pipe(Flag.withMetavar("NAME"), Flag.withDescription("The key's name at that domain"))
  ),
  dkimKey: optional(
    Flag.String("dkim-key").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription(
        "The private key (PEM). Default: MAILRACE_DKIM_KEY from the environment, the key's text itself"
      )
    )
  ),
  dryRun: Flag.Boolean("dry-run").pipe(
    Flag.withDescription("Read and compose every message, and send none. Needs no relay"),
    Flag.withDefault(false)
  ),
  preview: optional(
    atLeast("preview", 1).pipe(
      Flag.withDescription("With --dry-run: print the first N messages, and write each as an .eml file")
    )
  ),
  previewDir: Flag.String("preview-dir").pipe(
    Flag.withMetavar("DIR"),
    Flag.withDescription("Where --preview writes. Default: ./preview"),
    Flag.withDefault("./preview")
  ),
  durable: optional(
    Flag.String("durable").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription(
        "Put every message into this outbox first, and send from there: whatever stops it, the same command goes on where it was. See mailrace outbox"
      )
    )
  ),
  report: optional(
    Flag.String("report").pipe(Flag.withMetavar("FILE"), Flag.withDescription("Write the run's figures as JSON"))
  ),
  deliveries: optional(
    Flag.String("deliveries").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("Write how each message ended, one JSON line a message")
    )
  ),
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("Print the report as JSON on standard output in place of the summary"),
    Flag.withDefault(false)
  ),
  progress: Flag.Literals("progress", ["auto", "plain", "none"]).pipe(
    Flag.withDescription("What is shown on standard error meanwhile. Default: auto, drawn on a terminal, else plain"),
    Flag.withDefault("auto" as const)
  ),
  otlp: optional(
    Flag.String("otlp").pipe(
      Flag.withMetavar("URL"),
      Flag.withDescription("Send traces to this OpenTelemetry collector, as http://localhost:4318")
    )
  ),
  traceSample: optional(
    Flag.Finite("trace-sample").pipe(
      Flag.withMetavar("SHARE"),
      Flag.filter(
        (share) => share >= 0 && share <= 1,
        () => "a share from 0 to 1"
      ),
      Flag.withDescription("The share of messages that is traced, from 0 to 1. Default: 1")
    )
  )
}

/** Sends a file of messages. */
export const send = Command.make("send", flags, (values) => {
  const { dryRun, durable } = values
  if (
    dryRun &&
    (values.json || values.report !== undefined || values.deliveries !== undefined || durable !== undefined)
  ) {
    return Effect.fail(
      new CommandError({
        problem: "--dry-run sends nothing, so there is nothing to keep or to report",
        remedy: "leave out --durable, --json, --report and --deliveries"
      })
    )
  }
  if (!dryRun && values.preview !== undefined) {
    return Effect.fail(
      new CommandError({ problem: "--preview shows what is not sent", remedy: "add --dry-run, or leave it out" })
    )
  }
  if (dryRun) {
    return Effect.flatMap(
      Effect.promise(() => import("../run/DryRunProgram.ts")),
      (program) => program.run(values)
    )
  }
  return durable === undefined
    ? Effect.flatMap(
        Effect.promise(() => import("../run/SendProgram.ts")),
        (program) => program.run(values)
      )
    : Effect.flatMap(
        Effect.promise(() => import("../outbox/DurableProgram.ts")),
        (program) => program.run({ ...values, durable })
      )
}).pipe(
  Command.withDescription(
    "Send a file of messages through an SMTP relay. Exits with 0 when every message was accepted, 1 when some were not, 2 when the command or its input is wrong. Ctrl-C once finishes what is on its way, twice stops at once."
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
      description: "A campaign from a CSV with the columns to and name; the relay's URL is in MAILRACE_RELAY"
    },
    {
      command: "MAILRACE_PASSWORD=... mailrace send --relay smtps://user@mail.example.org --input drafts/",
      description: "A folder of .eml files over TLS, with a login"
    },
    {
      command: "generate | mailrace send --input - --deliveries out.ndjson --report run.json",
      description: "From a program, with the outcome of each message and the run's figures in files"
    },
    {
      command: "mailrace send --dkim-domain example.org --dkim-selector s1 --dkim-key key.pem --input people.ndjson",
      description: "Signed, with a key as mailrace dkim keygen makes it"
    },
    {
      command: "mailrace send --dry-run --preview 3 --input people.ndjson",
      description: "Check all, look at three, send none"
    },
    {
      command: "mailrace send --durable campaign.db --input people.ndjson",
      description: "Nothing is lost and nothing sent again, whatever stops it: run it again to go on"
    }
  ])
)

/** What the flags say. */
export type SendFlags = Values<typeof flags>
