/**
 * Tests of an app that sends mail: what it sends, and what it does when the relay refuses or is busy. No socket, no waiting.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import * as MailTransport from "mailrace/MailTransport"
import * as TestMailbox from "mailrace/TestMailbox"
import * as Accounts from "./Accounts.ts"

describe("Accounts", () => {
  it.effect("welcomes a new member by name", () =>
    Effect.gen(function* () {
      yield* Accounts.register("ann@example.org", "Ann")
      const [mail] = yield* TestMailbox.awaitSent(1)
      assert.strictEqual(mail?.subject, "Welcome, Ann")
      assert.include(mail?.text, "good to see you")
    }).pipe(Effect.provide(MailTransport.layerTest()))
  )

  it.effect("makes no account for an address that takes no mail", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Accounts.register("gone@example.org", "Bob"))
      assert.strictEqual(error._tag, "UnknownMailbox")
    }).pipe(Effect.provide(MailTransport.layerTest({ rules: [{ to: "gone@*", answer: "refuse" }] })))
  )

  it.effect("asks a busy relay again", () =>
    Effect.gen(function* () {
      const registering = yield* Effect.forkChild(Accounts.register("ann@example.org", "Ann"))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(registering)
      assert.lengthOf(yield* TestMailbox.attempts, 2)
    }).pipe(Effect.provide(MailTransport.layerTest({ rules: [{ answer: "defer", times: 1 }] })))
  )

  it.effect("reminds a member who has not come back after a day, and nobody else", () =>
    Effect.gen(function* () {
      yield* Effect.forkChild(Accounts.remind("idle@example.org", Effect.succeed(false)))
      yield* Effect.forkChild(Accounts.remind("busy@example.org", Effect.succeed(true)))
      yield* TestClock.adjust("23 hours")
      assert.deepStrictEqual(yield* TestMailbox.sent, [])
      yield* TestClock.adjust("1 hour")
      const mails = yield* TestMailbox.awaitSent(1)
      assert.deepStrictEqual(
        mails.map(({ to }) => to),
        [["idle@example.org"]]
      )
    }).pipe(Effect.provide(MailTransport.layerTest()))
  )
})
