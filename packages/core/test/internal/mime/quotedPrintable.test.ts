import { assert, describe, it } from "@effect/vitest"
import * as QuotedPrintable from "../../../src/internal/mime/quotedPrintable.ts"
import * as TextEntity from "../../../src/internal/mime/textEntity.ts"
import { AnyText } from "../../support/mails.ts"
import { decode } from "../../support/quotedPrintable.ts"

describe("quotedPrintable", () => {
  it.for([
    ["", ""],
    ["plain text.\r\n", "plain text.\r\n"],
    ["1+1=2", "1+1=3D2"],
    ["é", "=C3=A9"],
    ["end \r\nend\t\r\n ", "end=20\r\nend=09\r\n=20"],
    ["a b\tc", "a b\tc"],
    ["From me\r\nFrom you\r\nnot From\r\nFro", "=46rom me\r\n=46rom you\r\nnot From\r\nFro"],
    ["x".repeat(76), "x".repeat(76)],
    ["x".repeat(77), `${"x".repeat(75)}=\r\nxx`],
    ["x".repeat(76) + "\r\n", "x".repeat(76) + "\r\n"],
    [`${"x".repeat(75)}é`, `${"x".repeat(75)}=\r\n=C3=A9`],
    [`${"x".repeat(73)}=`, `${"x".repeat(73)}=3D`],
    [`${"x".repeat(73)}=y`, `${"x".repeat(73)}=\r\n=3Dy`],
    [`${"x".repeat(75)}From me`, `${"x".repeat(75)}=\r\n=46rom me`],
    [`${"x".repeat(75)} `, `${"x".repeat(75)}=\r\n=20`]
  ] as const)("writes %j", ([text, encoded]) => {
    assert.strictEqual(QuotedPrintable.encode(text), encoded)
  })

  it.prop("is read back, in lines of at most 76 that no relay alters", [AnyText], ([text]) => {
    const lines = TextEntity.toCrlf(text)
    const encoded = QuotedPrintable.encode(lines)
    assert.strictEqual(decode(encoded), lines)
    for (const line of encoded.split("\r\n")) {
      assert.isAtMost(line.length, 76)
      assert.match(line, /^[\t\x20-\x7e]*$/)
      assert.isFalse(/[ \t]$/.test(line), "no blank at a line's end")
      assert.isFalse(line.startsWith("From "))
      assert.notInclude(line, "=_")
    }
  })
})
