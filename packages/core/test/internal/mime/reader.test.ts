import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as MimeReader from "../../../src/internal/mime/reader.ts"
import * as MimeComposer from "../../../src/MimeComposer.ts"
import { AnyAttachment, AnyLine, AnyMailbox, AnyText } from "../../support/mails.ts"
import { settled } from "../../support/readers.ts"

const read = (lines: ReadonlyArray<string>, lineBreak = "\r\n"): MimeReader.Part => {
  const part = MimeReader.read(Buffer.from(lines.join(lineBreak), "latin1"))
  assert.isDefined(part)
  return part!
}

const leaves = (part: MimeReader.Part): ReadonlyArray<MimeReader.Part> =>
  part.parts.length === 0 ? [part] : part.parts.flatMap(leaves)

describe("mimeReader", () => {
  it("reads a megabyte of blanks within a line, which must not be gone over again for each of them", () => {
    const line = `a${" ".repeat(1_000_000)}b`
    const part = read(["Content-Transfer-Encoding: quoted-printable", "", `${line} \t`, "c"])
    assert.strictEqual(MimeReader.textOf(part), `${line}\nc`)
  })

  it.effect.prop(
    "reads the composer's output",
    [
      Arbitrary.all({
        from: AnyMailbox,
        subject: AnyLine,
        note: AnyLine,
        text: AnyText,
        html: AnyText,
        attachments: Arbitrary.array(AnyAttachment, { maxLength: 2 })
      })
    ],
    Effect.fnUntraced(function* ([{ note, ...mail }]) {
      const { content } = yield* MimeComposer.compose({ ...mail, to: "a@example.org", headers: { "X-Note": note } })
      const part = MimeReader.read(content as Uint8Array)!
      assert.deepStrictEqual(MimeReader.values(part, "subject"), [mail.subject])
      assert.deepStrictEqual(MimeReader.values(part, "x-note"), [note])
      const found = leaves(part)
      const texts = found.filter((leaf) => leaf.disposition === "")
      const textOf = (type: string) =>
        settled(
          texts
            .filter((leaf) => leaf.type === type)
            .map(MimeReader.textOf)
            .join("")
        )
      assert.strictEqual(textOf("text/plain"), settled(mail.text))
      assert.strictEqual(textOf("text/html"), settled(mail.html))
      assert.deepStrictEqual(
        found
          .filter((leaf) => leaf.disposition !== "")
          .map(({ body, filename }) => [filename, Buffer.from(body).toString("base64")]),
        mail.attachments.map(({ content: bytes, filename }) => [filename, Buffer.from(bytes).toString("base64")])
      )
    }),
    { arbitrary: { runs: 150, size: 12 } }
  )

  it("header fields are unfolded, encoded-words read as one text", () => {
    const part = read([
      "Subject: =?utf-8?Q?Gr=C3?=",
      " =?UTF-8?q?=BC=C3=9Fe?= an =?iso-8859-1?B?5A==?= =?utf-8*de?Q?_all?=",
      "X-Raw: Gr\xc3\xbc\xc3\x9fe",
      "X-Odd : =?nonsense?Q?=41=E4?= =?x",
      "",
      "body"
    ])
    assert.deepStrictEqual(MimeReader.values(part, "subject"), ["Grüße an ä all"])
    assert.deepStrictEqual(MimeReader.values(part, "x-raw"), ["Grüße"])
    assert.deepStrictEqual(MimeReader.values(part, "x-odd"), ["Aä =?x"])
    assert.strictEqual(MimeReader.textOf(part), "body")
  })

  it.for(["\r\n", "\n"])("parts are found with line breaks %j", (lineBreak) => {
    const part = read(
      [
        'Content-Type: multipart/mixed; boundary="a b"',
        "",
        "preamble",
        "--a b",
        "Content-Type: Text/HTML; charset=ISO-8859-1",
        "Content-Transfer-Encoding: Quoted-Printable",
        "",
        "<p>=E4 \t",
        "--a bc=",
        "d</p>",
        "--a b  ",
        "Content-Type: application/pdf; name*0*=utf-8''%C3%A4; name*1=b%41.pdf",
        "Content-Transfer-Encoding: base64",
        "Content-Disposition: ATTACHMENT",
        "Content-ID: <x@y>",
        "",
        "aGVs",
        "bG8=",
        "--a b",
        "",
        "no header",
        "--a b--",
        "epilogue",
        "--a b",
        "",
        "not a part"
      ],
      lineBreak
    )
    assert.deepStrictEqual(
      part.parts.map((child) => [child.type, child.disposition, child.filename, child.contentId]),
      [
        ["text/html", "", undefined, undefined],
        ["application/pdf", "attachment", "äb%41.pdf", "x@y"],
        ["text/plain", "", undefined, undefined]
      ]
    )
    const [html, pdf, text] = part.parts
    assert.strictEqual(MimeReader.textOf(html!), "<p>ä\n--a bcd</p>")
    assert.strictEqual(Buffer.from(pdf!.body).toString(), "hello")
    assert.strictEqual(MimeReader.textOf(text!), "no header")
  })

  it("reads a truncated message as far as it goes", () => {
    const part = read(["Content-Type: multipart/alternative; boundary=x", "", "--x", "", "first", "--x", "", "sec"])
    assert.deepStrictEqual(part.parts.map(MimeReader.textOf), ["first", "sec"])
    assert.deepStrictEqual(read(["Content-Type: multipart/mixed", "", "x"]).parts, [])
    assert.strictEqual(read(["A: b"]).body.length, 0)
    const deep = Array.from({ length: 100 }, () => "Content-Type: multipart/mixed; boundary=x\n\n--x\n").join("")
    assert.isDefined(MimeReader.read(Buffer.from(deep)))
  })

  it("finds no message in other bytes", () => {
    for (const text of ["", "Hello", "<html>", "\r\nA: b", "no colon\nA: b"])
      assert.isUndefined(MimeReader.read(Buffer.from(text)))
    assert.isDefined(MimeReader.read(Buffer.from("From me Mon Jan 1\nA: b\n\nx")))
    assert.isDefined(MimeReader.read(Buffer.from("\ufeffA: b\n\nx")))
  })
})
