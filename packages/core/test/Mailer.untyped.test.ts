/**
 * Mails from JavaScript, which no compiler has looked at: each ends as a `Delivery`, refused by the field at fault, and no
 * slip is passed over.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Composer from "../src/Composer.ts"
import type * as Delivery from "../src/Delivery.ts"
import { MailJson, type Mail } from "../src/Mail.ts"
import * as Mailer from "../src/Mailer.ts"
import * as MailError from "../src/MailError.ts"
import { MailTransport } from "../src/MailTransport.ts"
import * as Template from "../src/Template.ts"
import * as Scripted from "./support/scripted.ts"

const good = { from: "ann@x.example", to: "bob@x.example", subject: "Hello", text: "Hi" }

const untyped = (mail: unknown): Mail => mail as Mail

/** Sends mails between two good ones, all at once, to a relay that takes everything. */
const sendAll = (mails: ReadonlyArray<unknown>) =>
  Effect.gen(function* () {
    const { calls, provide } = Scripted.make((message) => Effect.succeed(Scripted.receipt(message)))
    const all = [good, ...mails, { ...good, id: "last" }].map(untyped)
    const deliveries = yield* Stream.fromIterable(all).pipe(
      Mailer.sendAll({ ordered: true }),
      Stream.runCollect,
      provide
    )
    assert.deepStrictEqual(
      deliveries.map(({ index }) => index),
      all.map((_, index) => index)
    )
    for (const { id } of deliveries) assert.isString(id)
    assert.strictEqual(deliveries[0]?._tag, "Accepted")
    assert.strictEqual(deliveries.at(-1)?._tag, "Accepted")
    return { deliveries: deliveries.slice(1, -1), calls }
  })

const faultOf = (delivery: Delivery.Delivery | undefined): MailError.InvalidMessage => {
  if (delivery?._tag !== "Rejected") return assert.fail(`it is ${delivery?._tag}`)
  const { reason } = delivery.error
  if (reason._tag !== "InvalidMessage") return assert.fail(`it is refused as ${reason._tag}`)
  assert.include(delivery.error.remedy, reason.field)
  return reason
}

const notify = 'it must be "never", or a list of one or more of "success", "failure" and "delay"'

