import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as Composed from "../src/Composed.ts"
import type * as Delivery from "../src/Delivery.ts"
import * as Mailer from "../src/Mailer.ts"
import { MailTransport } from "../src/MailTransport.ts"
import * as RetryPolicy from "../src/RetryPolicy.ts"
import * as Scripted from "./support/scripted.ts"

const int = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

const mails = (count: number) => Stream.fromIterable(Array.from({ length: count }, (_, n) => Scripted.message(n)))

interface Interruption {
  readonly ordered: boolean
  /** Mails that are sent when the interrupt comes. */
  readonly first: ReadonlyArray<number>
  /** Mails that the source gives while the interrupt waits for the first ones. */
  readonly later: ReadonlyArray<number>
  /** The mail that has no connection yet when the interrupt comes, and is offered one while it waits. */
  readonly waits?: string
}

/** Interrupts `sendAll` while mails are on their way, and tells what was sent when the interrupt is over. */
const interrupted = Effect.fnUntraced(function* ({ first, later, ordered, waits }: Interruption) {
  const seen: Array<string> = []
  const begun: Array<string> = []
  const finished: Array<string> = []
  const connection = yield* Latch.make()
  const answer = yield* Latch.make()
  const transport = MailTransport.of({
    send: (message, options) =>
      Effect.andThen(
        message.id === waits ? options!.restore!(connection.await) : Effect.void,
        Effect.suspend(() => {
          begun.push(message.id!)
          return Effect.andThen(
            answer.await,
            Effect.sync(() => {
              finished.push(message.id!)
              return Scripted.receipt(message)
            })
          )
        })
      )
  })
  const source = yield* Queue.unbounded<Composed.Composed>()
  const sending = yield* Stream.fromQueue(source).pipe(
    Mailer.sendAll({ concurrency: 8, ordered, onDelivery: ({ id }) => Effect.sync(() => seen.push(id)) }),
    Stream.runDrain,
    Effect.provideService(MailTransport, transport),
    Effect.forkChild
  )
  yield* Queue.offerAll(
    source,
    first.map((n) => Scripted.message(n))
  )
  while (begun.length < first.length - (waits === undefined ? 0 : 1)) yield* Effect.yieldNow
  const interrupting = yield* Effect.forkChild(Fiber.interrupt(sending), { startImmediately: true })
  yield* someTurns
  yield* Queue.offerAll(
    source,
    later.map((n) => Scripted.message(n))
  )
  yield* connection.open
  yield* someTurns
  yield* answer.open
  yield* Fiber.join(interrupting)
  return { begun: [...begun], finished: [...finished], seen: [...seen] }
})

const someTurns = Effect.gen(function* () {
  for (let turn = 0; turn < 20; turn++) yield* Effect.yieldNow
})

describe("Mailer.sendAll", () => {
  it.live.prop(
    "interrupted anywhere: started mails end and are reported, the others are not sent",
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

  for (const ordered of [false, true]) {
    const order = ordered ? "in order" : "as they end"

    it.live(
      `interrupted, it begins nothing that the source gives meanwhile, and waits for all it began: ${order}`,
      () =>
        Effect.gen(function* () {
          const sent = yield* interrupted({ ordered, first: [0], later: [1, 2, 3] })
          assert.deepStrictEqual(sent, { begun: ["mail-0"], finished: ["mail-0"], seen: ["mail-0"] })
        })
    )

    it.live(`interrupted, it ends each wait at once, whatever else is in flight: ${order}`, () =>
      Effect.gen(function* () {
        const sent = yield* interrupted({ ordered, first: [0, 1], later: [], waits: "mail-0" })
        assert.deepStrictEqual(sent, { begun: ["mail-1"], finished: ["mail-1"], seen: ["mail-1"] })
      })
    )
  }

  it.live("interrupted while a mail waits for its next attempt: the mail ends with its last outcome", () =>
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
