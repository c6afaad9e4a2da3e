import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import type * as Net from "node:net"
import * as RawRelay from "./support/rawRelay.ts"
import * as Relay from "./support/relay.ts"
import * as Stopped from "./support/stopped.ts"

/** A relay that answers each command when it is told to, and the session's first commands at once. */
const answering = (first: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const sockets: Array<Net.Socket> = []
    let received = ""
    const relay = yield* RawRelay.make((socket) => {
      sockets.push(socket.setNoDelay(true))
      const script = [...first]
      socket.write("220 ready\r\n")
      socket.on("data", (bytes) => {
        received += bytes
        const next = script.shift()
        if (next !== undefined) socket.write(next)
      })
    })
    const heard = (text: string): Effect.Effect<void> =>
      Effect.suspend(() =>
        received.includes(text)
          ? Effect.void
          : Effect.andThen(
              Stopped.turns(1),
              Effect.suspend(() => heard(text))
            )
      )
    return { relay, heard, say: (text: string) => sockets.at(-1)!.write(text) }
  })

describe("SmtpSession: bounds", () => {
  it.live("a relay that answers a recipient a minute is given up after ten minutes", () =>
    Effect.gen(function* () {
      const { heard, relay, say } = yield* answering(["250-hi\r\n250 PIPELINING\r\n", "250 sender\r\n"])
      const { pass } = yield* Stopped.clock
      const { send } = yield* Relay.open(relay, { maxConnections: 1 })
      const to = Array.from({ length: 50 }, (_, n) => `to-${n}@test.example`)
      const sending = yield* Effect.forkChild(Effect.result(send(Relay.message(1, { to }))))
      yield* heard("to-49@test.example")
      for (let minute = 1; minute <= 10; minute++) {
        assert.isUndefined(sending.pollUnsafe(), `minute ${minute}`)
        say("250 recipient\r\n")
        yield* Stopped.turns(20)
        yield* pass(59_000)
        yield* Stopped.turns(20)
      }
      say("250 recipient\r\n")
      yield* Stopped.turns(20)
      yield* pass(20_000)
      yield* Stopped.turns(20)
      const result = yield* Fiber.join(sending)
      assert.isTrue(Result.isFailure(result))
      if (Result.isSuccess(result)) return
      assert.deepInclude(result.failure.reason, { _tag: "Timeout", phase: "content" })
      assert.match(result.failure.message, /took more than 600\d{3} ms from MAIL to the end of its content/)
      assert.isTrue(result.failure.isRetryable)
    })
  )
})
