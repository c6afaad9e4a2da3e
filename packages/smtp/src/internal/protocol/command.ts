/**
 * Commands as lines of text (RFC 5321 §4.1.1): the last form of an envelope before it is bytes.
 *
 * Values become commands only here, so this module guarantees that no value becomes two commands or adds a parameter: it
 * refuses an address with a control character, or with a blank or an angle bracket outside of quotes.
 */
import type * as Composed from "mailrace/Composed"
import * as Envelope from "mailrace/Envelope"
import * as MailError from "mailrace/MailError"
import * as Result from "effect/Result"
import { domainToASCII } from "node:url"
import type { Capabilities } from "../../Capabilities.ts"

/** The commands of one message's envelope, each a whole line. */
export interface EnvelopeCommands {
  /** `MAIL FROM` with its parameters (RFC 5321 §4.1.1.2). */
  readonly mail: string
  /** A `RCPT TO` for each recipient, in the envelope's order (RFC 5321 §4.1.1.3). */
  readonly rcpt: ReadonlyArray<string>
}

/** `EHLO` with the client's name (RFC 5321 §4.1.1.1). */
export const ehlo = (name: string): string => `EHLO ${safeName(name)}\r\n`

/** `HELO`, for servers that know no EHLO (RFC 5321 §4.1.1.1). */
export const helo = (name: string): string => `HELO ${safeName(name)}\r\n`

/** Asks to continue over TLS (RFC 3207 §4). */
export const startTls = "STARTTLS\r\n"

/** Aborts an open transaction (RFC 5321 §4.1.1.5). */
export const rset = "RSET\r\n"

/** Asks to send content; it follows the relay's 354 (RFC 5321 §4.1.1.4). */
export const data = "DATA\r\n"

/** Ends the session (RFC 5321 §4.1.1.10). */
export const quit = "QUIT\r\n"

/** `BDAT n LAST`, followed at once by `length` bytes (RFC 3030 §2). */
export const bdatLast = (length: number): string => `BDAT ${length} LAST\r\n`

/**
 * MAIL and RCPT for a message, with the parameters that it needs and the relay offers.
 *
 * Fails with `CapabilityMissing` when the message needs what the relay does not offer, `SizeExceeded` when it is larger
 * than the relay says it takes, `InvalidMessage` for an address that cannot be a command's argument.
 */
export const envelope = (
  message: Composed.Composed,
  capabilities: Capabilities
): Result.Result<EnvelopeCommands, MailError.MailError> => {
  const { dsn, from, requireTls, to } = message.envelope
  if (to.length === 0) return Result.fail(MailError.invalid("to", "no recipient is given"))
  const fault = dsn === undefined ? undefined : Envelope.dsnFault(dsn)
  if (fault !== undefined)
    return Result.fail(MailError.invalid(fault.field === "" ? "dsn" : `dsn.${fault.field}`, fault.problem))
  if (requireTls !== undefined && typeof requireTls !== "boolean")
    return Result.fail(MailError.invalid("requireTls", "it must be true or false"))
  if (capabilities.size !== undefined && message.size > capabilities.size) {
    return Result.fail(MailError.make(new MailError.SizeExceeded({ size: message.size, limit: capabilities.size })))
  }
  if (message.eightBit === true && !capabilities.eightBitMime) {
    return Result.fail(missing("8BITMIME", "the body has bytes above 127"))
  }
  if (message.utf8Headers === true && !capabilities.smtpUtf8) {
    return Result.fail(missing("SMTPUTF8", "the header has characters outside ASCII"))
  }
  if (requireTls === true && !capabilities.requireTls) {
    return Result.fail(missing("REQUIRETLS", "the message may only travel over TLS"))
  }
  const fromPath = wirePath(from ?? "", capabilities)
  if (fromPath === undefined) return Result.fail(unwritable("from", from ?? ""))
  let needsUtf8 = message.utf8Headers === true || hasNonAscii(fromPath)
  const rcptSuffix = dsn !== undefined && capabilities.dsn ? `>${rcptDsn(dsn)}\r\n` : ">\r\n"
  const rcpt: Array<string> = []
  for (const address of to) {
    const path = wirePath(address, capabilities)
    if (path === undefined) return Result.fail(unwritable(`to[${rcpt.length}]`, address))
    needsUtf8 ||= hasNonAscii(path)
    rcpt.push(`RCPT TO:<${path}${rcptSuffix}`)
  }
  let mail = `MAIL FROM:<${fromPath}>`
  // Without an estimate there is no SIZE: a relay may refuse content that is larger than was declared (RFC 1870 §6.1).
  if (capabilities.size !== undefined && message.size > 0) mail += ` SIZE=${message.size}`
  if (message.eightBit === true) mail += " BODY=8BITMIME"
  if (needsUtf8) mail += " SMTPUTF8"
  if (requireTls === true) mail += " REQUIRETLS"
  if (dsn !== undefined && capabilities.dsn) mail += mailDsn(dsn)
  return Result.succeed({ mail: `${mail}\r\n`, rcpt })
}

