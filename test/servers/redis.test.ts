/**
 * Limits that several outboxes share through a real Redis.
 */
import * as NodeRedis from "@effect/platform-node/NodeRedis"
import { assert, describe, it } from "@effect/vitest"
import * as FlowOptions from "@mailrace/flow/FlowOptions"
import * as FlowTransport from "@mailrace/flow/FlowTransport"
import * as Outbox from "@mailrace/outbox/Outbox"
import type { Ledgers } from "@mailrace/outbox/OutboxStore"
import * as RedisLedgers from "@mailrace/outbox/RedisLedgers"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Mailer from "mailrace/Mailer"
import { MailTransport } from "mailrace/MailTransport"
import { mail } from "../../packages/outbox/test/support/fixtures.ts"
import { ledgerSuite } from "../../packages/outbox/test/support/ledgerConformance.ts"
import * as ScriptedTransport from "../../packages/outbox/test/support/scriptedTransport.ts"
import * as Mta from "./support/Mta.ts"
import * as Redis from "./support/Redis.ts"

class Server extends Context.Service<Server, Redis.RedisServer>()("test/RedisServer") {}

/** The ledgers as a process of its own has them. */
const open = (options?: RedisLedgers.Options) =>
  Effect.gen(function* () {
    const { socket } = yield* Server
    const client = yield* Layer.build(Layer.fresh(NodeRedis.layer({ socket: { path: socket, tls: false } })))
    return yield* Effect.provideContext(RedisLedgers.make(options), client)
  })

const test = (what: string, body: () => Effect.Effect<unknown, unknown, Server | Scope.Scope>) =>
  it.live(what, (context) =>
    Effect.gen(function* () {
      const server = yield* Redis.make
      yield* Effect.provideService(Effect.scoped(body()), Server, server)
    }).pipe(Mta.orSkip(context), Effect.scoped)
  )

const settings = (options: FlowOptions.Options) => Result.getOrThrow(FlowOptions.resolve(options, 0))

/** An outbox in memory with messages to one lane. */
const outboxOf = (messages: number) =>
  Effect.gen(function* () {
    const layer = Layer.fresh(Outbox.layerSqlite({ path: ":memory:" }))
    const outbox = Context.get(yield* Layer.build(layer), Outbox.Outbox)
    const mails = Stream.map(Stream.range(1, messages), (i) => mail(`x${i}@gmail.com`))
    yield* Stream.runDrain(outbox.enqueueAll(mails, { tenant: "acme" }))
    return outbox
  })

const run = (
  outbox: Outbox.Outbox["Service"],
  relay: ReturnType<typeof ScriptedTransport.make>,
  flow: FlowOptions.Settings,
  ledgers: Ledgers
) => Effect.provideService(outbox.run({ flow, ledgers, until: "idle" }), MailTransport, relay.transport)

describe("ledgers in Redis", () => {
  ledgerSuite(test, open())

  test("prefixes keep fleets apart", () =>
    Effect.gen(function* () {
      const [one, other] = yield* Effect.all([open({ prefix: "a:" }), open({ prefix: "b:" })])
      assert.isTrue(yield* one.write("relay:x", 0, "one"))
      assert.deepInclude(yield* other.read("relay:x"), { ledger: undefined, version: 0 })
    }))

  for (const [what, options] of [
    ["the relay's", { relay: "ses", rate: ["5/d"] }],
    ["a lane's", { lanes: { "gmail.com": { rate: ["5/d"] } } }],
    ["a tenant's", { tenants: { acme: { rate: ["5/d"] } } }]
  ] as const)
    test(`${what} limit holds for two outboxes together`, () =>
      Effect.gen(function* () {
        const enough = yield* Latch.make()
        let begun = 0
        const relay = ScriptedTransport.make((message) => {
          if (++begun === 5) enough.openUnsafe()
          return Effect.succeed(ScriptedTransport.taken(message))
        })
        for (let i = 0; i < 2; i++) {
          const outbox = yield* outboxOf(5)
          yield* Effect.forkScoped(run(outbox, relay, settings(options), yield* open()))
        }
        yield* enough.await
        // Time for more, which must not come.
        yield* Effect.sleep("200 millis")
        assert.lengthOf(relay.sent, 5)
      }))

  test("the relay's limit holds for streams and an outbox together", () =>
    Effect.gen(function* () {
      const enough = yield* Latch.make()
      let begun = 0
      const relay = ScriptedTransport.make((message) => {
        if (++begun === 5) enough.openUnsafe()
        return Effect.succeed(ScriptedTransport.taken(message))
      })
      const options = { relay: "ses", rate: ["5/d"] }
      for (let i = 0; i < 2; i++) {
        const flow = yield* FlowTransport.make(relay.transport, { ...options, ledgers: yield* open() })
        const mails = Stream.map(Stream.range(1, 5), (n) => mail(`x${n}@gmail.com`))
        yield* Effect.forkScoped(
          mails.pipe(
            Mailer.sendAll(),
            Stream.runDrain,
            Effect.provideService(MailTransport, Context.get(flow, MailTransport))
          )
        )
      }
      yield* Effect.forkScoped(run(yield* outboxOf(5), relay, settings(options), yield* open()))
      yield* enough.await
      // Time for more, which must not come.
      yield* Effect.sleep("200 millis")
      assert.lengthOf(relay.sent, 5)
    }))

  test("nothing that a limit concerns is sent while Redis is away, and all of it afterwards", () =>
    Effect.gen(function* () {
      const server = yield* Server
      const relay = ScriptedTransport.make()
      const ledgers = yield* open({ timeout: "50 millis" })
      const warned = yield* Latch.make()
      const listener = Logger.make(({ message }) => {
        if (String(message).includes("could not lease the limit relay:relay")) warned.openUnsafe()
      })
      const outbox = yield* outboxOf(20)
      yield* server.stop
      const running = yield* Effect.forkScoped(
        Effect.provide(run(outbox, relay, settings({ rate: ["1000/s"] }), ledgers), Logger.layer([listener]))
      )
      yield* warned.await
      assert.lengthOf(relay.sent, 0)
      yield* server.start
      yield* Fiber.join(running)
      assert.lengthOf(relay.sent, 20)
    }))
})
