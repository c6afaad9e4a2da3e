import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { TestClock } from "effect/testing"
import type * as Composed from "../src/Composed.ts"
import * as Mail from "../src/Mail.ts"
import * as MailError from "../src/MailError.ts"
import * as MimeComposer from "../src/MimeComposer.ts"
import { AnyHostileMail } from "./support/hostile.ts"
import { readWithMailparser, readWithPostalMime, wireProblem } from "./support/readers.ts"

const mail: Mail.Mail = { from: "ann@example.org", to: "bob@example.com", subject: "Hello", text: "Hi Bob\n" }

const textOf = (composed: Composed.Composed): string => {
  assert.instanceOf(composed.content, Uint8Array)
  return Buffer.from(composed.content as Uint8Array).toString("latin1")
}

const composeText = (given: Partial<Mail.Mail>) => Effect.map(MimeComposer.compose({ ...mail, ...given }), textOf)

const header = (text: string): ReadonlyArray<string> =>
  text
    .slice(0, text.indexOf("\r\n\r\n"))
    .replace(/\r\n(?=[ \t])/g, "")
    .split("\r\n")

const headerOf = (given: Partial<Mail.Mail>) => Effect.map(composeText(given), header)

const fieldOf = (given: Partial<Mail.Mail>, name: string) =>
  Effect.map(headerOf(given), (lines) =>
    lines
      .filter((line) => line.toLowerCase().startsWith(`${name.toLowerCase()}: `))
      .map((line) => line.slice(name.length + 2))
  )

const refused = Effect.fnUntraced(function* (given: Partial<Mail.Mail>) {
  const error = yield* Effect.flip(MimeComposer.compose({ ...mail, ...given }))
  assert.strictEqual(error.reason._tag, "InvalidMessage")
  assert.isFalse(error.isRetryable)
  return error.reason as MailError.InvalidMessage
})

/** Checks that the mail is refused at a field, for a reason that mentions a word. */
const assertRefused = Effect.fnUntraced(function* (given: Partial<Mail.Mail>, field: string, says: string) {
  const reason = yield* refused(given)
  assert.strictEqual(reason.field, field)
  assert.include(reason.problem, says)
})

