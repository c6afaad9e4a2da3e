/**
 * Ties each option-argument to its option, as getopt does (POSIX.1-2017, Utility Syntax Guidelines 6 to 8): the argument
 * after a flag that takes a value is its value, whatever it looks like.
 *
 * Effect's parser looks for flags first and for values afterwards, so `--subject -h` would show the help and exit with 0.
 * It reads `--subject=-h` correctly; this module rewrites the first form as the second, by the flags that the command
 * declares.
 */
import type * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import type * as Param from "effect/cli/Param"
import * as Result from "effect/Result"
import { CommandError } from "../CommandError.ts"
import * as LogLines from "../output/LogLines.ts"

/**
 * The same arguments with every value that begins with a hyphen tied to its flag. Fails where a flag that needs a value
 * is followed by another one of the command's long flags: then the value was most likely forgotten.
 */
export const tie = (
  command: Command.Command.Any,
  args: ReadonlyArray<string>
): Result.Result<ReadonlyArray<string>, CommandError> => {
  const tied: Array<string> = []
  let level: Command.Command.Any | undefined = command
  let flags = new Flags(command)
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]!
    if (arg === "--") return Result.succeed([...tied, ...args.slice(at)])
    const option = flags.read(arg)
    if (option === undefined) {
      tied.push(arg)
      if (isOption(arg)) continue
      level = level && subcommand(level, arg)
      if (level !== undefined) flags = new Flags(level)
      continue
    }
    if (option.value !== undefined) {
      tied.push(`${option.text}=${option.value}`)
      continue
    }
    const next = args[at + 1]
    if (next === undefined || flags.isGlobal(next)) {
      tied.push(option.text)
      continue
    }
    if (flags.isLong(next)) return Result.fail(forgotten(option.text, next))
    if (isOption(next) || next === "--") tied.push(`${option.text}=${next}`)
    else tied.push(option.text, next)
    at++
  }
  return Result.succeed(tied)
}

/** A flag that takes a value, as it stands in an argument. */
interface Option {
  /** The argument up to the flag's end. */
  readonly text: string
  /** The value in the same argument without a `=`, as in `-ifile`. */
  readonly value?: string | undefined
}

/** The flags of one command, and those of all commands. */
class Flags {
  private readonly long = new Map<string, boolean>()
  private readonly short = new Map<string, boolean>()
  private readonly global = new Set<string>()

  constructor(command: Command.Command.Any) {
    for (const flag of declaredBy(command)) this.add(flag)
    for (const { flag } of [...GlobalFlag.BuiltIns, LogLines.Format]) {
      this.add(flag)
      for (const { name } of singlesOf(flag)) this.global.add(name)
    }
  }

  /** The flag in an argument whose value is still to come; `undefined` if there is none. */
  read(arg: string): Option | undefined {
    if (!isOption(arg)) return undefined
    if (arg.startsWith("--")) return this.long.get(arg.slice(2)) === true ? { text: arg } : undefined
    const letters = Array.from(arg.slice(1))
    for (const [at, short] of letters.entries()) {
      const takesValue = this.short.get(short)
      if (takesValue === undefined) return undefined
      if (!takesValue) continue
      const rest = letters.slice(at + 1).join("")
      if (rest.startsWith("=")) return undefined
      return { text: `-${letters.slice(0, at + 1).join("")}`, value: rest === "" ? undefined : rest }
    }
    return undefined
  }

  /** True if an argument is a long flag of the command. */
  isLong(arg: string): boolean {
    return arg.startsWith("--") && this.long.has(nameIn(arg))
  }

  /** True if an argument is a long flag of every command, such as `--help`. */
  isGlobal(arg: string): boolean {
    return arg.startsWith("--") && this.global.has(nameIn(arg))
  }

  private add(flag: Param.AnyFlag): void {
    for (const { aliases, name, negation, optionalValue, primitiveType } of singlesOf(flag)) {
      const isSwitch = primitiveType._tag === "Boolean"
      const takesValue = !isSwitch && optionalValue === undefined
      this.long.set(name, takesValue)
      for (const alias of aliases) (alias.length === 1 ? this.short : this.long).set(alias, takesValue)
      if (isSwitch && negation !== false) this.long.set(negation ?? `no-${name}`, false)
    }
  }
}

const nameIn = (arg: string): string => arg.slice(2).split("=", 1)[0]!

/** A lone hyphen is standard input, and a value. */
const isOption = (arg: string): boolean => arg.startsWith("-") && arg !== "-"

/** Effect keeps what a command declares out of its type; its version is pinned, and a test asks for each command's. */
const declaredBy = (command: Command.Command.Any): ReadonlyArray<Param.AnyFlag> =>
  (command as unknown as { readonly config: { readonly flags: ReadonlyArray<Param.AnyFlag> } }).config.flags

type Flag<A> = Param.Param<typeof Param.flagKind, A>
type Single = Param.Single<typeof Param.flagKind, unknown>
type Wrapper = { readonly param: Param.AnyFlag } & Partial<Param.Transform<typeof Param.flagKind, unknown, unknown>>

/** The single flags in a declaration, without the transformations of their values. */
const singlesOf = (flag: Flag<unknown>): ReadonlyArray<Single> => {
  if (flag._tag === "Single") return [flag as Single]
  const { alternatives = [], param } = flag as unknown as Wrapper
  return [param, ...alternatives.map((alternative) => alternative())].flatMap(singlesOf)
}

/** The subcommand that a word names; `undefined` when it is an argument, as all words after it are. */
const subcommand = (command: Command.Command.Any, word: string): Command.Command.Any | undefined =>
  command.subcommands
    .flatMap(({ commands }): ReadonlyArray<Command.Command.Any> => commands)
    .find(({ alias, name }) => name === word || alias === word)

const forgotten = (flag: string, next: string): CommandError =>
  new CommandError({
    problem: `${flag} needs a value, but the flag ${nameOf(next)} follows`,
    remedy: `give it a value; if the value is ${nameOf(next)}, write ${flag}=${nameOf(next)}`
  })

/** Without a value, which may be a secret. */
const nameOf = (arg: string): string => arg.split("=", 1)[0]!
