import { assert, describe, it } from "@effect/vitest"
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as AttachmentFile from "mailrace/AttachmentFile"
import * as Composed from "mailrace/Composed"
import { Composer } from "mailrace/Composer"
import * as Dkim from "mailrace/Dkim"
import type * as Mail from "mailrace/Mail"
import * as MailError from "mailrace/MailError"
import * as MimeComposer from "mailrace/MimeComposer"
import * as Template from "mailrace/Template"
import { simpleParser } from "mailparser"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { Readable } from "node:stream"
import * as NodemailerComposer from "../src/NodemailerComposer.ts"

const bytesOf = ({ content }: Composed.Composed) =>
  content instanceof Uint8Array
    ? Effect.succeed(Buffer.from(content))
    : Effect.map(Stream.runCollect(content.stream), (pieces) => Buffer.concat(pieces))

const parse = (composed: Composed.Composed) =>
  Effect.flatMap(bytesOf(composed), (bytes) => Effect.promise(() => simpleParser(bytes, { keepCidLinks: true })))

const plain: Mail.Mail = {
  from: '"Müller, Jörg" <joerg@bücher.test>',
  to: ['"Doe, Ann" <ann@b.test>, bob@b.test', { name: "Çelik", address: "celik@b.test" }],
  cc: "carol@c.test",
  bcc: "secret@d.test",
  subject: "Grüße 👋",
  text: "Hällo\n.\n"
}

const compose = NodemailerComposer.compose()

