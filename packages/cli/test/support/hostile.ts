/**
 * What must never reach a terminal from a text that others choose.
 */
import { assert } from "@effect/vitest"

const range = (from: number, to: number): string =>
  String.fromCodePoint(...Array.from({ length: to - from + 1 }, (_, index) => from + index))

/** Each control character but NUL and the line end, each that turns text around, and what has no width beside letters. */
export const hostile =
  `a${range(1, 9)}${range(0xb, 0x1f)}${range(0x7f, 0x9f)}\u061C${range(0x200b, 0x200f)}${range(0x2028, 0x202e)}` +
  `${range(0x2060, 0x2069)}\uFEFF\u001B]0;title\u0007\u001B[31m\u001B[2J\u009B1Agpj.exe`

const lines = /[\u0000-\u0009\u000B-\u001F\u007F-\u009F]/
const hidden = /[\u061C\u200B\u200E\u200F\u2028-\u202E\u2060-\u2069\uFEFF]/

/** Fails when a terminal would obey, or hide, something in a text. */
export const assertPrintable = (text: string, message: string): void => {
  assert.notMatch(text, lines, message)
  assert.notMatch(text, hidden, message)
}
