import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as MailError from "mailrace/MailError"
import * as Mailer from "mailrace/Mailer"
import { MailTransport } from "mailrace/MailTransport"
import * as RetryPolicy from "mailrace/RetryPolicy"
import * as DurableTransport from "../src/DurableTransport.ts"
import * as Outbox from "../src/Outbox.ts"
import * as OutboxError from "../src/OutboxError.ts"
import * as SqliteStore from "../src/SqliteStore.ts"
import { mail, settle } from "./support/fixtures.ts"
import * as ScriptedTransport from "./support/scriptedTransport.ts"
import { tempFolder } from "./support/tempFolder.ts"

/** An outbox whose store refuses every message. */
const refusing = (reason: OutboxError.Reason) =>
  Effect.gen(function* () {
    const path = `${yield* tempFolder}/outbox.db`
    const store = Effect.map(SqliteStore.make({ path }), (store) => ({
      ...store,
      accept: () => Effect.fail(OutboxError.make(reason))
    }))
    return DurableTransport.layer().pipe(
      Layer.provide(Layer.succeed(MailTransport, ScriptedTransport.make().transport)),
      Layer.provideMerge(Outbox.layerStore(store))
    )
  })

const durable = (transport: MailTransport["Service"], options?: DurableTransport.Options) =>
  Effect.map(tempFolder, (folder) =>
    DurableTransport.layer({ poll: "1 hour", ...options }).pipe(
      Layer.provide(Layer.succeed(MailTransport, transport)),
      Layer.provideMerge(Outbox.layerSqlite(`${folder}/outbox.db`))
    )
  )

const failing = (to: string, more?: Parameters<typeof mail>[1]) =>
  Effect.flip(Mailer.send(mail(to, more), { retry: RetryPolicy.none }))

const store = "o.db"

describe("DurableTransport when its own store fails", () => {
  for (const reason of [
    new OutboxError.Corrupt({ store, problem: "malformed" }),
    new OutboxError.DiskFull({ store }),
    new OutboxError.Busy({ scope: "tenant", tenant: "acme", unit: "mails", limit: 7 }),
    new OutboxError.ReadOnly({ store }),
    new OutboxError.Locked({ store, waitedMs: 5000 }),
    new OutboxError.NewerSchema({ store, found: 9, known: 3 }),
    new OutboxError.Misplaced({ store, problem: "it was moved", hint: "move it back" }),
    new OutboxError.Unavailable({ store, problem: "the server is down", isRetryable: true }),
    new OutboxError.Unavailable({ store, problem: "no such folder", isRetryable: false })
  ]) {
    it.live(`gives the message, the remedy and the retryability of ${reason._tag} (${reason.isRetryable})`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.provide(failing("a@a.test"), yield* refusing(reason))
        assert.deepInclude(error.reason, { _tag: "TransportUnavailable", transport: "outbox", problem: reason.message })
        assert.strictEqual(error.remedy, reason.remedy)
        assert.strictEqual(error.isRetryable, reason.isRetryable)
      })
    )
  }

  it.live("gives up at once if waiting does not help, and otherwise tries again", () =>
    Effect.gen(function* () {
      const end = (reason: OutboxError.Reason) =>
        Effect.flatMap(refusing(reason), (layer) =>
          Stream.make(mail("a@a.test")).pipe(
            Mailer.sendAll({ retry: RetryPolicy.make({ base: "1 milli" }) }),
            Stream.runCollect,
            Effect.map(([delivery]) => [delivery!._tag, delivery!.attempts]),
            Effect.provide(layer)
          )
        )
      assert.deepStrictEqual(yield* end(new OutboxError.Corrupt({ store, problem: "malformed" })), ["Rejected", 1])
      assert.deepStrictEqual(yield* end(new OutboxError.DiskFull({ store })), ["Deferred", 4])
    })
  )

  it.live("names the field of a message that cannot be stored", () =>
    Effect.gen(function* () {
      const reason = new OutboxError.InvalidMail({ field: "attachments[0].path", problem: "it does not exist" })
      const error = yield* Effect.provide(failing("a@a.test"), yield* refusing(reason))
      assert.deepInclude(error.reason, { _tag: "InvalidMessage", field: "attachments[0].path" })
    })
  )
})