describe("NodemailerComposer.compose", () => {
  it.effect("gives what the native composer gives, read by mailparser", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_800_000_000_000)
      const mail: Mail.Mail = {
        ...plain,
        id: "17",
        tenant: "t",
        html: '<p>Hällo <img src="cid:logo@mail"></p>',
        replyTo: "reply@b.test",
        inReplyTo: "<1@a.test>",
        references: ["<1@a.test>", "<2@a.test>"],
        messageId: "<3@a.test>",
        headers: { "X-Campaign": "süß", "X-Twice": ["a", "b"] },
        listUnsubscribe: { url: "https://a.test/out", mailto: "out@a.test" },
        priority: "high",
        envelope: { from: "" },
        dsn: { return: "full" },
        requireTls: true,
        attachments: [
          { filename: "Rechnung März.pdf", content: Uint8Array.of(0, 1, 2, 255) },
          { filename: "logo.png", content: "AAEC", encoding: "base64", cid: "logo@mail" },
          { filename: "notes.txt", content: "Notizen ü" }
        ]
      }
      const [ours, native] = [yield* compose(mail), yield* MimeComposer.compose(mail)]
      assert.deepStrictEqual(
        { ...ours, content: 0, size: 0, eightBit: 0, utf8Headers: 0 },
        { ...native, content: 0, size: 0, eightBit: 0, utf8Headers: 0 }
      )
      const [read, expected] = [yield* parse(ours), yield* parse(native)]
      for (const field of ["subject", "text", "html", "messageId", "inReplyTo", "date"] as const)
        assert.deepStrictEqual(read[field], expected[field], field)
      for (const field of ["from", "to", "cc", "replyTo"] as const)
        assert.deepStrictEqual([read[field]].flat()[0]?.value, [expected[field]].flat()[0]?.value, field)
      for (const field of ["references", "priority", "x-campaign", "x-twice", "list"]) {
        assert.isDefined(read.headers.get(field), field)
        assert.deepStrictEqual(read.headers.get(field), expected.headers.get(field), field)
      }
      for (const one of [read, expected])
        assert.include(
          one.headerLines.map(({ line }) => line),
          "List-Unsubscribe-Post: List-Unsubscribe=One-Click"
        )
      const files = (found: typeof read) =>
        found.attachments.map(({ cid, content, filename, related }) => [
          filename,
          cid,
          related,
          content.toString("hex")
        ])
      assert.sameDeepMembers(files(read), files(expected))
      assert.isUndefined(read.bcc)
    })
  )

  it.effect("builds AMP, calendar files, parts made by hand, and whole messages", () =>
    Effect.gen(function* () {
      const amp = yield* Effect.map(
        compose({ ...plain, html: "<p>html</p>", nodemailer: { amp: "<!doctype html><html ⚡4email></html>" } }),
        ({ content }) => Buffer.from(content as Uint8Array).toString()
      )
      assert.include(amp, "text/x-amp-html")
      const calendar = "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n"
      const invited = yield* compose({
        ...plain,
        attachments: [{ filename: "a.txt", content: "a" }],
        nodemailer: {
          icalEvent: { method: "REQUEST", filename: "invite.ics", content: calendar },
          attachments: [{ filename: "b.txt", content: "b" }],
          headers: { "X-Extra": "1" },
          alternatives: [{ contentType: "text/x-watch", content: "watch" }]
        }
      })
      const read = yield* parse(invited)
      assert.deepStrictEqual(
        read.attachments.map(({ contentType, filename }) => [filename, contentType]).sort(),
        [
          [undefined, "text/calendar"],
          [undefined, "text/x-watch"],
          ["a.txt", "text/plain"],
          ["b.txt", "text/plain"],
          ["invite.ics", "application/ics"]
        ].sort()
      )
      assert.strictEqual(read.headers.get("x-extra"), "1")
      const raw = yield* compose({ ...plain, nodemailer: { raw: "From: x@y.test\nSubject: \xfc\n\n\xe4\n" } })
      assert.strictEqual((yield* bytesOf(raw)).toString(), "From: x@y.test\r\nSubject: ü\r\n\r\nä\r\n")
      assert.deepInclude(raw, { eightBit: true, utf8Headers: true })
      assert.deepStrictEqual(
        [...raw.envelope.to],
        ["ann@b.test", "bob@b.test", "celik@b.test", "carol@c.test", "secret@d.test"]
      )
    })
  )

  it.effect("refuses what the native composer refuses, with the same words", () =>
    Effect.gen(function* () {
      for (const mail of [
        { ...plain, to: "nobody" },
        { ...plain, to: [], cc: [], bcc: [] },
        { ...plain, subject: "a\r\nBcc: eve@d.test" },
        { ...plain, headers: { "X-A": "a\nb" } },
        { ...plain, headers: { Bcc: "eve@d.test" } },
        { ...plain, listUnsubscribe: "ftp://a.test" },
        { ...plain, date: new Date(Number.NaN) },
        { ...plain, text: "a\0b" },
        { ...plain, html: "<p>\0" },
        { ...plain, calendar: { content: "BEGIN:VCALENDAR", method: "A\r\nX-B: c" } },
        { ...plain, calendar: { content: "METHOD:REPLY", method: "REQUEST" } },
        { ...plain, attachments: [{ content: "!!", encoding: "base64" as const }] },
        { ...plain, attachments: [{ content: "a", filename: "a\r\nb" }] },
        { ...plain, attachments: [{ content: "a", contentType: "text" }] },
        { ...plain, attachments: [{ content: Stream.empty, cid: "a\r\nb" }] }
      ]) {
        const [ours, native] = [yield* Effect.flip(compose(mail)), yield* Effect.flip(MimeComposer.compose(mail))]
        assert.instanceOf(ours.reason, MailError.InvalidMessage)
        assert.deepStrictEqual(ours.reason, native.reason)
      }
      for (const attachment of [{}, { content: "a", path: "b" }]) {
        const error = yield* Effect.flip(compose({ ...plain, attachments: [attachment] }))
        assert.deepInclude(error.reason, { _tag: "InvalidMessage", field: "attachments[0]" })
      }
    })
  )

  it.effect("reads nothing outside of the mail unless it is allowed", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "mailrace-"))),
        (folder) => Effect.sync(() => Fs.rmSync(folder, { recursive: true }))
      )
      const path = Path.join(folder, "secret.txt")
      Fs.writeFileSync(path, "the secret")
      const withFile = { ...plain, nodemailer: { attachments: [{ path }] } }
      const withUrl = {
        ...plain,
        nodemailer: { alternatives: [{ href: "http://127.0.0.1:9/", contentType: "text/x" }] }
      }
      assert.match((yield* Effect.flip(compose(withFile))).message, /reading files is off/)
      assert.match((yield* Effect.flip(compose(withUrl))).message, /fetching is off/)
      const allowed = yield* NodemailerComposer.compose({ disableFileAccess: false })(withFile)
      assert.strictEqual((yield* parse(allowed)).attachments[0]?.content.toString(), "the secret")
    })
  )

  it.effect("reads the paths of a mail through the FileSystem at hand", () =>
    Effect.gen(function* () {
      const mail = { ...plain, attachments: [{ path: "/files/a.txt" }, { path: "/files/large.bin" }] }
      const error = yield* Effect.flip(compose(mail))
      assert.deepInclude(error.reason, { field: "attachments[0].path" })
      const large = new Uint8Array(3_000_000).fill(7)
      const files = FileSystem.layerNoop({
        stat: (path) =>
          Effect.succeed({
            type: "File",
            size: ByteSize.bytes(path.endsWith("a.txt") ? 1 : large.length)
          } as FileSystem.File.Info),
        readFile: () => Effect.succeed(Buffer.from("a")),
        stream: () => Stream.make(large.subarray(0, 1_000_000), large.subarray(1_000_000))
      })
      const composed = yield* Effect.provide(compose(mail), files)
      const first = yield* bytesOf(composed)
      assert.isTrue(first.equals(yield* bytesOf(composed)), "the same bytes at each attempt")
      assert.isAbove(composed.size, first.length)
      assert.isBelow(composed.size, first.length * 1.1)
      const { attachments } = yield* parse(composed)
      assert.deepStrictEqual(
        attachments.map(({ content, filename }) => [filename, content.length]),
        [
          ["a.txt", 1],
          ["large.bin", large.length]
        ]
      )
    })
  )

  it.effect("attaches no file from elsewhere than AttachmentsFrom says", () =>
    Effect.gen(function* () {
      const mail = { ...plain, attachments: [{ path: "/etc/passwd" }] }
      const files = FileSystem.layerNoop({
        realPath: (path) => Effect.succeed(path),
        readFile: () => Effect.succeed(Buffer.from("root")),
        stat: () => Effect.succeed({ type: "File", size: ByteSize.bytes(4) } as FileSystem.File.Info)
      })
      for (const [from, problem] of [
        ["/files", "/etc/passwd is not below /files, where attachments come from"],
        ["nowhere", "/etc/passwd is not attached, because no folder for attachments is named"]
      ] as const) {
        const within = Effect.provideService(AttachmentFile.AttachmentsFrom, AttachmentFile.policy(from))
        const error = yield* Effect.flip(compose(mail).pipe(within, Effect.provide(files)))
        assert.include(error.message, `attachments[0].path: ${problem}`)
      }
      yield* Effect.provide(compose(mail), files)
    })
  )

  it.effect("streams attachments given as streams, and comes with their errors", () =>
    Effect.gen(function* () {
      const good = yield* compose({
        ...plain,
        attachments: [{ content: Stream.make(Buffer.from("abc")), filename: "s" }]
      })
      assert.strictEqual((yield* parse(good)).attachments[0]?.content.toString(), "abc")
      const bad = yield* compose({
        ...plain,
        attachments: [{ content: Stream.fail(new Error("gone")), filename: "s" }]
      })
      const error = yield* Effect.flip(bytesOf(bad))
      assert.deepInclude(error.reason, { field: "attachments[0].content", problem: "the stream failed: gone" })
    })
  )
})

