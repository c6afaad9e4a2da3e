/**
 * `mailrace config`: its subcommands, their flags and their help.
 */
import * as Effect from "effect/Effect"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"

const file = (description: string) =>
  Argument.String("file").pipe(Argument.withDescription(description), Argument.withDefault("mailrace.toml"))

const program = Effect.promise(() => import("../programs/config.ts"))

const init = Command.make(
  "init",
  { file: file("The file to make; one that is there stays as it is. Default: mailrace.toml") },
  ({ file }) => Effect.flatMap(program, ({ init }) => init(file))
).pipe(
  Command.withDescription("Make a configuration to start from, with every setting explained."),
  Command.withShortDescription("Make a configuration to start from"),
  Command.withExamples([{ command: "mailrace config init", description: "Write mailrace.toml" }])
)

const check = Command.make("check", { file: file("The file to check. Default: mailrace.toml") }, ({ file }) =>
  Effect.flatMap(program, ({ check }) => check(file))
).pipe(
  Command.withDescription(
    "Check a configuration and say in words what it does. Reads the secrets and the suppression lists that it names, and connects to nothing. The exit status is 2 if the file cannot be used."
  ),
  Command.withShortDescription("Check a configuration, and say what it does"),
  Command.withExamples([
    { command: "mailrace config check", description: "Check mailrace.toml" },
    {
      command: "mailrace config check production.toml && mailrace outbox run --db outbox.db --config production.toml",
      description: "Start a service only with a configuration that is right"
    }
  ])
)

const schema = Command.make("schema", {}, () => Effect.flatMap(program, ({ schema }) => schema)).pipe(
  Command.withDescription("Print the JSON Schema of configurations, for editors that complete and check them."),
  Command.withShortDescription("Print the JSON Schema of configurations"),
  Command.withExamples([
    { command: "mailrace config schema > mailrace.schema.json", description: "Write the schema to a file" }
  ])
)

/** Configurations: relays, limits and routes in a file. */
export const config = Command.make("config").pipe(
  Command.withDescription("Relays, limits, routes, DKIM keys and suppression lists in one file."),
  Command.withShortDescription("Make and check a configuration file"),
  Command.withSubcommands([init, check, schema])
)
