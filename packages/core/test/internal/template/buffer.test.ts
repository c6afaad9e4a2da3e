import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { chunkOf, TemplateBuffer } from "../../../src/internal/template/buffer.ts"
import * as TextEntity from "../../../src/internal/mime/textEntity.ts"
import { AnyText } from "../../support/mails.ts"
import { decode } from "../../support/quotedPrintable.ts"

/** A piece of text, and whether it is the same in all mails. */
type Piece = readonly [text: string, isStatic: boolean]

const encode = (encoding: "quoted-printable" | "base64", pieces: ReadonlyArray<Piece>, isLast = false): string => {
  const buffer = new TemplateBuffer()
  buffer.raw(Buffer.from("\r\n"))
  buffer.beginPart(encoding)
  for (const [text, isStatic] of pieces)
    if (isStatic) {
      // A template has no empty static text.
      if (text !== "") buffer.static({ _tag: "Static", text, chunk: chunkOf(text, encoding) })
    } else buffer.value(text)
  buffer.endPart(isLast)
  return buffer.copy().toString("latin1").slice(2)
}

/** Pieces are cut anywhere in lines, but a CR and its LF stay together: cut apart they are two line breaks. */
const AnyPieces = Arbitrary.array(Arbitrary.all([AnyText, Arbitrary.schema(Schema.Boolean)]), { maxLength: 8 })

const ShortPieces = Arbitrary.array(
  Arbitrary.all([
    Arbitrary.schema(
      Schema.Literals([
        " ",
        "  ",
        "\t",
        "\n",
        "\r\n",
        "F",
        "From",
        "From ",
        "rom me",
        " x",
        "x ",
        "=",
        "é",
        "x".repeat(73),
        "x".repeat(74),
        "x".repeat(75),
        "",
        "."
      ])
    ),
    Arbitrary.schema(Schema.Boolean)
  ]),
  { maxLength: 12 }
)

const lines = (pieces: ReadonlyArray<Piece>): string => pieces.map(([text]) => TextEntity.toCrlf(text)).join("")

describe("templateBuffer", () => {
  it.for([
    [
      [
        ["Dear ", true],
        ["Ann", false],
        [",\nhello", true]
      ],
      "Dear Ann,\r\nhello"
    ],
    [
      [
        ["x".repeat(70), true],
        ["abcde", false],
        ["y", true]
      ],
      `${"x".repeat(70)}abcde=\r\ny`
    ],
    [
      [
        ["x".repeat(70), true],
        ["abcde", false],
        ["\ny", true]
      ],
      `${"x".repeat(70)}abcde\r\ny`
    ],
    [
      [
        ["a ", true],
        ["", false],
        ["\nb", true]
      ],
      "a=20\r\nb"
    ],
    [
      [
        ["a", true],
        ["b ", false]
      ],
      "ab=20"
    ],
    [
      [
        ["a ", false],
        ["\r\nb", false]
      ],
      "a=20\r\nb"
    ],
    [
      [
        [`${"x".repeat(74)} `, false],
        ["\n", true]
      ],
      `${"x".repeat(74)}=\r\n=20\r\n`
    ],
    [
      [
        ["x", false],
        ["y".repeat(80), true]
      ],
      `x=\r\n${"y".repeat(75)}=\r\nyyyyy`
    ],
    [
      [
        ["a\n", true],
        ["F", false],
        ["rom me", true]
      ],
      "a\r\n=46rom me"
    ],
    [
      [
        ["a\n", true],
        ["Fro", true],
        ["m me", false]
      ],
      "a\r\n=46rom me"
    ],
    [[["👍", false]], "=F0=9F=91=8D"],
    [
      [
        ["\ud83d", false],
        ["\udc4d", true]
      ],
      "=EF=BF=BD=EF=BF=BD"
    ]
  ] as ReadonlyArray<readonly [ReadonlyArray<Piece>, string]>)("writes %j", ([pieces, expected]) => {
    assert.strictEqual(encode("quoted-printable", pieces), expected)
  })

  for (const [name, arbitrary] of [
    ["any pieces", AnyPieces],
    ["pieces at a line's end", ShortPieces]
  ] as const)
    it.prop(`${name} are read back, in lines of at most 76 that no relay alters`, [arbitrary], ([pieces]) => {
      const encoded = encode("quoted-printable", pieces)
      assert.strictEqual(decode(encoded), lines(pieces))
      for (const line of encoded.split("\r\n")) {
        assert.isAtMost(line.length, 76)
        assert.match(line, /^[\t\x20-\x7e]*$/)
        assert.isFalse(/[ \t]$/.test(line), "no blank at a line's end")
        assert.isFalse(line.startsWith("From "))
        assert.notInclude(line, "=_")
      }
    })

  it.prop("base64 is that of the whole, however it was put together", [AnyPieces], ([pieces]) => {
    const whole = Buffer.from(lines(pieces)).toString("base64")
    const encoded = encode("base64", pieces)
    assert.strictEqual(encoded.replaceAll("\r\n", ""), whole)
    assert.isTrue(encoded.split("\r\n").every((line) => line.length <= 76))
  })

  it.prop("a message's last line ends, once", [AnyPieces], ([pieces]) => {
    for (const encoding of ["quoted-printable", "base64"] as const) {
      const open = encode(encoding, pieces)
      const ended = encode(encoding, pieces, true)
      assert.strictEqual(ended, open === "" || open.endsWith("\r\n") ? open : `${open}\r\n`)
    }
  })

  it("grows with its content and shrinks with the next mail", () => {
    const buffer = new TemplateBuffer()
    const large = "ü".repeat(300_000)
    buffer.beginPart("quoted-printable")
    buffer.value(large)
    buffer.endPart(true)
    assert.strictEqual(decode(buffer.copy().toString("latin1")), `${large}\r\n`)
    buffer.reset()
    buffer.header("A: b\r\n", "latin1")
    assert.strictEqual(buffer.copy().toString(), "A: b\r\n")
  })
})
