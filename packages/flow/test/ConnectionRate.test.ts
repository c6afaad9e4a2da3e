/**
 * Limits on new connections: the pure limits, and a pool that keeps to them at a server that counts.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Composed from "mailrace/Composed"
import { MailTransport } from "mailrace/MailTransport"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as TestServer from "@mailrace/testing/TestServer"
import * as ConnectionRate from "../src/ConnectionRate.ts"
import * as FlowOptions from "../src/FlowOptions.ts"
import * as Limit from "../src/Limit.ts"

/** The most events in any half-open window of this length. */
const mostWithin = (times: ReadonlyArray<number>, windowMs: number): number =>
  Math.max(0, ...times.map((end) => times.filter((time) => time <= end && time > end - windowMs).length))

describe("ConnectionRate", () => {
  it.prop(
    "opens no more in any window than the limit and one, however often it is asked",
    [
      Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 })),
      Schema.Literals(["s", "m"]),
      Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 400 })))
    ],
    ([amount, letter, pauses]) => {
      const rate = Result.getOrThrow(ConnectionRate.parse([`${amount}/${letter}`]))
      const times: Array<number> = []
      let now = 0
      for (const pause of pauses) {
        now += pause
        if (rate.availableAt(now) > now) continue
        rate.opened(now)
        times.push(now)
      }
      assert.isAtMost(mostWithin(times, letter === "s" ? 1000 : 60_000), amount + 1)
    }
  )

  it("holds several limits at once", () => {
    const rate = Result.getOrThrow(ConnectionRate.parse(["10/s", "20 connections/h"]))
    let now = 0
    let opened = 0
    for (; now < 3_600_000; now += 50) {
      if (rate.availableAt(now) > now) continue
      rate.opened(now)
      opened++
    }
    assert.strictEqual(opened, 20)
    assert.isAbove(rate.availableAt(now), now)
  })

  it.each([
    ["0/s", '"0/s" would send nothing; the number must be more than 0'],
    ["5/x", '"5/x" is not a rate; write it as 100/s, 6000/m, 5000/h or 50000/d'],
    ["5 recipients/s", '"5 recipients/s" counts recipients and not connections; write it as 5/s or 300/m']
  ])("refuses %s with what to write instead", (text, problem) => {
    assert.deepStrictEqual(ConnectionRate.parse([text]), Result.fail(problem))
  })

  it("is no limit on what goes through a transport, which says where it belongs", () => {
    assert.strictEqual(
      Limit.format(Result.getOrThrow(Limit.parse("5 connections / m"))),
      "5 connections/m",
      "a limit reads back as it is written"
    )
    for (const options of [
      { rate: ["14/s", "5 connections/s"] },
      { lanes: { "a.test": { rate: ["5 connections/s"] } } }
    ]) {
      const error = Result.getOrThrow(Result.flip(FlowOptions.resolve(options, 0)))
      assert.match(error.message, /rate: "5 connections\/s" limits new connections, .*`connectionRate`$/)
    }
  })

  it.live("holds at a server that counts connections, and every message arrives", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ mailbox: { type: "discard" } })
      const rate = Result.getOrThrow(ConnectionRate.parse(["100/s"]))
      const times: Array<number> = []
      const smtp = yield* SmtpTransport.make({
        host: server.host,
        port: server.port,
        tls: { mode: "off" },
        maxMessages: 1,
        connectionRate: {
          ...rate,
          opened: (now) => {
            times.push(now)
            rate.opened(now)
          }
        }
      })
      const { send } = Context.get(smtp, MailTransport)
      yield* Effect.forEach(
        Array.from({ length: 20 }, (_, i) =>
          Composed.make({
            messageId: `<${i}@test>`,
            envelope: { from: "a@example.org" as never, to: [`b${i}@example.net` as never] },
            content: new TextEncoder().encode("Subject: a test\r\n\r\nHello\r\n")
          })
        ),
        (message) => send(message),
        { concurrency: "unbounded", discard: true }
      )
      assert.strictEqual(server.stats.messages, 20)
      assert.strictEqual(times.length, server.stats.connections, "each connection that the server took was asked for")
      for (const windowMs of [20, 50, 100, 200])
        assert.isAtMost(mostWithin(times, windowMs), Math.ceil(windowMs / 10) + 1)
    }).pipe(Effect.scoped)
  )
})