describe("NodemailerComposer.layer", () => {
  const composed = (mail: NodemailerComposer.NodemailerMail, layer: Layer.Layer<never>) =>
    Effect.flatMap(Composer, (composer) => composer.compose(mail)).pipe(
      Effect.provide(layer),
      Effect.flatMap(bytesOf),
      Effect.map((bytes) => bytes.toString())
    )
  const mail = { ...plain, html: "<p>Hi</p>" }

  it.effect("composes by nodemailer only what asks for it, unless it is to compose everything", () =>
    Effect.gen(function* () {
      const boundary = /boundary="--_NmP/
      assert.notMatch(yield* composed(mail, NodemailerComposer.layer()), boundary)
      assert.match(yield* composed({ ...mail, nodemailer: {} }, NodemailerComposer.layer()), boundary)
      assert.match(yield* composed(mail, NodemailerComposer.layer({ every: true })), boundary)
    })
  )

  it.effect("can be signed, whichever of the two layers is around the other", () =>
    Effect.gen(function* () {
      const { privateKey } = yield* Dkim.generateKeys("ed25519-sha256")
      const signed = Dkim.layer({ domain: "a.test", selector: "s", privateKey })
      const template = yield* Template.compile({ from: "ann@a.test", subject: "Hello {{name}}", text: "{{name}}" })
      for (const layer of [
        Layer.orDie(Layer.provide(signed, NodemailerComposer.layer())),
        Layer.orDie(Layer.provide(NodemailerComposer.layer(), signed))
      ]) {
        for (const content of ["text", Stream.make(Buffer.from("text"))])
          assert.match(
            yield* composed({ ...mail, attachments: [{ filename: "a", content }], nodemailer: {} }, layer),
            /^DKIM-Signature: (?!.*DKIM-Signature).*--_NmP/s
          )
        const rendered = template.render({ to: "bob@b.test", data: { name: "Bob" } })
        const message = yield* Effect.flatMap(Effect.provide(rendered, layer), bytesOf)
        for (const text of [message.toString(), yield* composed(mail, layer)])
          assert.match(text, /^DKIM-Signature: (?!.*DKIM-Signature)/s)
      }
    })
  )
})

