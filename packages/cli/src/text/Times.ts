/**
 * Times as a person writes and reads them: `1h`, `2026-08-01T09:00`, `12 min ago`.
 */
import * as Result from "effect/Result"

/** Reads a length of time, as `90s`, `30m`, `1h`, `2d` or `1w`, in milliseconds. */
export const parseSpan = (text: string): Result.Result<number, string> => {
  const parts = /^(\d+(?:\.\d+)?)\s*(s|m|min|h|d|w)$/.exec(text.trim())
  return parts === null
    ? Result.fail(`"${text}" is not a length of time; write it as 90s, 30m, 1h, 2d or 1w`)
    : Result.succeed(Number(parts[1]) * unitMs[parts[2]!]!)
}

/** Reads an interval, as `500ms`, `5s` or `1m`, in milliseconds. */
export const parseInterval = (text: string): Result.Result<number, string> => {
  const parts = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(text.trim())
  const ms = parts === null ? 0 : Number(parts[1]) * intervalUnitMs[parts[2] as keyof typeof intervalUnitMs]
  return ms > 0 ? Result.succeed(ms) : Result.fail(`"${text}" is not a length of time`)
}

const intervalUnitMs = { ms: 1, s: 1000, m: 60_000 }

/** Reads a time: a date, with or without a time of day (local unless it names a zone), or a span from `now`. */
export const parseTime = (text: string, now: number, direction: "ago" | "ahead"): Result.Result<Date, string> => {
  const span = parseSpan(text)
  if (Result.isSuccess(span))
    return Result.succeed(new Date(direction === "ago" ? now - span.success : now + span.success))
  const trimmed = text.trim()
  const isDay = dayExists(trimmed)
  if (!isDay && /^\d{4}-\d{2}-\d{2}/.test(trimmed))
    return Result.fail(`"${text}" is not a time: there is no ${trimmed.slice(0, 10)}`)
  // A date alone would be read as midnight UTC.
  const time = isDay ? Date.parse(trimmed.length === 10 ? `${trimmed}T00:00` : trimmed.replace(" ", "T")) : Number.NaN
  return Number.isNaN(time)
    ? Result.fail(`"${text}" is not a time; write it as 1h, 2d, 2026-08-01 or 2026-08-01T09:00`)
    : Result.succeed(new Date(time))
}

/** True if the text begins with a day of the calendar. `Date` turns 30 February into 2 March. */
const dayExists = (text: string): boolean => {
  const [, year, month, day] = /^(\d{4})-(\d{2})-(\d{2})/.exec(text) ?? []
  if (year === undefined) return false
  const date = new Date(`${year}-${month}-01T00:00:00Z`)
  date.setUTCDate(Number(day))
  return date.getUTCMonth() + 1 === Number(month) && date.getUTCDate() === Number(day)
}

/** `45 s`, `12 min`, `3 h`, `5 d`: one unit, rounded. */
export const span = (ms: number): string => {
  const seconds = Math.round(Math.max(0, ms) / 1000)
  if (seconds < 100) return `${seconds} s`
  const minutes = Math.round(seconds / 60)
  if (minutes < 100) return `${minutes} min`
  const hours = Math.round(minutes / 60)
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} d`
}

/** `12 min ago`, `in 3 h`, `now`. */
export const relative = (date: Date, now: number): string => {
  const ms = date.getTime() - now
  if (Math.abs(ms) < 1000) return "now"
  return ms > 0 ? `in ${span(ms)}` : `${span(-ms)} ago`
}

/** `2026-08-01 09:00:12`, in the local zone. */
export const absolute = (date: Date): string => {
  const two = (value: number): string => String(value).padStart(2, "0")
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`
}

/** `14:05` today, with the date on any other day: enough to know when to come back. */
export const clock = (date: Date, now: number): string => {
  const text = absolute(date)
  return text.slice(0, 10) === absolute(new Date(now)).slice(0, 10) ? text.slice(11, 16) : text.slice(0, 16)
}

const minute = 60_000
const unitMs: { readonly [unit: string]: number } = {
  s: 1000,
  m: minute,
  min: minute,
  h: 60 * minute,
  d: 24 * 60 * minute,
  w: 7 * 24 * 60 * minute
}
