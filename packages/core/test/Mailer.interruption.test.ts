import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as Delivery from "../src/Delivery.ts"
import * as Mailer from "../src/Mailer.ts"
import { MailTransport } from "../src/MailTransport.ts"
import * as RetryPolicy from "../src/RetryPolicy.ts"
import * as Scripted from "./support/scripted.ts"

const int = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

const mails = (count: number) => Stream.fromIterable(Array.from({ length: count }, (_, n) => Scripted.message(n)))

describe("Mailer.sendAll", () => {
  it.live.prop(
    "interrupted anywhere: what was begun ends and is seen, what was not is not sent",
    [int(0, 12), int(1, 6), int(0, 30)],
    ([count, concurrency, turns]) =>
      Effect.gen(function* () {
        const seen: Array<string> = []
        const begun: Array<string> = []
        const finished: Array<string> = []
        const transport = MailTransport.of({
          // As a real one: waiting may be given up, a transaction may not.
          send: (message, options) =>
            Effect.andThen(
              options!.restore!(Effect.andThen(Effect.yieldNow, Effect.yieldNow)),
              Effect.suspend(() => {
                begun.push(message.id!)
                return Effect.andThen(
                  Effect.andThen(Effect.yieldNow, Effect.yieldNow),
                  Effect.sync(() => {
                    finished.push(message.id!)
                    return Scripted.receipt(message)
                  })
                )
              })
            )
        })
        const fiber = yield* mails(count).pipe(
          Mailer.sendAll({ concurrency, onDelivery: ({ id }) => Effect.sync(() => seen.push(id)) }),
          Stream.runDrain,
          Effect.provideService(MailTransport, transport),
          Effect.forkChild
        )
        for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
        const before = begun.length
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(finished, begun)
        assert.deepStrictEqual(seen.toSorted(), begun.toSorted())
        for (let turn = 0; turn < 20; turn++) yield* Effect.yieldNow
        assert.lengthOf(begun, before)
      }),
    { arbitrary: { runs: 200 } }
  )

  it.live("interrupted while a mail waits for its next attempt: it ends with what is known", () =>
    Effect.gen(function* () {
      const seen: Array<Delivery.Delivery> = []
      const { calls, provide } = Scripted.make(() => Effect.fail(Scripted.transient))
      const fiber = yield* mails(1).pipe(
        Mailer.sendAll({
          retry: RetryPolicy.make({ base: "1 hour" }),
          onDelivery: (delivery) => Effect.sync(() => seen.push(delivery))
        }),
        Stream.runDrain,
        provide,
        Effect.forkChild
      )
      while (calls.length === 0) yield* Effect.yieldNow
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(
        seen.map(({ _tag, attempts }) => [_tag, attempts]),
        [["Deferred", 1]]
      )
    })
  )
})
