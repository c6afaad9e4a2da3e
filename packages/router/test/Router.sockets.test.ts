/** A router over real relays: SMTP transports and nodemailer's, one of them dead. */
import { assert, describe, it } from "@effect/vitest"
import * as NodemailerTransport from "@mailrace/nodemailer/NodemailerTransport"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import type * as Fault from "@mailrace/testing/Fault"
import * as TestServer from "@mailrace/testing/TestServer"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Delivery from "mailrace/Delivery"
import * as Mailer from "mailrace/Mailer"
import * as Router from "../src/Router.ts"

const mails = (count: number) =>
  Stream.map(Stream.range(1, count), (n) => ({ from: "a@from.test", to: `${n}@to.test`, subject: "s", text: `${n}` }))

const recipients = (server: TestServer.TestServer["Service"]) => server.messages.map(({ to }) => to[0]!.address)

describe("Router over sockets", () => {
  it.live("sends each message once, by relays that are there, and says by which", () =>
    Effect.gen(function* () {
      const [first, second, third] = yield* Effect.all([TestServer.make(), TestServer.make(), TestServer.make()])
      const gone = yield* Effect.scoped(Effect.map(TestServer.make(), ({ port }) => port))
      const url = (port: number) => `smtp://127.0.0.1:${port}`
      const relays = Router.layer({
        relays: [
          { name: "first", weight: 2, transport: SmtpTransport.layerUrl(url(first.port)) },
          { name: "gone", transport: SmtpTransport.layerUrl(url(gone)) },
          { name: "second", transport: NodemailerTransport.layer(`${url(second.port)}?pool=true`) },
          { name: "third", transport: SmtpTransport.layerUrl(url(third.port)) }
        ],
        routes: [{ recipientDomain: "special.test", relays: ["third"] }, { relays: ["first", "gone", "second"] }]
      })
      const deliveries = yield* mails(300).pipe(Mailer.sendAll(), Stream.runCollect, Effect.provide(relays))
      assert.isTrue(deliveries.every((delivery) => Delivery.isAccepted(delivery) && delivery.attempts === 1))
      assert.sameMembers(
        [...recipients(first), ...recipients(second)],
        Array.from({ length: 300 }, (_, n) => `${n + 1}@to.test`)
      )
      assert.lengthOf(third.messages, 0)
      assert.strictEqual(
        deliveries.filter(({ relay }) => relay === `127.0.0.1:${first.port}`).length,
        first.messages.length
      )
      assert.isAtLeast(second.messages.length, 1)
    })
  )

  const faults: ReadonlyArray<readonly [does: string, fault: Fault.Action]> = [
    ["ends each connection", { type: "reset" }],
    ["greets nobody", { type: "hang" }],
    ["says 421", { type: "reply", code: 421, text: "4.3.2 closing" }]
  ]
  for (const [does, fault] of faults)
    it.live(`opens at most two connections at once to a relay that ${does}, and charges no message for it`, () =>
      Effect.gen(function* () {
        const dead = yield* TestServer.make({ decide: ({ phase }) => (phase === "greeting" ? fault : undefined) })
        const alive = yield* TestServer.make()
        const relays = Router.layer({
          relays: [dead, alive].map(({ port }, index) => ({
            name: ["dead", "alive"][index]!,
            transport: SmtpTransport.layerUrl(`smtp://127.0.0.1:${port}?timeoutGreeting=100ms`)
          }))
        })
        const deliveries = yield* mails(200).pipe(Mailer.sendAll(), Stream.runCollect, Effect.provide(relays))
        assert.isTrue(deliveries.every((delivery) => Delivery.isAccepted(delivery) && delivery.attempts === 1))
        assert.lengthOf(alive.messages, 200)
        assert.isAtLeast(dead.stats.connections, 1)
        assert.isAtMost(dead.stats.peak, 2)
      })
    )

  it.live("loses and doubles nothing when a relay stops in mid-run", () =>
    Effect.gen(function* () {
      let messages = 0
      // From its 50th message on the relay ends every session, and takes no other.
      const dying = yield* TestServer.make({
        decide: ({ phase }) => {
          if (phase === "mail") messages++
          return messages > 50 && (phase === "greeting" || phase === "mail") ? { type: "reset" } : undefined
        }
      })
      const alive = yield* TestServer.make()
      const relays = Router.layer({
        relays: [dying, alive].map(({ port }, index) => ({
          name: ["dying", "alive"][index]!,
          transport: SmtpTransport.layerUrl(`smtp://127.0.0.1:${port}?pipelining=envelope`)
        }))
      })
      const deliveries = yield* mails(400).pipe(Mailer.sendAll(), Stream.runCollect, Effect.provide(relays))
      assert.isTrue(deliveries.every(Delivery.isAccepted))
      assert.sameMembers(
        [...recipients(dying), ...recipients(alive)],
        Array.from({ length: 400 }, (_, n) => `${n + 1}@to.test`)
      )
    })
  )
})
