/**
 * What readers see is the template with its values put in: for any template and any data, by two readers that know
 * nothing of this library, and compared with the same mail composed in full.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as MimeComposer from "../src/MimeComposer.ts"
import * as Template from "../src/Template.ts"
import { AnyAttachment, AnyLine, AnyMailbox, AnyName, AnyText } from "./support/mails.ts"
import { type Read, readWithMailparser, readWithPostalMime, settled, wireProblem, written } from "./support/readers.ts"
import { AnyLineCase, AnyTextCase, AnyValue } from "./support/templates.ts"

const readers: ReadonlyArray<readonly [name: string, read: (raw: Uint8Array) => Promise<Read>]> = [
  ["mailparser", readWithMailparser],
  ["postal-mime", readWithPostalMime]
]

/** What both readers see, alike or not. */
const readAll = (raw: Uint8Array) =>
  Effect.forEach(readers, ([name, read]) =>
    Effect.map(
      Effect.promise(() => read(raw)),
      (seen) => [name, seen] as const
    )
  )

const bytes = (content: unknown): Uint8Array => {
  assert.instanceOf(content, Uint8Array)
  return content as Uint8Array
}

const AnyTemplate = Arbitrary.all({
  from: AnyMailbox,
  to: AnyMailbox,
  replyTo: AnyMailbox,
  subject: AnyLineCase("s"),
  header: AnyLineCase("x"),
  text: AnyTextCase("t"),
  html: AnyTextCase("h"),
  hasHtml: Arbitrary.schema(Schema.Boolean),
  attachments: Arbitrary.array(AnyAttachment, { maxLength: 2 })
})

