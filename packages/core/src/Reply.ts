/**
 * A relay's reply: a reply code, an optional enhanced status code and text (RFC 5321 §4.2, RFC 3463).
 *
 * The domain keeps replies as plain values, so that a `Delivery` or a `MailError` can be stored, printed and sent
 * over a wire without the connection it came from.
 *
 * @since 0.1.0
 */

import * as Schema from "effect/Schema"

/**
 * One reply of a relay.
 *
 * `code` has three digits, 200–599. `enhanced` is the status `class.subject.detail`, as in `4.7.1`, where the relay gives one.
 * `text` holds the remaining words, with lines joined by a line feed.
 *
 * @since 0.1.0
 */
export const Reply = Schema.Struct({
  code: Schema.Int,
  enhanced: Schema.optional(Schema.String),
  text: Schema.String
})

/**
 * One reply of a relay.
 *
 * @since 0.1.0
 */
export type Reply = typeof Reply.Type

/**
 * True for a positive reply: 2yz, or the intermediate 3yz (RFC 5321 §4.2.1).
 *
 * @since 0.1.0
 */
export const isPositive = (reply: Reply): boolean => reply.code >= 200 && reply.code < 400

/**
 * True if the same command may succeed later: 4yz (RFC 5321 §4.2.1).
 *
 * @since 0.1.0
 */
export const isTransient = (reply: Reply): boolean => reply.code >= 400 && reply.code < 500

/**
 * True if it is useless to repeat the command: 5yz (RFC 5321 §4.2.1).
 *
 * @since 0.1.0
 */
export const isPermanent = (reply: Reply): boolean => reply.code >= 500

/**
 * The reply as a line of text, as in `450 4.2.1 try again later`.
 *
 * @since 0.1.0
 */
export const format = (reply: Reply): string =>
  [String(reply.code), reply.enhanced, reply.text.replaceAll("\n", " ")].filter((part) => part).join(" ")

/**
 * Reads what `format` writes; `undefined` if the text does not begin with a reply code.
 *
 * @since 0.1.0
 */
export const parse = (text: string): Reply | undefined => {
  const match = /^([2-5]\d\d)(?:[ -]([245]\.\d{1,3}\.\d{1,3}))?(?:[ -](.*))?$/s.exec(text.trim())
  if (match === null) return undefined
  const [, code, enhanced, words = ""] = match
  return enhanced === undefined ? { code: Number(code), text: words } : { code: Number(code), enhanced, text: words }
}
