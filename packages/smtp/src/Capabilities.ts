/**
 * The extensions that a relay offers in its reply to EHLO (RFC 5321 §4.1.1.1).
 *
 * @since 0.1.0
 */

import type * as Reply from "mailrace/Reply"

/**
 * The extensions that Mailrace uses where they are offered.
 *
 * @since 0.1.0
 */
export interface Capabilities {
  /** The relay's own name, the first word of its reply. */
  readonly domain: string
  /** Commands may be sent in groups (RFC 2920). */
  readonly pipelining: boolean
  /** BDAT (RFC 3030). */
  readonly chunking: boolean
  /** Body bytes above 127 (RFC 6152). */
  readonly eightBitMime: boolean
  /** UTF-8 in addresses and headers (RFC 6531). */
  readonly smtpUtf8: boolean
  /** Delivery status notifications on request (RFC 3461). */
  readonly dsn: boolean
  /** Enhanced status codes (RFC 2034). */
  readonly enhancedStatusCodes: boolean
  /** STARTTLS (RFC 3207). */
  readonly startTls: boolean
  /** REQUIRETLS (RFC 8689). */
  readonly requireTls: boolean
  /** The largest message in bytes; `undefined` when not told (SIZE, RFC 1870). */
  readonly size: number | undefined
  /** The mechanisms of AUTH in upper case (RFC 4954). */
  readonly auth: ReadonlyArray<string>
  /** The most recipients of one message (LIMITS RCPTMAX, RFC 9422). */
  readonly maxRecipients: number | undefined
  /** The most messages of one connection (LIMITS MAILMAX, RFC 9422). */
  readonly maxMessages: number | undefined
}

/**
 * The capabilities of a relay that answers only HELO: none.
 *
 * @since 0.1.0
 */
export const none: Capabilities = {
  domain: "",
  pipelining: false,
  chunking: false,
  eightBitMime: false,
  smtpUtf8: false,
  dsn: false,
  enhancedStatusCodes: false,
  startTls: false,
  requireTls: false,
  size: undefined,
  auth: [],
  maxRecipients: undefined,
  maxMessages: undefined
}

/**
 * Reads the reply to EHLO. Keywords that Mailrace does not use are passed over.
 *
 * @since 0.1.0
 */
export const fromReply = (reply: Reply.Reply): Capabilities => {
  const [greeting = "", ...lines] = reply.text.split("\n")
  const offered = new Map<string, ReadonlyArray<string>>()
  for (const line of lines) {
    // "AUTH=PLAIN LOGIN" is how servers before RFC 2554 wrote it, and some still do.
    const [keyword = "", ...parameters] = line
      .trim()
      .replace(/^AUTH=/i, "AUTH ")
      .toUpperCase()
      .split(/\s+/)
    offered.set(keyword, [...(offered.get(keyword) ?? []), ...parameters])
  }
  const limit = (name: string): string | undefined =>
    offered
      .get("LIMITS")
      ?.find((parameter) => parameter.startsWith(`${name}=`))
      ?.slice(name.length + 1)
  return {
    // A copy, because a part of the reply would keep the whole of it in memory.
    domain: Buffer.from((greeting.split(" ", 1)[0] ?? "").slice(0, maxDomain)).toString(),
    pipelining: offered.has("PIPELINING"),
    chunking: offered.has("CHUNKING"),
    eightBitMime: offered.has("8BITMIME"),
    smtpUtf8: offered.has("SMTPUTF8"),
    dsn: offered.has("DSN"),
    enhancedStatusCodes: offered.has("ENHANCEDSTATUSCODES"),
    startTls: offered.has("STARTTLS"),
    requireTls: offered.has("REQUIRETLS"),
    size: positiveInteger(offered.get("SIZE")?.[0]),
    auth: [...new Set(offered.get("AUTH") ?? [])].filter((name) => mechanismName.test(name)).slice(0, maxMechanisms),
    maxRecipients: positiveInteger(limit("RCPTMAX")),
    maxMessages: positiveInteger(limit("MAILMAX"))
  }
}

/** The name of a mechanism in SASL (RFC 4422 §3.1). */
const mechanismName = /^[A-Z0-9_-]{1,20}$/

/** The longest name of a relay that is kept, in characters. */
const maxDomain = 255

/** The most mechanisms that are kept of a relay. */
const maxMechanisms = 32

/** A decimal number above 0; 0 means "no limit" in SIZE (RFC 1870 §4), like nothing at all. */
const positiveInteger = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d{1,15}$/.test(text) && Number(text) > 0 ? Number(text) : undefined
