/**
 * What goes in comes out: any mail, read back by two readers that know nothing of this composer, and compared with what
 * they read of the same mail composed by nodemailer.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import MailComposer from "nodemailer/lib/mail-composer"
import type * as Mail from "../src/Mail.ts"
import * as MimeComposer from "../src/MimeComposer.ts"
import { AnyAttachment, AnyLine, AnyMailbox, AnyText, PlainMail } from "./support/mails.ts"
import { type Read, readWithMailparser, readWithPostalMime, settled, wireProblem, written } from "./support/readers.ts"

const readers: ReadonlyArray<readonly [name: string, read: (raw: Uint8Array) => Promise<Read>]> = [
  ["mailparser", readWithMailparser],
  ["postal-mime", readWithPostalMime]
]

const AnyMail = Arbitrary.all({
  from: AnyMailbox,
  to: Arbitrary.array(AnyMailbox, { minLength: 1, maxLength: 4 }),
  cc: Arbitrary.array(AnyMailbox, { maxLength: 2 }),
  replyTo: Arbitrary.array(AnyMailbox, { maxLength: 1 }),
  subject: AnyLine,
  text: AnyText,
  html: AnyText,
  attachments: Arbitrary.array(AnyAttachment, { maxLength: 2 }),
  header: AnyLine
})

type AnyMail = typeof AnyMail extends Arbitrary.Arbitrary<infer A> ? A : never

const bytesOf = (mail: Mail.Mail) =>
  Effect.map(MimeComposer.compose(mail), ({ content, size }) => {
    assert.instanceOf(content, Uint8Array)
    assert.strictEqual(size, (content as Uint8Array).length)
    return content as Uint8Array
  })

const named = (list: ReadonlyArray<{ readonly name: string; readonly address: string }>) =>
  list.map(({ address, name }) => written(name, address))

const nodemailerBytes = (mail: typeof PlainMail extends Arbitrary.Arbitrary<infer A> ? A : never) =>
  Effect.promise<Buffer>(() =>
    new MailComposer({
      ...mail,
      attachments: mail.attachments.map((one) => ({ ...one, content: Buffer.from(one.content) }))
    })
      .compile()
      .build()
  )

describe("MimeComposer, read by others", () => {
  it.effect.prop(
    "any mail reads back as it was written",
    [AnyMail],
    Effect.fnUntraced(function* ([{ header, ...mail }]: [AnyMail]) {
      const raw = yield* bytesOf({ ...mail, headers: { "X-Note": header } })
      assert.strictEqual(wireProblem(raw), undefined)
      for (const [name, reader] of readers) {
        const read = yield* Effect.promise(() => reader(raw))
        assert.strictEqual(read.subject, mail.subject, name)
        assert.deepStrictEqual(read.from, named([mail.from]), name)
        assert.deepStrictEqual(read.to, named(mail.to), name)
        assert.deepStrictEqual(read.cc, named(mail.cc), name)
        assert.deepStrictEqual(read.replyTo, named(mail.replyTo), name)
        assert.strictEqual(read.text, settled(mail.text), name)
        assert.strictEqual(read.html, settled(mail.html), name)
        assert.deepStrictEqual(read.header("x-note"), [header], name)
        assert.deepStrictEqual(
          read.attachments.map(({ base64, filename }) => ({ filename, base64 })),
          mail.attachments.map(({ content, filename }) => ({
            filename,
            base64: Buffer.from(content).toString("base64")
          })),
          name
        )
      }
    }),
    { arbitrary: { runs: 150, size: 15 } }
  )

  it.effect.prop(
    "an everyday mail reads as it does from nodemailer, types and inline images too",
    [PlainMail],
    Effect.fnUntraced(function* ([mail]) {
      const ours = yield* bytesOf(mail)
      const theirs = yield* nodemailerBytes(mail)
      for (const [name, reader] of readers) {
        const [{ header: ourHeader, ...our }, { header: theirHeader, ...their }] = yield* Effect.promise(() =>
          Promise.all([reader(ours), reader(theirs)])
        )
        assert.deepStrictEqual(our, their, name)
        for (const field of ["in-reply-to", "references", "x-campaign", "mime-version"])
          assert.deepStrictEqual(ourHeader(field), theirHeader(field), `${name}, ${field}`)
      }
    }),
    { arbitrary: { runs: 100, size: 15 } }
  )

  it.effect.prop(
    "8-bit texts come back as well, and only then is a byte above 127",
    [AnyText, AnyText, Schema.Boolean],
    Effect.fnUntraced(function* ([text, html, eightBit]) {
      const { compose } = MimeComposer.make({ eightBit })
      const composed = yield* compose({ from: "ann@example.org", to: "bob@example.org", subject: "", text, html })
      const raw = composed.content as Uint8Array
      assert.strictEqual(
        composed.eightBit,
        raw.some((byte) => byte > 127)
      )
      if (!eightBit) assert.isFalse(composed.eightBit)
      for (const [name, reader] of readers) {
        const read = yield* Effect.promise(() => reader(raw))
        assert.strictEqual(read.text, settled(text), name)
        assert.strictEqual(read.html, settled(html), name)
      }
    }),
    { arbitrary: { runs: 60, size: 10 } }
  )

  it.effect("every level says that there are bytes above 127 below it, and no other does", () =>
    Effect.gen(function* () {
      const { compose } = MimeComposer.make({ eightBit: true })
      const attachments = [{ filename: "a.bin", content: Uint8Array.of(255) }]
      const encodings = (given: object) =>
        Effect.map(compose({ from: "a@b.c", to: "a@b.c", subject: "ü", attachments, ...given }), ({ content }) =>
          Buffer.from(content as Uint8Array)
            .toString("latin1")
            .split(/^--.*\r\n/m)
            .map((part) => /^Content-Transfer-Encoding: (.*)\r$/m.exec(part)?.[1])
        )
      assert.deepStrictEqual(yield* encodings({ text: "x", html: "ü" }), [
        "8bit",
        "8bit",
        "7bit",
        "8bit",
        undefined,
        "base64",
        undefined
      ])
      assert.deepStrictEqual(yield* encodings({ text: "x", html: "y" }), [
        undefined,
        undefined,
        "7bit",
        "7bit",
        undefined,
        "base64",
        undefined
      ])
    })
  )
})
