/**
 * A message's header as DKIM signs it: "relaxed" (RFC 6376 §3.4.2).
 *
 * A field's name is in lower case, its lines are joined, a run of white space becomes one space, and there is none around the
 * colon or at the end.
 *
 * Headers are handled as characters 0–255, one for each byte, so that bytes above 127 pass unchanged.
 */
import * as MailError from "../../MailError.ts"

/** A header's fields by their names in lower case: each in canonical form, without its line ending, from first to last. */
export type Fields = ReadonlyMap<string, ReadonlyArray<string>>

/** A message, split into header and body. */
export interface Split {
  readonly header: string
  /** The index at which the body begins. */
  readonly bodyStart: number
}

const emptyLine = Buffer.from("\r\n\r\n")

/**
 * Finds the end of the header; `undefined` if the header has a bare CR or LF. The wire turns that into a line ending, so the
 * end is not known yet.
 */
export const split = (content: Uint8Array): Split | undefined => {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.length)
  const at = bytes.indexOf(emptyLine)
  const end = at === -1 ? bytes.length : at + 2
  const header = bytes.toString("latin1", 0, end)
  return bareLineEnd.test(header) ? undefined : { header, bodyStart: at === -1 ? end : end + 2 }
}

const bareLineEnd = /\r(?!\n)|(?<!\r)\n/

/** The message as it goes over the wire, where each bare CR or LF becomes CRLF. */
export const withLineEnds = (content: Uint8Array): Uint8Array =>
  Buffer.from(
    Buffer.from(content.buffer, content.byteOffset, content.length)
      .toString("latin1")
      .replace(/\r\n?|\n/g, "\r\n"),
    "latin1"
  )

/** Reads a header, as `split` gives it. Throws `MailError` for a line that is not a field. */
export const parseUnsafe = (header: string): Fields => {
  const fields = new Map<string, Array<string>>()
  let start = 0
  while (start < header.length) {
    let end = header.indexOf("\r\n", start)
    // A line that begins with white space continues the field before it.
    while (end !== -1 && isSpace(header.charCodeAt(end + 2))) end = header.indexOf("\r\n", end + 2)
    const line = header.slice(start, end === -1 ? header.length : end)
    start = end === -1 ? header.length : end + 2
    const colon = line.indexOf(":")
    const name = line
      .slice(0, Math.max(colon, 0))
      .replace(/(?<![ \t])[ \t]+$/, "")
      .toLowerCase()
    if (!/^[\x21-\x39\x3b-\x7e]+$/.test(name))
      throw MailError.invalid("content", "a line of the header is not a field (RFC 5322 §2.2), so it cannot be signed")
    const field = `${name}:${relax(line.slice(colon + 1))}`
    const others = fields.get(name)
    if (others === undefined) fields.set(name, [field])
    else others.push(field)
  }
  return fields
}

/** A field's value in canonical form. */
export const relax = (value: string): string => {
  const single = /[\t\r\n]|  /.test(value) ? value.replace(/[ \t\r\n]+/g, " ") : value
  const start = single.charCodeAt(0) === space ? 1 : 0
  const end = single.charCodeAt(single.length - 1) === space ? single.length - 1 : single.length
  return start >= end ? "" : single.slice(start, end)
}

const space = 0x20

const isSpace = (code: number): boolean => code === space || code === 0x09