describe("Mailer: messages that no compiler has looked at", () => {
  for (const [fields, field, problem] of [
    [{ dsn: { notify: "failure" } }, "dsn.notify", notify],
    [{ dsn: { notify: ["failures"] } }, "dsn.notify", notify],
    [{ dsn: { notify: ["failure", "never"] } }, "dsn.notify", notify],
    [{ dsn: { notify: ["never"] } }, "dsn.notify", notify],
    [{ dsn: { notify: ["FAILURE"] } }, "dsn.notify", notify],
    [{ dsn: { notify: [] } }, "dsn.notify", notify],
    [{ dsn: { notify: null } }, "dsn.notify", notify],
    [{ dsn: { return: "FULL" } }, "dsn.return", 'it must be "full" or "headers"'],
    [{ dsn: { envelopeId: 7 } }, "dsn.envelopeId", "it must be a string"],
    [{ dsn: { originalRecipient: 7 } }, "dsn.originalRecipient", "it must be an address of 1 to 500 characters"],
    [
      { dsn: { originalRecipient: "rfc822;" } },
      "dsn.originalRecipient",
      "it must be an address of 1 to 500 characters"
    ],
    [
      { dsn: { ret: "full" } },
      "dsn.ret",
      "it is not known; known are return, envelopeId, notify and originalRecipient"
    ],
    [{ dsn: "never" }, "dsn", "it must be an object"],
    [{ dsn: ["failure"] }, "dsn", "it must be an object"],
    [{ requireTls: "yes" }, "requireTls", "it must be true or false"],
    [{ requireTls: 1 }, "requireTls", "it must be true or false"],
    [{ envelope: "bounces@x.example" }, "envelope", "it must be an object"],
    [{ envelope: { to: "eve@x.example" } }, "envelope.to", "it must be a list"],
    [{ envelope: { to: [null] } }, "envelope.to[0]", "it must be a string"],
    [{ envelope: { recipients: ["eve@x.example"] } }, "envelope.recipients", "it is not known; known are from and to"],
    [{ headers: "X-A: 1" }, "headers", "it must be an object of names and values"],
    [{ headers: ["X-A: 1"] }, "headers", "it must be an object of names and values"],
    [{ headers: { "X-A": 1 } }, "headers.X-A", "it must be a string or a list of strings"],
    [
      { attachments: [{ content: "eA==", encoding: "hex" }] },
      "attachments[0].encoding",
      'it must be "utf8" or "base64"'
    ],
    [{ attachments: [{ content: 7 }] }, "attachments[0].content", "it must be text, bytes or a stream of bytes"],
    [{ attachments: { path: "/etc/hosts" } }, "attachments", "it must be a list"],
    [
      { listUnsubscribe: { url: "https://x.example", oneClick: "no" } },
      "listUnsubscribe.oneClick",
      "it must be true or"
    ],
    [{ priority: 1 }, "priority", "it is high, normal or low"],
    [{ priority: ["high"] }, "priority", "it is high, normal or low"],
    [{ date: "2026-01-01" }, "date", "it must be a Date"],
    [{ calendar: "BEGIN:VCALENDAR" }, "calendar", "it must be an object"],
    [{ id: 7 }, "id", "it must be a string"],
    [{ tenant: {} }, "tenant", "it must be a string"],
    [{ text: { toString: "x" } }, "text", "it must be a string"],
    [{ from: null }, "from", "there is no address"],
    [{ cc: ["ann@x.example", undefined] }, "cc[1]", "there is no address"],
    [{ bcc: [["ann@x.example"]] }, "bcc[0]", "it is a list; write all mailboxes in one"]
  ] as const) {
    it.effect(`refuses ${JSON.stringify(fields)}, and sends the others`, () =>
      Effect.gen(function* () {
        const { calls, deliveries } = yield* sendAll([{ ...good, ...fields }])
        const reason = faultOf(deliveries[0])
        assert.strictEqual(reason.field, field)
        assert.include(reason.problem, problem)
        assert.lengthOf(calls, 2)
      })
    )
  }

  it.effect("refuses a value that is no mail", () =>
    Effect.gen(function* () {
      const none = [null, undefined, 7, "ann@x.example", true, [], {}, { _tag: "Composed" }]
      const { deliveries } = yield* sendAll(none)
      for (const delivery of deliveries) assert.isNotEmpty(faultOf(delivery).problem)
      const { deliveries: uncomposed } = yield* sendAll([Effect.succeed(good)])
      assert.strictEqual(faultOf(uncomposed[0]).field, "mail")
      const composed = { _tag: "Composed", messageId: "<1@x.example>", content: null, envelope: { to: [] } }
      const error = yield* Effect.flip(Mailer.send(untyped(composed)).pipe(Scripted.make(Effect.die).provide))
      assert.strictEqual(error.reason._tag, "InvalidMessage")
    })
  )

  it.effect("refuses a value that throws wherever it is looked at", () =>
    Effect.gen(function* () {
      const trap = (): never => {
        throw new Error("a trap")
      }
      const revoked = Proxy.revocable({}, {})
      revoked.revoke()
      const throwing = ["id", "_tag", "to", "subject"].map((field) =>
        Object.defineProperty({ ...good }, field, { get: trap })
      )
      const { calls, deliveries } = yield* sendAll([
        ...throwing,
        new Proxy({}, { get: trap, has: trap, ownKeys: trap }),
        revoked.proxy
      ])
      for (const delivery of deliveries) assert.isNotEmpty(faultOf(delivery).problem)
      assert.lengthOf(calls, 2)
    })
  )

  it.effect("refuses a value that is nested too deeply to inspect", () =>
    Effect.gen(function* () {
      let deep: unknown = ["ann@x.example"]
      for (let n = 0; n < 100_000; n++) deep = [deep]
      const { deliveries } = yield* sendAll([{ ...good, to: deep }])
      assert.isNotEmpty(faultOf(deliveries[0]).problem)
    })
  )

  it.effect("refuses a recipient of a template by the same words", () =>
    Effect.gen(function* () {
      const template = yield* Template.compile({ ...good, subject: "Hello {{name}}" })
      const mail = (fields: object) =>
        template.render({ to: "bob@x.example", data: { name: "Bob" }, ...fields } as Template.Recipient<{
          name: string
        }>)
      const { deliveries } = yield* sendAll([
        mail({ dsn: { notify: ["failures"] } }),
        mail({ requireTls: "yes" }),
        mail({ envelope: "x" }),
        mail({ attachments: 7 }),
        mail({ cc: 7 })
      ])
      assert.deepStrictEqual(
        deliveries.map((delivery) => faultOf(delivery).field),
        ["dsn.notify", "requireTls", "envelope", "attachments", "cc"]
      )
    })
  )

  const int = (maximum: number) => Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum })))
  const pick = <A>(values: ReadonlyArray<A>): Arbitrary.Arbitrary<A> =>
    Arbitrary.map(int(values.length - 1), (index) => values[index]!)

  type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [name: string]: Json }

  const names =
    "name address filename content path encoding contentType cid size from to url mailto oneClick method return notify envelopeId originalRecipient X-A _tag length then".split(
      " "
    )
  const leaf = pick<Json>(
    [
      null,
      true,
      false,
      0,
      -1,
      1.5,
      1e300,
      "",
      "x",
      "high",
      "base64",
      "never",
      "failure",
      "full",
      "\0",
      "a\r\nb",
      "é"
    ].concat("ann@x.example,Ann <ann@x.example>,https://x.example/,<a@b>,2026-01-01,../../etc".split(","), "a@x, b@y")
  )
  const json = (depth: number): Arbitrary.Arbitrary<Json> =>
    depth === 0
      ? leaf
      : Arbitrary.flatMap(int(3), (kind): Arbitrary.Arbitrary<Json> => {
          if (kind <= 1) return leaf
          const values = Arbitrary.array(json(depth - 1), { maxLength: 3 })
          if (kind === 2) return values
          return Arbitrary.map(Arbitrary.all([values, Arbitrary.array(pick(names), { maxLength: 3 })]), ([all, keys]) =>
            Object.fromEntries(keys.map((key, i) => [key, all[i] ?? null]))
          )
        })

  const fields =
    "id from to cc bcc replyTo subject text html headers attachments messageId date inReplyTo references envelope listUnsubscribe priority calendar dsn requireTls tenant data".split(
      " "
    )

  it.effect.prop(
    "takes any JSON in any field, and accepts only what fits the type",
    [Arbitrary.array(Arbitrary.all([pick(fields), json(3)]), { minLength: 20, maxLength: 60 })],
    ([slips]) =>
      Effect.gen(function* () {
        const mails = slips.map(([field, value]) => ({ ...good, [field]: value }))
        const { deliveries } = yield* sendAll(mails)
        for (const [i, delivery] of deliveries.entries()) {
          const [field, value] = slips[i]!
          const told = JSON.stringify({ [field]: value })
          if (delivery._tag === "Accepted") {
            assert.isTrue(isMailJson(mails[i]), told)
            assert.notStrictEqual(field, "date", told)
          } else {
            assert.isTrue(faultOf(delivery).field.startsWith(field), `${told} ${delivery.error.message}`)
          }
        }
      }),
    { arbitrary: { runs: 60 } }
  )
})