describe("NodemailerComposer.composeOptions", () => {
  it.effect("composes what sendMail takes", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_800_000_000_000)
      const composed = yield* NodemailerComposer.composeOptions({
        from: "Ann <ann@a.test>",
        to: "bob@b.test, Carol <carol@bücher.test>",
        bcc: "dave@d.test",
        subject: "Hello",
        text: Readable.from(["streamed"]),
        priority: "high",
        list: { unsubscribe: "https://a.test/out" },
        dsn: { id: "17", return: "headers", notify: "failure, delay", recipient: "x@y.test" }
      })
      assert.deepStrictEqual(composed.envelope, {
        from: "ann@a.test",
        to: ["bob@b.test", "carol@xn--bcher-kva.test", "dave@d.test"],
        dsn: {
          return: "headers",
          envelopeId: "17",
          notify: ["failure", "delay"],
          originalRecipient: "x@y.test"
        },
        requireTls: undefined
      } as never)
      const read = yield* parse(composed)
      assert.strictEqual(read.text, "streamed\n")
      assert.strictEqual(read.date?.getTime(), 1_800_000_000_000)
      assert.strictEqual(read.messageId, composed.messageId)
      assert.strictEqual(read.headers.get("priority"), "high")
      assert.isFalse(read.headers.has("x-mailer"))
    })
  )

  it.effect("refuses what has nobody to go to, and addresses that are none", () =>
    Effect.gen(function* () {
      const refused = (options: Parameters<typeof NodemailerComposer.composeOptions>[0]) =>
        Effect.map(Effect.flip(NodemailerComposer.composeOptions(options)), ({ reason }) => reason)
      assert.deepInclude(yield* refused({ from: "ann@a.test", text: "a" }), { field: "to" })
      assert.deepInclude(yield* refused({ from: "ann@a.test", to: "ann@-", text: "a" }), { field: "envelope.to[0]" })
      assert.deepInclude(yield* refused({ from: "ann@a.test", to: "bob@b.test", html: { path: "/etc/hosts" } }), {
        _tag: "InvalidMessage",
        field: "nodemailer"
      })
    })
  )
})
