/**
 * A limit on how much is sent in a time, as in `14/s` or `50000/d`.
 *
 * Several limits hold at once, so that a provider's `14/s` and `50000/d` are two limits of one relay. A limit counts
 * messages (MAIL commands) unless it names another unit: `100 recipients/s`, `2000000 bytes/s`, `5 connections/s`. New
 * connections are limited where they are opened, by `ConnectionRate`.
 *
 * @example
 * ```ts
 * import * as Limit from "@mailrace/flow/Limit"
 * import * as Result from "effect/Result"
 *
 * export const limits = ["14/s", "50000/d"].map((text) => Result.getOrThrow(Limit.parse(text)))
 * ```
 *
 * @since 0.1.0
 */

import * as Result from "effect/Result"

/**
 * The unit that a limit counts.
 *
 * @since 0.1.0
 */
export type Unit = "messages" | "recipients" | "bytes" | "connections"

/**
 * At most `amount` of a unit in any window of `windowMs`, apart from a small burst (`burstOf`).
 *
 * @since 0.1.0
 */
export interface Limit {
  /** More than 0; from 1 in an hour or a day. */
  readonly amount: number
  readonly unit: Unit
  /** The length of the window in milliseconds: a second, a minute, an hour or a day. */
  readonly windowMs: number
}

/**
 * Reads a limit: a number, optionally a unit, and a window of `s`, `m`, `h` or `d` (`s` if it is left out). Fails with
 * the fault as a sentence.
 *
 * @since 0.1.0
 */
export const parse = (text: string): Result.Result<Limit, string> => {
  const parts = /^(\d+(?:\.\d+)?)\s*(?:(messages?|recipients?|bytes?|connections?)\s*)?(?:\/\s*([a-z]+))?$/.exec(
    text.trim()
  )
  const windowMs = windows.get(parts?.[3] ?? "s")
  if (parts === null || windowMs === undefined) {
    return Result.fail(`"${text}" is not a rate; write it as 100/s, 6000/m, 5000/h or 50000/d`)
  }
  const amount = Number(parts[1])
  if (!(amount > 0)) {
    return Result.fail(`"${text}" would send nothing; the number must be more than 0`)
  }
  if (!Number.isFinite(amount))
    return Result.fail(`"${text}" cannot be counted; give a smaller number, or leave it out`)
  // Longer windows are counted in whole messages.
  if (amount < 1 && windowMs > 60_000)
    return Result.fail(`"${text}" is less than 1; give a number from 1 for an hour or a day`)
  const unit = (parts[2]?.replace(/s?$/, "s") ?? "messages") as Unit
  return Result.succeed({ amount, unit, windowMs })
}

/**
 * The limit in the form that `parse` reads.
 *
 * @since 0.1.0
 */
export const format = ({ amount, unit, windowMs }: Limit): string =>
  `${amount}${unit === "messages" ? "" : ` ${unit}`}/${letters.get(windowMs) ?? `${windowMs}ms`}`

/**
 * The limit as units a second.
 *
 * @since 0.1.0
 */
export const perSecond = ({ amount, windowMs }: Limit): number => (amount / windowMs) * 1000

/**
 * How much more than its amount a window of the limit may hold: 50 ms' worth, and at least 1. Limits of more than a
 * minute have a sixtieth of their amount instead.
 *
 * @since 0.1.0
 */
export const burstOf = (limit: Limit): number =>
  limit.windowMs > 60_000 ? limit.amount / 60 : Math.max(1, perSecond(limit) * 0.05)

const windows: ReadonlyMap<string, number> = new Map([
  ["s", 1000],
  ["sec", 1000],
  ["m", 60_000],
  ["min", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000],
  ["day", 86_400_000]
])

const letters: ReadonlyMap<number, string> = new Map([
  [1000, "s"],
  [60_000, "m"],
  [3_600_000, "h"],
  [86_400_000, "d"]
])