/** The characters of nearly all addresses: printable ASCII without `"`, `<` and `>`. */
const plainAscii = /^[\x21\x23-\x3b\x3d\x3f-\x7e]*$/
const controlCharacter = /[\x00-\x1f\x7f]/
/** A blank, a quote or an angle bracket is only allowed in a quoted local part (RFC 5321 §4.1.2). */
const safeInPath = /^(?:"(?:[^"\\]|\\.)*"@)?[^ "<>]*$/
const nonAscii = /[^\x00-\x7f]/

/** Searched only in what is not plain, which is next to nothing. */
const hasNonAscii = (path: string): boolean => !plainAscii.test(path) && nonAscii.test(path)

const unwritable = (field: string, address: string): MailError.MailError =>
  controlCharacter.test(address) || !safeInPath.test(address)
    ? MailError.invalid(field, "the address has a character that no command can carry")
    : missing("SMTPUTF8", "an address has characters outside ASCII before its @")

const missing = (capability: string, problem: string): MailError.MailError =>
  MailError.make(new MailError.CapabilityMissing({ capability, problem }))

/** The address as a path, or `undefined` if this relay cannot take it. */
const wirePath = (address: string, capabilities: Capabilities): string | undefined => {
  if (plainAscii.test(address)) return address
  if (controlCharacter.test(address) || !safeInPath.test(address)) return undefined
  if (!nonAscii.test(address) || capabilities.smtpUtf8) return address
  // Without SMTPUTF8 an internationalised domain still has an ASCII form (RFC 5890); a local part has none.
  const at = address.lastIndexOf("@")
  const domain = domainToASCII(address.slice(at + 1))
  const ascii = `${address.slice(0, at)}@${domain}`
  return domain !== "" && !nonAscii.test(ascii) ? ascii : undefined
}

/** `RET` and `ENVID` (RFC 3461 §4.3, §4.4). */
const mailDsn = (dsn: Envelope.Dsn): string =>
  (dsn.return === undefined ? "" : ` RET=${dsn.return === "full" ? "FULL" : "HDRS"}`) +
  (dsn.envelopeId === undefined ? "" : ` ENVID=${xtext(dsn.envelopeId)}`)

/** `NOTIFY` and `ORCPT` (RFC 3461 §4.1, §4.2). */
const rcptDsn = ({ notify, originalRecipient }: Envelope.Dsn): string => {
  const events = notify === undefined ? "" : ` NOTIFY=${notify === "never" ? "NEVER" : notify.join(",").toUpperCase()}`
  if (originalRecipient === undefined) return events
  const typed = originalRecipient.includes(";") ? originalRecipient : `rfc822;${originalRecipient}`
  return `${events} ORCPT=${xtext(typed)}`
}

/** `xtext`: characters that are not printable, and `+` and `=`, as `+` and two hexadecimal digits (RFC 3461 §4). */
const xtext = (text: string): string =>
  Array.from(Buffer.from(text, "utf8"), (byte) =>
    byte < 0x21 || byte > 0x7e || byte === 0x2b || byte === 0x3d
      ? `+${byte.toString(16).toUpperCase().padStart(2, "0")}`
      : String.fromCharCode(byte)
  ).join("")

/** Keeps only the characters of a domain or an address literal. */
const safeName = (name: string): string => name.replace(/[^A-Za-z0-9.:[\]-]/g, "") || "localhost"
