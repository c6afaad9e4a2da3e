/**
 * Builds the DKIM-Signature field (RFC 6376 §3.5): its covered fields, the text to sign, and its form.
 */
import * as MailError from "../../MailError.ts"
import type * as RelaxedHeader from "./relaxedHeader.ts"

/** The fields that a signer covers, with names as in `h=`. */
export interface Coverage {
  /** Fields signed as often as they occur. */
  readonly headers: ReadonlyArray<string>
  /** Names in lower case of fields that `h=` lists once more than they occur, so that nobody can add one (§8.15). */
  readonly oversigned: ReadonlySet<string>
}

/** The part of a message's header to sign. */
export interface Covered {
  /** The value of `h=`, folded. */
  readonly names: string
  /** The canonical fields, each with its line ending, in the order of `h=`. */
  readonly fields: string
}

/** Selects the covered fields; several of one name from last to first (§5.4.2). Throws `MailError`. */
export const coverUnsafe = (coverage: Coverage, fields: RelaxedHeader.Fields): Covered => {
  if (!fields.has("from")) throw MailError.invalid("content", "there is no From field, which DKIM must sign")
  let names = ""
  let column = 3
  let text = ""
  for (const name of coverage.headers) {
    const lower = name.toLowerCase()
    const found = fields.get(lower)
    const times = (found?.length ?? 0) + (coverage.oversigned.has(lower) ? 1 : 0)
    for (let i = 0; i < times; i++) {
      if (column + name.length + 1 > lineLength) {
        names += "\r\n "
        column = 1
      }
      names += `${name}:`
      column += name.length + 1
    }
    if (found !== undefined) for (let i = found.length - 1; i >= 0; i--) text += `${found[i]!}\r\n`
  }
  return { names: names.slice(0, -1), fields: text }
}

/** The field's value without the signature itself, folded. */
export const unsigned = (the: {
  readonly algorithm: string
  readonly domain: string
  readonly selector: string
  readonly timestamp: number
  readonly expiration: number | undefined
  readonly names: string
  readonly bodyHash: string
}): string =>
  ` v=1; a=${the.algorithm}; c=relaxed/relaxed; d=${the.domain};\r\n s=${the.selector}; t=${the.timestamp};` +
  `${the.expiration === undefined ? "" : ` x=${the.expiration};`}\r\n h=${the.names};\r\n bh=${the.bodyHash};\r\n b=`

/** The text to sign: the covered fields, and the new one with an empty `b=` and no line ending (§3.7). */
export const input = (covered: Covered, value: string): Buffer =>
  Buffer.from(`${covered.fields}dkim-signature:${value.slice(1).replaceAll("\r\n ", " ")}`, "latin1")

/** The whole field, with its line ending. */
export const field = (value: string, signature: Buffer): string =>
  `DKIM-Signature:${value}${signature.toString("base64").replace(/.{72}(?=.)/g, "$&\r\n ")}\r\n`

const lineLength = 76
