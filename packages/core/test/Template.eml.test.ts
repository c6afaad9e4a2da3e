/**
 * Templates that other programs made: messages saved by a mail program, HTML compiled by a generator.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as MimeComposer from "../src/MimeComposer.ts"
import * as Template from "../src/Template.ts"
import { likeMjml, likeReactEmail } from "./support/generatedHtml.ts"
import { readWithMailparser, readWithPostalMime, wireProblem } from "./support/readers.ts"

const eml = (lines: ReadonlyArray<string>): Uint8Array => Buffer.from(lines.join("\r\n"))

const read = (template: Template.Template, recipient: Template.Recipient) =>
  Effect.gen(function* () {
    const { content } = yield* template.render(recipient)
    const raw = content as Uint8Array
    assert.strictEqual(wireProblem(raw), undefined)
    const [one, other] = yield* Effect.promise(() => Promise.all([readWithMailparser(raw), readWithPostalMime(raw)]))
    const { header, ...seen } = one
    const { header: _, ...alike } = other
    assert.deepStrictEqual(seen, alike)
    return { ...seen, header }
  })

describe("Template from .eml", () => {
  it.effect("reads names in bare UTF-8 and headers that are named like Object's own properties", () =>
    Effect.gen(function* () {
      const { source } = yield* Template.fromEml(
        eml([
          "From: Élan Ñandú 日本 <a@b.c>",
          "Reply-To: É <d@e.f>",
          "constructor: 1",
          "toString: 2",
          "toString: 3",
          "",
          "x"
        ])
      )
      assert.deepStrictEqual(source.from, { name: "Élan Ñandú 日本", address: "a@b.c" })
      assert.deepStrictEqual(source.replyTo, [{ name: "É", address: "d@e.f" }])
      assert.deepStrictEqual(source.headers, { constructor: ["1"], toString: ["2", "3"] } as never)
    })
  )

  it.effect("keeps the author's fields and drops those that programs added", () =>
    Effect.gen(function* () {
      const template = yield* Template.fromEml(
        eml([
          "Return-Path: <x@example.net>",
          "Received: from a by b; Fri, 02 Jan 2026 03:04:05 +0000",
          "DKIM-Signature: v=1; a=rsa-sha256; d=example.org; b=abc",
          "From: =?utf-8?Q?M=C3=BCller_Shop?= <shop@example.org>",
          "To: {{name}} <{{email}}>, office@example.org",
          "Cc: copy@example.org",
          "Reply-To: Desk <desk+{{order.id}}@example.org>",
          "Subject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe=2C_=7B=7Bname=7C?=",
          " =?UTF-8?Q?Freund=7D=7D?=",
          "Date: Fri, 02 Jan 2026 03:04:05 +0000",
          "Message-ID: <old@example.org>",
          "X-Mailer: Some Program 1.0",
          "X-Campaign: spring {{order.id}}",
          "X-Priority: 1",
          "List-Unsubscribe: <mailto:leave@example.org>,",
          " <https://example.org/u/{{order.id}}?e={{email}}>",
          "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
          "MIME-Version: 1.0",
          'Content-Type: multipart/mixed; boundary="m"',
          "",
          "--m",
          'Content-Type: multipart/alternative; boundary="a"',
          "",
          "--a",
          "Content-Type: text/plain; charset=iso-8859-1",
          "Content-Transfer-Encoding: quoted-printable",
          "",
          "F=FCr {{na=",
          "me}}",
          "--a",
          'Content-Type: multipart/related; boundary="r"',
          "",
          "--r",
          "Content-Type: text/html; charset=utf-8",
          "Content-Transfer-Encoding: base64",
          "",
          Buffer.from('<p>Für {{name}}</p><img src="cid:logo@x">').toString("base64"),
          "--r",
          'Content-Type: image/png; name="logo.png"',
          "Content-ID: <logo@x>",
          "Content-Disposition: inline",
          "Content-Transfer-Encoding: base64",
          "",
          "AAEC",
          "--r--",
          "--a--",
          "--m",
          "Content-Type: text/plain; charset=utf-8",
          "Content-Disposition: attachment; filename*=utf-8''Bedingungen%20%C3%9C.txt",
          "Content-ID: <unused@x>",
          "Content-Transfer-Encoding: quoted-printable",
          "",
          "{{stays}}=3D",
          "--m--",
          ""
        ]),
        { replace: { to: "{{name}} <{{email}}>" } }
      )
      const data = { name: "Änn", email: "ann@example.org", order: { id: 7 } }
      const seen = yield* read(template, { data })
      assert.deepStrictEqual(seen.from, ["Müller Shop <shop@example.org>"])
      assert.deepStrictEqual(seen.to, ["Änn <ann@example.org>"])
      assert.deepStrictEqual(seen.cc, [])
      assert.deepStrictEqual(seen.replyTo, ["Desk <desk+7@example.org>"])
      assert.strictEqual(seen.subject, "Grüße, Änn")
      assert.strictEqual(seen.text, "Für Änn")
      assert.strictEqual(seen.html, '<p>Für Änn</p><img src="cid:logo@x">')
      assert.deepStrictEqual(
        seen.attachments.map(({ base64, cid, filename, type }) => [filename, cid, type, base64]),
        [
          ["logo.png", "logo@x", "image/png", "AAEC"],
          ["Bedingungen Ü.txt", undefined, "text/plain", Buffer.from("{{stays}}=").toString("base64")]
        ]
      )
      assert.deepStrictEqual(seen.header("x-campaign"), ["spring 7"])
      assert.deepStrictEqual(seen.header("x-priority"), ["1"])
      assert.deepStrictEqual(seen.header("list-unsubscribe"), [
        "<mailto:leave@example.org>, <https://example.org/u/7?e=ann%40example.org>"
      ])
      assert.deepStrictEqual(seen.header("list-unsubscribe-post"), ["List-Unsubscribe=One-Click"])
      for (const name of ["received", "return-path", "dkim-signature", "x-mailer"])
        assert.deepStrictEqual(seen.header(name), [], name)
      assert.notInclude(seen.header("message-id").join(), "old")
    })
  )

  it.effect("a recipient without a field is not taken, and one with a field is", () =>
    Effect.gen(function* () {
      const of = (to: string) => Template.fromEml(eml(["From: a@example.org", `To: ${to}`, "", "Hi {{name|you}}"]))
      const fixed = yield* of("office@example.org")
      assert.include((yield* Effect.flip(fixed.render({}))).message, "there is no recipient")
      const filled = yield* of("{{ name }} <{{email}}>")
      assert.deepStrictEqual((yield* read(filled, { data: { name: "Bob", email: "bob@example.org" } })).to, [
        "Bob <bob@example.org>"
      ])
      assert.deepStrictEqual((yield* read(yield* of("undisclosed-recipients:;"), { to: "c@example.org" })).to, [
        " <c@example.org>"
      ])
    })
  )

  it.effect("reads the composer's output back as the same mail", () =>
    Effect.gen(function* () {
      const mail = {
        from: "Ann <ann@example.org>",
        to: "bob@example.org",
        subject: "Grüße",
        text: "Text – so\nund so",
        html: "<p>HTML – so</p><img src='cid:a'>",
        headers: { "X-Note": ["eins", "zwei"] },
        attachments: [
          { filename: "a.png", content: Buffer.from([1, 2]), cid: "a" },
          { filename: "ü.pdf", content: Buffer.from([3]) }
        ]
      }
      const composed = yield* MimeComposer.compose(mail)
      const template = yield* Template.fromEml(composed.content as Uint8Array)
      const again = yield* read(template, { to: mail.to })
      const { header: _, ...first } = yield* Effect.promise(() => readWithPostalMime(composed.content as Uint8Array))
      const { header, ...seen } = again
      assert.deepStrictEqual(seen, first)
      assert.deepStrictEqual(header("x-note"), ["eins", "zwei"])
    })
  )

  it.effect("says what is wrong with a file", () =>
    Effect.gen(function* () {
      const message = (lines: ReadonlyArray<string>) =>
        Effect.map(Effect.flip(Template.fromEml(eml(lines))), (error) => error.message)
      assert.strictEqual(
        yield* message(["<html>"]),
        "eml: the file does not begin with a header field; give a message as saved by a mail program"
      )
      assert.strictEqual(
        yield* message(["Subject: x", "", ""]),
        "from: the message names no sender; add a From header to it, or give one"
      )
      assert.strictEqual(
        yield* message(["From: nobody", "", ""]),
        "from: there is no address here; write Name <local@domain>, with the name in double quotes if it holds a comma"
      )
      assert.strictEqual(
        yield* message(["From: a@example.org", "", "x", "  {{#if a}}"]),
        "text, line 2, column 3: {{#if a}} is never closed; add {{/if}} where the block ends"
      )
    })
  )
})

describe("Template from a generator's HTML", () => {
  const data = {
    name: "Ann & Bob",
    colour: "#f4f4f4",
    banner: "https://shop.example/b.png?a=1&b=2",
    order: { id: "A/7" },
    items: [
      { title: "Tea <green>", count: 2 },
      { title: "Milk", count: 1 }
    ]
  }

  const render = (html: string) =>
    Effect.flatMap(Template.compile({ from: "a@example.org", to: "b@example.org", subject: "", html }), (template) =>
      read(template, { data })
    )

  it.effect("MJML's compiles, with its fields in Outlook's comments and its styles", () =>
    Effect.gen(function* () {
      const { html, text } = yield* render(likeMjml)
      assert.include(html, "<title>Order A/7</title>")
      assert.include(html, '<v:image src="https://shop.example/b.png?a=1&amp;b=2" ')
      assert.include(html, "background:url('https://shop.example/b.png?a=1&amp;b=2') center")
      assert.include(html, "<div>Tea &lt;green&gt;</div>")
      assert.notInclude(html, "{{")
      assert.strictEqual(
        text,
        "Hello Ann & Bob,\nTea <green>\n2\nMilk\n1\nSee your order (https://shop.example/o/A%2F7)"
      )
    })
  )

  it.effect("React Email's compiles, with quotes that are entities", () =>
    Effect.gen(function* () {
      const { html, text } = yield* render(likeReactEmail)
      assert.include(html, "Hello <!-- -->Ann &amp; Bob<!-- -->,</p>")
      assert.notInclude(html, "{{")
      assert.strictEqual(text, "Hello Ann & Bob,\n\nSee your order (https://shop.example/o/A%2F7)\n\n---\n\nOur logo")
    })
  )
})
