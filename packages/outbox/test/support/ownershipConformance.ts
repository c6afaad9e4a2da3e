/**
 * What every way of ownership must do, whoever says which bucket is whose.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { MailTransport } from "mailrace/MailTransport"
import * as Outbox from "../../src/Outbox.ts"
import { mail } from "./fixtures.ts"
import { connect, place, schema } from "./freshPostgres.ts"
import * as ScriptedTransport from "./scriptedTransport.ts"
import { shared } from "./sharedPostgres.ts"

/** Runs the tests; `ownership` is put in place for each outbox apart, as for another process. */
export const suite = (
  name: string,
  ownership: (at: ReturnType<typeof place>) => Layer.Layer<never, unknown>,
  timeout = 60_000
): void => {
  describe(`ownership by ${name}`, () => {
    const server = shared()

    const world = Effect.gen(function* () {
      const running = yield* server
      const name = yield* schema(running)
      const relay = ScriptedTransport.make((message) =>
        Effect.delay(Effect.succeed(ScriptedTransport.taken(message)), 5)
      )
      const at = { ...place(running, name), heartbeat: "200 millis", lease: "5 seconds" } as const
      const open = (layer: Layer.Layer<Outbox.Outbox, unknown>) =>
        Effect.map(Layer.build(layer), (context) => Context.get(context, Outbox.Outbox))
      const outbox = yield* open(Outbox.layerPostgres(at))
      /** As a process of its own, with all that it has. */
      const dispatch = (options: Parameters<(typeof outbox)["run"]>[0] = {}) =>
        Effect.scoped(
          Effect.flatMap(
            open(Outbox.layerPostgres(at).pipe(Layer.provide(Layer.fresh(ownership(place(running, name)))))),
            ({ run }) => Effect.provideService(run({ concurrency: 20, ...options }), MailTransport, relay.transport)
          )
        )
      const enqueue = (count: number) =>
        Stream.runDrain(outbox.enqueueAll(Stream.map(Stream.range(1, count), (i) => mail(`x${i}@lane${i % 40}.test`))))
      const shares = (count: number, leeway: number) =>
        outbox.stats.pipe(
          Effect.map(({ dispatchers }) => dispatchers.map(({ buckets }) => buckets)),
          Effect.filterOrFail(
            (found) =>
              found.length === count &&
              found.reduce((sum, buckets) => sum + buckets, 0) === 1024 &&
              found.every((buckets) => Math.abs(buckets - 1024 / count) <= leeway),
            () => "not yet"
          ),
          Effect.retry(Schedule.spaced("50 millis"))
        )
      const accepted = (count: number) =>
        outbox.stats.pipe(
          Effect.filterOrFail(
            ({ states }) => states.accepted >= count,
            () => "not yet"
          ),
          Effect.retry(Schedule.spaced("20 millis"))
        )
      const sent = () => ({
        count: relay.sent.length,
        twice: relay.sent.length - new Set(relay.sent.map(({ messageId }) => messageId)).size
      })
      return { dispatch, enqueue, shares, accepted, sent, client: yield* connect(running, name) }
    })

    it.live(
      "gives several dispatchers a share each, and the last one everything; each message is sent once",
      () =>
        Effect.gen(function* () {
          const { accepted, dispatch, enqueue, sent, shares } = yield* world
          const fibers = [yield* Effect.forkScoped(dispatch()), yield* Effect.forkScoped(dispatch())]
          // A cluster spreads its shards by a hash.
          yield* shares(2, 250)
          yield* enqueue(1500)
          yield* accepted(200)
          fibers.push(yield* Effect.forkScoped(dispatch()))
          yield* shares(3, 250)
          yield* enqueue(1500)
          yield* accepted(2000)
          yield* Fiber.interrupt(fibers[1]!)
          yield* Fiber.interrupt(fibers[0]!)
          yield* shares(1, 0)
          yield* enqueue(500)
          yield* accepted(3500)
          assert.deepStrictEqual(sent(), { count: 3500, twice: 0 })
        }),
      timeout
    )

    it.live(
      "lets a run end when nothing is due and everything is sent",
      () =>
        Effect.gen(function* () {
          const { dispatch, enqueue, sent } = yield* world
          yield* enqueue(300)
          yield* Effect.all([dispatch({ until: "idle" }), dispatch({ until: "idle" })], {
            concurrency: "unbounded"
          })
          assert.deepStrictEqual(sent(), { count: 300, twice: 0 })
        }),
      timeout
    )

    it.live(
      "drops buckets that were taken over: their former owner settles and sends nothing of them",
      () =>
        Effect.gen(function* () {
          const { accepted, client, dispatch, enqueue, sent, shares } = yield* world
          yield* Effect.forkScoped(dispatch({ concurrency: 2 }))
          yield* shares(1, 0)
          yield* enqueue(600)
          yield* accepted(20)
          // Somebody has taken all, and puts back what was claimed, and keeps it: nobody sends it.
          yield* client.unsafe("UPDATE mailrace_bucket SET owner = 'another/1/0', epoch = epoch + 1")
          // Ends are recorded meanwhile, in another order.
          yield* Effect.retry(
            client.unsafe(
              "UPDATE mailrace_outbox SET state = 0, attempts = attempts - 1, due_at = due_at + 3600000 WHERE state < 2"
            ),
            { times: 9 }
          )
          const before = sent().count
          yield* Effect.sleep("1500 millis")
          // Two were on their way, and a confirmation was good for two; and until the next heartbeat it was good.
          assert.isAtMost(sent().count - before, 100)
          const after = sent().count
          yield* Effect.sleep("500 millis")
          assert.strictEqual(sent().count, after)
        }),
      timeout
    )
  })
}
