/**
 * Mails as programs in the field give them: what cannot be written as it was given is written right, or refused with what
 * to do.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Mail from "../src/Mail.ts"
import * as MimeComposer from "../src/MimeComposer.ts"
import * as Template from "../src/Template.ts"
import { AnyLine } from "./support/mails.ts"
import { readWithMailparser, readWithPostalMime, wireProblem } from "./support/readers.ts"

const basic: Mail.Mail = { from: "a@example.org", to: "b@example.org", subject: "s" }

const compose = (mail: Partial<Mail.Mail>) => MimeComposer.compose({ ...basic, ...mail })

const written = (mail: Partial<Mail.Mail>) =>
  Effect.map(compose(mail), ({ content }) => {
    assert.isUndefined(wireProblem(content as Uint8Array))
    return Buffer.from(content as Uint8Array).toString()
  })

/** The value of a field, unfolded. */
const field = (name: string, mail: Partial<Mail.Mail>) =>
  Effect.map(written(mail), (text) => {
    const head = text.slice(0, text.indexOf("\r\n\r\n")).replace(/\r\n(?=[ \t])/g, "")
    return head
      .split("\r\n")
      .filter((line) => line.startsWith(`${name}:`))
      .map((line) => line.slice(name.length + 1).trim())
  })

const refusal = (mail: Partial<Mail.Mail>) => Effect.map(Effect.flip(compose(mail)), ({ message }) => message)

