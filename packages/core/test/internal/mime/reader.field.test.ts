/**
 * What mail programs write beside the rules, as it is found in the field, held against two other readers.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as MimeReader from "../../../src/internal/mime/reader.ts"
import { readWithMailparser, readWithPostalMime } from "../../support/readers.ts"

const bytes = (lines: ReadonlyArray<string>): Uint8Array => Buffer.from(lines.join("\r\n"), "latin1")

const read = (lines: ReadonlyArray<string>): MimeReader.Part => MimeReader.read(bytes(lines))!

describe("a reader of messages from the field", () => {
  // One character in two words of its own charset, each of which is a text by itself (RFC 2047 §5).
  const subjects: ReadonlyArray<readonly [what: string, subject: string, text: string]> = [
    ["ISO-2022-JP", "=?ISO-2022-JP?B?GyRCRnwbKEI=?= =?ISO-2022-JP?B?GyRCS1wbKEI=?=", "日本"],
    [
      "ISO-2022-JP by quoted-printable",
      "=?iso-2022-jp?Q?=1B$BF|=1B(B?= =?iso-2022-jp?Q?=1B$BK\\=1B(B?= and more",
      "日本 and more"
    ],
    ["Shift_JIS", "=?Shift_JIS?B?k/o=?= =?Shift_JIS?B?lns=?=", "日本"],
    ["EUC-JP", "=?EUC-JP?B?xvw=?= =?EUC-JP?B?y9w=?=", "日本"],
    ["GB2312", "=?GB2312?B?yNU=?= =?GB2312?B?sb4=?=", "日本"],
    ["EUC-KR", "=?EUC-KR?B?x9E=?= =?EUC-KR?B?sbk=?=", "한국"],
    ["UTF-8, a character cut in two", "=?utf-8?B?5pel5pw=?= =?utf-8?B?rA==?=", "日本"],
    ["several charsets", "=?ISO-2022-JP?B?GyRCRnwbKEI=?= =?utf-8?B?5pys?= =?ISO-8859-1?Q?=E4?=", "日本ä"]
  ]

  it.effect("takes each encoded-word for a text of its own", () =>
    Effect.gen(function* () {
      for (const [what, subject, text] of subjects) {
        assert.strictEqual(MimeReader.decodeText(subject), text, what)
        if (what.includes("cut in two")) continue
        const raw = bytes([`Subject: ${subject}`, "", "x"])
        assert.strictEqual((yield* Effect.promise(() => readWithMailparser(raw))).subject, text, what)
        assert.strictEqual((yield* Effect.promise(() => readWithPostalMime(raw))).subject, text, what)
      }
    })
  )

  it.for<readonly [contentType: string, type: string, text: string]>([
    ["text/plain; charset=utf-8 (Unicode)", "text/plain", "Grüße"],
    ["text/plain; charset=us-ascii (Plain text)", "text/plain", "Grüße"],
    ["text/html (x); charset=utf-8", "text/html", "Grüße"],
    ["(a) text (b) / (c) html (d; e) ; (f) charset (g) = (h) utf-8", "text/html", "Grüße"],
    ["text/plain (nested (comment; charset=iso-8859-1)); charset=utf-8", "text/plain", "Grüße"],
    ['text/plain; charset="utf-8" (x)', "text/plain", "Grüße"],
    ["text/plain; charset='utf-8'", "text/plain", "Grüße"],
    ["text/plain; charset=utf_8", "text/plain", "Grüße"],
    ["text/plain; CHARSET=UTF8;", "text/plain", "Grüße"],
    ["TEXT/Plain; format=fixed", "text/plain", "Grüße"],
    ["text/plain (never closed; charset=utf-8", "text/plain", "Grüße"]
  ])("reads Content-Type: %s", ([contentType, type, text]) => {
    const part = read([`Content-Type: ${contentType}`, "Content-Transfer-Encoding: 8bit", "", "Gr\xc3\xbc\xc3\x9fe"])
    if (!contentType.includes("never")) assert.strictEqual(part.type, type)
    assert.strictEqual(MimeReader.textOf(part), text)
  })

  it.for(["base64 (x)", "(x) BASE64", " base64 ", "base64;"])("reads Content-Transfer-Encoding: %s", (encoding) => {
    assert.strictEqual(MimeReader.textOf(read([`Content-Transfer-Encoding: ${encoding}`, "", "aGVsbG8="])), "hello")
  })

  it.for<readonly [field: string, filename: string]>([
    ['attachment; filename="a (1).pdf"', "a (1).pdf"],
    ["attachment; filename=a (1).pdf", "a (1).pdf"],
    ["attachment (c); filename=a.pdf", "a.pdf"],
    ['attachment; filename="a;b.pdf"; size=3', "a;b.pdf"],
    ['attachment; filename="a\\"b.pdf"', 'a"b.pdf'],
    ['attachment; filename="never closed.pdf', "never closed.pdf"]
  ])("reads Content-Disposition: %s", ([field, filename]) => {
    const part = read([`Content-Disposition: ${field}`, "", ""])
    assert.strictEqual(part.filename, filename)
    assert.strictEqual(part.disposition, "attachment")
  })

  it.for<readonly [field: string, id: string | undefined]>([
    ["<a@b>", "a@b"],
    ["< a@b >", "a@b"],
    ["a@b", "a@b"],
    ["(c) <a@b> (d)", "a@b"],
    ["<>", undefined]
  ])("reads Content-ID: %s", ([field, id]) => {
    assert.strictEqual(read([`Content-ID: ${field}`, "", ""]).contentId, id)
  })

  it("begins the content at the first line that is no field if no empty line ends the header", () => {
    assert.strictEqual(MimeReader.textOf(read(["Content-Type: text/plain", "bar"])), "bar")
    assert.strictEqual(MimeReader.textOf(read(["Content-Type: text/plain", "bar", "", "baz: x"])), "bar\n\nbaz: x")
    const { parts } = read([
      "Content-Type: multipart/mixed; boundary=B",
      "",
      "--B",
      "Content-Type: text/plain;",
      "\tcharset=utf-8",
      "bar",
      "--B",
      "no header at all",
      "--B",
      "",
      "an empty one",
      "--B--"
    ])
    assert.deepStrictEqual(parts.map(MimeReader.textOf), ["bar", "no header at all", "an empty one"])
    // A mailbox file's separator is no content.
    assert.strictEqual(MimeReader.textOf(read(["Subject: a", ">From b", "X: c", "", "text"])), "text")
  })

  it("continues after the padding of base64", () => {
    const pieces = ["<p>Hi</p>", "x", "<p>{{n}}</p>"].map((text) => Buffer.from(text).toString("base64"))
    for (const separator of ["\r\n", "", "\r\n\r\n", " "]) {
      const part = read(["Content-Transfer-Encoding: base64", "", pieces.join(separator)])
      assert.strictEqual(MimeReader.textOf(part), "<p>Hi</p>x<p>{{n}}</p>", JSON.stringify(separator))
    }
    assert.strictEqual(MimeReader.textOf(read(["Content-Transfer-Encoding: base64", "", "aGVsbG8=", "=", ""])), "hello")
  })

  it("puts flowed lines together (RFC 3676)", () => {
    const flowed = (parameters: string, ...lines: ReadonlyArray<string>) =>
      MimeReader.textOf(read([`Content-Type: text/plain; format=flowed${parameters}`, "", ...lines]))
    assert.strictEqual(flowed("", "one ", "two", " From me", " >x", "", "three"), "one two\nFrom me\n>x\n\nthree")
    assert.strictEqual(flowed("; delsp=yes", "one ", "two", "a  ", "b"), "onetwo\na b")
    assert.strictEqual(flowed("", "> a ", "> b", ">> c ", "d"), "> a b\n>> c \nd")
    assert.strictEqual(flowed("", "text ", "-- ", "Ann"), "text \n-- \nAnn")
    assert.strictEqual(MimeReader.textOf(read(["Content-Type: text/plain", "", " From me ", "x"])), " From me \nx")
  })

  it("takes no time that grows with the square of parentheses, quotes and semicolons", () => {
    for (const unit of ["(", '"', ";", "(;", '("', "a=(;", "\\("]) {
      const part = read([`Content-Type: text/plain; ${unit.repeat(100_000)}`, "", "x"])
      assert.strictEqual(MimeReader.textOf(part), "x")
    }
  })
})
