/**
 * A store that cannot record what was sent: nothing more is begun, what is owed is recorded as soon as it can be, and
 * what is not is told.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import { Composer, type ComposerService } from "mailrace/Composer"
import * as MimeComposer from "mailrace/MimeComposer"
import * as Mailer from "mailrace/Mailer"
import { MailTransport } from "mailrace/MailTransport"
import * as RetryPolicy from "mailrace/RetryPolicy"
import * as DurableTransport from "../src/DurableTransport.ts"
import type * as Dispatcher from "../src/Dispatcher.ts"
import * as Outbox from "../src/Outbox.ts"
import { mail, Reopen, run, settle, tester } from "./support/fixtures.ts"
import { fresh } from "./support/freshSqlite.ts"
import * as ScriptedTransport from "./support/scriptedTransport.ts"
import * as TroubledStore from "./support/troubledStore.ts"

const concurrency = 10

/** An outbox whose store is in such troubles, with so many mails in it, to be dispatched. */
const troubled = (mails: number, options?: { readonly watched?: boolean }) =>
  Effect.gen(function* () {
    const reopen = yield* Reopen
    yield* Stream.runDrain(Outbox.enqueueAll(Stream.map(Stream.range(1, mails), (i) => mail(`x${i}@a.test`))))
    if (options?.watched === true) yield* crash(reopen)
    const troubles = TroubledStore.troubles()
    const outbox = Context.get(
      yield* Layer.build(Outbox.layerStore(TroubledStore.before(reopen, troubles))),
      Outbox.Outbox
    )
    return { troubles, outbox }
  })

/** A dispatcher claims all there is and is gone, so that all of it is watched. */
const crash = (open: Reopen["Service"]) =>
  Effect.scoped(
    Effect.gen(function* () {
      const lease = yield* (yield* open).dispatch(5)
      const { lanes } = yield* lease.dueLanes(undefined, 10, 0)
      yield* lease.claim(
        lanes.map((lane) => ({ ...lane, limit: 1000 })),
        0
      )
    })
  )

/** Dispatches in the background; `log` has what was logged. */
const dispatch = (
  { outbox, troubles }: { readonly outbox: Outbox.Outbox["Service"]; readonly troubles: TroubledStore.Troubles },
  relay: ReturnType<typeof ScriptedTransport.make>,
  options?: Dispatcher.Options
) =>
  Effect.gen(function* () {
    const log: Array<string> = []
    let status: Dispatcher.Status | undefined
    const fiber = yield* Effect.forkScoped(
      run(relay, {
        concurrency,
        until: "never",
        onStart: (_, given) => Effect.sync(() => void (status = given)),
        ...options
      }).pipe(
        Effect.provideService(Outbox.Outbox, outbox),
        Effect.provide(
          Logger.layer([
            Logger.make<unknown, void>(({ message }) => void log.push(([] as Array<unknown>).concat(message).join(" ")))
          ])
        )
      )
    )
    // So that a dispatcher that waits for its store ends with the test.
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => {
        TroubledStore.end(troubles)
        return Effect.clockWith((clock) => ("adjust" in clock ? TestClock.adjust("10 seconds") : Effect.void))
      })
    )
    const turns = Effect.provideService(settle, Outbox.Outbox, outbox)
    const rest = Effect.andThen(turns, Effect.andThen(turns, turns))
    const until = (condition: () => boolean) => Effect.repeat(turns, { until: condition })
    return {
      fiber,
      log,
      unrecorded: () => status?.unrecorded,
      /** Lets what was set off come to rest. */
      rest,
      until,
      /** Waits until a batch could not be recorded, and what it set off has come to rest. */
      failed: Effect.andThen(
        until(() => troubles.batches.length > 0),
        rest
      )
    }
  })

const states = Effect.map(Outbox.stats, ({ states }) => states)

/** A turn of the event loop. */
const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))

const test = tester(fresh)

