/**
 * Makes a value safe for its place.
 *
 * In HTML no value can end its place: a text, a quoted attribute or a comment. In an address a value is percent-encoded, so
 * that it remains one path segment or query value. A value that is the whole address keeps its structure, and its scheme
 * must be harmless.
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

/** Plain text, unchanged. */
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

/** A piece of an address: every character with a meaning in addresses is percent-encoded. */
export const addressPart: Escape = (value) => (/^[\w.~-]*$/.test(value) ? value : percentEncode(value))

/** The recipient of a `mailto:`, `tel:` or `sms:` address, which needs `@` and `+`. */
export const mailboxPart: Escape = (value) =>
  /^[\w.~@+-]*$/.test(value) ? value : percentEncode(value).replaceAll("%40", "@").replaceAll("%2B", "+")

/** The rest of an address: it keeps its structure, without characters that HTML would read. */
export const addressRest: Escape = (value) => normalise(value).replaceAll("&", "&amp;")

/**
 * The host after `http://`. Editors put that before anything that they do not recognise as an address, such as `{{url}}`; a
 * whole address there would make a broken link.
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
    // The lookbehind scans a run of blanks once, and not again from each position.
    const trimmed = value.replace(/^[\0-\x20]+|(?<![\0-\x20])[\0-\x20]+$/g, "")
    // Browsers skip a tab or a line break inside a scheme; percent-encoded, it no longer forms one.
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

/** Encodes characters that an address cannot hold (RFC 3986 §2), and the quotes and brackets of styles. */
const normalise = (value: string): string =>
  value
    .toWellFormed()
    .replace(/%(?![\da-f]{2})/gi, "%25")
    .replace(/[^\w\-.~:/?#[\]@!$&*+,;=%]+/g, percentEncode)
