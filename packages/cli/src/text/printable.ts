/**
 * Makes texts of relays and files safe to show on a terminal.
 *
 * A control character can move the cursor, rename the window or answer for the user; a bidirectional one reverses the
 * letters around it, so that `gpj.exe` reads `exe.jpg`; an invisible one makes two names look alike. Control characters
 * become a blank, the others are named, as in `<U+202E>`.
 */

/** Cleans a text of several lines; line ends stay. */
export const lines = (text: string): string => named(text.replaceAll(/\r\n/g, "\n").replaceAll(controls, " "))

/** Cleans a text that belongs on one line. */
export const line = (text: string): string => named(text.replaceAll(allControls, " "))

/** A value as JSON that is safe on a terminal; a JSON reader reads the same value. */
export const json = (value: unknown, indent?: number): string =>
  JSON.stringify(value, null, indent).replaceAll(unsafeInJson, (characters) =>
    Array.from(
      { length: characters.length },
      (_, index) => `\\u${characters.charCodeAt(index).toString(16).padStart(4, "0")}`
    ).join("")
  )

/** As `lines`, but keeps the colours of `Format.paint`. */
export const painted = (text: string): string =>
  text
    .split(color)
    .map((part, index) => (index % 2 === 0 ? lines(part) : part))
    .join("")

const color = /(\u001B\[(?:1|2|22|31|32|33|36|39)m)/

const controls = /[\u0000-\u0009\u000B-\u001F\u007F-\u009F]+/g

const allControls = /[\u0000-\u001F\u007F-\u009F]+/g

/** Bidirectional controls (UAX #9), line and paragraph separators, and characters without width. */
const hidden =
  "\\u00AD\\u061C\\u115F\\u1160\\u180E\\u200B\\u200E\\u200F\\u2028-\\u202E\\u2060-\\u206F\\u3164\\uFEFF\\uFFA0\\uFFF9-\\uFFFB\\u{E0000}-\\u{E007F}"

/** Joiners stay where scripts and emoji need them: between two characters that are not ASCII. */
const deceptive = new RegExp(
  `[${hidden}]|(?<![^\\u0000-\\u007F])[\\u200C\\u200D]|[\\u200C\\u200D](?![^\\u0000-\\u007F])`,
  "gu"
)

const unsafeInJson = new RegExp(`[\\u007F-\\u009F\\u200C\\u200D${hidden}]`, "gu")

const named = (text: string): string =>
  text.replaceAll(
    deceptive,
    (character) => `<U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}>`
  )
