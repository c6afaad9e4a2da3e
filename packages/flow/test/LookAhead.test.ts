/**
 * A stream with more messages of a lane that is held back than it looks ahead, and a few of another: what waits is bounded,
 * progress says why, and nothing is lost. With MAILRACE_LONG=1 they are a million.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Composed from "mailrace/Composed"
import * as Mailer from "mailrace/Mailer"
import { MailTransport } from "mailrace/MailTransport"
import * as RetryPolicy from "mailrace/RetryPolicy"
import * as FlowTransport from "../src/FlowTransport.ts"

const held = process.env["MAILRACE_LONG"] === "1" ? 1_000_000 : 20_000
const free = 1000

/** The limit of the lane that is held back, in messages a second. Ten at once go in a millisecond of the test's clock at most. */
const perSecond = Math.min(held / 20, 4000)

/** How many tenths of a second it takes at most. */
const mostSteps = (12 * held) / perSecond

const content = new Uint8Array(0)

describe("a stream with far more messages of one lane than may go", () => {
  it.effect(
    "keeps no more than its look-ahead, says why it waits, and loses nothing",
    () =>
      Effect.gen(function* () {
        const accepted = { "held.test": 0, "free.test": 0 }
        const transport = MailTransport.of({
          concurrency: 10,
          send: ({ envelope }) =>
            Effect.succeed({
              reply: { code: 250, text: "ok" },
              recipients: envelope.to.map((address) => ({ address, outcome: "accepted" as const })),
              relay: "null:25"
            })
        })
        const limited = yield* FlowTransport.make(transport, { lanes: { "held.test": { rate: [`${perSecond}/s`] } } })
        const { status } = Context.get(limited, FlowTransport.Flow)
        let read = 0
        let ended = 0
        let mostKept = 0
        const every = held / free
        const sending = yield* Effect.forkChild(
          Stream.range(1, held + free).pipe(
            Stream.map((i) => {
              read++
              mostKept = Math.max(mostKept, read - ended)
              return Composed.make({
                messageId: `<${i}@test>`,
                envelope: {
                  from: "a@example.org" as never,
                  to: [(i % (every + 1) === 0 ? "n@free.test" : "n@held.test") as never]
                },
                content
              })
            }),
            Mailer.sendAll({ retry: RetryPolicy.none }),
            Stream.runForEach((delivery) =>
              Effect.sync(() => {
                ended++
                const lane = String(delivery.recipients[0]!.address).slice(2) as keyof typeof accepted
                if (delivery._tag === "Accepted") accepted[lane]++
              })
            ),
            Effect.provideService(MailTransport, Context.get(limited, MailTransport))
          )
        )
        let steps = 0
        let said: string | undefined
        while (sending.pollUnsafe() === undefined && steps++ < mostSteps) {
          yield* TestClock.adjust("100 millis")
          const { waiting, waits } = yield* status
          assert.isAtMost(waiting, 10_000)
          said ??= waits[0]?.key
        }
        assert.isDefined(sending.pollUnsafe(), "the stream has not ended in its time")
        yield* Fiber.join(sending)
        assert.deepStrictEqual(accepted, { "held.test": held, "free.test": free })
        assert.strictEqual(said, "held.test")
        // The look-ahead, and a chunk of the source that was read and not begun.
        assert.isAtMost(mostKept, 10_000 + 5_000)
      }).pipe(Effect.scoped),
    300_000
  )
})
