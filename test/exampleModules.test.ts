/**
 * The modules of the examples, run in this process: against `layerTest` where only their own part is of interest, against
 * servers on real sockets where the transport is the example.
 */
import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as MailError from "mailrace/MailError"
import * as Mailer from "mailrace/Mailer"
import * as MailTransport from "mailrace/MailTransport"
import * as RetryPolicy from "mailrace/RetryPolicy"
import * as TestMailbox from "mailrace/TestMailbox"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { text } from "node:stream/consumers"
import { setImmediate } from "node:timers/promises"
import * as Digest from "../examples/digest/Digest.ts"
import * as HttpProvider from "../examples/provider/HttpProvider.ts"
import { Jobs } from "../examples/queue/Jobs.ts"
import * as Worker from "../examples/queue/Worker.ts"
import * as TenantRelays from "../examples/tenants/TenantRelays.ts"

/** Runs an effect while the test's clock goes on; what happens at a time gets a turn of the event loop to end in. */
const whileTimePasses = <A, E, R>(step: Duration.Input, effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect)
    while (fiber.pollUnsafe() === undefined) {
      yield* TestClock.adjust(step)
      yield* Effect.promise(() => setImmediate())
    }
    return yield* Fiber.join(fiber)
  })

describe("example queue", () => {
  it.effect("writes each outcome into its row, and sends what was deferred when it is due again", () =>
    Effect.gen(function* () {
      const jobs = yield* Jobs
      for (let n = 0; n < 250; n++) yield* jobs.add(`reader${n}@example.org`, `Reader ${n}`)
      for (const name of ["gone", "busy", "lost"]) yield* jobs.add(`${name}@example.org`, name)
      assert.strictEqual(yield* whileTimePasses("100 millis", Worker.work), 253)
      assert.deepStrictEqual(yield* jobs.counts, { sent: 250, failed: 1, due: 1, unknown: 1 })
      assert.strictEqual(yield* Worker.work, 0)
      yield* TestMailbox.setRules([])
      yield* TestClock.adjust("15 minutes")
      assert.strictEqual(yield* Worker.work, 1)
      assert.deepStrictEqual(yield* jobs.counts, { sent: 251, failed: 1, unknown: 1 })
      const ids = (yield* TestMailbox.sent).map(({ messageId }) => messageId)
      assert.strictEqual(new Set(ids).size, ids.length)
    }).pipe(
      Effect.provide(
        Layer.merge(
          Jobs.layer(":memory:"),
          MailTransport.layerTest({
            rules: [
              { to: "gone@*", answer: "refuse" },
              { to: "busy@*", answer: "defer" },
              { to: "lost@*", answer: "lose" }
            ]
          })
        )
      )
    )
  )
})

describe("example digest", () => {
  it.effect("is sent at seven in Berlin, in winter and in summer, and has no mail without news", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(Date.UTC(2026, 2, 27, 12)) // Berlin changes to summer time on the 29th.
      const issues = Stream.make(
        { reader: "ann@example.org", headlines: ["Rain", "Wind"] },
        { reader: "bob@example.org", headlines: [] }
      )
      yield* Effect.forkChild(Digest.everyMorning(issues))
      const mails = yield* whileTimePasses("1 hour", TestMailbox.awaitSent(3))
      assert.deepStrictEqual(
        mails.map(({ at }) => new Date(at).toISOString()),
        ["2026-03-28T06:00:00.000Z", "2026-03-29T05:00:00.000Z", "2026-03-30T05:00:00.000Z"]
      )
      assert.deepStrictEqual(
        [...new Set(mails.map(({ subject, to }) => `${to.join()}: ${subject}`))],
        ["ann@example.org: Rain, and 1 more"]
      )
    }).pipe(Effect.provide(MailTransport.layerTest()))
  )
})

describe("example tenants", () => {
  it.live("sends each tenant's mail through the tenant's relay, over connections that stay open", () =>
    Effect.gen(function* () {
      const servers = { acme: yield* TestServer.make(), globex: yield* TestServer.make() }
      const tenants = Layer.succeed(TenantRelays.Tenants, {
        relay: (tenant) =>
          tenant === "acme" || tenant === "globex"
            ? Effect.succeed({ host: "127.0.0.1", port: servers[tenant].port, maxConnections: 1 })
            : Effect.fail(MailError.invalid("tenant", "it is unknown"))
      })
      const outcomes = yield* Stream.fromIterable(["acme", "globex", "acme", "nobody", undefined]).pipe(
        Stream.map((tenant) => ({
          ...(tenant !== undefined && { tenant }),
          from: `news@${tenant}.example`,
          to: "ann@example.org",
          subject: "News",
          text: "News"
        })),
        Mailer.sendAll({ ordered: true }),
        Stream.map(({ _tag }) => _tag),
        Stream.runCollect,
        Effect.provide(TenantRelays.layer.pipe(Layer.provide(tenants)))
      )
      assert.deepStrictEqual([...outcomes], ["Accepted", "Accepted", "Accepted", "Rejected", "Rejected"])
      for (const [tenant, count] of [
        ["acme", 2],
        ["globex", 1]
      ] as const) {
        assert.deepStrictEqual(
          servers[tenant].messages.map(({ from }) => from?.address),
          Array<string>(count).fill(`news@${tenant}.example`)
        )
        assert.strictEqual(servers[tenant].stats.connections, 1)
      }
    }).pipe(Effect.scoped)
  )
})

describe("example provider", () => {
  /** An API that takes messages, refuses one recipient, and is too busy for another. */
  const api = Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly bodies: Array<string>; readonly close: () => void }>((resume) => {
      const bodies: Array<string> = []
      const server = createServer(async (request, response) => {
        const body = await text(request)
        const to = String(request.headers["x-envelope-to"])
        const isKnown = request.headers.authorization === "Bearer secret"
        const status = !isKnown ? 401 : to.startsWith("gone@") ? 422 : to.startsWith("busy@") ? 429 : 202
        if (status === 202) bodies.push(body)
        response.writeHead(status).end(`status ${status}`)
      }).listen(0, "127.0.0.1", () =>
        resume(
          Effect.succeed({
            url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/messages`,
            bodies,
            close: () => {
              server.close()
              server.closeAllConnections()
            }
          })
        )
      )
    }),
    ({ close }) => Effect.sync(close)
  )

  it.live("sends over HTTP, and reports refusals for good and for now", () =>
    Effect.gen(function* () {
      const { bodies, url } = yield* api
      const send = (to: string, key = "secret", at = url) =>
        Mailer.send(
          { from: "app@example.org", to, subject: "Hi", text: "Over HTTP" },
          { retry: RetryPolicy.none }
        ).pipe(
          Effect.map(({ reply }) => `accepted ${reply.text}`),
          Effect.catchTag("MailError", ({ isRetryable, reason }) => Effect.succeed(`${reason._tag} ${isRetryable}`)),
          Effect.provide(HttpProvider.layer(at, key))
        )
      assert.match(yield* send("ann@example.org"), /^accepted .*status 202/)
      assert.strictEqual(yield* send("gone@example.org"), "MessageRejected false")
      assert.strictEqual(yield* send("busy@example.org"), "MessageRejected true")
      assert.strictEqual(yield* send("ann@example.org", "wrong"), "MessageRejected false")
      const gone = yield* Effect.scoped(Effect.map(api, (closed) => closed.url))
      assert.strictEqual(yield* send("ann@example.org", "secret", gone), "MessageRejected true")
      assert.strictEqual(bodies.length, 1)
      assert.match(bodies[0]!, /^Subject: Hi\r$/m)
    }).pipe(Effect.scoped)
  )
})
