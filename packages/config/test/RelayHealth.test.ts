/**
 * A relay whose health is watched twice: by the router, which has others to send to, and by the circuit of its own flow control,
 * where a program asks for both. Neither keeps the other from noticing that the relay is back.
 */
import { assert, describe, it } from "@effect/vitest"
import * as FlowTransport from "@mailrace/flow/FlowTransport"
import * as Router from "@mailrace/router/Router"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { TestClock } from "effect/testing"
import * as Composed from "mailrace/Composed"
import * as MailError from "mailrace/MailError"
import { MailTransport } from "mailrace/MailTransport"

const at = { host: "relay.test", port: 25 }

const faults: ReadonlyArray<readonly [does: string, error: MailError.MailError, afterMs: number]> = [
  ["refuses", MailError.make(new MailError.ConnectFailed({ ...at, kind: "refused", problem: "refused" })), 1],
  ["hangs", MailError.make(new MailError.Timeout({ phase: "connect", limitMs: 30_000 })), 30_000],
  ["hangs for 10 s", MailError.make(new MailError.Timeout({ phase: "connect", limitMs: 10_000 })), 10_000],
  [
    "says 421",
    MailError.make(
      new MailError.ConnectFailed({
        ...at,
        kind: "greeting",
        problem: "turned away",
        reply: { code: 421, text: "busy" }
      })
    ),
    50
  ]
]

let number = 0

const message = (): Composed.Composed =>
  Composed.make({
    messageId: `<${++number}@test>`,
    envelope: { from: "a@from.test" as never, to: ["b@to.test" as never] },
    content: new Uint8Array(1)
  })

/** A relay that fails until a time, and notes what it is given. */
const relayOf = (name: string, error: MailError.MailError, afterMs: number, isIll: (now: number) => boolean) => {
  const state = { inFlight: 0, most: 0, accepted: [] as Array<number> }
  const transport = MailTransport.of({
    concurrency: 10,
    send: () =>
      Effect.gen(function* () {
        state.most = Math.max(state.most, ++state.inFlight)
        if (isIll(yield* Clock.currentTimeMillis)) {
          yield* Effect.sleep(afterMs)
          return yield* Effect.fail(error)
        }
        yield* Effect.sleep(20)
        state.accepted.push(yield* Clock.currentTimeMillis)
        return { reply: { code: 250, text: "ok" }, recipients: [], relay: `${name}:25` }
      }).pipe(Effect.ensuring(Effect.sync(() => void state.inFlight--)))
  })
  return { state, transport }
}

describe("a relay behind a router and with a circuit of its own", () => {
  for (const [does, error, afterMs] of faults)
    it.effect(`that ${does} is back within 30 s`, () =>
      Effect.gen(function* () {
        for (let illMs = 107_000; illMs <= 151_000; illMs += 12_000) {
          const begunAt = yield* Clock.currentTimeMillis
          const endsAt = begunAt + 1_000 + illMs
          const ill = relayOf("ill", error, afterMs, (now) => now >= begunAt + 1_000 && now < endsAt)
          const well = relayOf("well", error, 0, () => false)
          const flow = yield* FlowTransport.make(ill.transport, { adaptive: false, circuit: true })
          const { transport } = yield* Router.make({
            relays: [
              { name: "ill", transport: Context.get(flow, MailTransport) },
              { name: "well", transport: well.transport }
            ]
          })
          const sending: Array<Fiber.Fiber<unknown, MailError.MailError>> = []
          const isBack = () => ill.state.accepted.some((time) => time > endsAt)
          while (!isBack() && (yield* Clock.currentTimeMillis) < endsAt + 120_000) {
            sending.push(yield* Effect.forkChild(transport.send(message())))
            yield* TestClock.adjust(500)
          }
          assert.isAtMost(Math.min(...ill.state.accepted.filter((time) => time > endsAt)) - endsAt, 30_000 + 1_000)
          yield* TestClock.adjust("1 minute")
          // No message failed for it.
          for (const fiber of sending) yield* Fiber.join(fiber)
        }
      }).pipe(Effect.scoped)
    )
})
