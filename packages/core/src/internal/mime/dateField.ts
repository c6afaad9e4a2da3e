/**
 * The Date field's value (RFC 5322 §3.3), in UTC.
 */
import * as MailError from "../../MailError.ts"

let lastSecond = Number.NaN
let lastText = ""

/** Formats milliseconds since the epoch; the second last asked for is remembered, as many messages share it. */
export const format = (millis: number): string => {
  const second = Math.floor(millis / 1000)
  if (second !== lastSecond) {
    lastText = new Date(second * 1000).toUTCString().replace("GMT", "+0000")
    lastSecond = second
  }
  return lastText
}

/** The date that a message bears: its own, or now. Throws `MailError`. */
export const valueUnsafe = (date: Date | undefined, now: number): string => {
  if (date === undefined) return format(now)
  if (!isValid(date)) throw MailError.invalid("date", "it is not a date between the years 1900 and 9999")
  return format(date.getTime())
}

/** True if the year has four digits and is one that RFC 5322 knows. */
const isValid = (date: Date): boolean => date.getUTCFullYear() >= 1900 && date.getUTCFullYear() <= 9999
