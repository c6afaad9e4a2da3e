import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Address from "../src/Address.ts"
import * as Composed from "../src/Composed.ts"
import type * as Mail from "../src/Mail.ts"
import * as MimeComposer from "../src/MimeComposer.ts"
import * as Preview from "../src/Preview.ts"
import { AnyLine, AnyText } from "./support/mails.ts"
import { settled } from "./support/readers.ts"

const mail: Mail.Mail = {
  from: "Müller <shop@example.org>",
  to: ["Ann <ann@example.org>", "jo@bücher.example"],
  subject: "Grüße, 日本",
  date: new Date(0),
  messageId: "a@b"
}

const preview = (given: Partial<Mail.Mail>) => Effect.flatMap(MimeComposer.compose({ ...mail, ...given }), Preview.make)

describe("Preview", () => {
  it.effect("lists as hidden only recipients that no header names, whatever their display names", () =>
    Effect.gen(function* () {
      const seen = yield* preview({
        to: [
          { name: "Müller, Ann; <x>", address: "ann@example.org" },
          { name: "É", address: "élan@example.org" },
          { name: 'a "quoted" one', address: "bob@example.org" }
        ],
        bcc: "hidden@example.org",
        text: "x"
      })
      assert.deepStrictEqual([...seen.bcc], ["hidden@example.org"])
    })
  )

  it.effect("shows texts around a file one after the other, as Apple Mail writes them", () =>
    Effect.gen(function* () {
      const part = (type: string, content: string, more = "") => `Content-Type: ${type}\r\n${more}\r\n${content}\r\n`
      const multipart = (form: string, boundary: string, ...parts: ReadonlyArray<string>) =>
        part(
          `multipart/${form}; boundary=${boundary}`,
          `--${boundary}\r\n${parts.join(`--${boundary}\r\n`)}--${boundary}--`
        )
      const pdf = part(
        "application/pdf",
        "JVBERi0=",
        "Content-Disposition: inline; filename=a.pdf\r\nContent-Transfer-Encoding: base64\r\n"
      )
      const html = (words: string) => part("text/html", `<html><body><p>${words}</p></body></html>`)
      const plain = (words: string) => part("text/plain", words)
      const named = part("text/plain", "of the file", "Content-Disposition: inline; filename=note.txt\r\n")
      for (const [message, text, isFromHtml, files] of [
        [multipart("mixed", "b", plain("one"), pdf, plain("two")), "one\ntwo", false, ["a.pdf"]],
        [
          multipart("alternative", "a", plain("one\n\ntwo"), multipart("mixed", "b", html("one"), pdf, html("two"))),
          "one\n\ntwo",
          false,
          ["a.pdf"]
        ],
        [multipart("mixed", "b", html("one"), pdf, html("two")), "one\n\ntwo", true, ["a.pdf"]],
        [multipart("mixed", "b", plain("one"), pdf, html("two")), "one\n\ntwo", true, ["a.pdf"]],
        [multipart("mixed", "b", plain("one"), named), "one", false, ["note.txt"]]
      ] as const) {
        const content = Buffer.from(`From: ann@example.org\r\nTo: bob@example.org\r\nSubject: s\r\n${message}`)
        const seen = yield* Preview.make(
          Composed.make({
            messageId: "<a@b>",
            envelope: { from: undefined, to: [Address.fromStringUnsafe("bob@example.org")] },
            content
          })
        )
        assert.strictEqual(seen.text.trim(), text, message)
        assert.strictEqual(seen.isFromHtml, isFromHtml, message)
        assert.deepStrictEqual(
          seen.attachments.map(({ filename }) => filename),
          [...files],
          message
        )
      }
    })
  )

  it.effect("shows a message as a person reads it", () =>
    Effect.gen(function* () {
      const seen = yield* preview({
        text: "Größe\n\nline two =3D\n.\n",
        html: "<p>x</p>",
        cc: "copy@example.org",
        bcc: ["hidden@example.org", "ann@example.org"],
        replyTo: "desk@example.org",
        attachments: [
          { filename: "a.pdf", content: new Uint8Array(12_345) },
          { filename: "ü.png", content: new Uint8Array(5), cid: "u" }
        ]
      })
      assert.strictEqual(
        Preview.format(seen),
        [
          "From:     Müller <shop@example.org>",
          "To:       Ann <ann@example.org>, jo@xn--bcher-kva.example",
          "Cc:       copy@example.org",
          "Reply-To: desk@example.org",
          "Subject:  Grüße, 日本",
          "Bcc:      hidden@example.org",
          "Files:    ü.png (image/png, 5 bytes, inline), a.pdf (application/pdf, 12.3 KB)",
          `Size:     ${(seen.size / 1000).toFixed(1)} KB`,
          "",
          "Größe",
          "",
          "line two =3D",
          "."
        ].join("\n")
      )
      assert.deepInclude(seen, { isFromHtml: false, html: "<p>x</p>", isPartial: false })
      assert.deepStrictEqual(seen.headers.map(([name]) => name).slice(0, 7), [
        "From",
        "To",
        "Cc",
        "Reply-To",
        "Subject",
        "Date",
        "Message-ID"
      ])
    })
  )

  it.effect("makes text of a message that has HTML alone", () =>
    Effect.gen(function* () {
      const seen = yield* preview({ html: '<p>Hi,</p><p>see <a href="https://e.org">it</a>' })
      assert.isTrue(seen.isFromHtml)
      assert.isTrue(
        Preview.format(seen).endsWith(
          "\n\n(from the HTML; the message has no plain text)\nHi,\n\nsee it (https://e.org)"
        )
      )
    })
  )

  it.effect("is cut to lines and columns", () =>
    Effect.gen(function* () {
      const seen = yield* preview({ text: `${"word ".repeat(9)}\n${"x".repeat(25)}\n${"👍".repeat(12)}\nb\nc` })
      const shown = Preview.format(seen, { width: 20, lines: 6 })
      assert.strictEqual(
        shown.slice(shown.indexOf("\n\n") + 2),
        [
          "word word word word",
          "word word word word",
          "word",
          "x".repeat(20),
          "xxxxx",
          "👍".repeat(10),
          "… 3 more lines"
        ].join("\n")
      )
      assert.isTrue(Preview.format(seen, { width: 200, lines: 4 }).endsWith("\nb\n… 1 more line"))
      const odd = yield* preview({ text: `x${"👍".repeat(12)}` })
      assert.isTrue(Preview.format(odd, { width: 20 }).isWellFormed())
    })
  )

  it.effect.prop(
    "no mail sends control characters to the terminal or breaks out of its line",
    [AnyLine, AnyText, Schema.Literals(["", "\u001b[2J", "\u0007", "\u202e", "\u009b31m"])],
    Effect.fnUntraced(function* ([subject, text, control]) {
      const seen = yield* preview({ subject: subject + control, text: text + control })
      assert.strictEqual(settled(seen.text), settled(text + control))
      const shown = Preview.format(seen, { lines: 1000 })
      assert.notMatch(shown, /[\0-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/)
      const head = shown.slice(0, shown.indexOf("\n\n")).split("\n")
      for (const line of head) assert.match(line, /^(?:From|To|Subject|Size): |^ {10}/)
    }),
    { arbitrary: { runs: 100, size: 12 } }
  )

  it.effect("reads the beginning of a streamed message", () =>
    Effect.gen(function* () {
      const large = new Uint8Array(3_000_000).fill(65)
      const seen = yield* preview({
        text: "Hello",
        attachments: [{ filename: "a.bin", content: Stream.fromIterable([large, large]), size: 6_000_000 }]
      })
      assert.deepInclude(seen, { text: "Hello", isPartial: true })
      assert.isAbove(seen.size, 8_000_000)
      const small = yield* preview({
        text: "Hello",
        attachments: [{ filename: "a.bin", content: Stream.succeed(large.subarray(0, 10)), size: 10 }]
      })
      assert.isFalse(small.isPartial)
      assert.deepStrictEqual(small.attachments, [
        { filename: "a.bin", contentType: "application/octet-stream", size: 10, isInline: false }
      ])
    })
  )

  it.effect("shows the size and the recipients of bytes that are no message", () =>
    Effect.gen(function* () {
      const composed = Composed.make({
        messageId: "<a@b>",
        envelope: { from: undefined, to: [Address.fromStringUnsafe("a@example.org")] },
        content: Buffer.from("nothing")
      })
      assert.strictEqual(
        Preview.format(yield* Preview.make(composed)),
        "Bcc:      a@example.org\nSize:     7 bytes\n\n"
      )
    })
  )
})
