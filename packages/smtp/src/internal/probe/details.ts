/**
 * Describes the result of each phase.
 */
import type { Capabilities } from "../../Capabilities.ts"
import type { Encryption, Exchanger, Extension, TestMessage } from "./report.ts"
import type { Found } from "./resolve.ts"

export const dns = (host: string, addresses: ReadonlyArray<Found>, exchangers: ReadonlyArray<Exchanger>): string => {
  const found = addresses.map(({ address, ttl }) => (ttl === null ? address : `${address} (TTL ${ttl} s)`))
  const mail = exchangers.map(({ exchange, priority }) => `${exchange} (${priority})`)
  if (addresses.length === 1 && addresses[0]!.address === host) return "an address, which needs no resolving"
  return `${found.join(", ")}${mail.length === 0 ? "" : `; MX ${mail.join(", ")}`}`
}

export const tls = (facts: Encryption): string => {
  const { cipher, daysLeft, expires, keyExchange, keyType, verified, version } = facts
  const trust = verified ? "" : `; not verified (${facts.problem})`
  return `${version}, ${cipher}${keyExchange === null ? "" : `, ${keyExchange}`}, ${keyType}; valid to ${expires.slice(0, 10)} (${daysLeft} days)${trust}`
}

export const ehlo = (
  capabilities: Capabilities,
  extensions: ReadonlyArray<Extension>,
  isEncrypted: boolean
): string => {
  const keywords = extensions.map(({ keyword }) => keyword)
  const offered = keywords.length === 0 ? "no extension" : keywords.join(" ")
  return `${isEncrypted ? "over TLS: " : ""}${capabilities.domain === "" ? "" : `${capabilities.domain} `}offers ${offered}`
}

export const login = (mechanism: string | undefined, isOnAnother: boolean): string => {
  if (mechanism === undefined) return "the relay offers no login, so there was none"
  const where = isOnAnother ? ", on another connection: the relay closed the first over the login before" : ""
  return `logged in by ${mechanism}${where}`
}

/** Of one message its time, of several the median and the range. */
export const times = (values: ReadonlyArray<number>): string => {
  if (values.length === 1) return `${rounded(values[0]!)} ms`
  return `median of ${values.length}: ${rounded(median(values))} ms (${rounded(Math.min(...values))} to ${rounded(Math.max(...values))})`
}

export const content = (messages: ReadonlyArray<TestMessage>): string =>
  `${times(messages.map(({ contentMs }) => contentMs))}; ${messages.at(-1)!.reply}`

/** In milliseconds with one digit behind the point. */
export const rounded = (ms: number): number => Math.round(ms * 10) / 10

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
