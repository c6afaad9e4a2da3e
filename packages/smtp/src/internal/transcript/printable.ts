/**
 * Escapes what a relay can do to a terminal or to a reader's eyes: control characters, bidirectional controls (UAX #9), line
 * separators and characters without width. They become `\x1b` or `\u202e`.
 */

const unsafe =
  /[\u0000-\u001F\u007F-\u009F\u00AD\u061C\u115F\u1160\u180E\u200B-\u200F\u2028-\u202E\u2060-\u206F\u3164\uFEFF\uFFA0\uFFF9-\uFFFB]|[\u{E0000}-\u{E007F}]/gu

/** The text with such characters escaped. */
export const printable = (text: string): string =>
  text.replaceAll(unsafe, (character) => {
    const point = character.codePointAt(0)!
    if (point < 0x100) return `\\x${point.toString(16).padStart(2, "0")}`
    return point < 0x10000 ? `\\u${point.toString(16).padStart(4, "0")}` : `\\u{${point.toString(16)}}`
  })
