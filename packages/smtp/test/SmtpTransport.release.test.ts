/** What a transport still holds of a message that has ended. */
import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import * as Effect from "effect/Effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as Pipelining from "../src/Pipelining.ts"
import * as Relay from "./support/relay.ts"

setFlagsFromString("--expose-gc")
const collectGarbage = runInNewContext("gc") as () => void

/** Sends messages of which nobody else keeps anything, and gives references to them that do not hold them. */
const sendUnheld = (relay: Relay.Relay, recipients: ReadonlyArray<string>) =>
  Effect.forEach(
    recipients,
    (to, n) =>
      Effect.suspend(() => {
        const message = Relay.message(n, { to: [to] })
        return Effect.as(Effect.exit(relay.send(message)), [new WeakRef(message), new WeakRef(message.envelope.to)])
      }),
    { concurrency: "unbounded" }
  )

describe("SmtpTransport: what it holds", () => {
  for (const pipelining of Pipelining.modes) {
    it.live(`is nothing of a message that has ended, in ${pipelining}`, () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ faults: ["rcpt:550:to=gone@*"] })
        const relay = yield* Relay.open(server, { pipelining, maxConnections: 1 })
        const many = Array.from({ length: 20 }, (_, n) => `to-${n}@test.example`)
        const sent: Array<WeakRef<object>> = []
        for (const recipients of [many, ["gone@test.example"], ["last@test.example"]]) {
          sent.push(...(yield* sendUnheld(relay, recipients)).flat())
        }
        // What a fiber was about to do may keep a message for some turns.
        const isHeld = Effect.sync(() => {
          collectGarbage()
          return sent.filter((reference) => reference.deref() !== undefined).length
        })
        const held = yield* Effect.repeat(Effect.delay(isHeld, 0), { times: 20, until: (count) => count === 0 })
        assert.strictEqual(held, 0)
      })
    )
  }
})
