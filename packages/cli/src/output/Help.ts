/**
 * Formats help to fit the reader's terminal: lines break between words, and descriptions stay in their column.
 *
 * The flags that all commands share take one line, except in the help of `mailrace` itself.
 */
import * as Effect from "effect/Effect"
import * as CliOutput from "effect/cli/CliOutput"
import type { ArgDoc, FlagDoc, HelpDoc } from "effect/cli/HelpDoc"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Option from "effect/Option"
import * as Format from "../text/format.ts"
import * as Terminal from "./Terminal.ts"

/** The options for formatting help. */
export interface Options {
  readonly colors: boolean
  /** In characters. */
  readonly columns: number
}

/** The formatter for this terminal. Without one, COLUMNS sets the width, 80 by default. */
export const formatter = Effect.gen(function* () {
  const { canColor } = yield* TerminalCapabilities.TerminalCapabilities
  const { columns = 80 } = yield* Terminal.style
  const options = { colors: canColor, columns: Math.max(narrowest, Math.min(columns, widest)) }
  return {
    ...CliOutput.defaultFormatter({ colors: canColor }),
    formatHelpDoc: (doc: HelpDoc) => render(doc, options)
  } satisfies CliOutput.Formatter
})

/** Longer lines are hard to read. */
const widest = 120

const narrowest = 40

/** Formats the help of a command. */
export const render = (doc: HelpDoc, { colors, columns }: Options): string => {
  const paint = Format.paint(colors)
  const indented = (text: string, hanging = ""): ReadonlyArray<string> =>
    Format.wrap(text, columns - 2 - hanging.length).map((line, index) => `  ${index === 0 ? "" : hanging}${line}`)
  const section = (title: string, lines: ReadonlyArray<string>): ReadonlyArray<string> =>
    lines.length === 0 ? [] : [paint.bold(title), ...lines, ""]
  const table = (rows: ReadonlyArray<Row>): ReadonlyArray<string> => tableOf(rows, columns, paint)
  const isRoot = (doc.commandPath?.length ?? 1) === 1
  const { args = [], examples = [], flags, globalFlags = [], subcommands = [] } = doc
  const lines = [
    ...section("DESCRIPTION", indented(doc.description)),
    ...section("USAGE", indented(doc.usage, "  ").map(paint.cyan)),
    ...section("ARGUMENTS", table(args.map(argument))),
    ...section("FLAGS", table(flags.map(flag))),
    ...subcommands.flatMap(({ commands, group }) =>
      section(
        group ?? "SUBCOMMANDS",
        table(commands.map((one) => ({ left: one.name, right: one.shortDescription ?? one.description })))
      )
    ),
    ...(isRoot
      ? section("GLOBAL FLAGS", table(globalFlags.map(flag)))
      : section(
          "GLOBAL FLAGS",
          indented(`${globalFlags.map(({ name }) => `--${name}`).join(", ")}: see mailrace --help`)
        )),
    ...section(
      "EXAMPLES",
      examples.flatMap(({ command, description }, index) => [
        ...(index === 0 ? [] : [""]),
        ...(description === undefined ? [] : indented(`# ${description}`, "# ").map(paint.dim)),
        // Commands are not wrapped, so that they can be copied.
        `  ${paint.cyan(command)}`
      ])
    )
  ]
  return lines.slice(0, -1).join("\n")
}

interface Row {
  readonly left: string
  readonly right: string
}

const argument = ({ description, name, required, variadic }: ArgDoc): Row => ({
  left: `${name}${variadic ? "..." : ""}`,
  right: `${Option.getOrElse(description, () => "")}${required ? "" : " (optional)"}`.trim()
})

const flag = ({ aliases, description, name, type }: FlagDoc): Row => ({
  left: [`--${name}`, ...aliases].join(", ") + (type === "boolean" ? "" : ` ${shortType(type)}`),
  right: Option.getOrElse(description, () => "")
})

/** Shortens lists of choices that do not fit beside the flag's name. */
const shortType = (type: string): string =>
  /^<?all\|trace/.test(type) ? "LEVEL" : /^<?bash\|/.test(type) ? "SHELL" : type

/** Lays out two columns; a description moves below a name that is too wide. */
const tableOf = (rows: ReadonlyArray<Row>, columns: number, paint: Format.Paint): ReadonlyArray<string> => {
  const room = Math.floor(columns * 0.4)
  const fitting = rows.map(({ left }) => left.length + 4).filter((width) => width <= room)
  const column = fitting.length === 0 ? 6 : Math.max(...fitting)
  return rows.flatMap(({ left, right }) => {
    const described = Format.wrap(right, columns - column - 2)
    const below = (line: string): string => `  ${" ".repeat(column)}${line}`
    if (left.length + 2 > column) return [`  ${paint.green(left)}`, ...described.map(below)]
    const [first = "", ...rest] = described
    return [`  ${paint.green(left)}${" ".repeat(column - left.length)}${first}`.trimEnd(), ...rest.map(below)]
  })
}