describe("Template, read by others", () => {
  it.effect.prop(
    "any template with any data reads as the text that they give, and as the mail composed in full",
    [AnyTemplate],
    Effect.fnUntraced(function* ([{ hasHtml, ...given }]) {
      const { attachments, header, html, subject, text } = given
      const template = yield* Template.compile({
        from: { name: "{{from.name}}", address: "{{from.address}}" },
        to: { name: "{{to.name}}", address: "{{to.address}}" },
        // What is the same in all mails is part of the template, where braces mean fields.
        replyTo: { ...given.replyTo, name: given.replyTo.name.replaceAll("{", "(") },
        subject: subject.source,
        text: text.source,
        // What becomes of tags is tested elsewhere; here the text between fields is to have none.
        html: hasHtml ? html.source.replace(/[<&]/g, "_") : undefined,
        headers: { "X-Note": header.source, "X-Fixed": "Grüße" },
        attachments
      })
      const recipient = {
        data: { from: given.from, to: given.to, ...subject.data, ...text.data, ...html.data, ...header.data }
      }
      const rendered = yield* template.render(recipient)
      const raw = bytes(rendered.content)
      assert.strictEqual(rendered.size, raw.length)
      assert.strictEqual(wireProblem(raw), undefined)
      const mail = yield* template.mail(recipient)
      const composed = yield* MimeComposer.compose(mail)
      assert.deepStrictEqual(rendered.envelope, composed.envelope)
      const inFull = yield* readAll(bytes(composed.content))
      for (const [index, [name, read]] of (yield* readAll(raw)).entries()) {
        assert.strictEqual(read.subject, subject.expected, name)
        assert.deepStrictEqual(read.header("x-note"), [header.expected], name)
        assert.deepStrictEqual(read.header("x-fixed"), ["Grüße"], name)
        assert.deepStrictEqual(read.from, [written(given.from.name, given.from.address)], name)
        assert.deepStrictEqual(read.to, [written(given.to.name, given.to.address)], name)
        assert.strictEqual(read.text, settled(text.expected), name)
        const { header: ours, ...seen } = read
        const { header: theirs, ...seenInFull } = inFull[index]![1]
        assert.deepStrictEqual(seen, seenInFull, name)
        for (const field of ["x-note", "x-fixed", "mime-version"])
          assert.deepStrictEqual(ours(field), theirs(field), name)
      }
    }),
    { arbitrary: { runs: 200, size: 15 } }
  )

  it.effect.prop(
    "no value ends its part, not even one that knows the template's own boundary",
    [AnyValue, AnyText],
    Effect.fnUntraced(function* ([value, fixed]) {
      for (const text of ["", "ещё по-русски, чтобы получилась base64 ".repeat(4)]) {
        const template = yield* Template.compile({
          from: "a@example.org",
          to: "b@example.org",
          subject: "{{subject}}",
          text: `${text}{{v}}${fixed.replaceAll("{", "(")}`,
          html: `${text}<p>{{v}}</p>`,
          attachments: [{ filename: "a.txt", content: "attached" }]
        })
        const seen = Buffer.from(bytes((yield* template.render({ data: { v: "", subject: "" } })).content)).toString()
        const boundaries = [...seen.matchAll(/boundary="([^"]+)"/g)].map(([, boundary]) => boundary!)
        assert.lengthOf(boundaries, 2)
        const v = boundaries.map((boundary) => `${value}\r\n--${boundary}--\r\n--${boundary}\r\n\r\nx`).join(value)
        const raw = bytes((yield* template.render({ data: { v, subject: boundaries.join(" ") } })).content)
        assert.strictEqual(wireProblem(raw), undefined)
        for (const [name, read] of yield* readAll(raw)) {
          assert.strictEqual(read.subject, boundaries.join(" "), name)
          assert.strictEqual(
            read.text,
            settled(`${text}${v.replace(/\r\n?/g, "\n")}${fixed.replaceAll("{", "(")}`),
            name
          )
          assert.lengthOf(read.attachments, 1, name)
          assert.strictEqual(Buffer.from(read.attachments[0]!.base64, "base64").toString(), "attached", name)
        }
      }
    }),
    { arbitrary: { runs: 60, size: 12 } }
  )

  it.effect.prop(
    "a value in a header or a mailbox adds no field, no recipient and no line",
    [
      Arbitrary.all([AnyLine, AnyName]),
      Arbitrary.schema(
        Schema.Literals([
          "\r\nBcc: eve@example.com",
          "\nBcc: eve@example.com",
          "\rX: y",
          "\r\n\r\n<script>",
          "\0",
          " <eve@example.com>",
          ", eve@example.com",
          '" <eve@example.com>, "',
          "=?utf-8?Q?=0D=0ABcc:_eve@example.com?=",
          "(eve@example.com)",
          ": ;",
          "\\"
        ])
      )
    ],
    Effect.fnUntraced(function* ([[before, name], attack]) {
      const template = yield* Template.compile({
        from: "{{name}} <shop@example.org>",
        replyTo: ["{{name}} <desk@example.org>", { name: "{{name}}", address: "{{user}}@example.org" }],
        subject: "Hi {{name}}",
        headers: { "X-Name": "{{name}}", "X-List": ["a", "b {{name}}"] },
        listUnsubscribe: {
          url: "https://example.org/u?n={{name}}",
          mailto: "leave+{{user}}@example.org?subject={{name}}"
        },
        text: "Hello"
      })
      const value = `${before}${attack}${name}`
      const result = yield* Effect.result(
        template.render({ to: "ann@example.org", data: { name: value, user: "desk2" } })
      )
      if (/[\r\n\0]/.test(value)) {
        assert.strictEqual(result._tag, "Failure")
        if (result._tag === "Failure")
          assert.match(result.failure.message, /^InvalidMessage: data\.name: .* is not allowed in a header/)
        return
      }
      if (result._tag === "Failure") {
        // An address that grew too long, and nothing else.
        assert.match(result.failure.message, /^InvalidMessage: listUnsubscribe\./)
        return
      }
      const { content, envelope } = result.success
      assert.deepStrictEqual<ReadonlyArray<string>>(envelope.to, ["ann@example.org"])
      assert.strictEqual(envelope.from, "shop@example.org")
      const raw = bytes(content)
      assert.strictEqual(wireProblem(raw), undefined)
      const names = Buffer.from(raw)
        .toString()
        .split("\r\n\r\n")[0]!
        .split(/\r\n(?![ \t])/)
        .map((line) => line.slice(0, line.indexOf(":")))
      assert.deepStrictEqual(
        names.toSorted(),
        "Content-Transfer-Encoding Content-Type Date From List-Unsubscribe List-Unsubscribe-Post MIME-Version Message-ID Reply-To Subject To X-List X-List X-Name".split(
          " "
        )
      )
      for (const [reader, read] of yield* readAll(raw)) {
        assert.strictEqual(read.subject, `Hi ${value}`.trimEnd(), reader)
        const shown = value.trim()
        assert.deepStrictEqual(read.from, [written(shown, "shop@example.org")], reader)
        assert.deepStrictEqual(
          read.replyTo,
          [written(shown, "desk@example.org"), written(shown, "desk2@example.org")],
          reader
        )
        assert.deepStrictEqual(read.to, [written("", "ann@example.org")], reader)
        assert.strictEqual(read.text, "Hello", reader)
      }
    }),
    { arbitrary: { runs: 200, size: 12 } }
  )
})
