/**
 * The command `mailrace`: its subcommands, and the messages for what went wrong.
 *
 * Each subcommand imports its program when it runs, so that help and completions appear at once.
 */
import * as Effect from "effect/Effect"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Stdio from "effect/Stdio"
import { createRequire } from "node:module"
import { CommandError, ExitStatus } from "./CommandError.ts"
import { config } from "./commands/config.ts"
import { demo } from "./commands/demo.ts"
import { dkim } from "./commands/dkim.ts"
import { outbox } from "./commands/outbox/outbox.ts"
import { preflight } from "./commands/preflight.ts"
import { probe } from "./commands/probe.ts"
import { rules } from "./commands/rules.ts"
import { send } from "./commands/send.ts"
import { sink } from "./commands/sink.ts"
import { top } from "./commands/top.ts"
import * as OptionArguments from "./commands/optionArguments.ts"
import * as Help from "./output/Help.ts"
import * as LogLines from "./output/LogLines.ts"
import * as Printable from "./text/printable.ts"
import * as Terminal from "./output/Terminal.ts"

/** The version that `--version` prints. */
export const { version } = createRequire(import.meta.url)("../package.json") as { readonly version: string }

/** The command with all its subcommands. */
export const command = Command.make("mailrace").pipe(
  Command.withDescription("Send mail as a stream: messages in, outcomes out, as fast as the relay accepts them."),
  Command.withExamples([
    { command: "mailrace demo", description: "Send 10,000 messages to a relay inside this process" },
    {
      command: "mailrace send --relay smtp://127.0.0.1:2525 --input people.ndjson",
      description: "Send a file of messages"
    },
    {
      command: "mailrace probe smtp://mail.example.org:587",
      description: "Find out why a relay is slow or refuses mail"
    },
    { command: "mailrace sink --fault rcpt:450:10%", description: "Run a relay for experiments" }
  ]),
  Command.withSubcommands([send, outbox, top, probe, preflight, config, rules, dkim, sink, demo]),
  Command.withGlobalFlags([LogLines.Format])
)

const parse = Command.runWith(command, { version })

/** Runs the command on the process's arguments. Fails with the status to exit with. */
export const run = Effect.flatMap(
  Effect.flatMap(Stdio.Stdio, ({ args }) => args),
  (args) => Effect.provideService(runWith(args), LogLines.Format, LogLines.formatOf(args))
)

const runWith = (args: ReadonlyArray<string>) =>
  Effect.fromResult(OptionArguments.tie(command, args)).pipe(
    Effect.flatMap(parse),
    Terminal.checkWritten,
    Effect.catch((error) => {
      if (error instanceof ExitStatus) return Effect.fail(error)
      const status = Effect.fail(new ExitStatus({ status: 2 }))
      if (error instanceof CommandError) return Effect.andThen(fail(error), status)
      // The parser has printed its own errors; help without an error is not a failure.
      return error._tag === "ShowHelp" && error.errors.length === 0 ? Effect.void : status
    }),
    // Without a message the user would have nothing to report.
    Effect.tapDefect((defect) => {
      const stack = defect instanceof Error ? (defect.stack ?? defect.message) : String(defect)
      const message = `a bug in mailrace: ${defect instanceof Error ? defect.message : String(defect)}`
      return record({
        text: `mailrace: a bug in mailrace: ${stack}`,
        level: "Fatal",
        message,
        facts: { event: "command.crashed", stack }
      })
    }),
    Effect.provideService(CliOutput.Presenter, {
      present: (event) =>
        event._tag === "InvalidInvocation"
          ? refuse(
              event.errors.map((error) => error.message),
              `${event.commandPath.join(" ")} --help`
            )
          : CliOutput.defaultPresenter.present(event)
    }),
    Effect.provideServiceEffect(CliOutput.Formatter, Help.formatter),
    Terminal.guard
  )

const record = (one: Terminal.Record) => Effect.flatMap(Terminal.recorder, (record) => record(one))

/** Prints what ended the command; each problem is a line, so that a file's name or a relay's reply cannot pass for one. */
const fail = (error: CommandError) => {
  const problems = [error, ...(error.others ?? [])]
  return Effect.forEach(
    problems,
    ({ problem, remedy }, index) => {
      const lines = [`mailrace: ${problem}`, ...(remedy === undefined ? [] : [`  try: ${remedy}`])].map(Printable.line)
      const details = index === problems.length - 1 ? error.details : undefined
      const { facts, ...entry } = failure(problem, remedy)
      return record({
        ...entry,
        facts: details === undefined ? facts : { ...facts, details },
        text: [...lines, ...(details === undefined ? [] : [details])].join("\n")
      })
    },
    { discard: true }
  )
}

/** Prints the faults of the arguments. */
const refuse = (problems: ReadonlyArray<string>, remedy: string) =>
  Effect.forEach(
    problems,
    (problem, index) => {
      const isLast = index === problems.length - 1
      const text = `mailrace: ${problem}${isLast ? `\n  try: ${remedy}` : ""}`
      return record({ ...failure(problem, remedy), text })
    },
    { discard: true }
  )

const failure = (problem: string, remedy: string | undefined): Omit<Terminal.Record, "text"> => ({
  level: "Error",
  message: problem,
  facts: { event: "command.failed", ...(remedy === undefined ? {} : { remedy }) }
})
