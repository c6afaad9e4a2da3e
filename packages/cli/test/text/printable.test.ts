import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import * as Printable from "../../src/text/printable.ts"
import { assertPrintable, hostile } from "../support/hostile.ts"

const pieces = [...hostile, "\n", "\0", "a", "é", "😀", "\u{E0041}", "\u200D", "\u00AD", "<U+202E>", "\uD83D"]

const AnyHostile = Arbitrary.map(Arbitrary.array(Arbitrary.schema(Schema.Literals(pieces))), (parts) => parts.join(""))

describe("Printable", () => {
  it.prop("leaves nothing in a text that a terminal would obey", [AnyHostile], ([text]) => {
    assertPrintable(Printable.line(text), "line")
    assert.notInclude(Printable.line(text), "\n")
    assertPrintable(Printable.lines(text), "lines")
    assertPrintable(Printable.painted(text).replaceAll(/\u001B\[(?:1|2|22|31|32|33|36|39)m/g, ""), "painted")
  })

  it.prop("is JSON that reads as the same, and that is printable already", [AnyHostile], ([text]) => {
    const json = Printable.json({ [text]: text })
    assertPrintable(json, "json")
    assert.strictEqual(Printable.lines(json), json)
    assert.deepStrictEqual(JSON.parse(json), JSON.parse(JSON.stringify({ [text]: text })))
  })

  it("keeps ordinary text", () => {
    for (const text of ["Grüße, Ünal", "日本語 العربية עברית", "می\u200Cخواهم", "👩\u200D💻 ❤\uFE0F", "a\u00A0b"])
      assert.strictEqual(Printable.line(text), text)
    assert.strictEqual(Printable.line("a\u202Egpj.exe\r\nb\u200Dc"), "a<U+202E>gpj.exe b<U+200D>c")
    assert.strictEqual(Printable.lines("a\tb\r\nc\rd\u001B[2J"), "a b\nc d [2J")
    assert.strictEqual(Printable.json({ a: "\u202E\u009B", b: 1 }, 2), '{\n  "a": "\\u202e\\u009b",\n  "b": 1\n}')
  })
})