describe("MimeComposer in the field", () => {
  describe("recipients", () => {
    it.effect("reads a group without members as no recipient, so that only bcc remains", () =>
      Effect.gen(function* () {
        for (const to of ["undisclosed-recipients:;", '"Undisclosed recipients":;', ["undisclosed-recipients: ;"]]) {
          const { envelope } = yield* compose({ to, bcc: "b@example.org" })
          assert.deepStrictEqual(envelope.to as unknown, ["b@example.org"])
          assert.deepStrictEqual(yield* field("To", { to, bcc: "b@example.org" }), ["undisclosed-recipients:;"])
        }
        assert.include(yield* refusal({ to: "undisclosed-recipients:;" }), "there is no recipient")
        assert.include(yield* refusal({ to: "Board: c@example.org;" }), "a group of addresses cannot be sent to")
      })
    )

    it.effect("sends once to a mailbox whose domain is spelt in several ways", () =>
      Effect.gen(function* () {
        const { envelope } = yield* compose({
          to: ["a@bücher.example", "a@xn--bcher-kva.example"],
          cc: "a@BÜCHER.example"
        })
        assert.deepStrictEqual(envelope.to as unknown, ["a@bücher.example"])
      })
    )
  })

  describe("threads", () => {
    it.effect("takes Message-IDs of other programs as they are", () =>
      Effect.gen(function* () {
        const ids = [
          "<0f99ab14eeb8>",
          "<20220720005922.0000000004E@>",
          "<@x>",
          '<"a"@[x]>',
          `<${"x".repeat(300)}@example.org>`
        ]
        for (const id of ids) {
          assert.deepStrictEqual(yield* field("In-Reply-To", { inReplyTo: id }), [id])
          assert.deepStrictEqual(yield* field("In-Reply-To", { inReplyTo: id.slice(1, -1) }), [id])
          assert.deepStrictEqual(yield* field("References", { references: ["<a@x>", id] }), [`<a@x> ${id}`])
        }
      })
    )

    it.effect("unfolds references, and takes old ones with words between them", () =>
      Effect.gen(function* () {
        for (const references of [
          "<a@x>\r\n <b@x>",
          "<a@x>\n\t<b@x>",
          "<a@x><b@x>",
          "<a@x>, <b@x>",
          'On "x", <a@x> <b@x>'
        ])
          assert.deepStrictEqual(yield* field("References", { references }), ["<a@x> <b@x>"])
      })
    )

    it.effect("drops characters that no header can hold and still sends the mail", () =>
      Effect.gen(function* () {
        for (const id of ["<ü@x>", `<${"x".repeat(2000)}>`, "<>", ""]) {
          assert.deepStrictEqual(yield* field("In-Reply-To", { inReplyTo: id }), [])
          assert.deepStrictEqual(yield* field("References", { references: ["<a@x>", id] }), ["<a@x>"])
        }
        assert.include(yield* refusal({ messageId: "<0f99ab14eeb8>" }), "a Message-ID is <left@right>")
      })
    )
  })

  describe("calendars", () => {
    it.effect("have the method of their content, folded, with a parameter, or absent", () =>
      Effect.gen(function* () {
        const type = (content: string) =>
          Effect.map(written({ calendar: { content } }), (text) => /^Content-Type: (.*)$/m.exec(text)![1]!.trim())
        assert.strictEqual(yield* type("BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"), "text/calendar; charset=utf-8")
        for (const line of [
          "METHOD:REPLY",
          "method:reply",
          "METH\r\n OD:REPLY",
          "METHOD;X=y:REPLY",
          'METHOD;X="a:b":REPLY'
        ])
          assert.strictEqual(
            yield* type(`BEGIN:VCALENDAR\r\n${line}\r\nEND:VCALENDAR\r\n`),
            "text/calendar; method=REPLY; charset=utf-8"
          )
        // A word in the text of an event is no property.
        assert.strictEqual(
          yield* type("BEGIN:VCALENDAR\r\nSUMMARY:METHOD:REPLY\r\n METHOD:REPLY\r\n"),
          "text/calendar; charset=utf-8"
        )
        // The calendar's own properties come before its events (RFC 5545 §3.6).
        assert.strictEqual(
          yield* type("BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nMETHOD:REPLY\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"),
          "text/calendar; charset=utf-8"
        )
      })
    )
  })

  describe("charsets", () => {
    it.effect("refuses a text whose charset differs from its type's", () =>
      Effect.gen(function* () {
        const refused: ReadonlyArray<readonly [content: string, charset: string]> = [
          ["é", "windows-1252"],
          ["é", '"ISO-8859-1"'],
          ["é", "us-ascii"],
          ["e", "utf-16"],
          ["e", "UTF-16LE"],
          ["e", "utf-7"],
          // RFC 2231 has a parameter in sections, and percent-encoded.
          ["é", "*=''latin1"],
          ["é", "*0=win; charset*1=dows-1252"]
        ]
        for (const [content, charset] of refused)
          assert.include(
            yield* refusal({
              attachments: [
                {
                  filename: "b.csv",
                  content,
                  contentType: `text/csv; charset${charset.startsWith("*") ? "" : "="}${charset}`
                }
              ]
            }),
            `leave the charset out, or give the content as bytes in it`
          )
        const taken: ReadonlyArray<readonly [content: string | Uint8Array, contentType: string, written: string]> = [
          ["é", "text/csv; charset=UTF-8", "text/csv; charset=UTF-8"],
          ["é", 'text/csv; header=present; charset="utf8"', 'text/csv; header=present; charset="utf8"'],
          ["é", "text/csv; header=present", "text/csv; header=present; charset=utf-8"],
          ["é", 'text/csv; x="; charset=latin1"', 'text/csv; x="; charset=latin1"; charset=utf-8'],
          ["é", "text/csv; charset*=us-ascii''utf%2D8", "text/csv; charset*=us-ascii''utf%2D8"],
          ["e", "text/csv; charset=windows-1252", "text/csv; charset=windows-1252"],
          [Buffer.from("é", "latin1"), "text/csv; charset=windows-1252", "text/csv; charset=windows-1252"]
        ]
        for (const [content, contentType, expected] of taken)
          assert.include(yield* written({ attachments: [{ content, contentType }] }), `Content-Type: ${expected}\r\n`)
      })
    )
  })

  describe("texts", () => {
    it.effect("go out without the byte order mark of the file that they were read from", () =>
      Effect.gen(function* () {
        const calendar = { content: "\ufeffBEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n" }
        const text = yield* written({ text: "\ufeffHi", html: "\ufeff<p>Hi</p>", calendar })
        for (const line of ["Hi", "<p>Hi</p>", "BEGIN:VCALENDAR"]) assert.include(text, `\r\n\r\n${line}\r\n`)
        const template = yield* Template.compile({ ...basic, text: "\ufeff{{n}}", html: "\ufeff<p>{{n}}</p>" })
        const rendered = yield* template.render({ to: "b@example.org", data: { n: "Ann" } })
        const bytes = Buffer.from(rendered.content as Uint8Array).toString()
        for (const line of ["Ann", "<p>Ann</p>"]) assert.include(bytes, `\r\n\r\n${line}\r\n`)
        const derived = yield* Template.compile({ ...basic, html: "\ufeff<p>{{n}}</p>" })
        assert.strictEqual((yield* derived.mail({ to: "b@example.org", data: { n: "Ann" } })).text, "Ann")
      })
    )
  })

  describe("structured fields", () => {
    it.effect("encodes their phrases and comments alone (RFC 2047 §5)", () =>
      Effect.gen(function* () {
        const fields: ReadonlyArray<readonly [name: string, value: string, written: string]> = [
          ["List-Id", "Überblick <news.example.org>", "=?UTF-8?Q?=C3=9Cberblick?= <news.example.org>"],
          ["List-ID", '"Über, Blick" <news.example.org>', "=?UTF-8?B?w5xiZXIsIEJsaWNr?= <news.example.org>"],
          ["List-Id", 'News "of the week" <news.example.org>', 'News "of the week" <news.example.org>'],
          ["List-Id", "=?utf-8?Q?a?= <news.example.org>", "=?UTF-8?B?PT91dGYtOD9RP2E/PQ==?= <news.example.org>"],
          ["List-Post", "<mailto:a@example.org> (für alle)", "<mailto:a@example.org> (=?UTF-8?B?ZsO8ciBhbGxl?=)"],
          [
            "List-Help",
            "<https://example.org/h>, <mailto:a@example.org> (ü)",
            "<https://example.org/h>, <mailto:a@example.org> (=?UTF-8?B?w7w=?=)"
          ],
          ["List-Unsubscribe", "<https://example.org/u> ", "<https://example.org/u>"],
          [
            "List-Unsubscribe",
            "  <https://example.org/u>,\t<mailto:a@example.org>",
            "<https://example.org/u>, <mailto:a@example.org>"
          ],
          ["List-Post", "NO", "NO"],
          [
            "Mail-Followup-To",
            "Ünal <a@example.org>, b@example.org",
            "=?UTF-8?B?w5xuYWw=?= <a@example.org>, b@example.org"
          ],
          ["Errors-To", "Ünal <a@bücher.example>", "=?UTF-8?B?w5xuYWw=?= <a@xn--bcher-kva.example>"],
          ["Errors-To", " <a@example.org> ", "<a@example.org>"],
          ["X-Confirm-Reading-To", "Ünal <a@example.org>", "=?UTF-8?B?w5xuYWw=?= <a@example.org>"]
        ]
        for (const [name, value, expected] of fields)
          assert.deepStrictEqual(yield* field(name, { headers: { [name]: value } }), [expected], value)
      })
    )

    it.effect("refuses non-ASCII characters where nothing can encode them", () =>
      Effect.gen(function* () {
        assert.include(
          yield* refusal({ headers: { "List-Unsubscribe": "<https://example.org/ü>" } }),
          "headers.List-Unsubscribe: what stands between < and > must be printable ASCII; write xn--… and %C3%BC for it"
        )
        assert.include(
          yield* refusal({ headers: { "Errors-To": "Ünal" } }),
          "headers.Errors-To: there is no address here"
        )
      })
    )

    it.effect("has a field once that a mail may have once only, in any case", () =>
      Effect.gen(function* () {
        for (const [name, other] of [
          ["Sender", "sender"],
          ["List-Id", "LIST-ID"],
          ["List-Unsubscribe", "list-unsubscribe"]
        ] as const) {
          const value = name === "Sender" ? "a@x.example" : "<a.x.example>"
          assert.include(
            yield* refusal({ headers: { [name]: [value, value] } }),
            "may stand in a mail once only; give it one value"
          )
          assert.include(
            yield* refusal({ headers: { [name]: value, [other]: value } }),
            "may stand in a mail once only; leave one of them out"
          )
        }
        assert.strictEqual((yield* field("X-A", { headers: { "X-A": ["1", "2"] } })).length, 2)
      })
    )
  })

  it.effect.prop(
    "keeps lines with encoded-words within 76 columns, and ends no line of the header in a blank (RFC 2047 §2)",
    [
      Arbitrary.array(
        Arbitrary.all([AnyLine, Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 60 })))]),
        { minLength: 1, maxLength: 6 }
      ),
      AnyLine
    ],
    Effect.fnUntraced(function* ([people, name]) {
      const to = people.map(([shown, length]) => ({ name: `Ü${shown}`, address: `${"a".repeat(length)}@example.org` }))
      const text = yield* written({
        to,
        subject: `s${name}`,
        headers: {
          [`X-${"n".repeat(people[0]![1])}`]: `Ü${name}`,
          "List-Id": `Ü${name.replace(/[<>"()]/g, "")} <a.example.org>`
        },
        attachments: [{ filename: `ü${name}`, content: "x" }]
      })
      for (const line of text.split("\r\n")) {
        if (/=\?UTF-8\?[BQ]\?/.test(line)) assert.isAtMost(line.length, 76, line)
        assert.notMatch(line, /[ \t]$/)
      }
      const raw = Buffer.from(text)
      const [one, other] = yield* Effect.promise(() => Promise.all([readWithMailparser(raw), readWithPostalMime(raw)]))
      assert.deepStrictEqual(one.to, other.to)
      assert.strictEqual(one.to.length, to.length)
    }),
    { arbitrary: { runs: 300 } }
  )
})
