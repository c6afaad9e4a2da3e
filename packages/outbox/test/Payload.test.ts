import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Composed from "mailrace/Composed"
import type * as Mail from "mailrace/Mail"
import * as Payload from "../src/Payload.ts"

const anyMail = Schema.Struct({
  id: Schema.optionalKey(Schema.String),
  subject: Schema.String,
  text: Schema.optionalKey(Schema.Literals(["the same body of them all, again and again and again", "another", ""])),
  html: Schema.optionalKey(Schema.Literals([`<p>${"a campaign's body ".repeat(20)}</p>`, "<p>own</p>"])),
  headers: Schema.optionalKey(Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Array(Schema.String)]))),
  references: Schema.optionalKey(Schema.Union([Schema.String, Schema.Array(Schema.String)])),
  tenant: Schema.optionalKey(Schema.String),
  data: Schema.optionalKey(Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Int, Schema.Boolean])))
})

const base = { from: "News <news@example.com>", to: "ann@example.org", subject: "Hello" }

/** Through the store's eyes: a mail encoded and decoded. */
const through = (codec: Payload.PayloadCodec, mail: Mail.Mail | Composed.Composed) =>
  Effect.map(codec.encode(mail, "id"), (payload) => ({ payload, mail: codec.decodeUnsafe(payload) }))

describe("Payload", () => {
  it.effect.prop(
    "restores every message of any sequence, whatever the messages share",
    { mails: Schema.Array(anyMail) },
    ({ mails }) =>
      Effect.gen(function* () {
        const codec = Payload.make()
        for (const fields of mails) {
          const mail = { ...base, ...fields } as Mail.Mail
          const { mail: back } = yield* through(codec, mail)
          // A record made from entries may hold `__proto__`, which JSON keeps as a field of its own.
          assert.deepStrictEqual(JSON.parse(JSON.stringify(back)), {
            ...JSON.parse(JSON.stringify(mail)),
            messageId: "<id@example.com>"
          })
        }
      })
  )

  it.effect("stores only a message's own data in a campaign", () =>
    Effect.gen(function* () {
      const codec = Payload.make()
      const html = `<p>${"All of this is the same. ".repeat(400)}</p>`
      const sizes: Array<number> = []
      for (let i = 0; i < 4; i++) {
        const { payload } = yield* through(codec, { ...base, html, to: `u${i}@example.org`, data: { i } })
        sizes.push(payload.size)
      }
      assert.isAbove(sizes[0]!, html.length)
      for (const size of sizes.slice(1)) assert.isBelow(size, 40)
    })
  )

  it.effect("notices that an object that is passed again has changed", () =>
    Effect.gen(function* () {
      const codec = Payload.make()
      const headers: Record<string, string> = {}
      const content = new Uint8Array(5000)
      const mail = { ...base, text: "the same body".repeat(20), headers, attachments: [{ filename: "a", content }] }
      for (let i = 0; i < 5; i++) {
        headers["X-Number"] = String(i)
        content.fill(i)
        const { payload } = yield* through(codec, mail)
        headers["X-Number"] = "changed before it was stored"
        content.fill(99)
        const back = codec.decodeUnsafe(payload) as Mail.Mail
        assert.strictEqual(back.headers?.["X-Number"], String(i))
        assert.deepStrictEqual(back.attachments?.[0]?.content, new Uint8Array(5000).fill(i))
      }
    })
  )

  it.effect("reads streams and base64 when a message is enqueued", () =>
    Effect.gen(function* () {
      const codec = Payload.make()
      const bytes = new Uint8Array(6000).map((_, i) => i % 256)
      const { mail } = yield* through(codec, {
        ...base,
        attachments: [
          { filename: "a", content: Stream.make(bytes.subarray(0, 10), bytes.subarray(10)) },
          { filename: "b", content: Buffer.from(bytes).toString("base64"), encoding: "base64" },
          { filename: "c", content: bytes.subarray(0, 9) }
        ]
      })
      const [a, b, c] = (mail as Mail.Mail).attachments!
      assert.deepStrictEqual(Buffer.from(a!.content as Uint8Array), Buffer.from(bytes))
      assert.deepStrictEqual(Buffer.from(b!.content as Uint8Array), Buffer.from(bytes))
      assert.deepStrictEqual(Buffer.from(c!.content as string, c!.encoding), Buffer.from(bytes.subarray(0, 9)))
      const streamed = yield* through(
        codec,
        Composed.make({
          messageId: "<a@b.c>",
          envelope: { from: undefined, to: ["x@y.z"] as never },
          content: { _tag: "StreamedContent", stream: Stream.make(bytes) },
          size: 1
        })
      )
      assert.deepStrictEqual((streamed.mail as Composed.Composed).size, 6000)
    })
  )

  it.effect("renders a template of many messages from one copy, each with its own data", () =>
    Effect.gen(function* () {
      const codec = Payload.make()
      const template = { ...base, subject: "Dear {{name}}", html: `<p>Hello {{name}}</p>${"<p>same</p>".repeat(50)}` }
      for (const name of ["Ann", "Bob & Co", "Cleo"]) {
        const mail = { ...template, to: "x@example.org", data: { name } }
        const payload = yield* codec.encode(mail, "id", true)
        assert.deepStrictEqual(codec.decodeUnsafe(payload), { ...mail, messageId: "<id@example.com>" })
        assert.deepInclude(yield* codec.filled(payload), {
          to: "x@example.org",
          subject: `Dear ${name}`,
          messageId: "<id@example.com>"
        })
        const { source } = codec.sourceUnsafe(payload, "row", ["owed@example.org"])
        assert.isTrue(Effect.isEffect(source))
        const message = yield* source as Effect.Effect<Composed.Composed>
        const text = Buffer.from(message.content as Uint8Array).toString()
        assert.include(text, `Subject: Dear ${name}`)
        assert.include(text, `Hello ${name.replace("&", "&amp;")}`)
        assert.strictEqual(message.messageId, "<id@example.com>")
        assert.deepStrictEqual(message.envelope.to, ["owed@example.org"] as never)
        assert.strictEqual(source.id, "row")
      }
    })
  )

  it.effect("shows a message that cannot be filled in as it was enqueued", () =>
    Effect.gen(function* () {
      const codec = Payload.make()
      const payload = yield* codec.encode({ ...base, subject: "Dear {{name}}" }, "id", true)
      assert.deepInclude(yield* codec.filled(payload), { subject: "Dear {{name}}" })
    })
  )

  it.effect("refuses a template that cannot be compiled when its first message is enqueued", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Payload.make().encode({ ...base, html: "<p>{{#if}}</p>" }, "id", true))
      assert.strictEqual(error.reason._tag, "InvalidMail")
      assert.match(error.message, /html/)
    })
  )
})
