/** MAIL and RCPT arguments (RFC 5321 §4.1.2, §4.1.1.2–3; extensions by their own RFCs). */
import type * as Inbox from "../Inbox.ts"
import type { ResolvedExtensions } from "./options.ts"

const space = 32
const lessThan = 60
const greaterThan = 62
const at = 64
const quote = 34
const backslash = 92
const openBracket = 91
const closeBracket = 93
const dot = 46
/** RFC 5321 §4.5.3.1.3 with its erratum: 256 octets with the angle brackets. */
const maxAddress = 254

/** Characters of an unquoted local part besides the dot (RFC 5322 atext), and bytes of UTF-8 (RFC 6531). */
const isAtext = new Uint8Array(256)
/** Characters of a domain besides the dot (RFC 5321 sub-domain, with the underscore that exists in practice). */
const isLetterDigit = new Uint8Array(256)
for (let byte = 0; byte < 256; byte++) {
  const char = String.fromCharCode(byte)
  if (/[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]/.test(char) || byte >= 128) isAtext[byte] = 1
  if (/[A-Za-z0-9_-]/.test(char) || byte >= 128) isLetterDigit[byte] = 1
}

/** Where the path of MAIL or RCPT begins, spaces skipped; -1 when the words before it are not there. */
export const findPath = (input: Buffer, start: number, end: number, words: string): number => {
  let position = start + 4
  for (let index = 0; index < words.length; index++, position++) {
    const byte = input[position]!
    const upper = byte >= 97 && byte <= 122 ? byte - 32 : byte
    if (upper !== words.charCodeAt(index)) return -1
  }
  while (position < end && input[position] === space) position++
  return position
}

/** The address of a path, without its angle brackets. */
export const addressOf = (input: Buffer, start: number, end: number): string =>
  input.toString("utf8", start + 1, Math.max(start + 1, end - 1))

/**
 * Finds the end of a path that begins at `start`: the index after its `>`, or -1 when it is no path. Works on bytes,
 * so that a server that keeps no envelopes makes no strings.
 */
export const scanPath = (bytes: Buffer, start: number, end: number, allowNull: boolean): number => {
  if (start >= end || bytes[start] !== lessThan) return -1
  let position = start + 1
  if (bytes[position] === greaterThan) return allowNull ? position + 1 : -1
  position = bytes[position] === quote ? scanQuoted(bytes, position, end) : scanDotted(bytes, position, end, isAtext)
  if (position === -1) return -1
  // The one recipient that needs no domain (RFC 5321 §4.1.1.3, §4.5.1).
  if (!allowNull && bytes[position] === greaterThan && isPostmaster(bytes, start + 1, position)) return position + 1
  if (bytes[position] !== at) return -1
  position++
  position =
    bytes[position] === openBracket
      ? scanLiteral(bytes, position, end)
      : scanDotted(bytes, position, end, isLetterDigit)
  if (position === -1 || position >= end || bytes[position] !== greaterThan) return -1
  return position - start - 1 <= maxAddress ? position + 1 : -1
}

const isPostmaster = (bytes: Buffer, start: number, end: number): boolean =>
  end - start === "postmaster".length && bytes.toString("latin1", start, end).toLowerCase() === "postmaster"

/** Labels joined by single dots. */
const scanDotted = (bytes: Buffer, start: number, end: number, allowed: Uint8Array): number => {
  let position = start
  let afterDot = true
  for (; position < end; position++) {
    const byte = bytes[position]!
    if (allowed[byte] === 1) afterDot = false
    else if (byte === dot && !afterDot) afterDot = true
    else break
  }
  return afterDot ? -1 : position
}

const scanQuoted = (bytes: Buffer, start: number, end: number): number => {
  for (let position = start + 1; position < end; position++) {
    const byte = bytes[position]!
    if (byte === backslash) position++
    else if (byte === quote) return position + 1
    else if (byte < 32) return -1
  }
  return -1
}

const scanLiteral = (bytes: Buffer, start: number, end: number): number => {
  const close = bytes.indexOf(closeBracket, start)
  return close === -1 || close >= end || close === start + 1 ? -1 : close + 1
}

/** True if a byte above 127 occurs. */
export const hasEightBit = (bytes: Buffer, start: number, end: number): boolean => {
  for (let position = start; position < end; position++) if (bytes[position]! > 127) return true
  return false
}

/** Parameters that cannot be taken: what to answer, and what the client did wrong where it did. */
export interface Refusal {
  readonly reply: "syntax" | "parameter"
  readonly problem: string
}

/** Reads `" KEY=VALUE KEY …"` after a path, or says why not. */
export const parseParameters = (
  text: string,
  allowed: ReadonlyMap<string, RegExp>
): Inbox.Path["parameters"] | Refusal => {
  const parameters: Record<string, string> = {}
  for (const part of text.split(" ")) {
    if (part === "") continue
    const equals = part.indexOf("=")
    const name = (equals === -1 ? part : part.slice(0, equals)).toUpperCase()
    const value = equals === -1 ? "" : part.slice(equals + 1)
    const pattern = allowed.get(name)
    if (pattern === undefined) return { reply: "parameter", problem: `the parameter ${name} was not offered` }
    if (!pattern.test(value) || name in parameters) return { reply: "syntax", problem: `bad parameter ${part}` }
    parameters[name] = value
  }
  return parameters
}

/** True if parameters could not be taken. */
export const isRefusal = (value: Inbox.Path["parameters"] | Refusal): value is Refusal =>
  "reply" in value && "problem" in value

const flag = /^$/
const xtext = String.raw`(?:[!-*,-<>-~]|\+[0-9A-F]{2})`

/** Parameters of MAIL that the extensions in force allow. */
export const mailParameters = (extensions: ResolvedExtensions, encrypted: boolean): ReadonlyMap<string, RegExp> => {
  const allowed = new Map<string, RegExp>()
  if (extensions.size) allowed.set("SIZE", /^\d{1,20}$/)
  if (extensions.eightBitMime) allowed.set("BODY", /^(7BIT|8BITMIME)$/i)
  if (extensions.smtpUtf8) allowed.set("SMTPUTF8", flag)
  if (extensions.dsn) {
    allowed.set("RET", /^(FULL|HDRS)$/i)
    allowed.set("ENVID", new RegExp(`^${xtext}{1,100}$`))
  }
  if (extensions.auth.length > 0) allowed.set("AUTH", new RegExp(`^${xtext}+$`))
  if (extensions.requireTls && encrypted) allowed.set("REQUIRETLS", flag)
  return allowed
}

/** Parameters of RCPT that the extensions in force allow. */
export const rcptParameters = (extensions: ResolvedExtensions): ReadonlyMap<string, RegExp> =>
  new Map(
    extensions.dsn
      ? [
          ["NOTIFY", /^(NEVER|(SUCCESS|FAILURE|DELAY)(,(SUCCESS|FAILURE|DELAY)){0,2})$/i],
          ["ORCPT", new RegExp(`^[A-Za-z0-9-]+;${xtext}{1,500}$`)]
        ]
      : []
  )
