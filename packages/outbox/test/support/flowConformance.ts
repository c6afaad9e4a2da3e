/**
 * Who goes when: lanes, priorities, the end of a dispatcher and the start of the next, the same for every store.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Lane from "../../src/Lane.ts"
import * as Outbox from "../../src/Outbox.ts"
import { hear, mail, Reopen, run, settle, tester, type Fresh } from "./bench.ts"
import * as ScriptedTransport from "./scriptedTransport.ts"

const many = (count: number, to: (i: number) => string) =>
  Stream.runDrain(Outbox.enqueueAll(Stream.map(Stream.range(0, count - 1), (i) => mail(to(i)))))

const count = Effect.map(Outbox.stats, ({ states }) => states)

/** Runs the tests against a store. */
export const flowSuite = (fresh: Fresh): void => {
  const test = tester(fresh)
  describe("flow", () => {
    test("a lane with very many mails delays one with a few by little", () =>
      Effect.gen(function* () {
        yield* many(2000, () => "x@big.test")
        yield* many(5, () => "x@small.test")
        const relay = ScriptedTransport.make()
        yield* run(relay, { concurrency: 1 })
        const places = relay.sent.flatMap(({ to }, i) => (to[0] === "x@small.test" ? [i] : []))
        assert.strictEqual(relay.sent.length, 2005)
        assert.isAtMost(places.at(-1)!, 12)
      }))

    test("many lanes of one mail each are all served", () =>
      Effect.gen(function* () {
        yield* many(3000, (i) => `x@d${i}.test`)
        const relay = ScriptedTransport.make()
        yield* run(relay)
        assert.strictEqual(new Set(relay.sent.map(({ to }) => to[0])).size, 3000)
        assert.strictEqual(relay.sent.length, 3000)
      }))

    test("a throttled lane is left alone and keeps its attempts; the other goes through", () =>
      Effect.gen(function* () {
        yield* many(500, () => "x@slow.test")
        yield* many(500, () => "x@fast.test")
        const relay = ScriptedTransport.make((message) =>
          message.envelope.to[0]!.endsWith("slow.test")
            ? Effect.fail(ScriptedTransport.throttling())
            : Effect.succeed(ScriptedTransport.taken(message))
        )
        const events = yield* hear
        yield* Effect.forkScoped(run(relay, { until: "never" }))
        for (let accepted = 0; accepted < 500; accepted++) yield* events.next("Accepted")
        yield* settle
        assert.isAtMost(relay.sent.filter(({ accepted }) => !accepted).length, 30)
        const waiting = yield* Stream.runCollect(Outbox.list({ lane: "slow.test" }))
        assert.isAtLeast(waiting.filter(({ attempts }) => attempts === 0).length, 470)
      }))

    test("of mails that wait, high goes first and bulk does not starve", () =>
      Effect.gen(function* () {
        const kinds = ["bulk", "normal", "high"] as const
        for (const priority of kinds) {
          yield* Stream.runDrain(
            Outbox.enqueueAll(
              Stream.map(Stream.range(1, 300), () => mail(`${priority}@a.test`)),
              { priority }
            )
          )
        }
        const relay = ScriptedTransport.make()
        yield* run(relay, { concurrency: 1 })
        const first = relay.sent.slice(0, 210).map(({ to }) => to[0]!.split("@")[0])
        const shares = kinds.map((kind) => first.filter((one) => one === kind).length)
        assert.isAtLeast(shares[2]!, 140)
        assert.isAtLeast(shares[1]!, 25)
        assert.isAtLeast(shares[0]!, 4)
        assert.strictEqual(relay.sent.length, 900)
      }))

    test("no more is claimed of a lane than its quota allows", () =>
      Effect.gen(function* () {
        yield* many(10, () => "x@a.test")
        let tokens = 3
        const relay = ScriptedTransport.make((message) => {
          tokens--
          return Effect.succeed(ScriptedTransport.taken(message))
        })
        const events = yield* hear
        yield* Effect.forkScoped(run(relay, { until: "never", quota: () => tokens }))
        for (let i = 0; i < 3; i++) yield* events.next("Accepted")
        yield* TestClock.adjust("10 seconds")
        yield* settle
        assert.strictEqual(relay.sent.length, 3)
        assert.strictEqual((yield* count).claimed, 0)
      }))

    test("an end lets begun mails finish and leaves nothing claimed", () =>
      Effect.gen(function* () {
        yield* many(50, (i) => `x@d${i % 3}.test`)
        const gate = yield* Latch.make()
        let begun = 0
        const tenBegun = yield* Latch.make()
        const relay = ScriptedTransport.make((message) =>
          Effect.gen(function* () {
            if (++begun === 10) yield* tenBegun.open
            yield* gate.await
            return ScriptedTransport.taken(message)
          })
        )
        const fiber = yield* Effect.forkChild(run(relay, { until: "never", concurrency: 10 }))
        yield* tenBegun.await
        const ending = yield* Effect.forkChild(Fiber.interrupt(fiber))
        yield* settle
        yield* gate.open
        yield* Fiber.join(ending)
        assert.strictEqual(relay.sent.length, 10)
        const states = yield* count
        assert.deepStrictEqual([states.accepted, states.due, states.claimed], [10, 40, 0])
        const waiting = yield* Stream.runCollect(Outbox.list({ states: ["due"] }))
        assert.isTrue(waiting.every(({ attempts }) => attempts === 0))
      }))

    test("what a dead dispatcher left claimed is due at once, and given up when it dies of it again and again", () =>
      Effect.gen(function* () {
        const store = yield* yield* Reopen
        const { id } = yield* Outbox.enqueue(mail("x@a.test"))
        const quota = [{ bucket: Lane.bucket("a.test"), lane: "a.test", limit: 10 }]
        /** Claims and dies. */
        const crash = (now: number) =>
          Effect.scoped(
            Effect.gen(function* () {
              yield* TestClock.setTime(now)
              const tenure = yield* store.dispatch(4)
              yield* tenure.claim(quota, now)
              return tenure.recovered
            })
          )
        assert.strictEqual(yield* crash(0), 0)
        assert.strictEqual((yield* count).claimed, 1)
        assert.strictEqual(yield* crash(1000), 1)
        assert.strictEqual(yield* crash(2000), 1)
        const afterTwo = (yield* Outbox.get(id))!.entry
        assert.deepStrictEqual([afterTwo.state, afterTwo.attempts], ["claimed", 3])
        // From the third time on it comes back apart from its neighbours, within a minute.
        assert.strictEqual(yield* crash(3000), 1)
        const { dueAt, state } = (yield* Outbox.get(id))!.entry
        assert.strictEqual(state, "due")
        assert.isAtLeast(dueAt.getTime(), 3000)
        assert.strictEqual(yield* crash(70_000), 0)
        assert.strictEqual(yield* crash(71_000), 1)
        const dead = (yield* Outbox.get(id))!.entry
        assert.strictEqual(dead.state, "dead")
        assert.match(dead.lastReply!, /ended 4 times/)
      }))

    test("an end that was recorded for an earlier claim is not taken for this one", () =>
      Effect.gen(function* () {
        const store = yield* yield* Reopen
        const { id } = yield* Outbox.enqueue(mail("x@a.test"))
        const quota = [{ bucket: Lane.bucket("a.test"), lane: "a.test", limit: 10 }]
        const claim = Effect.gen(function* () {
          const tenure = yield* store.dispatch(5)
          const { rows } = yield* tenure.claim(quota, 0)
          return { tenure, row: rows[0]! }
        })
        const ended = (row: { seq: number; epoch: number; attempts: number }) => ({
          seq: row.seq,
          epoch: row.epoch,
          attempts: row.attempts,
          state: "accepted" as const,
          at: 5,
          dueAt: undefined,
          outcome: "accepted",
          relay: undefined,
          code: 250,
          enhanced: undefined,
          reply: "ok",
          recipients: undefined
        })
        const stale = yield* Effect.scoped(claim)
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { row, tenure } = yield* claim
            assert.deepStrictEqual(yield* tenure.settle([ended(stale.row)]), [])
            assert.strictEqual((yield* Outbox.get(id))!.entry.state, "claimed")
            assert.deepStrictEqual(yield* tenure.settle([ended(row)]), [row.seq])
            // Its answer may be lost and the call repeated.
            assert.deepStrictEqual(yield* tenure.settle([ended(row)]), [row.seq])
            assert.strictEqual((yield* count).accepted, 1)
          })
        )
      }))

    test("mails claimed by nobody are found and put back", () =>
      Effect.gen(function* () {
        const store = yield* yield* Reopen
        yield* many(3, () => "x@a.test")
        yield* Effect.scoped(
          Effect.gen(function* () {
            const tenure = yield* store.dispatch(5)
            const { rows } = yield* tenure.claim([{ bucket: Lane.bucket("a.test"), lane: "a.test", limit: 3 }], 0)
            const known = rows[0]!.seq
            assert.strictEqual(yield* tenure.reclaim((seq) => seq === known, 0), 0)
            assert.strictEqual(yield* tenure.reclaim((seq) => seq === known, 1), 2)
            const states = yield* count
            assert.deepStrictEqual([states.claimed, states.due], [1, 2])
          })
        )
      }))

    test("events tell a mail's life in order", () =>
      Effect.gen(function* () {
        const events = yield* hear
        const { id } = yield* Outbox.enqueue(mail("x@a.test"), { tenant: "t" })
        yield* run(
          ScriptedTransport.make((message, nth) =>
            nth === 1 ? Effect.fail(ScriptedTransport.deferral()) : Effect.succeed(ScriptedTransport.taken(message))
          )
        )
        yield* Stream.runDrain(Outbox.retry({ ids: [id] }))
        yield* run(ScriptedTransport.make())
        for (const change of ["Enqueued", "Claimed", "Deferred", "Retried", "Claimed", "Accepted"] as const) {
          const event = yield* events.next("Enqueued", "Claimed", "Deferred", "Retried", "Accepted", "Rejected")
          assert.strictEqual(event._tag, change)
          assert.strictEqual(event.tenant, "t")
        }
      }))
  })
}