describe("while outcomes cannot be recorded", () => {
  test("no message begins except those on their way, and the failed batch is recorded first", () =>
    Effect.gen(function* () {
      const store = yield* troubled(800)
      const { troubles } = store
      const relay = ScriptedTransport.make()
      troubles.settle = () => TroubledStore.diskFull
      const { failed, fiber, log, rest, unrecorded, until } = yield* dispatch(store, relay)
      yield* failed
      const first = troubles.batches[0]!
      const sent = relay.sent.length
      // What ended before the store's answer, and what was on its way when it came.
      assert.isAtMost(sent, 2 * concurrency + first)
      const { claims } = troubles
      yield* TestClock.adjust("30 seconds")
      yield* rest
      assert.strictEqual(relay.sent.length, sent)
      assert.strictEqual(troubles.claims, claims)
      assert.strictEqual(unrecorded(), sent)
      assert.strictEqual(log.filter((line) => line.includes("cannot be recorded")).length, 1)
      // The same batch, and no other.
      assert.deepStrictEqual([...new Set(troubles.batches)], [first])

      troubles.settle = () => undefined
      yield* TestClock.adjust("5 seconds")
      yield* until(() => relay.sent.length === 800 && unrecorded() === 0)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual((yield* states).accepted, 800)
      assert.strictEqual(new Set(relay.sent.map(({ messageId }) => messageId)).size, 800)
      assert.isFalse(log.some((line) => line.includes("sent again")))
    }))

  test("the batch is tried again after 100 ms, and after twice as long each time, up to 5 seconds", () =>
    Effect.gen(function* () {
      const store = yield* troubled(1)
      const { batches } = store.troubles
      store.troubles.settle = () => TroubledStore.diskFull
      const { failed, rest } = yield* dispatch(store, ScriptedTransport.make())
      yield* failed
      const tries: Array<string> = []
      for (const wait of [100, 200, 400, 800, 1600, 3200, 5000, 5000]) {
        const before = batches.length
        yield* TestClock.adjust(wait - 1)
        yield* rest
        const early = batches.length - before
        yield* TestClock.adjust(1)
        yield* rest
        tries.push(`${early} before, ${batches.length - before} in all`)
      }
      assert.deepStrictEqual(new Set(tries), new Set(["0 before, 1 in all"]))
    }))

  test("a message that waits for its quick retry keeps waiting", () =>
    Effect.gen(function* () {
      const store = yield* troubled(2)
      const relay = ScriptedTransport.make((message, nth) =>
        message.envelope.to[0] === "x1@a.test" && nth === 1
          ? Effect.fail(ScriptedTransport.deferral())
          : Effect.succeed(ScriptedTransport.taken(message))
      )
      store.troubles.settle = () => TroubledStore.diskFull
      const { failed, rest, unrecorded, until } = yield* dispatch(store, relay, { retry: RetryPolicy.defaultPolicy })
      yield* failed
      assert.strictEqual(relay.sent.length, 2)
      yield* TestClock.adjust("20 seconds")
      yield* rest
      assert.strictEqual(relay.sent.length, 2)
      store.troubles.settle = () => undefined
      yield* TestClock.adjust("5 seconds")
      yield* until(() => relay.sent.length === 3 && unrecorded() === 0)
      assert.strictEqual((yield* states).accepted, 2)
    }))

  test("a message that is composed meanwhile does not reach the transport", () =>
    Effect.gen(function* () {
      const store = yield* troubled(2)
      const slow = yield* Latch.make()
      const composing: ComposerService = {
        compose: (mail) =>
          Effect.andThen(mail.to === "x2@a.test" ? slow.await : Effect.void, MimeComposer.make().compose(mail))
      }
      const relay = ScriptedTransport.make()
      store.troubles.settle = () => TroubledStore.diskFull
      const { failed, rest, until } = yield* Effect.provideService(dispatch(store, relay), Composer, composing)
      yield* failed
      yield* slow.open
      yield* rest
      assert.strictEqual(relay.sent.length, 1)
      store.troubles.settle = () => undefined
      yield* TestClock.adjust("5 seconds")
      yield* until(() => relay.sent.length === 2)
    }))

  test("a dispatcher that ends reports how many messages will be sent again, and leaves them to the next run", () =>
    Effect.gen(function* () {
      const store = yield* troubled(800)
      const { troubles } = store
      const relay = ScriptedTransport.make((message) => Effect.as(turn, ScriptedTransport.taken(message)))
      troubles.settle = troubles.release = () => TroubledStore.diskFull
      const { failed, fiber, log, rest, unrecorded } = yield* dispatch(store, relay)
      yield* failed
      const sent = relay.sent.length
      const ending = yield* Effect.forkScoped(Fiber.interrupt(fiber))
      yield* rest
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(ending)
      assert.strictEqual(unrecorded(), sent)
      assert.isTrue(log.some((line) => /could not give back .*: DiskFull/.test(line)))
      const told = log.filter((line) => line.includes("sent again"))
      assert.strictEqual(told.length, 1)
      assert.match(told[0]!, new RegExp(`^${sent} messages were accepted, but that could not be recorded in .*; they`))
      assert.strictEqual(relay.sent.length, sent)

      TroubledStore.end(troubles)
      yield* run(relay)
      const counts = [...relay.counts.values()]
      assert.strictEqual(counts.length, 800)
      assert.strictEqual(counts.filter((count) => count === 2).length, sent)
      assert.strictEqual((yield* states).accepted, 800)
    }))

  test("an unrecorded deferral is not reported as accepted", () =>
    Effect.gen(function* () {
      const store = yield* troubled(3)
      const allBegun = yield* Latch.make()
      let begun = 0
      const relay = ScriptedTransport.make((message) =>
        Effect.suspend(() => (++begun === 3 ? allBegun.open : Effect.void)).pipe(
          Effect.andThen(allBegun.await),
          Effect.andThen(
            message.envelope.to[0] === "x1@a.test"
              ? Effect.succeed(ScriptedTransport.taken(message))
              : Effect.fail(ScriptedTransport.deferral())
          )
        )
      )
      store.troubles.settle = () => TroubledStore.diskFull
      const { failed, fiber, log, rest, unrecorded } = yield* dispatch(store, relay)
      yield* failed
      const ending = yield* Effect.forkScoped(Fiber.interrupt(fiber))
      yield* rest
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(ending)
      assert.strictEqual(relay.sent.length, 3)
      assert.strictEqual(unrecorded(), 1)
      assert.isTrue(log.some((line) => /^1 message was accepted, but .*; it will be sent again/.test(line)))
    }))

  test("an error that waiting does not mend ends the dispatcher", () =>
    Effect.gen(function* () {
      const store = yield* troubled(800)
      const relay = ScriptedTransport.make()
      store.troubles.settle = () => TroubledStore.readOnly
      const { fiber, unrecorded } = yield* dispatch(store, relay, { until: "idle" })
      const exit = yield* Fiber.await(fiber)
      assert.match(String(exit), /ReadOnly/)
      assert.isAbove(unrecorded()!, 0)
      assert.strictEqual(unrecorded(), relay.sent.length)
      assert.isAtMost(relay.sent.length, 2 * concurrency + store.troubles.batches[0]!)
      // Those that were not begun are given back.
      assert.strictEqual((yield* states).due, 800 - relay.sent.length)
    }))

  test("an outcome that the store rejects does not stop the others", () =>
    Effect.gen(function* () {
      const store = yield* troubled(5)
      store.troubles.settle = (batch) => (batch.some(({ seq }) => seq === 3) ? TroubledStore.readOnly : undefined)
      const { fiber, unrecorded } = yield* dispatch(store, ScriptedTransport.make(), { until: "idle" })
      assert.match(String(yield* Fiber.await(fiber)), /ReadOnly/)
      assert.strictEqual(unrecorded(), 1)
      assert.strictEqual((yield* states).accepted, 4)
    }))

  test("a watched message whose start cannot be recorded does not begin", () =>
    Effect.gen(function* () {
      const store = yield* troubled(5, { watched: true })
      const { troubles } = store
      const relay = ScriptedTransport.make()
      let asked = 0
      troubles.begin = () => {
        asked++
        return TroubledStore.diskFull
      }
      const { rest, until } = yield* dispatch(store, relay)
      yield* until(() => asked > 0)
      yield* TestClock.adjust("20 seconds")
      yield* rest
      assert.strictEqual(relay.sent.length, 0)
      assert.isAbove(asked, 3)
      troubles.begin = () => undefined
      yield* TestClock.adjust("5 seconds")
      yield* until(() => relay.sent.length === 5)
    }))

  test("a store that gives no answer at all delays the end by 10 seconds", () =>
    Effect.gen(function* () {
      const store = yield* troubled(600)
      const relay = ScriptedTransport.make()
      const { troubles } = store
      troubles.settle = troubles.release = () => "silence"
      const { failed, fiber, rest, unrecorded } = yield* dispatch(store, relay)
      yield* failed
      troubles.claim = () => "silence"
      let isOver = false
      yield* Effect.forkScoped(
        Effect.andThen(
          Fiber.interrupt(fiber),
          Effect.sync(() => void (isOver = true))
        )
      )
      yield* rest
      yield* TestClock.adjust("9 seconds")
      yield* rest
      assert.isFalse(isOver)
      yield* TestClock.adjust("1 second")
      yield* Fiber.await(fiber)
      assert.strictEqual(unrecorded(), relay.sent.length)
    }))

  it.live("reports sent messages to their sender, and after a while that the rest waits in the outbox", () =>
    Effect.gen(function* () {
      const troubles = TroubledStore.troubles()
      const relay = ScriptedTransport.make()
      const durable = DurableTransport.layer({
        concurrency,
        firstAttemptTimeout: "1500 millis",
        poll: "50 millis"
      }).pipe(
        Layer.provide(Layer.succeed(MailTransport, relay.transport)),
        Layer.provideMerge(Outbox.layerStore(TroubledStore.before(yield* fresh(), troubles)))
      )
      const context = yield* Layer.build(durable)
      troubles.settle = () => TroubledStore.diskFull
      const ends = yield* Effect.forEach(
        Array.from({ length: 60 }, (_, i) => mail(`x${i}@a.test`)),
        (one) => Effect.result(Mailer.send(one, { retry: RetryPolicy.none })),
        { concurrency: "unbounded" }
      ).pipe(Effect.provide(context))
      const heard = ends.filter((end) => end._tag === "Success").length
      assert.strictEqual(heard, relay.sent.length)
      assert.isAbove(heard, 0)
      for (const end of ends) {
        if (end._tag === "Failure") assert.match(end.failure.message, /waits in the outbox for its turn/)
      }
      TroubledStore.end(troubles)
      yield* Effect.repeat(Effect.sleep("20 millis"), { until: () => relay.counts.size === 60 })
      assert.strictEqual(relay.sent.length, 60)
    })
  )

  it.live("a store that takes longer than usual to answer holds back the rest until it does", () =>
    Effect.gen(function* () {
      const troubles = TroubledStore.troubles()
      const opened = Outbox.layerStore(TroubledStore.before(yield* fresh(), troubles))
      const outbox = Context.get(yield* Layer.build(opened), Outbox.Outbox)
      yield* Stream.runDrain(outbox.enqueueAll(Stream.map(Stream.range(1, 600), (i) => mail(`x${i}@a.test`))))
      // A hundred a second.
      const relay = ScriptedTransport.make((message) =>
        Effect.as(Effect.sleep("100 millis"), ScriptedTransport.taken(message))
      )
      const answers = yield* Latch.make(true)
      troubles.wait = answers.await
      const { fiber, unrecorded } = yield* dispatch({ outbox, troubles }, relay)
      yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => relay.sent.length >= 20 })
      yield* answers.close
      // At most a second, and what was on its way then.
      yield* Effect.sleep("1200 millis")
      const sent = relay.sent.length
      yield* Effect.sleep("500 millis")
      assert.strictEqual(relay.sent.length, sent)
      yield* answers.open
      yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => relay.sent.length > sent + 20 })
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(unrecorded(), 0)
    })
  )
})
