/**
 * A warm-up: a daily limit that grows by the day, for an address that receivers do not know yet.
 *
 * `from=50/d,factor=1.5,to=100000/d,since=2026-12-01` lets 50 messages through on the first day, 75 on the second, and so
 * on up to 100,000. Days are those of UTC.
 *
 * @since 0.1.0
 */

import * as Result from "effect/Result"
import * as Limit from "./Limit.ts"

/**
 * A daily limit that grows by the day.
 *
 * @since 0.1.0
 */
export interface WarmUp {
  /** Messages on the first day, from 1. */
  readonly from: number
  /** By how much each day's number is multiplied, more than 1. */
  readonly factor: number
  /** Messages a day at the end, at least `from`. */
  readonly to: number
  /** The first day, in milliseconds since 1970. */
  readonly since: number
}

/**
 * Reads a warm-up; `today` is the first day where the text names none. Fails with the fault as a sentence.
 *
 * @since 0.1.0
 */
export const parse = (text: string, today: number): Result.Result<WarmUp, string> => {
  const parts = new Map<string, string>()
  for (const part of text.split(",")) {
    const [name = "", value] = part.split("=").map((side) => side.trim())
    if (!names.has(name) || value === undefined) {
      return Result.fail(`"${part.trim()}" is not part of a warm-up; write it as ${example}`)
    }
    if (parts.has(name)) return Result.fail(`"${name}" is given twice; write the warm-up as ${example}`)
    parts.set(name, value)
  }
  const from = daily("from", parts.get("from"))
  if (Result.isFailure(from)) return Result.fail(from.failure)
  const to = daily("to", parts.get("to"))
  if (Result.isFailure(to)) return Result.fail(to.failure)
  const factor = Number(parts.get("factor") ?? "1.5")
  if (!(factor > 1) || !Number.isFinite(factor)) {
    return Result.fail(`factor=${parts.get("factor")} does not grow; give a number above 1, such as factor=1.5`)
  }
  if (to.success < from.success) {
    return Result.fail(`it shrinks, from ${from.success} to ${to.success} a day; give a "to" that is not below "from"`)
  }
  const day = parts.get("since")
  const since =
    day === undefined ? today : /^\d{4}-\d{2}-\d{2}$/.test(day) ? Date.parse(`${day}T00:00:00Z`) : Number.NaN
  if (Number.isNaN(since)) return Result.fail(`since=${day} is not a date; write it as since=2026-12-01`)
  return Result.succeed({ from: from.success, factor, to: to.success, since })
}

/**
 * The day of a warm-up, from 0; 0 before it begins.
 *
 * @since 0.1.0
 */
export const dayOf = ({ since }: WarmUp, now: number): number =>
  Math.max(0, Math.floor(now / dayMs) - Math.floor(since / dayMs))

/**
 * The number of messages on a day of the warm-up, from 0.
 *
 * @since 0.1.0
 */
export const amountOn = ({ factor, from, to }: WarmUp, day: number): number =>
  Math.floor(Math.min(to, from * factor ** day))

const daily = (name: string, text: string | undefined): Result.Result<number, string> => {
  if (text === undefined) return Result.fail(`"${name}" is missing; write the warm-up as ${example}`)
  const limit = Limit.parse(text)
  if (Result.isFailure(limit)) return Result.fail(`${name}=${text}: ${limit.failure}`)
  return limit.success.windowMs === dayMs && limit.success.unit === "messages" && limit.success.amount >= 1
    ? Result.succeed(limit.success.amount)
    : Result.fail(`${name}=${text} is not a number of messages a day; write it as ${name}=50/d`)
}

const dayMs = 86_400_000

const names: ReadonlySet<string> = new Set(["from", "factor", "to", "since"])

const example = "from=50/d,factor=1.5,to=100000/d"