describe("MimeComposer", () => {
  describe("a plain text", () => {
    it.effect("is one part of printable ASCII", () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(Date.UTC(2025, 6, 1, 10, 20, 30))
        const composed = yield* MimeComposer.compose({ ...mail, id: "7", tenant: "shop", messageId: "1@example.org" })
        assert.strictEqual(
          textOf(composed),
          [
            "From: ann@example.org",
            "To: bob@example.com",
            "Subject: Hello",
            "Date: Tue, 01 Jul 2025 10:20:30 +0000",
            "Message-ID: <1@example.org>",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: 7bit",
            "",
            "Hi Bob",
            ""
          ].join("\r\n")
        )
        assert.strictEqual(composed.id, "7")
        assert.strictEqual(composed.tenant, "shop")
        assert.strictEqual(composed.messageId, "<1@example.org>")
        assert.strictEqual(composed.size, (composed.content as Uint8Array).length)
        assert.isFalse(composed.eightBit)
        assert.isFalse(composed.utf8Headers)
      })
    )

    it.effect("always ends its last line, and an absent text is an empty one", () =>
      Effect.gen(function* () {
        assert.isTrue((yield* composeText({ text: "no line break" })).endsWith("\r\n\r\nno line break\r\n"))
        assert.isTrue((yield* composeText({ text: undefined })).endsWith("7bit\r\n\r\n"))
      })
    )

    it.effect.each([
      ["7bit", "a\ttab, a .dot\n.\n..\n"],
      ["7bit", "x".repeat(998)],
      ["quoted-printable", "x".repeat(999)],
      ["quoted-printable", `ok\n${"x".repeat(999)}\nok`],
      ["quoted-printable", "grüße"],
      ["quoted-printable", "bell \u0007"],
      ["quoted-printable", "From here\non"],
      ["quoted-printable", "on\nFrom here"],
      ["quoted-printable", "--=_a_guess--"],
      ["base64", "日本語のメール".repeat(20)]
    ])("goes out as %s where that is the plainest that will do", ([encoding, text]) =>
      Effect.gen(function* () {
        const composed = yield* composeText({ text: text! })
        assert.include(composed, `Content-Transfer-Encoding: ${encoding}\r\n`)
        assert.strictEqual(wireProblem(Buffer.from(composed)), undefined)
      })
    )
  })

  describe("the header", () => {
    it.effect("gives each mail a Message-ID of its own at the sender's domain", () =>
      Effect.gen(function* () {
        const seen = new Set<string>()
        for (let i = 0; i < 1000; i++) {
          const { messageId } = yield* MimeComposer.compose({ ...mail, from: "Ann <ann@bücher.example>" })
          assert.match(messageId, /^<[0-9a-f]{32}@xn--bcher-kva\.example>$/)
          seen.add(messageId)
        }
        assert.strictEqual(seen.size, 1000)
        const literal = yield* MimeComposer.compose({ ...mail, from: "ann@[IPv6:2001:db8::1]" })
        assert.isTrue(literal.messageId.endsWith("@[IPv6:2001:db8::1]>"))
      })
    )

    it.effect("follows the clock from second to second", () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(Date.UTC(2000, 1, 29, 23, 59, 59, 999))
        assert.deepStrictEqual(yield* fieldOf({}, "Date"), ["Tue, 29 Feb 2000 23:59:59 +0000"])
        yield* TestClock.adjust("1 millis")
        assert.deepStrictEqual(yield* fieldOf({}, "Date"), ["Wed, 01 Mar 2000 00:00:00 +0000"])
        assert.deepStrictEqual(yield* fieldOf({ date: new Date("1999-12-31T00:00:00Z") }, "Date"), [
          "Fri, 31 Dec 1999 00:00:00 +0000"
        ])
      })
    )

    it.effect("names To and Cc, never Bcc", () =>
      Effect.gen(function* () {
        const text = yield* composeText({
          to: ["Bob <bob@example.com>", { name: "Doe, Jane", address: "jane@example.com" }],
          cc: "c@example.com, D <d@example.com>",
          bcc: ["secret@example.com"],
          replyTo: "Help <help@example.org>"
        })
        const lines = header(text)
        assert.include(lines, 'To: Bob <bob@example.com>, "Doe, Jane" <jane@example.com>')
        assert.include(lines, "Cc: c@example.com, D <d@example.com>")
        assert.include(lines, "Reply-To: Help <help@example.org>")
        assert.notInclude(text, "secret")
      })
    )

    it.effect('writes "undisclosed-recipients" if there is nobody to name', () =>
      Effect.gen(function* () {
        const to = yield* fieldOf({ to: [], bcc: "bob@example.com" }, "To")
        assert.deepStrictEqual(to, ["undisclosed-recipients:;"])
      })
    )

    it.effect("holds raw UTF-8 only for a local part that has no other spelling", () =>
      Effect.gen(function* () {
        const idn = yield* MimeComposer.compose({ ...mail, to: "Jörg <joerg@bücher.example>" })
        assert.isFalse(idn.utf8Headers)
        assert.include(textOf(idn), "<joerg@xn--bcher-kva.example>")
        assert.deepStrictEqual([...idn.envelope.to], ["joerg@bücher.example"])
        const eai = yield* MimeComposer.compose({ ...mail, to: "jörg@bücher.example" })
        assert.isTrue(eai.utf8Headers)
        assert.include(Buffer.from(eai.content as Uint8Array).toString(), "To: jörg@bücher.example\r\n")
        assert.strictEqual(eai.size, (eai.content as Uint8Array).length)
      })
    )

    it.effect("carries threads, priority and one-click unsubscribe", () =>
      Effect.gen(function* () {
        const lines = yield* headerOf({
          inReplyTo: "2@example.org",
          references: ["<1@example.org>", "2@example.org"],
          priority: "high",
          listUnsubscribe: { url: "https://example.org/u?id=1,2", mailto: "unsubscribe@example.org?subject=stop" }
        })
        assert.include(lines, "In-Reply-To: <2@example.org>")
        assert.include(lines, "References: <1@example.org> <2@example.org>")
        assert.include(lines, "X-Priority: 1 (Highest)")
        assert.include(lines, "Importance: high")
        assert.include(
          lines,
          "List-Unsubscribe: <mailto:unsubscribe@example.org?subject=stop>, <https://example.org/u?id=1,2>"
        )
        assert.include(lines, "List-Unsubscribe-Post: List-Unsubscribe=One-Click")
      })
    )

    it.effect("offers one click only over https and only if wanted", () =>
      Effect.gen(function* () {
        const post = "List-Unsubscribe-Post"
        assert.lengthOf(yield* fieldOf({ listUnsubscribe: "https://example.org/u" }, post), 1)
        assert.lengthOf(yield* fieldOf({ listUnsubscribe: { url: "https://example.org/u", oneClick: false } }, post), 0)
        assert.lengthOf(yield* fieldOf({ listUnsubscribe: "http://example.org/u" }, post), 0)
        assert.lengthOf(yield* fieldOf({ listUnsubscribe: { mailto: "u@example.org" } }, post), 0)
      })
    )

    it.effect("takes custom fields, once or several times", () =>
      Effect.gen(function* () {
        const lines = yield* headerOf({
          headers: { "X-Campaign": "spring", "X-Tag": ["a", "b"], Sender: "Büro <office@example.org>" }
        })
        assert.includeMembers([...lines], ["X-Campaign: spring", "X-Tag: a", "X-Tag: b"])
        assert.include(lines, "Sender: =?UTF-8?B?QsO8cm8=?= <office@example.org>")
      })
    )

    it.effect("folds long fields at 78 and never within a word", () =>
      Effect.gen(function* () {
        const to = Array.from({ length: 200 }, (_, i) => `Person Number ${i} <person.${i}@example.com>`)
        const references = Array.from({ length: 50 }, (_, i) => `<${"x".repeat(30)}.${i}@example.org>`)
        const subject = "every word of this subject is short ".repeat(20).trim()
        const text = yield* composeText({ to, references, subject, headers: { "X-Long": subject } })
        for (const line of text.split("\r\n")) assert.isAtMost(line.length, 78)
        assert.include(header(text), `Subject: ${subject}`)
        assert.include(header(text), `References: ${references.join(" ")}`)
      })
    )
  })

  describe("the parts", () => {
    const tree = (text: string): string => {
      const types = [...text.matchAll(/^Content-Type: ([\w/-]+)|^(--.*--)\r$/gm)].map(([, type, end]) =>
        end === undefined ? (type!.startsWith("multipart/") ? `${type!.slice(10)}(` : `${type} `) : ") "
      )
      return types.join("").replaceAll(" )", ")").trim()
    }
    const html = '<p>Hi <img src="cid:logo"></p>'
    const file = { filename: "a.pdf", content: Uint8Array.of(1, 2, 3) }
    const image = { filename: "logo.png", content: Uint8Array.of(4, 5), cid: "logo" }
    const calendar = { content: "BEGIN:VCALENDAR\nMETHOD:REQUEST\nEND:VCALENDAR\n" }

    it.effect.each<readonly [string, Partial<Mail.Mail>]>([
      ["text/plain", {}],
      ["text/html", { text: undefined, html }],
      ["text/html", { text: "", html }],
      ["alternative(text/plain text/html)", { html }],
      ["mixed(text/plain application/pdf)", { attachments: [file] }],
      ["mixed(application/pdf)", { text: undefined, attachments: [file] }],
      ["related(text/html image/png)", { text: undefined, html, attachments: [image] }],
      ["alternative(text/plain related(text/html image/png))", { html, attachments: [image] }],
      [
        "mixed(alternative(text/plain related(text/html image/png)) application/pdf)",
        { html, attachments: [file, image] }
      ],
      ["mixed(text/plain image/png)", { attachments: [image] }],
      ["alternative(text/plain text/calendar)", { calendar }],
      [
        "mixed(alternative(text/plain text/html text/calendar) application/pdf)",
        { html, calendar, attachments: [file] }
      ]
    ])("are %s", ([expected, given]) =>
      Effect.gen(function* () {
        assert.strictEqual(tree(yield* composeText(given)), expected)
      })
    )

    it.effect("give a calendar the method that is in it", () =>
      Effect.gen(function* () {
        assert.include(
          yield* composeText({ calendar }),
          "Content-Type: text/calendar; method=REQUEST; charset=utf-8\r\n"
        )
        assert.include(yield* composeText({ calendar: { ...calendar, method: "request" } }), "method=REQUEST")
        assert.include(
          yield* composeText({ calendar: { content: "X" } }),
          "Content-Type: text/calendar; charset=utf-8\r\n"
        )
        yield* assertRefused(
          { calendar: { content: "X", method: "cancel" } },
          "calendar.method",
          "the content has no METHOD; add a line METHOD:CANCEL behind BEGIN:VCALENDAR"
        )
        yield* assertRefused({ calendar: { ...calendar, method: "CANCEL" } }, "calendar.method", "METHOD:REQUEST")
        yield* assertRefused({ calendar: { content: "", method: "a b" } }, "calendar.method", "word")
      })
    )

    it.effect("take attachments as bytes, text and base64", () =>
      Effect.gen(function* () {
        const composed = yield* MimeComposer.compose({
          ...mail,
          attachments: [
            { filename: "a.bin", content: Uint8Array.of(0, 255, 10, 13) },
            { filename: "b.txt", content: "zwei\nLinien ü\n" },
            { filename: "c.json", content: "eyJhIjoxfQ", encoding: "base64" },
            { content: "", contentType: 'application/x-empty; v="1"; ' }
          ]
        })
        for (const reader of [readWithMailparser, readWithPostalMime]) {
          const { attachments } = yield* Effect.promise(() => reader(composed.content as Uint8Array))
          assert.deepStrictEqual(
            attachments.map(({ base64, filename, type }) => [
              filename,
              type,
              Buffer.from(base64, "base64").toString("latin1")
            ]),
            [
              ["a.bin", "application/octet-stream", "\0\xff\n\r"],
              ["b.txt", "text/plain", Buffer.from("zwei\nLinien ü\n").toString("latin1")],
              ["c.json", "application/json", '{"a":1}'],
              [undefined, "application/x-empty", ""]
            ]
          )
        }
      })
    )

    it.effect("send an attached message unchanged, or as a file of bytes", () =>
      Effect.gen(function* () {
        const inner = yield* composeText({ html, attachments: [file] })
        const attached = (content: string | Uint8Array) =>
          composeText({ attachments: [{ filename: "original.eml", content }] })
        const outer = yield* attached(inner)
        assert.include(outer, inner)
        assert.match(outer, /Content-Type: message\/rfc822;[^]*?Content-Transfer-Encoding: 7bit/)
        for (const awkward of [Buffer.from("Subject: ü\r\n\r\nü"), `Subject: x\r\n\r\n${"x".repeat(999)}`]) {
          const bytes = yield* attached(awkward)
          assert.notInclude(bytes, "message/rfc822")
          assert.match(bytes, /application\/octet-stream;\r\n name="original.eml"\r\nContent-Transfer-Encoding: base64/)
        }
      })
    )

    it.effect("have boundaries that no two parts share and no part can hold", () =>
      Effect.gen(function* () {
        const text = yield* composeText({ html, attachments: [file, image] })
        const boundaries = [...text.matchAll(/boundary="([^"]+)"/g)].map((match) => match[1]!)
        assert.lengthOf(new Set(boundaries), 3)
        for (const boundary of boundaries) assert.isTrue(boundary.startsWith("=_"))
        // Knowing the boundary does not help either: what looks like one is never sent as it is.
        const copied = boundaries.map(
          (boundary) => `--${boundary}\r\nContent-Type: text/html\r\n\r\n<b>\r\n--${boundary}--`
        )
        for (const hostile of copied) {
          const again = yield* composeText({ text: hostile, html: hostile, calendar: { content: hostile } })
          assert.notInclude(again.slice(again.indexOf("\r\n\r\n") + 4), boundaries[0]!)
          assert.lengthOf([...again.matchAll(/^--=_/gm)], 4, "three parts and the end")
        }
      })
    )
  })

  describe("the envelope", () => {
    it.effect("goes to To, Cc and Bcc, each address once", () =>
      Effect.gen(function* () {
        const { envelope } = yield* MimeComposer.compose({
          ...mail,
          to: ["Bob <bob@example.com>", "Bob@example.com"],
          cc: "BOB <bob@EXAMPLE.com>, c@example.com",
          bcc: ["d@example.com", "c@example.com"],
          dsn: { notify: ["failure"], envelopeId: "x-1" },
          requireTls: true
        })
        assert.strictEqual(envelope.from, "ann@example.org")
        assert.deepStrictEqual(
          [...envelope.to],
          ["bob@example.com", "Bob@example.com", "c@example.com", "d@example.com"]
        )
        assert.deepStrictEqual(envelope.dsn, { notify: ["failure"], envelopeId: "x-1" })
        assert.isTrue(envelope.requireTls)
      })
    )

    it.effect("follows the mail's own envelope", () =>
      Effect.gen(function* () {
        const given = yield* MimeComposer.compose({
          ...mail,
          envelope: { from: "bounces@example.org", to: ["x@example.com", "x@example.com"] }
        })
        assert.strictEqual(given.envelope.from, "bounces@example.org")
        assert.deepStrictEqual([...given.envelope.to], ["x@example.com"])
        const none = yield* MimeComposer.compose({ ...mail, envelope: { from: "" } })
        assert.strictEqual(none.envelope.from, undefined)
        assert.deepStrictEqual([...none.envelope.to], ["bob@example.com"])
      })
    )
  })

  describe("what is wrong", () => {
    it.effect.each<readonly [field: string, says: string, given: Partial<Mail.Mail>]>([
      ["from", "no address", { from: "Ann" }],
      ["from", "not a list", { from: "a@example.org, b@example.org" }],
      ["from.address", "no @", { from: { address: "ann" } }],
      ["from", "no address", { from: undefined as never }],
      ["to", "no recipient", { to: [] }],
      ["to", "no recipient", { to: "" }],
      ["to[1]", "two dots", { to: ["a@example.org", "b@example..org"] }],
      ["to[1].address", "second @", { to: ["a@example.org", { address: "b@@example.org" }] }],
      ["cc", "group", { cc: "Team: a@example.org;" }],
      ["bcc[0]", "no address", { bcc: [null as never] }],
      ["replyTo.address", "no @", { replyTo: { address: "x" } }],
      ["subject", "string", { subject: undefined as never }],
      ["text", "NUL", { text: "a\0b" }],
      ["html", "NUL", { html: "<\0p>" }],
      ["html", "string", { html: 7 as never }],
      ["date", "not a date", { date: new Date(Number.NaN) }],
      ["date", "not a date", { date: new Date(Date.UTC(10_000, 0)) }],
      ["messageId", "<left@right>", { messageId: "abc" }],
      ["messageId", "<left@right>", { messageId: "<a@b>\r\nX: y" }],
      ["inReplyTo", "<left@right>", { inReplyTo: "<a" }],
      ["references[1]", "<left@right>", { references: ["a@b", "c>"] }],
      ["envelope.from", "no @", { envelope: { from: "x" } }],
      ["envelope.to[1]", "no @", { envelope: { to: ["a@example.org", "x"] } }],
      ["envelope.to", "no recipient", { envelope: { to: [] } }],
      ["dsn.envelopeId", "100", { dsn: { envelopeId: "x".repeat(101) } }],
      ["headers.Content-Type", "follows from", { headers: { "Content-Type": "text/plain" } }],
      ["headers.content-transfer-encoding", "follows from", { headers: { "content-transfer-encoding": "8bit" } }],
      ["headers.MIME-Version", "always", { headers: { "MIME-Version": "1.0" } }],
      ["headers.Bcc", "field bcc", { headers: { Bcc: "x@example.org" } }],
      ["headers.SUBJECT", "field subject", { headers: { SUBJECT: "x" } }],
      ["headers.From", "field from", { headers: { From: "x@example.org" } }],
      ["headers.Message-ID", "field messageId", { headers: { "Message-ID": "x@example.org" } }],
      ["headers.Return-Path", "envelope.from", { headers: { "Return-Path": "<x@example.org>" } }],
      ["headers.X-Priority", "priority", { priority: "low", headers: { "X-Priority": "1" } }],
      [
        "headers.List-Unsubscribe",
        "listUnsubscribe",
        { listUnsubscribe: "https://a.example", headers: { "List-Unsubscribe": "x" } }
      ],
      ['headers["X Y"]', "header name", { headers: { "X Y": "z" } }],
      ['headers["X:Y"]', "header name", { headers: { "X:Y": "z" } }],
      ['headers[""]', "header name", { headers: { "": "z" } }],
      ['headers["Ü"]', "header name", { headers: { Ü: "z" } }],
      ["headers.X-A[1]", "string", { headers: { "X-A": ["x", 1 as never] } }],
      ["headers.Sender", "no address", { headers: { Sender: "Office" } }],
      ["listUnsubscribe", "neither", { listUnsubscribe: {} }],
      ["listUnsubscribe.mailto", "local@domain", { listUnsubscribe: { mailto: "unsubscribe" } }],
      ["listUnsubscribe.url", "no URL", { listUnsubscribe: "not a url" }],
      ["listUnsubscribe.url", "https: or http:", { listUnsubscribe: "ftp://example.org" }],
      ["listUnsubscribe.url", "RFC 8058", { listUnsubscribe: { url: "http://example.org", oneClick: true } }],
      ["attachments[0]", "neither content nor a path", { attachments: [{ filename: "a" }] }],
      ["attachments[1]", "both", { attachments: [{ content: "" }, { content: "a", path: "b" }] }],
      ["attachments[0].content", "base64", { attachments: [{ content: "!", encoding: "base64" }] }],
      ["attachments[0].contentType", "media type", { attachments: [{ content: "", contentType: "pdf" }] }],
      [
        "attachments[0].contentType",
        "at most 500",
        { attachments: [{ content: "", contentType: `text/plain; a="${"x".repeat(500)}"` }] }
      ],
      ["attachments[0].contentType", "multipart", { attachments: [{ content: "", contentType: "multipart/mixed" }] }],
      ["attachments[0].cid", "Content-ID", { attachments: [{ content: "", cid: "a b" }] }],
      ["attachments[0].path", "FileSystem", { attachments: [{ path: "a.txt" }] }]
    ])("is named: %s (%s)", ([field, says, given]) => assertRefused(given, field, says))

    it.effect("is found without going over a long text again and again", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(MimeComposer.compose({ ...mail, messageId: `${"@".repeat(1_000_000)}\t` }))
        assert.deepInclude(error.reason, { field: "messageId" })
      })
    )

    it.effect("never shows an address in the error", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(MimeComposer.compose({ ...mail, to: "very.private@@example.org" }))
        assert.notInclude(error.message, "private")
      })
    )
  })

  describe("injection", () => {
    it.effect.prop(
      "a line break or a NUL in any field is refused at that field, and nothing is composed",
      [AnyHostileMail],
      Effect.fnUntraced(function* ([{ field, given }]) {
        const exit = yield* Effect.exit(MimeComposer.compose({ ...mail, ...given }))
        assert.isTrue(Exit.isFailure(exit), field)
        if (!Exit.isFailure(exit)) return
        const error = Option.getOrThrow(Cause.findErrorOption(exit.cause))
        assert.strictEqual(error.reason._tag, "InvalidMessage")
        assert.isTrue((error.reason as MailError.InvalidMessage).field.startsWith(field), error.message)
        assert.isFalse(/[\r\n\0]/.test(error.message), "the message itself is one line")
      }),
      { arbitrary: { runs: 400 } }
    )

    it.effect("an encoded-word is shown as it was written, never decoded", () =>
      Effect.gen(function* () {
        const hostile = "=?utf-8?Q?x=0D=0ABcc:_eve@example.com?="
        const composed = yield* MimeComposer.compose({
          ...mail,
          from: { name: hostile, address: "ann@example.org" },
          subject: hostile,
          headers: { "X-Note": hostile }
        })
        assert.notInclude(textOf(composed), hostile)
        const read = yield* Effect.promise(() => readWithPostalMime(composed.content as Uint8Array))
        assert.strictEqual(read.subject, hostile)
        assert.deepStrictEqual(read.header("x-note"), [hostile])
        assert.deepStrictEqual(read.from, [`${hostile} <ann@example.org>`])
      })
    )
  })

  it.effect("composes an NDJSON line", () =>
    Effect.gen(function* () {
      const decoded = yield* Schema.decodeUnknownEffect(Schema.fromJsonString(Mail.MailJson))(
        JSON.stringify({
          from: "ann@example.org",
          to: ["bob@example.com"],
          subject: "s",
          listUnsubscribe: { url: "https://example.org/u" },
          priority: "low",
          calendar: { content: "METHOD:REPLY" },
          requireTls: true
        })
      )
      const composed = yield* MimeComposer.compose(decoded)
      assert.include(textOf(composed), "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n")
      assert.include(textOf(composed), "method=REPLY")
      assert.isTrue(composed.envelope.requireTls)
    })
  )
})
