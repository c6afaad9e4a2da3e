/**
 * How a value is made safe for the place that it is put in.
 *
 * In HTML nothing that a value holds can end the place: not a text, not a quoted attribute, not a comment. In an address
 * a value is percent-encoded, so that it stays the path segment or the query value that it is; only where it is the whole
 * address does it keep its own structure, and then its scheme must be a harmless one.
 */

/** A value that has no safe form in its place. */
export class Refusal {
  readonly problem: string

  constructor(problem: string) {
    this.problem = problem
  }
}

/** Makes a value safe, or says why that cannot be. */
export type Escape = (value: string) => string | Refusal

const nul = new Refusal("NUL is not allowed in a text")

/** Plain text, as it is. */
export const text: Escape = (value) => (value.includes("\0") ? nul : value)

/** One line of plain text, as in a header. */
export const line: Escape = (value) => {
  const at = value.search(/[\r\n\0]/)
  if (at === -1) return value
  const name = value[at] === "\r" ? "a carriage return" : value[at] === "\n" ? "a line feed" : "NUL"
  return new Refusal(`${name} is not allowed in a header (at character ${at + 1})`)
}

const entities: { readonly [character: string]: string } = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;"
}

const escapeHtml = (value: string): string => value.replace(/[&<>"']/g, (character) => entities[character]!)

/** Text of an HTML document, or the value of one of its attributes, in quotes of either kind. */
export const html: Escape = (value) => {
  if (!/[&<>"'\0]/.test(value)) return value
  return value.includes("\0") ? nul : escapeHtml(value)
}

/** A value in the `style` attribute: numbers, colours and words. */
export const style: Escape = (value) =>
  /^[\p{L}\p{N}_#%., +-]*$/u.test(value)
    ? value
    : new Refusal("in a style only letters, digits, spaces and # % . , + - _ are allowed")

/** A piece of an address: all that means something in an address is percent-encoded. */
export const addressPart: Escape = (value) => (/^[\w.~-]*$/.test(value) ? value : percentEncode(value))

/** Who a `mailto:`, `tel:` or `sms:` address is for: `@` and `+` are what they are known by. */
export const mailboxPart: Escape = (value) =>
  /^[\w.~@+-]*$/.test(value) ? value : percentEncode(value).replaceAll("%40", "@").replaceAll("%2B", "+")

/** More of an address: its own structure is kept. It holds nothing that HTML would read. */
export const addressRest: Escape = (value) => normalise(value).replaceAll("&", "&amp;")

/**
 * The host behind `http://`. Editors put that before what they do not take for an address, as `{{url}}`; with a whole
 * address in it, the link would lead nowhere.
 */
export const host =
  (escape: Escape): Escape =>
  (value) =>
    /^\s*[a-z][a-z\d+.-]*:\/\//i.test(value)
      ? new Refusal(
          'it is a whole address, before which the template writes http:// once more; write href="{{url}}" there'
        )
      : escape(value)

/** A whole address in an attribute; `schemes` are those that it may begin with, in lower case. */
export const address =
  (schemes: ReadonlySet<string>): Escape =>
  (value) => {
    // Looking back, a run of blanks is gone over once and not again from each of its places.
    const trimmed = value.replace(/^[\0-\x20]+|(?<![\0-\x20])[\0-\x20]+$/g, "")
    // A scheme broken up by a tab or a line break, which browsers skip, is none once that is percent-encoded.
    const scheme = /^([a-z][a-z\d+.-]*):/i.exec(trimmed)?.[1]?.toLowerCase()
    if (scheme === undefined || schemes.has(scheme)) return addressRest(trimmed)
    return new Refusal(`an address that begins with "${scheme.slice(0, 30)}:" is not allowed here`)
  }

/** An escape for HTML as one for plain text. */
export const outsideHtml =
  (escape: Escape): Escape =>
  (value) => {
    const escaped = escape(value)
    return typeof escaped === "string" ? escaped.replaceAll("&amp;", "&") : escaped
  }

const percent = (character: string): string => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`

const percentEncode = (value: string): string => encodeURIComponent(value.toWellFormed()).replace(/[!'()*]/g, percent)

/** Encodes what an address cannot hold (RFC 3986 §2), quotes and brackets of styles as well. */
const normalise = (value: string): string =>
  value
    .toWellFormed()
    .replace(/%(?![\da-f]{2})/gi, "%25")
    .replace(/[^\w\-.~:/?#[\]@!$&*+,;=%]+/g, percentEncode)
