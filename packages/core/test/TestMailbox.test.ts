/**
 * `MailTransport.layerTest`, used as an app's test would: what was sent, and every answer that a rule can give.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Mailer from "../src/Mailer.ts"
import * as MailError from "../src/MailError.ts"
import * as MailTransport from "../src/MailTransport.ts"
import * as RetryPolicy from "../src/RetryPolicy.ts"
import * as TestMailbox from "../src/TestMailbox.ts"

const welcome = { from: "App <app@example.org>", to: "ann@example.org", subject: "Grüße", text: "Good to see you." }

const tested = (options?: TestMailbox.Options) => Effect.provide(MailTransport.layerTest(options))

describe("TestMailbox", () => {
  it.effect("decodes what was sent: headers, texts, attachments and recipients", () =>
    Effect.gen(function* () {
      yield* Mailer.send({
        ...welcome,
        id: "w1",
        cc: "cc@example.org",
        bcc: "hidden@example.org",
        html: "<p>Grüße, <b>日本</b></p>",
        headers: { "X-Campaign": "spring" },
        attachments: [
          { filename: "über.pdf", content: new Uint8Array([0, 255, 7]), contentType: "application/pdf" },
          { filename: "logo.png", content: new Uint8Array([1, 2]), contentType: "image/png", cid: "logo@x" }
        ]
      })
      const [mail, ...more] = yield* TestMailbox.awaitSent(1)
      assert.deepStrictEqual(more, [])
      assert.isDefined(mail)
      assert.strictEqual(mail.id, "w1")
      assert.strictEqual(mail.from, "app@example.org")
      assert.deepStrictEqual(mail.to, ["ann@example.org", "cc@example.org", "hidden@example.org"])
      assert.strictEqual(mail.subject, "Grüße")
      assert.strictEqual(mail.header("x-campaign"), "spring")
      assert.strictEqual(mail.header("Message-ID"), mail.messageId)
      assert.isUndefined(mail.header("Bcc"))
      assert.strictEqual(mail.text.trimEnd(), "Good to see you.")
      assert.strictEqual(mail.html.trimEnd(), "<p>Grüße, <b>日本</b></p>")
      const files = mail.attachments.map((file) => ({ ...file, content: [...file.content] }))
      assert.sameDeepMembers(files, [
        {
          filename: "über.pdf",
          contentType: "application/pdf",
          contentId: undefined,
          isInline: false,
          content: [0, 255, 7]
        },
        { filename: "logo.png", contentType: "image/png", contentId: "logo@x", isInline: true, content: [1, 2] }
      ])
    }).pipe(tested())
  )

  it.effect("waits for messages that another fiber sends, and returns all", () =>
    Effect.gen(function* () {
      const waiting = yield* Effect.forkChild(TestMailbox.awaitSent(3))
      yield* Mailer.send(welcome)
      yield* Effect.yieldNow
      assert.isUndefined(waiting.pollUnsafe())
      yield* Effect.forEach(["a@example.org", "b@example.org"], (to) => Mailer.send({ ...welcome, to }))
      const mails = yield* Fiber.join(waiting)
      assert.deepStrictEqual(
        mails.map(({ to }) => to.join()),
        ["ann@example.org", "a@example.org", "b@example.org"]
      )
      yield* TestMailbox.clear
      assert.deepStrictEqual(yield* TestMailbox.sent, [])
    }).pipe(tested())
  )

  it.effect("refuses recipients for good; a message without any other fails", () =>
    Effect.gen(function* () {
      const delivery = yield* Mailer.send({
        ...welcome,
        to: ["ann@example.org", "Bob@EXAMPLE.net", "c@sub.example.net"]
      })
      assert.deepStrictEqual(
        delivery.recipients.map(({ address, outcome }) => `${address} ${outcome}`),
        ["ann@example.org accepted", "Bob@EXAMPLE.net rejected", "c@sub.example.net accepted"]
      )
      const error = yield* Effect.flip(Mailer.send({ ...welcome, to: "x@example.net" }))
      assert.strictEqual(error.reason._tag, "RecipientsRejected")
      assert.isFalse(error.isRetryable)
      assert.deepStrictEqual(
        (yield* TestMailbox.sent).map(({ to }) => to),
        [["ann@example.org", "c@sub.example.net"]]
      )
      assert.lengthOf(yield* TestMailbox.attempts, 2)
    }).pipe(tested({ rules: [{ to: "*@example.net", answer: "refuse" }] }))
  )

  it.effect("defers so many times, and the retries run on the test's clock", () =>
    Effect.gen(function* () {
      const sending = yield* Effect.forkChild(Mailer.send(welcome))
      yield* TestClock.adjust("1 minute")
      const delivery = yield* Fiber.join(sending)
      assert.strictEqual(delivery.attempts, 3)
      const attempts = yield* TestMailbox.attempts
      assert.deepStrictEqual(
        attempts.map(({ error, recipients }) => [error?.isRetryable, recipients[0]?.reply?.code]),
        [
          [true, 451],
          [true, 451],
          [undefined, 250]
        ]
      )
      assert.lengthOf(new Set(attempts.map(({ mail }) => mail.messageId)), 1)
      assert.isAbove(attempts[1]!.mail.at, attempts[0]!.mail.at)
    }).pipe(tested({ rules: [{ to: ["bob@example.org", "ann@*"], answer: "defer", times: 2 }] }))
  )

  it.effect("loses the final reply: the message has arrived and its outcome is unknown", () =>
    Effect.gen(function* () {
      const deliveries = yield* Stream.make(welcome, { ...welcome, subject: "Other" }).pipe(
        Mailer.sendAll({ ordered: true }),
        Stream.runCollect
      )
      assert.deepStrictEqual(
        deliveries.map(({ _tag }) => _tag),
        ["Unknown", "Accepted"]
      )
      assert.lengthOf(yield* TestMailbox.sent, 2)
    }).pipe(tested({ rules: [{ when: ({ subject }) => subject === "Grüße", answer: "lose" }] }))
  )

  it.effect("takes its time, on the test's clock", () =>
    Effect.gen(function* () {
      const sending = yield* Effect.forkChild(Mailer.send(welcome))
      yield* TestClock.adjust("29 seconds")
      assert.deepStrictEqual(yield* TestMailbox.sent, [])
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(sending))._tag, "Accepted")
    }).pipe(tested({ rules: [{ delay: "30 seconds" }] }))
  )

  it.effect("an interrupt during the delay sends nothing", () =>
    Effect.gen(function* () {
      const sending = yield* Effect.forkChild(Mailer.send(welcome))
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(sending)
      assert.deepStrictEqual(yield* TestMailbox.attempts, [])
    }).pipe(tested({ rules: [{ delay: "30 seconds" }] }))
  )

  it.effect("fails with any reason, and answers with any reply", () =>
    Effect.gen(function* () {
      const throttled = MailError.make(new MailError.Throttled({ reply: { code: 421, text: "slowly" }, retryAfter: 5 }))
      yield* TestMailbox.setRules([{ answer: throttled }])
      const error = yield* Effect.flip(Mailer.send(welcome, { retry: RetryPolicy.none }))
      assert.strictEqual(error.reason._tag, "Throttled")
      yield* TestMailbox.setRules([{ reply: { code: 552, enhanced: "5.2.2", text: "mailbox full" } }])
      const full = yield* Effect.flip(Mailer.send(welcome, { retry: RetryPolicy.none }))
      assert.strictEqual(full.reply?.enhanced, "5.2.2")
      yield* TestMailbox.setRules([])
      assert.strictEqual((yield* Mailer.send(welcome))._tag, "Accepted")
    }).pipe(tested())
  )

  it.effect("a closed gate holds messages back", () =>
    Effect.gen(function* () {
      const transport = yield* MailTransport.MailTransport
      yield* Mailer.send(welcome)
      const [{ composed }] = (yield* TestMailbox.sent) as [TestMailbox.SentMail]
      const withdrawn = MailError.make(new MailError.Withdrawn({ state: "cancelled" }))
      const gate = { isOpen: false, opened: Effect.fail(withdrawn) }
      assert.strictEqual(yield* Effect.flip(transport.send(composed, { gate })), withdrawn)
      assert.lengthOf(yield* TestMailbox.attempts, 1)
    }).pipe(tested())
  )
})