describe("DurableTransport when the dispatcher's store fails", () => {
  for (const reason of [
    new OutboxError.Corrupt({ store, problem: "malformed" }),
    new OutboxError.Misplaced({ store, problem: "it was moved", hint: "move it back" })
  ]) {
    it.live(`ends the wait of senders with ${reason._tag}, and refuses later ones`, () =>
      Effect.gen(function* () {
        const path = `${yield* tempFolder}/outbox.db`
        const failing = Effect.map(SqliteStore.make({ path }), (store) => ({
          ...store,
          dispatch: (...args: Parameters<typeof store.dispatch>) =>
            Effect.map(store.dispatch(...args), (lease) => ({
              ...lease,
              claim: () => Effect.fail(OutboxError.make(reason))
            }))
        }))
        const layer = DurableTransport.layer().pipe(
          Layer.provide(Layer.succeed(MailTransport, ScriptedTransport.make().transport)),
          Layer.provideMerge(Outbox.layerStore(failing))
        )
        yield* Effect.gen(function* () {
          for (const to of ["waits@a.test", "comes-later@a.test"]) {
            const error = yield* Effect.flip(Mailer.send(mail(to), { retry: RetryPolicy.none }))
            assert.deepInclude(error.reason, { _tag: "TransportUnavailable", problem: reason.message })
            assert.strictEqual(error.remedy, reason.remedy)
            assert.isFalse(error.isRetryable)
          }
        }).pipe(Effect.provide(layer))
      })
    )
  }
})

describe("DurableTransport when its store gives no answer", () => {
  it.effect("ends the wait of a sender whose message may still be stored, and sends it once", () =>
    Effect.gen(function* () {
      const path = `${yield* tempFolder}/outbox.db`
      const answers = yield* Latch.make()
      const store = Effect.map(SqliteStore.make({ path }), (store) => ({
        ...store,
        accept: (...rows: Parameters<typeof store.accept>) => Effect.tap(store.accept(...rows), () => answers.await)
      }))
      const used = ScriptedTransport.make()
      const layer = DurableTransport.layer({ poll: "1 hour", firstAttemptTimeout: "10 seconds" }).pipe(
        Layer.provide(Layer.succeed(MailTransport, used.transport)),
        Layer.provideMerge(Outbox.layerStore(store))
      )
      yield* Effect.gen(function* () {
        const message = { messageId: "<1@a.test>" }
        const fiber = yield* Effect.forkChild(failing("a@a.test", message))
        for (let second = 0; second < 9; second++) yield* Effect.andThen(TestClock.adjust("1 second"), settle)
        assert.isUndefined(fiber.pollUnsafe())
        for (let second = 0; second < 2; second++) yield* Effect.andThen(TestClock.adjust("1 second"), settle)
        const ended = fiber.pollUnsafe()
        assert.isDefined(ended, "the sender waits on")
        const error = yield* Fiber.join(fiber)
        assert.deepInclude(error.reason, { _tag: "TransportUnavailable", transport: "outbox", isRetryable: true })
        assert.include(error.message, "has not said within 10000 ms whether it has stored the message")
        assert.include(error.remedy, "Message-ID")
        yield* answers.open
        // As the remedy says, and though it was sent already.
        yield* Mailer.send(mail("a@a.test", message))
        assert.strictEqual(used.sent.length, 1)
      }).pipe(Effect.ensuring(answers.open), Effect.provide(layer))
    })
  )
})

describe("DurableTransport when a message is withdrawn", () => {
  it.effect("says that it was cancelled or purged, and that there is nothing to correct", () =>
    Effect.gen(function* () {
      const used = ScriptedTransport.make()
      yield* Effect.gen(function* () {
        yield* Outbox.pause("a.test")
        const fibers = yield* Effect.forEach(["cancelled@a.test", "purged@a.test"], (to) =>
          Effect.forkChild(failing(to))
        )
        yield* Effect.repeat(Outbox.stats, { until: ({ states }) => states.due === 2 })
        yield* Stream.runDrain(Outbox.cancel({}))
        yield* Outbox.purge({ recipient: "purged@a.test" })
        yield* TestClock.adjust("1 second")
        yield* settle
        const [cancelled, purged] = yield* Effect.forEach(fibers, Fiber.join)
        assert.deepInclude(cancelled!.reason, { _tag: "Withdrawn", state: "cancelled" })
        assert.include(cancelled!.remedy, "Outbox.retry")
        assert.deepInclude(purged!.reason, { _tag: "Withdrawn", state: "purged" })
        assert.isFalse(cancelled!.isRetryable || purged!.isRetryable)
        assert.notInclude(cancelled!.remedy + purged!.remedy, "correct")
      }).pipe(Effect.provide(yield* durable(used.transport)))
    })
  )

  for (const [what, refusal, words] of [
    ["a relay's refusal", ScriptedTransport.deferral(), '"451 4.3.0 try again later"'],
    ["a failed connection", ScriptedTransport.unreachable, "connection refused"]
  ] as const) {
    it.effect(`says that it expired, and keeps the earlier ${what}`, () =>
      Effect.gen(function* () {
        const used = ScriptedTransport.make(() => Effect.fail(refusal))
        const messageId = "<expires@a.test>"
        yield* Effect.gen(function* () {
          // The first attempt is over; then no other may come before the message expires.
          yield* Outbox.enqueue(mail("a@a.test", { messageId }), {
            idempotencyKey: messageId,
            expiresAt: new Date(10_000)
          })
          yield* Effect.repeat(Outbox.stats, { until: ({ states }) => states.expired === 1 })
          const error = yield* failing("a@a.test", { messageId })
          assert.deepInclude(error.reason, { _tag: "Withdrawn", state: "expired" })
          assert.include(error.message, words)
          assert.include(error.remedy, "expiresAt")
          assert.strictEqual(error.reply?.code, refusal.reply?.code)
        }).pipe(Effect.provide(yield* durable(used.transport, { retry: RetryPolicy.none })))
      })
    )
  }
})

