import { assert, describe, it } from "@effect/vitest"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Cli from "../../src/Cli.ts"
import { optional } from "../../src/commands/flags.ts"
import * as OptionArguments from "../../src/commands/optionArguments.ts"

const leaf = Command.make("leaf", {
  name: optional(Flag.String("name").pipe(Flag.withAlias("n"))),
  list: Flag.String("list").pipe(Flag.withAlias("l"), Flag.atLeast(0)),
  count: Flag.Int("count").pipe(Flag.withDefault(1)),
  quick: Flag.Boolean("quick").pipe(Flag.withAlias("q"), Flag.withDefault(false))
})
const root = Command.make("root").pipe(
  Command.withSubcommands([leaf, Command.make("group").pipe(Command.withSubcommands([leaf]))])
)

const tied = (...args: ReadonlyArray<string>) =>
  Result.match(OptionArguments.tie(root, args), { onSuccess: (all) => all, onFailure: ({ message }) => message })

describe("tie", () => {
  it.each<readonly [string, ReadonlyArray<string>, ReadonlyArray<string>]>([
    ["a short flag's look-alike", ["leaf", "--name", "-h"], ["leaf", "--name=-h"]],
    ["a cluster's look-alike", ["leaf", "--name", "-50% today"], ["leaf", "--name=-50% today"]],
    ["an unknown long flag", ["leaf", "--name", "--oops", "-q"], ["leaf", "--name=--oops", "-q"]],
    ["dashes", ["leaf", "--name", "--", "-q"], ["leaf", "--name=--", "-q"]],
    ["behind a short flag", ["leaf", "-n", "-v"], ["leaf", "-n=-v"]],
    ["behind a cluster", ["leaf", "-qn", "-v"], ["leaf", "-qn=-v"]],
    ["in the same argument", ["leaf", "-nfile", "-qlx"], ["leaf", "-n=file", "-ql=x"]],
    ["of a flag that may be repeated", ["leaf", "--list", "-a", "-l", "-b"], ["leaf", "--list=-a", "-l=-b"]],
    ["negative numbers", ["leaf", "--count", "-5"], ["leaf", "--count=-5"]],
    ["in a group's command", ["group", "leaf", "--name", "-h"], ["group", "leaf", "--name=-h"]]
  ])("ties a value: %s", (_, args, expected) => {
    assert.deepStrictEqual(tied(...args), expected)
  })

  it.each<readonly [string, ReadonlyArray<string>]>([
    ["values that are plain", ["leaf", "--name", "x", "-l", "-", "y"]],
    ["values that are tied already", ["leaf", "--name=-h", "-n=-v", "--name="]],
    ["switches, and words behind them", ["leaf", "--quick", "-q", "true", "--no-quick", "-v"]],
    ["what is asked for help", ["leaf", "-h"]],
    ["what is asked for help where a value is missing", ["leaf", "--name", "--help"]],
    ["flags that nobody knows", ["leaf", "--nme", "-h", "-x"]],
    ["a flag without a value at the end", ["leaf", "--name"]],
    ["flags of another command", ["group", "--name", "-h"]],
    ["what stands behind --", ["leaf", "-q", "--", "--name", "-h"]],
    ["a word that is a value and names a command", ["group", "leaf", "--name", "group", "-q"]],
    ["a flag of all commands with its value", ["--log-level", "debug", "leaf", "-q"]]
  ])("leaves alone: %s", (_, args) => {
    assert.deepStrictEqual(tied(...args), args)
  })

  it("asks for the value where another of the command's flags follows, and shows no value", () => {
    assert.strictEqual(
      tied("leaf", "--name", "--list=secret"),
      "--name needs a value, but the flag --list follows; give it a value; if the value is --list, write --name=--list"
    )
    assert.match(String(tied("leaf", "-qn", "--quick")), /^-qn needs a value, but the flag --quick follows/)
    assert.match(String(tied("leaf", "-n", "--no-quick")), /--no-quick follows/)
  })

  it.prop("gives every value to its flag, whatever it holds", { values: Schema.Array(Schema.String) }, ({ values }) => {
    const own = new Set([
      "name",
      "list",
      "count",
      "quick",
      "no-quick",
      "help",
      "version",
      "wizard",
      "completions",
      "log-level"
    ])
    const taken = values.filter((value) => !own.has(value.slice(2).split("=", 1)[0]!))
    const args = taken.flatMap((value) => ["--list", value])
    const expected = taken.flatMap((value) =>
      value.startsWith("-") && value !== "-" ? [`--list=${value}`] : ["--list", value]
    )
    assert.deepStrictEqual(tied("leaf", ...args), ["leaf", ...expected])
  })

  it("knows the flags of every command", () => {
    for (const [path, flag] of [
      [["send"], "--subject"],
      [["sink"], "--fault"],
      [["dkim", "keygen"], "--out"],
      [["outbox", "list"], "--recipient"],
      [["outbox", "pause"], "--db"]
    ] as const) {
      const args = [...path, flag, "-h"]
      assert.deepStrictEqual(Result.getOrThrow(OptionArguments.tie(Cli.command, args)), [...path, `${flag}=-h`])
    }
  })
})
