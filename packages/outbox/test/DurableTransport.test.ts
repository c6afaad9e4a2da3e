import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as MailError from "mailrace/MailError"
import * as Mailer from "mailrace/Mailer"
import { MailTransport } from "mailrace/MailTransport"
import * as RetryPolicy from "mailrace/RetryPolicy"
import * as DurableTransport from "../src/DurableTransport.ts"
import * as Outbox from "../src/Outbox.ts"
import { mail, settle } from "./support/fixtures.ts"
import * as ScriptedTransport from "./support/scriptedTransport.ts"
import { tempFolder } from "./support/tempFolder.ts"

const quick = RetryPolicy.make({ base: "1 milli" })

/** A program of which no line knows whether there is an outbox. */
const program = Stream.runCollect(
  Stream.map(Stream.range(1, 600), (i) => mail(i === 7 ? "no@a.test" : i === 9 ? "later@a.test" : `x${i}@b.test`)).pipe(
    Mailer.sendAll({ retry: quick })
  )
)

const relay = () =>
  ScriptedTransport.make((message) => {
    const [local] = message.envelope.to[0]!.split("@")
    if (local === "no") return Effect.fail(ScriptedTransport.refusal)
    return local === "later"
      ? Effect.fail(ScriptedTransport.deferral())
      : Effect.succeed(ScriptedTransport.taken(message))
  })

const durable = (path: string, transport: MailTransport["Service"], options?: DurableTransport.Options) =>
  DurableTransport.layer(options).pipe(
    Layer.provide(Layer.succeed(MailTransport, transport)),
    Layer.provideMerge(Outbox.layerSqlite(path))
  )

/** A relay that waits for a connection, which an interrupt may end. */
const stuck = Effect.map(Latch.make(), (begun) => ({
  begun,
  transport: MailTransport.of({
    send: (_, options) => Effect.andThen(begun.open, options!.restore!(Effect.never))
  })
}))

const one = mail("a@a.test", { messageId: "<one@a.test>" })

