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
import * as OptionArguments from "./internal/optionArguments.ts"
import * as Help from "./output/Help.ts"
import * as LogLines from "./output/LogLines.ts"
import * as Printable from "./output/printable.ts"
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
export const run = Stdio.Stdio.pipe(
  Effect.flatMap(({ args }) => args),
  Effect.flatMap((args) => Effect.fromResult(OptionArguments.tie(command, args))),
  Effect.flatMap(parse),
  Terminal.checkWritten,
  Effect.catch((error) => {
    if (error instanceof ExitStatus) return Effect.fail(error)
    const status = Effect.fail(new ExitStatus({ status: 2 }))
    if (error instanceof CommandError) return Effect.andThen(Terminal.log(format(error)), status)
    // The parser has printed its own errors; help without an error is not a failure.
    return error._tag === "ShowHelp" && error.errors.length === 0 ? Effect.void : status
  }),
  // Without a message the user would have nothing to report.
  Effect.tapDefect((defect) =>
    Terminal.log(
      `mailrace: a bug in mailrace: ${defect instanceof Error ? (defect.stack ?? defect.message) : String(defect)}`
    )
  ),
  Effect.provideService(CliOutput.Presenter, {
    present: (event) =>
      event._tag === "InvalidInvocation"
        ? Terminal.log(
            [
              ...event.errors.map((error) => `mailrace: ${error.message}`),
              `  try: ${event.commandPath.join(" ")} --help`
            ].join("\n")
          )
        : CliOutput.defaultPresenter.present(event)
  }),
  Effect.provideServiceEffect(CliOutput.Formatter, Help.formatter),
  Terminal.guard
)

/** One line each, so that a file's name or a relay's reply cannot pass for a line of the command. */
const format = (error: CommandError): string => {
  const lines = [error, ...(error.others ?? [])]
    .flatMap(({ problem, remedy }) => [`mailrace: ${problem}`, ...(remedy === undefined ? [] : [`  try: ${remedy}`])])
    .map(Printable.line)
  return [...lines, ...(error.details === undefined ? [] : [error.details])].join("\n")
}