const isMailJson = Schema.is(MailJson)

describe("Mailer: a defect", () => {
  const defect = new RangeError("a bug")

  it.effect("in composing a mail is that mail's error and no other's", () =>
    Effect.gen(function* () {
      for (const compose of [
        () => Effect.die(defect),
        () => {
          throw defect
        }
      ]) {
        const { compose: proper } = Composer.Composer.defaultValue()
        const { deliveries } = yield* sendAll([{ ...good, id: "bad" }]).pipe(
          Effect.provideService(Composer.Composer, {
            compose: (mail) => (mail.id === "bad" ? compose() : proper(mail))
          })
        )
        const reason = faultOf(deliveries[0])
        assert.strictEqual(reason.field, "mail")
        assert.include(reason.problem, "RangeError: a bug")
      }
    })
  )

  it.effect("in a transport makes its own mail's outcome unknown, without a retry, and affects no other mail", () =>
    Effect.gen(function* () {
      for (const send of [
        () => Effect.die(defect),
        () => {
          throw defect
        }
      ]) {
        let attempts = 0
        const transport = MailTransport.of({
          send: (message) => {
            if (message.id !== "bad") return Effect.succeed(Scripted.receipt(message))
            attempts++
            return send()
          }
        })
        const deliveries = yield* Stream.make(good, { ...good, id: "bad" }, good).pipe(
          Mailer.sendAll({ ordered: true }),
          Stream.runCollect,
          Effect.provideService(MailTransport, transport)
        )
        assert.deepStrictEqual(
          deliveries.map(({ _tag }) => _tag),
          ["Accepted", "Unknown", "Accepted"]
        )
        assert.strictEqual(attempts, 1)
        const error = yield* Effect.flip(
          Effect.provideService(Mailer.send({ ...good, id: "bad" }), MailTransport, transport)
        )
        assert.strictEqual(error.reason._tag, "OutcomeUnknown")
        assert.include(error.message, "RangeError: a bug")
        assert.include(error.remedy, "Message-ID")
      }
    })
  )

  it.effect("in a later attempt is the mail's error too", () =>
    Effect.gen(function* () {
      const { calls, provide } = Scripted.make((message, attempt) =>
        attempt === 0
          ? Effect.succeed(Scripted.receipt(message, { "to-2@x.example": Scripted.reply(452, "4.5.3") }))
          : Effect.die(defect)
      )
      const message = Scripted.message(1, ["to-1@x.example", "to-2@x.example"])
      const [delivery] = yield* Stream.make(message).pipe(Mailer.sendAll(), Stream.runCollect, provide)
      assert.strictEqual(delivery?._tag, "Accepted")
      assert.deepStrictEqual(
        delivery?.recipients.map(({ outcome }) => outcome),
        ["accepted", "unknown"]
      )
      assert.lengthOf(calls, 2)
    })
  )
})
