/**
 * The log on standard error: a line for each noteworthy event, as text or as JSON, and no flood of them.
 *
 * Lines of one event are counted together. Of more than ten in ten seconds the rest is left out, and the next line that is
 * written says how many that were.
 */
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Flag from "effect/cli/Flag"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import type * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as Printable from "../text/printable.ts"

/** `--log-format`, which every command has. */
export const Format = GlobalFlag.Setting("log-format")({
  flag: Flag.Literals("log-format", ["text", "json"]).pipe(
    Flag.withDescription("How log lines on standard error look: text, or one JSON object a line. Default: text"),
    Flag.withDefault("text" as const)
  )
})

/** The format that the arguments ask for, for what goes wrong before they are read or after the command has ended. */
export const formatOf = (args: ReadonlyArray<string>): "text" | "json" => {
  const end = args.indexOf("--")
  const flags = end === -1 ? args : args.slice(0, end)
  const last = flags.findLastIndex((arg) => /^--log-format(?:=|$)/.test(arg))
  const value = flags[last]?.includes("=") === true ? flags[last] : `=${flags[last + 1]}`
  return last !== -1 && value.endsWith("=json") ? "json" : "text"
}

/** The format of the lines that are written here. */
export const format = Effect.map(Effect.serviceOption(Format), (format) => Option.getOrElse(format, () => "text"))

/** One line to log. */
export interface Entry {
  readonly level: LogLevel.LogLevel
  readonly message: string
  /** Facts beside the message; `event` is the name of what happened. */
  readonly facts: Readonly<Record<string, unknown>>
  readonly at: Date
}

/** A line as text, without a line end. */
export const text = ({ level, message }: Entry, omitted: number): string => {
  const more = omitted === 0 ? "" : ` (and ${omitted} more like it)`
  return Printable.line(`mailrace: ${level.toLowerCase()}: ${message}${more}`)
}

/** A line as a JSON object, without a line end. */
export const json = ({ at, facts, level, message }: Entry, omitted: number): string =>
  Printable.json({
    time: at.toISOString(),
    level: level.toLowerCase(),
    ...facts,
    message,
    ...(omitted === 0 ? {} : { omitted })
  })

/** The most lines of one event in a window. */
const maxLines = 10

/** The length of a window, in milliseconds. */
const windowMs = 10_000

/** The most events that are counted apart. */
const maxKeys = 1_000

/** Leaves out lines of an event that comes too often. */
export class RateLimit {
  private readonly windows = new Map<string, { readonly since: number; lines: number; omitted: number }>()

  /** How many lines like this were left out before it; `undefined` if it is to be left out itself. */
  admit({ at, facts, message }: Entry): number | undefined {
    const now = at.getTime()
    const key = typeof facts["event"] === "string" ? `${facts["event"]} ${String(facts["relay"] ?? "")}` : message
    const window = this.windows.get(key)
    if (window !== undefined && now - window.since < windowMs) {
      if (window.lines === maxLines) {
        window.omitted++
        return undefined
      }
      window.lines++
      return 0
    }
    if (this.windows.size >= maxKeys) this.windows.clear()
    this.windows.set(key, { since: now, lines: 1, omitted: 0 })
    return window?.omitted ?? 0
  }
}

/** Writes to standard error, because standard output is for data; on a terminal a line replaces the drawn one. */
export const logger = (write: (line: string) => void, isTerminal: boolean): Logger.Logger<unknown, void> => {
  const limit = new RateLimit()
  return Logger.make(({ date, fiber, logLevel, message }) => {
    const entry: Entry = {
      level: logLevel,
      message: (Array.isArray(message) ? message : [message]).map(String).join(" "),
      facts: fiber.getRef(References.CurrentLogAnnotations),
      at: date
    }
    const omitted = limit.admit(entry)
    if (omitted === undefined) return
    const format = Option.getOrElse(Context.getOption(fiber.context, Format), () => "text")
    write(
      format === "json" ? `${json(entry, omitted)}\n` : `${isTerminal ? "\r\u001B[K" : ""}${text(entry, omitted)}\n`
    )
  })
}
