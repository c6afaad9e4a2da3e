/**
 * Messages as mail programs and lists in the field save them, as sources of templates.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Template from "../src/Template.ts"
import { readWithMailparser, readWithPostalMime } from "./support/readers.ts"

const eml = (lines: ReadonlyArray<string>): Uint8Array =>
  Buffer.from(["From: a@example.org", "Subject: s", ...lines].join("\r\n"), "latin1")

const sourceOf = (lines: ReadonlyArray<string>) => Effect.map(Template.fromEml(eml(lines)), ({ source }) => source)

const refusal = (lines: ReadonlyArray<string>) => Effect.map(Effect.flip(Template.fromEml(eml(lines))), String)

const part = (header: ReadonlyArray<string>, ...body: ReadonlyArray<string>) => [...header, "", ...body]

const multipart = (kind: string, boundary: string, ...parts: ReadonlyArray<ReadonlyArray<string>>) => [
  `Content-Type: multipart/${kind}; boundary=${boundary}`,
  "",
  ...parts.flatMap((lines) => [`--${boundary}`, ...lines]),
  `--${boundary}--`
]

const text = (...body: ReadonlyArray<string>) => part(["Content-Type: text/plain"], ...body)
const html = (...body: ReadonlyArray<string>) => part(["Content-Type: text/html"], ...body)
const pdf = part(["Content-Type: application/pdf", "Content-Disposition: inline; filename=a.pdf"], "x")

describe("Template from .eml of the field", () => {
  it.effect("shows text, file and text in their order, as Apple Mail means them", () =>
    Effect.gen(function* () {
      const template = yield* Template.fromEml(eml(multipart("mixed", "B", text("one {{n}}"), pdf, text("two {{n}}"))))
      assert.strictEqual(template.source.text, "one {{n}}\ntwo {{n}}")
      assert.deepStrictEqual(
        template.source.attachments?.map(({ filename }) => filename),
        ["a.pdf"]
      )
      const { content } = yield* template.render({ to: "b@example.org", data: { n: 1 } })
      for (const reader of [readWithMailparser, readWithPostalMime]) {
        const seen = yield* Effect.promise(() => reader(content as Uint8Array))
        assert.strictEqual(seen.text, "one 1\ntwo 1")
        assert.deepStrictEqual(
          seen.attachments.map(({ filename }) => filename),
          ["a.pdf"]
        )
      }
    })
  )

  it.effect("joins the HTML around a file, also beside a plain text", () =>
    Effect.gen(function* () {
      const around = multipart(
        "mixed",
        "C",
        html("<html><body><p>one {{n}}</p></body></html>"),
        pdf,
        html("<html><head><meta charset=x></head><body class=a>two {{n}}</body></html>")
      )
      const joined = "<html><body><p>one {{n}}</p>\ntwo {{n}}</body></html>"
      const alone = yield* sourceOf(around)
      assert.deepStrictEqual([alone.text, alone.html], [undefined, joined])
      const beside = yield* sourceOf(multipart("alternative", "B", text("plain {{n}}"), around))
      assert.deepStrictEqual([beside.text, beside.html], ["plain {{n}}", joined])
      assert.deepStrictEqual(
        beside.attachments?.map(({ filename }) => filename),
        ["a.pdf"]
      )
    })
  )

  it.effect("puts a list's footer under both forms of the text", () =>
    Effect.gen(function* () {
      const { attachments, ...source } = yield* sourceOf(
        multipart(
          "mixed",
          "B",
          multipart("alternative", "A", text("Hi {{n}}"), html("<p>Hi {{n}}</p>")),
          text("<{{url}}> & {{{n}}}", "end"),
          text(" ", "")
        )
      )
      assert.strictEqual(source.text, "Hi {{n}}\n<{{url}}> & {{{n}}}\nend")
      assert.strictEqual(source.html, "<p>Hi {{n}}</p>\n<div>&lt;{{url}}&gt; &amp; {{n}}<br>\nend</div>")
      assert.deepStrictEqual(attachments, [])
    })
  )

  it.effect("derives the text where a part of it is in HTML alone", () =>
    Effect.gen(function* () {
      const source = yield* sourceOf(multipart("mixed", "B", text("one"), html("<p>two</p>")))
      assert.deepStrictEqual([source.text, source.html], [undefined, "<div>one</div>\n<p>two</p>"])
    })
  )

  it.effect("treats the files of a related part as its first part's inline files", () =>
    Effect.gen(function* () {
      const source = yield* sourceOf(
        multipart("related", "B", html("<p>Hi</p>"), part(["Content-Type: text/html", "Content-ID: <f@x>"], "frame"))
      )
      assert.strictEqual(source.html, "<p>Hi</p>")
      assert.strictEqual(source.attachments?.length, 1)
    })
  )

  it.effect("sends no braces unfilled that readers see", () =>
    Effect.gen(function* () {
      const seen = [
        part(["Content-Type: text/enriched"], "<bold>{{n}}</bold>"),
        part(["Content-Type: text/x-amp-html"], "<p>{{n}}</p>"),
        part(["Content-Type: text/plain; name=a.txt"], "{{n}}"),
        part(["Content-Type: text/html", "Content-Disposition: inline; filename=a.html"], "%7B%7Bn%7D%7D")
      ]
      for (const one of seen) {
        const error = yield* refusal(multipart("mixed", "B", text("Hi"), one))
        assert.include(
          error,
          "would be sent without being filled in; take it out of the message, or attach it as a file"
        )
      }
      const file = part(["Content-Type: text/plain", "Content-Disposition: attachment; filename=a.hbs"], "{{n}}")
      const source = yield* sourceOf(multipart("mixed", "B", text("Hi"), file))
      assert.strictEqual(source.attachments?.length, 1)
    })
  )

  it.effect("sends no braces unfilled in the name of a file", () =>
    Effect.gen(function* () {
      const file = part(['Content-Disposition: attachment; filename="bill-{{n}}.pdf"'], "x")
      const says =
        "attachments[0].filename: names of files are not filled in, and this one holds a field; take them out"
      assert.include(yield* refusal(multipart("mixed", "B", text("Hi"), file)), says)
      const given = {
        from: "a@example.org",
        subject: "s",
        text: "Hi",
        attachments: [{ filename: "{{n}}.pdf", content: "x" }]
      }
      assert.include(String(yield* Effect.flip(Template.compile(given))), says)
      const { source } = yield* Template.compile({ ...given, attachments: [{ filename: "a{{b", content: "x" }] })
      assert.strictEqual(source.attachments?.[0]?.filename, "a{{b")
    })
  )

  it.effect("reads base64 in several padded pieces, in texts and files", () =>
    Effect.gen(function* () {
      const pieces = ["PHA+SGk8L3A+", "eA==", "PHA+e3tufX08L3A+"]
      const template = yield* Template.fromEml(
        eml(part(["Content-Type: text/html; charset=utf-8", "Content-Transfer-Encoding: base64"], ...pieces))
      )
      assert.strictEqual(template.source.html, "<p>Hi</p>x<p>{{n}}</p>")
      assert.deepStrictEqual(template.fields, ["n"])
      const file = part(
        ["Content-Disposition: attachment; filename=a.html", "Content-Transfer-Encoding: base64 (x)"],
        ...pieces
      )
      const { attachments } = yield* sourceOf(multipart("mixed", "B", text("Hi"), file))
      assert.strictEqual(Buffer.from(attachments![0]!.content as Uint8Array).toString(), "<p>Hi</p>x<p>{{n}}</p>")
    })
  )

  it.effect("finds an image of the text by any spelling of its URL (RFC 2392)", () =>
    Effect.gen(function* () {
      const spellings: ReadonlyArray<readonly [contentId: string, url: string, cid: string]> = [
        ["<i@x>", "cid:i@x", "i@x"],
        ["<a+b@x>", "cid:a%2Bb@x", "a+b@x"],
        ["<i@x>", "cid:i%40x", "i@x"],
        ["<i@x>", "CID:i@x", "i@x"],
        ["<a&b@x>", "cid:a&amp;b@x", "a&b@x"],
        ["<i@x>", "cid:i&#64;x", "i@x"],
        ["< i@x >", "cid:i@x", "i@x"],
        ["i@x (an image)", "cid:i@x", "i@x"],
        ["<100%@x>", "cid:100%@x", "100%@x"]
      ]
      for (const [contentId, url, cid] of spellings)
        for (const written of [`<img src="${url}">`, `<td style="background:url('${url}')">`, `<img src=${url}>`]) {
          const image = part(["Content-Type: image/png", `Content-ID: ${contentId}`], "x")
          const source = yield* sourceOf(multipart("related", "B", html(written), image))
          assert.strictEqual(source.attachments?.[0]?.cid, cid, `${contentId} ${written}`)
        }
      const other = part(["Content-Type: image/png", "Content-ID: <i@x>"], "x")
      const source = yield* sourceOf(multipart("mixed", "B", html('<img src="cid:i@xy">'), other))
      assert.isUndefined(source.attachments?.[0]?.cid)
    })
  )

  it.effect("reads comments, and charsets by the names that Python and Windows give them", () =>
    Effect.gen(function* () {
      const read: ReadonlyArray<readonly [charset: string, bytes: string, text: string]> = [
        ["utf-8 (Unicode)", "Gr\xc3\xbc\xc3\x9fe", "Grüße"],
        ["us-ascii (Plain text)", "hi", "hi"],
        ["utf_8", "Gr\xc3\xbc\xc3\x9fe", "Grüße"],
        ["cp932", "\x93\xfa\x96\x7b", "日本"],
        ["cp1252", "\x80", "€"],
        ["latin-1", "\xe4", "ä"],
        ["ISO-8859-15", "\xa4", "€"],
        ["ISO-2022-JP", "\x1b$BF|K\\\x1b(B", "日本"]
      ]
      for (const [charset, bytes, expected] of read) {
        const source = yield* sourceOf(part([`Content-Type: text/plain; charset=${charset}`], bytes))
        assert.strictEqual(source.text, expected, charset)
      }
      const source = yield* sourceOf(part(["Content-Type: text/html (x); charset=utf-8"], "<p>Hi</p>"))
      assert.strictEqual(source.html, "<p>Hi</p>")
    })
  )

  it.effect("refuses content that it cannot decode and names the place", () =>
    Effect.gen(function* () {
      const remedy = "save the message as UTF-8, or correct the charset of its Content-Type"
      const refused: ReadonlyArray<readonly [header: ReadonlyArray<string>, body: string, error: string]> = [
        [
          ["Content-Type: text/plain; charset=x-unknown"],
          "hi",
          `text, line 1, column 1: the charset "x-unknown" is not known; ${remedy}`
        ],
        [
          ["Content-Type: text/html"],
          "a\r\nGr\xfc\xdfe",
          `html, line 2, column 3: it holds bytes that are not utf-8; ${remedy}`
        ],
        [
          ["Content-Type: text/plain; charset=us-ascii"],
          "Gr\xfc\xdfe",
          `text, line 1, column 3: it holds bytes that are not utf-8; ${remedy}`
        ],
        [
          ["Content-Type: text/plain; charset=utf-7"],
          "hi",
          `text, line 1, column 1: the charset "utf-7" is not known; ${remedy}`
        ],
        [
          ["Content-Transfer-Encoding: x-uuencode"],
          "hi",
          `text, line 1, column 1: the transfer encoding "x-uuencode" is not known; ${remedy}`
        ]
      ]
      for (const [header, body, error] of refused) assert.include(yield* refusal(part(header, body)), error)
      const fields: ReadonlyArray<readonly [field: string, error: string]> = [
        ["X-Campaign: Gr\xfc\xdfe", "headers.X-Campaign: it holds bytes that are not utf-8"],
        ["X-Campaign: =?x-unknown?Q?=FC?=", 'headers.X-Campaign: the charset "x-unknown" is not known'],
        ["Reply-To: =?utf-8?Q?=FC?= <b@example.org>", "replyTo: it holds bytes that are not utf-8"]
      ]
      for (const [field, error] of fields) {
        const told = yield* refusal(part([field], "hi"))
        assert.include(told, error)
        assert.include(told, "save the message as UTF-8, or encode the field as RFC 2047 has it")
      }
      // Whom it was for is left out anyway.
      assert.strictEqual((yield* sourceOf(part(["To: =?x-unknown?Q?=FC?= <b@example.org>"], "hi"))).text, "hi")
    })
  )

  it.effect("refuses a multipart in which it finds no part, which would be sent without its text", () =>
    Effect.gen(function* () {
      const text = ["--B", "Content-Type: text/plain", "", "Hi {{n}}", "--B--"]
      const deep = Array.from({ length: 30 }, (_, n) => [
        `Content-Type: multipart/mixed; boundary=B${n}`,
        "",
        `--B${n}`
      ]).flat()
      for (const message of [
        part(["Content-Type: multipart/mixed"], ...text),
        part(["Content-Type: multipart/alternative; boundary=C"], ...text),
        part(["Content-Type: multipart/related; boundary=B"], "Hi {{n}}"),
        [...deep, "Content-Type: text/plain", "", "Hi {{n}}"],
        multipart(
          "mixed",
          "A",
          ["Content-Type: text/plain", "", "Hi"],
          part(["Content-Type: multipart/mixed"], ...text)
        )
      ])
        assert.match(
          yield* refusal(message),
          /the part of type multipart\/\w+ has no part that can be read; check its boundary/
        )
    })
  )

  it.effect("takes the text of a header that no empty line ends", () =>
    Effect.gen(function* () {
      const source = yield* sourceOf(multipart("mixed", "B", ["Content-Type: text/plain", "Hi {{n}}"]))
      assert.strictEqual(source.text, "Hi {{n}}")
    })
  )

  it.effect("puts flowed lines together", () =>
    Effect.gen(function* () {
      const source = yield* sourceOf(
        part(["Content-Type: text/plain; format=flowed"], "Dear ", "{{name}},", " From me", "-- ", "Ann")
      )
      assert.strictEqual(source.text, "Dear {{name}},\nFrom me\n-- \nAnn")
    })
  )
})
