import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Mailer from "mailrace/Mailer"
import { MailTransport } from "mailrace/MailTransport"
import * as DurableTransport from "../src/DurableTransport.ts"
import * as Outbox from "../src/Outbox.ts"
import { mail } from "./support/bench.ts"
import * as ScriptedTransport from "./support/scriptedTransport.ts"
import { tempFolder } from "./support/tempFolder.ts"

/** A program of which no line knows whether there is an outbox. */
const program = Stream.runCollect(
  Stream.map(Stream.range(1, 600), (i) => mail(i === 7 ? "no@a.test" : i === 9 ? "later@a.test" : `x${i}@b.test`)).pipe(
    Mailer.sendAll()
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

const durable = (path: string, transport: MailTransport["Service"]) => {
  const outbox = Outbox.layerSqlite(path)
  return DurableTransport.layer().pipe(
    Layer.provide(Layer.succeed(MailTransport, transport)),
    Layer.provideMerge(outbox)
  )
}

describe("DurableTransport", () => {
  it.live("gives a program the deliveries that it has without", () =>
    Effect.gen(function* () {
      const tags = (deliveries: ReadonlyArray<{ readonly _tag: string }>) => deliveries.map(({ _tag }) => _tag).sort()
      const without = yield* Effect.provideService(program, MailTransport, relay().transport)
      const path = `${yield* tempFolder}/outbox.db`
      const used = relay()
      yield* Effect.gen(function* () {
        const deliveries = yield* program
        assert.deepStrictEqual(tags(deliveries), tags(without))
        assert.strictEqual(new Set(deliveries.map(({ index }) => index)).size, 600)
        const { states } = yield* Outbox.stats
        assert.deepStrictEqual([states.accepted, states.rejected, states.due], [598, 1, 1])
        // The outbox keeps what the program has given up.
        const [later] = yield* Stream.runCollect(Outbox.list({ states: ["due"] }))
        assert.strictEqual(later?.attempts, 1)
      }).pipe(Effect.provide(durable(path, used.transport)))
    })
  )

  it.live("sends what its sender no longer waits for, in this process or the next", () =>
    Effect.gen(function* () {
      const path = `${yield* tempFolder}/outbox.db`
      const begun = yield* Latch.make()
      // It waits for a connection, which an interrupt may end.
      const stuck = MailTransport.of({
        send: (_, options) => Effect.andThen(begun.open, options!.restore!(Effect.never))
      })
      yield* Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(Mailer.send(mail("a@a.test", { messageId: "<one@a.test>" })))
        yield* begun.await
        yield* Fiber.interrupt(fiber)
        assert.strictEqual((yield* Outbox.stats).states.claimed, 1)
      }).pipe(Effect.provide(durable(path, stuck)))
      const healthy = ScriptedTransport.make()
      yield* Effect.gen(function* () {
        // Known by its Message-ID, it is not sent a second time.
        const delivery = yield* Mailer.send(mail("a@a.test", { messageId: "<one@a.test>" }))
        assert.strictEqual(delivery.reply.code, 250)
        yield* Mailer.send(mail("a@a.test", { messageId: "<one@a.test>" }))
        assert.strictEqual((yield* Outbox.stats).states.accepted, 1)
      }).pipe(Effect.provide(durable(path, healthy.transport)))
      assert.strictEqual(healthy.sent.length, 1)
    })
  )
})
