/**
 * Reads what a relay's reply is about: the message, a recipient, the session, the relay, or this client.
 *
 * The code alone does not tell. Relays answer 550 to wrong addresses, unknown clients, foreign senders and spam alike, 452 to a
 * full disk, to too many recipients and to the end of a session's allowance. So one table goes by the place in the session, the
 * code, the enhanced status (RFC 3463) and the words of servers and providers as they are in use. Everything that acts on a reply
 * asks this table: the pool, the pipeline, retries, the outbox and the remedies that users read.
 *
 * The code still decides whether a later attempt may succeed, 4yz or 5yz (RFC 5321 §4.2.1), but for the few rows that say
 * otherwise: 552 for too many recipients (§4.5.3.1.10), limits of the session or the relay in so many words, and 432, which asks
 * the user to change something.
 *
 * **Details**
 *
 * Of the words the first 80 characters count, without quoted addresses and names, because what follows may repeat what the
 * client or a third party has said. A greeting, before which nobody has said anything, counts whole.
 *
 * @example
 * ```ts
 * import * as ReplyMeaning from "mailrace/ReplyMeaning"
 *
 * const reply = { code: 504, enhanced: "5.5.2", text: "<vm>: Helo command rejected: need fully-qualified hostname" }
 * export const { about, remedy } = ReplyMeaning.of(reply, "rcpt") // "client", and to set `name`
 * ```
 *
 * @since 0.1.0
 */

import { type About, type Known, type Place, type Row, rows } from "./internal/reply/replyTable.ts"
import * as Reply from "./Reply.ts"

export type { About, Known, Place } from "./internal/reply/replyTable.ts"

/**
 * The meaning of a refusal.
 *
 * @since 0.1.0
 */
export interface Meaning {
  readonly about: About
  /** True if a later attempt may succeed without a change by anybody. */
  readonly isTransient: boolean
  /** True if the address will never accept mail. */
  readonly isGone: boolean
  /** What to try, as an imperative that names the library's options in backticks; `undefined` where the table knows no better. */
  readonly remedy: string | undefined
  /** How long to wait, in milliseconds, where the words or the row say so. */
  readonly retryAfter: number | undefined
}

/**
 * The meaning of a reply from 400 on, by where it was given.
 *
 * @since 0.1.0
 */
export const of = (reply: Reply.Reply, place: Place, known: Known = {}): Meaning => {
  const text = withoutQuotes(reply.text)
  const status = statusOf(reply)
  const flags = (known.hasCarried === true ? 1 : 0) + (known.hasAccepted === true ? 2 : 0)
  const key = `${place} ${reply.code} ${status} ${flags} ${text}`
  const found = recent.get(key)
  if (found !== undefined) return found
  const words = text.slice(0, place === "greeting" ? undefined : significant)
  const meaning = read({ place, code: reply.code, status, words, text, known })
  if (recent.size === maxRecent) recent.clear()
  recent.set(key, meaning)
  return meaning
}

/** Relays refuse many in the same words: to read the table anew for each took 11 µs, a third of what a message costs. */
const recent = new Map<string, Meaning>()
const maxRecent = 256

const read = (asked: Asked): Meaning => {
  const row = rows.find((row) => fits(row, asked))
  return {
    about: row?.about ?? otherwise(asked),
    isTransient: row?.isTransient ?? Reply.isTransient(asked),
    isGone: row?.isGone === true,
    remedy: row?.remedy,
    retryAfter: waitOf(asked.text) ?? row?.retryAfter
  }
}

const fits = (row: Row, asked: Asked): boolean =>
  (row.places === undefined || row.places.includes(asked.place)) &&
  fitsCode(row.codes, asked.code) &&
  (row.status === undefined || row.status.test(asked.status)) &&
  (row.words === undefined || row.words.test(asked.words)) &&
  (row.unless === undefined || !row.unless.test(asked.text)) &&
  (row.when === undefined || row.when(asked.known))

interface Asked {
  readonly place: Place
  readonly code: number
  readonly status: string
  readonly words: string
  readonly text: string
  readonly known: Known
}

const fitsCode = (codes: Row["codes"], code: number): boolean =>
  codes === undefined || (typeof codes === "string" ? codes.includes(String(code)[0]!) : codes.includes(code))

/** The subject of a refusal that no row knows. */
const otherwise = ({ code, place, status }: Asked): About => {
  switch (place) {
    case "ehlo":
      return "client"
    case "auth":
      return code >= 500 ? "credentials" : "relay"
    case "mail":
      return "sender"
    case "rcpt":
      return "recipient"
    case "data":
    case "final":
      return /^[45]\.[12]\./.test(status) ? "recipient" : "message"
    default:
      return "relay"
  }
}

/**
 * The status, also one whose class does not fit the code (`552 4.2.2`), and qmail's at the end of a line (`(#5.7.1)`). Empty
 * if there is none.
 */
const statusOf = ({ enhanced, text }: Reply.Reply): string =>
  enhanced ?? /^[45]\.\d{1,3}\.\d{1,3}(?= |$)/.exec(text)?.[0] ?? /\(#?([45]\.\d{1,3}\.\d{1,3})\)/.exec(text)?.[1] ?? ""

/** The number of characters of the text that most rows read. */
const significant = 80

/** The words in one line, without what the relay quotes: addresses, and names in angle brackets. */
const withoutQuotes = (text: string): string =>
  (text.length > 512 ? text.slice(0, 512) : text)
    .replace(/\s+/g, " ")
    .replace(/<[^<> ]*>(?:\.\.\.)?:? ?/g, "")
    .replace(/\S+@\S+/g, "@")

const unitMillis: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000 }

/** The wait that the words ask for, as in "try again in 300 seconds" or "retry in 5 minutes", at most a day. */
const waitOf = (text: string): number | undefined => {
  const match = /\b(?:in|after|for) (\d{1,6}) ?(s|m|h)(?:ecs?|econds?|ins?|inutes?|ours?|rs?)?\b/i.exec(text)
  const [, amount, unit] = match ?? []
  if (amount === undefined || unit === undefined) return undefined
  const millis = Number(amount) * unitMillis[unit.toLowerCase()]!
  return millis > 0 && millis <= 86_400_000 ? millis : undefined
}