describe("DurableTransport when the outbox will go on", () => {
  it.effect("tells a sender that stops waiting that its message waits, without inventing a relay's reply", () =>
    Effect.gen(function* () {
      const used = ScriptedTransport.make()
      yield* Effect.gen(function* () {
        yield* Outbox.pause("a.test")
        const fiber = yield* Effect.forkChild(failing("a@a.test"))
        yield* Effect.repeat(Outbox.stats, { until: ({ states }) => states.due === 1 })
        yield* TestClock.adjust("2 seconds")
        yield* settle
        const error = yield* Fiber.join(fiber)
        assert.deepInclude(error.reason, { _tag: "TransportUnavailable", transport: "outbox" })
        assert.isTrue(error.isRetryable)
        assert.isUndefined(error.reply)
        assert.isAbove(error.retryAfter!, 60_000)
        assert.include(error.remedy, "Outbox.resume")
      }).pipe(Effect.provide(yield* durable(used.transport, { firstAttemptTimeout: "1 second" })))
    })
  )

  it.effect("defers a message that a relay's login or certificate stops, because the outbox tries it again", () =>
    Effect.gen(function* () {
      const reply = { code: 535, enhanced: "5.7.8", text: "no such user ann@example.org" }
      const refusal = MailError.make(
        new MailError.AuthenticationFailed({ problem: "the relay refused the login", reply })
      )
      const used = ScriptedTransport.make(() => Effect.fail(refusal))
      const error = yield* Effect.provide(failing("a@a.test"), yield* durable(used.transport))
      assert.isTrue(error.isRetryable)
      assert.include(error.message, "the relay refused the login")
      // Spans withhold the text of a reply, which they find by this.
      assert.deepStrictEqual(error.reply, reply)
      assert.strictEqual(error.remedy, refusal.remedy)
      assert.isAbove(error.retryAfter!, 0)
    })
  )

  it.effect("keeps the reason of a deferral and adds the time of the outbox's next attempt", () =>
    Effect.gen(function* () {
      const used = ScriptedTransport.make(() => Effect.fail(ScriptedTransport.deferral()))
      const error = yield* Effect.provide(
        failing("a@a.test"),
        yield* durable(used.transport, { retry: RetryPolicy.none })
      )
      assert.deepInclude(error.reason, { _tag: "MessageRejected" })
      assert.isAtLeast(error.retryAfter!, 60_000)
      assert.strictEqual("retryAfter" in error.reason && error.reason.retryAfter, error.retryAfter)
    })
  )

  it.effect("tells the caller that sends a message again which recipients have it", () =>
    Effect.gen(function* () {
      const refused = { code: 550, enhanced: "5.1.1", text: "no such user" }
      const used = ScriptedTransport.make((message) =>
        Effect.succeed({
          ...ScriptedTransport.taken(message),
          recipients: [
            { address: message.envelope.to[0]!, outcome: "accepted" as const },
            { address: message.envelope.to[1]!, outcome: "rejected" as const, reply: refused }
          ]
        })
      )
      yield* Effect.gen(function* () {
        const both = mail("", { to: ["a@a.test", "b@a.test"], messageId: "<both@a.test>" })
        const first = yield* Mailer.send(both)
        const { states } = yield* Effect.repeat(Outbox.stats, { until: ({ states }) => states.claimed === 0 })
        assert.strictEqual(states.accepted, 1)
        const again = yield* Mailer.send(both)
        assert.deepStrictEqual(
          again.recipients.map(({ address, outcome, reply }) => [address, outcome, reply?.code, reply?.enhanced]),
          [
            ["a@a.test", "accepted", undefined, undefined],
            ["b@a.test", "rejected", 550, "5.1.1"]
          ]
        )
        assert.deepStrictEqual(
          again.recipients.map(({ outcome }) => outcome),
          first.recipients.map(({ outcome }) => outcome)
        )
      }).pipe(Effect.provide(yield* durable(used.transport)))
      assert.strictEqual(used.sent.length, 1)
    })
  )
})
