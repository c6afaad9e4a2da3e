import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { ContentEnds } from "../../../src/internal/pool/contentEnds.ts"
import * as Relay from "../../support/relay.ts"

describe("ContentEnds", () => {
  it("lets a message go alone once three sessions have ended over it, until it is accepted", () => {
    const ends = new ContentEnds()
    for (let n = 0; n < 3; n++) {
      assert.isFalse(ends.goesAlone("<1@x>"))
      ends.note("<1@x>")
    }
    assert.isTrue(ends.goesAlone("<1@x>"))
    assert.isFalse(ends.goesAlone("<2@x>"))
    ends.forget("<1@x>")
    assert.isFalse(ends.goesAlone("<1@x>"))
  })

  it("remembers the last thousand", () => {
    const ends = new ContentEnds()
    for (let n = 0; n < 3; n++) ends.note("<0@x>")
    for (let n = 1; n <= 1000; n++) ends.note(`<${n}@x>`)
    assert.isFalse(ends.goesAlone("<0@x>"))
  })

  it.live("keeps others off the session of a message that relays hang up over", () =>
    Effect.gen(function* () {
      let isSlow = false
      const server = yield* TestServer.make({
        decide: ({ from, phase }) =>
          phase !== "final" || from !== "from-1@test.example"
            ? undefined
            : isSlow
              ? { type: "delay", ms: 300 }
              : { type: "reply", code: 421, text: "4.3.0 bye" }
      })
      const relay = yield* Relay.open(server, { maxConnections: 1, pipelining: "speculative" })
      for (let n = 0; n < 3; n++) yield* Effect.flip(relay.send(Relay.message(1)))
      // A quick relay is sent to many messages deep.
      for (let n = 10; n < 40; n++) yield* relay.send(Relay.message(n))
      isSlow = true
      const alone = yield* Effect.forkChild(relay.send(Relay.message(1)))
      yield* server.until(({ faults }) => faults === 4)
      const others = yield* Effect.forkChild(Effect.forEach([50, 51], (n) => relay.send(Relay.message(n))))
      yield* Effect.yieldNow
      assert.strictEqual((yield* relay.smtp.stats).waiting, 1)
      yield* Fiber.join(alone)
      yield* Fiber.join(others)
      assert.strictEqual(server.messages.length, 33)
    })
  )
})