describe("DurableTransport", () => {
  it.live("gives a program the same deliveries as without an outbox", () =>
    Effect.gen(function* () {
      const ends = (deliveries: ReadonlyArray<{ readonly _tag: string; readonly error?: MailError.MailError }>) =>
        deliveries.map(({ _tag, error }) => [_tag, error?.message]).sort()
      const without = yield* Effect.provideService(program, MailTransport, relay().transport)
      const path = `${yield* tempFolder}/outbox.db`
      const used = relay()
      yield* Effect.gen(function* () {
        const deliveries = yield* program
        assert.deepStrictEqual(ends(deliveries), ends(without))
        assert.strictEqual(new Set(deliveries.map(({ index }) => index)).size, 600)
        // The program does not try again by itself what the outbox will.
        assert.isTrue(deliveries.every(({ attempts }) => attempts === 1))
        // Its senders hear of an end while it is being recorded.
        const { states } = yield* Effect.repeat(Outbox.stats, { until: ({ states }) => states.claimed === 0 })
        assert.deepStrictEqual([states.accepted, states.rejected, states.due], [598, 1, 1])
        // The outbox keeps what the program has given up.
        const [later] = yield* Stream.runCollect(Outbox.list({ states: ["due"] }))
        assert.strictEqual(later?.attempts, 1)
      }).pipe(Effect.provide(durable(path, used.transport, { retry: quick })))
    })
  )

  it.live("sends messages whose senders no longer wait, in this process or the next", () =>
    Effect.gen(function* () {
      const path = `${yield* tempFolder}/outbox.db`
      const { begun, transport } = yield* stuck
      yield* Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(Mailer.send(one))
        yield* begun.await
        yield* Fiber.interrupt(fiber)
        assert.strictEqual((yield* Outbox.stats).states.claimed, 1)
      }).pipe(Effect.provide(durable(path, transport)))
      const healthy = ScriptedTransport.make()
      yield* Effect.gen(function* () {
        // Known by its Message-ID, it is not sent a second time.
        const delivery = yield* Mailer.send(one)
        assert.strictEqual(delivery.reply.code, 250)
        yield* Mailer.send(one)
        assert.strictEqual((yield* Outbox.stats).states.accepted, 1)
      }).pipe(Effect.provide(durable(path, healthy.transport)))
      assert.strictEqual(healthy.sent.length, 1)
    })
  )

  it.live("leaves no message claimed and no sender waiting when it ends", () =>
    Effect.gen(function* () {
      const path = `${yield* tempFolder}/outbox.db`
      const { begun, transport } = yield* stuck
      const scope = yield* Scope.make()
      const services = yield* Layer.buildWithScope(durable(path, transport, { concurrency: 2 }), scope)
      const fibers = yield* Effect.forEach([1, 2, 3, 4], (i) =>
        Effect.forkChild(Effect.flip(Mailer.send(mail(`x${i}@a.test`), { retry: RetryPolicy.none })))
      ).pipe(Effect.provideContext(services))
      yield* begun.await
      yield* Scope.close(scope, Exit.void)
      const errors = yield* Effect.forEach(fibers, Fiber.join)
      assert.isTrue(errors.every(({ isRetryable }) => isRetryable))
      // What is asked of it afterwards ends as well.
      const late = yield* Effect.flip(Effect.provideContext(Mailer.send(one, { retry: RetryPolicy.none }), services))
      assert.instanceOf(late, MailError.MailError)
      const outbox = Context.get(yield* Layer.build(Outbox.layerSqlite(path)), Outbox.Outbox)
      const { claimed, due } = (yield* outbox.stats).states
      assert.deepStrictEqual([claimed, due], [0, 4])
    })
  )

  it.live("sends one message for all callers that send it at the same time, and answers them all", () =>
    Effect.gen(function* () {
      const used = ScriptedTransport.make()
      yield* Effect.gen(function* () {
        const deliveries = yield* Effect.all([Mailer.send(one), Mailer.send(one), Mailer.send(one)], {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(
          deliveries.map(({ reply }) => reply.code),
          [250, 250, 250]
        )
      }).pipe(Effect.provide(durable(`${yield* tempFolder}/outbox.db`, used.transport)))
      assert.strictEqual(used.sent.length, 1)
    })
  )

  it.effect("answers a sender whose message waits too long, or is withdrawn by somebody else", () =>
    Effect.gen(function* () {
      const used = ScriptedTransport.make()
      yield* Effect.gen(function* () {
        yield* Outbox.pause("a.test")
        const send = (to: string) => Effect.forkChild(Effect.flip(Mailer.send(mail(to))))
        const fibers = yield* Effect.forEach(["cancelled@a.test", "purged@a.test", "paused@a.test"], send)
        yield* Effect.repeat(Outbox.stats, { until: ({ states }) => states.due === 3 })
        const cancel = (recipient: string) => Stream.runDrain(Outbox.cancel({ recipient }))
        yield* cancel("cancelled@a.test")
        yield* cancel("purged@a.test")
        yield* Outbox.purge({ recipient: "purged@a.test" })
        yield* TestClock.adjust("1 second")
        yield* settle
        const over = (error: MailError.MailError) => [error.isRetryable, error.message]
        assert.deepStrictEqual(over(yield* Fiber.join(fibers[0]!)), [
          false,
          "Withdrawn: the message was cancelled before a relay accepted it"
        ])
        assert.deepStrictEqual(over(yield* Fiber.join(fibers[1]!)), [
          false,
          "Withdrawn: the message was purged from the outbox before a relay accepted it"
        ])
        yield* TestClock.adjust("28 seconds")
        yield* settle
        assert.isUndefined(fibers[2]!.pollUnsafe())
        yield* TestClock.adjust("1 second")
        const waits = yield* Fiber.join(fibers[2]!)
        assert.match(waits.message, /^TransportUnavailable: outbox: the message waits in the outbox/)
        assert.strictEqual((yield* Outbox.stats).states.due, 1)
      }).pipe(
        Effect.provide(
          durable(`${yield* tempFolder}/outbox.db`, used.transport, {
            firstAttemptTimeout: "30 seconds",
            poll: "1 hour"
          })
        )
      )
      assert.strictEqual(used.sent.length, 0)
    })
  )
})
