/**
 * Who goes when: lanes, priorities, the end of a dispatcher and the start of the next, the same for every store.
 */
import { assert, describe } from "@effect/vitest"
import * as FlowOptions from "@mailrace/flow/FlowOptions"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Lane from "../../src/Lane.ts"
import * as Outbox from "../../src/Outbox.ts"
import type { ClaimedRow, DispatcherLease } from "../../src/OutboxStore.ts"
import { endOf, hear, mail, Reopen, run, settle, tester, type Fresh } from "./fixtures.ts"
import { ledgerSuite } from "./ledgerConformance.ts"
import * as ScriptedTransport from "./scriptedTransport.ts"

const many = (count: number, to: (i: number) => string) =>
  Stream.runDrain(Outbox.enqueueAll(Stream.map(Stream.range(0, count - 1), (i) => mail(to(i)))))

const count = Effect.map(Outbox.stats, ({ states }) => states)

/** Runs the tests against a store. */
export const flowSuite = (fresh: Fresh): void => {
  const test = tester(fresh)
  describe("flow", () => {
    test("a lane with very many messages hardly delays one with a few", () =>
      Effect.gen(function* () {
        yield* many(2000, () => "x@big.test")
        yield* many(5, () => "x@small.test")
        const relay = ScriptedTransport.make()
        yield* run(relay, { concurrency: 1 })
        const places = relay.sent.flatMap(({ to }, i) => (to[0] === "x@small.test" ? [i] : []))
        assert.strictEqual(relay.sent.length, 2005)
        assert.isAtMost(places.at(-1)!, 12)
      }))

    test("many lanes of one message each are all served", () =>
      Effect.gen(function* () {
        yield* many(3000, (i) => `x@d${i}.test`)
        const relay = ScriptedTransport.make()
        yield* run(relay)
        assert.strictEqual(new Set(relay.sent.map(({ to }) => to[0])).size, 3000)
        assert.strictEqual(relay.sent.length, 3000)
      }))

    test("a throttled lane rests and keeps its attempts; the other is sent", () =>
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

    test("a limit by the hour holds over the end of a dispatcher, and nothing beyond it is claimed", () =>
      Effect.gen(function* () {
        yield* many(60, () => "x@a.test")
        const flow = Result.getOrThrow(FlowOptions.resolve({ rate: ["30/h"], tenants: { none: { rate: ["5/d"] } } }, 0))
        const relay = ScriptedTransport.make()
        for (const most of [12, 30, 30]) {
          const running = yield* Effect.forkScoped(run(relay, { until: "never", flow }))
          for (let beat = 0; beat < 40 && relay.sent.length < most; beat++) {
            yield* TestClock.adjust("100 millis")
            yield* settle
          }
          yield* Fiber.interrupt(running)
          assert.isAtMost(relay.sent.length, 30)
        }
        assert.isAtLeast(relay.sent.length, 12)
        assert.deepInclude(yield* count, { claimed: 0, due: 60 - relay.sent.length })
      }))

    test("a limit on bytes by the hour holds over the end of a dispatcher, and nothing beyond it stays claimed", () =>
      Effect.gen(function* () {
        yield* Stream.runDrain(
          Outbox.enqueueAll(Stream.map(Stream.range(0, 39), () => mail("x@a.test", { text: "x".repeat(2000) })))
        )
        const flow = Result.getOrThrow(FlowOptions.resolve({ rate: ["20000 bytes/h"] }, 0))
        const relay = ScriptedTransport.make()
        const bytes = (): number => relay.sent.reduce((sum, { text }) => sum + text.length, 0)
        for (const least of [6_000, 15_000, 15_000]) {
          const running = yield* Effect.forkScoped(run(relay, { until: "never", flow }))
          for (let beat = 0; beat < 40 && bytes() < least; beat++) {
            yield* TestClock.adjust("100 millis")
            yield* settle
          }
          yield* Fiber.interrupt(running)
          assert.isAtMost(bytes(), 20_000 * (61 / 60))
        }
        assert.isAtLeast(bytes(), 6_000)
        assert.deepInclude(yield* count, { claimed: 0, due: 40 - relay.sent.length })
      }))

    for (const [limited, options] of [
      ["the relay", { rate: ["5/d"] }],
      ["the lane", { lanes: { "a.test": { rate: ["5/d"] } } }]
    ] as const)
      for (const [messages, isOver] of [
        [5, true],
        [6, false]
      ] as const)
        test(`a run of ${messages} messages where ${limited} takes five a day ends${isOver ? "" : " not yet"}`, () =>
          Effect.gen(function* () {
            yield* many(messages, () => "x@a.test")
            const flow = Result.getOrThrow(FlowOptions.resolve(options, 0))
            const relay = ScriptedTransport.make()
            const running = yield* Effect.forkScoped(run(relay, { until: "idle", flow }))
            const isRunning = (): boolean => running.pollUnsafe() === undefined
            // A store answers in its own time: what must come is waited for, and only what must not come is given time. In steps
            // of a second the clock would outrun the store, and the dispatcher lose its lease again and again.
            const beat = Effect.andThen(TestClock.adjust("100 millis"), settle)
            const isWaitedFor = (): boolean => isRunning() && (isOver || relay.sent.length < 5)
            while (isWaitedFor()) yield* beat
            if (!isOver) yield* Effect.repeat(beat, { times: 40 })
            assert.strictEqual(relay.sent.length, 5)
            assert.strictEqual(isRunning(), !isOver)
            yield* Fiber.interrupt(running)
          }))

    test("a claim brings as many messages of each tenant as its quota allows, and reports where it left some", () =>
      Effect.gen(function* () {
        const store = yield* yield* Reopen
        const enqueue = (count: number, to: string, tenant: string) =>
          Stream.runDrain(
            Outbox.enqueueAll(
              Stream.map(Stream.range(1, count), () => mail(to)),
              { tenant }
            )
          )
        yield* enqueue(60, "x@a.test", "big")
        yield* enqueue(5, "x@b.test", "big")
        yield* enqueue(10, "x@a.test", "small")
        yield* enqueue(2, "x@a.test", "")
        yield* Effect.scoped(
          Effect.gen(function* () {
            const lease = yield* store.dispatch(1)
            const [a, b] = ["a.test", "b.test"].map((lane) => ({ bucket: Lane.bucket(lane), lane, limit: 20 }))
            const claim = (limit: number, weight = 1, quotas = [a!, b!]) =>
              Effect.map(lease.claim(quotas, 0, [{ tenant: "big", limit, weight }]), ({ held, rows }) => {
                const of = (tenant: string) => rows.filter((row) => row.tenant === tenant).length
                return { counts: [of("big"), of("small"), of("")], held, rows }
              })
            const first = yield* claim(4)
            assert.deepStrictEqual(first.counts, [4, 10, 2])
            assert.deepStrictEqual(first.held?.[0], { lane: "a.test", tenant: "big" })
            const none = yield* claim(0)
            assert.deepStrictEqual(none.counts, [0, 0, 0])
            assert.sameDeepMembers<unknown>(
              [...none.held!],
              [
                { lane: "a.test", tenant: "big" },
                { lane: "b.test", tenant: "big" }
              ]
            )
            yield* lease.release(first.rows)
            const shared = yield* claim(100, 3, [{ ...a!, limit: 16 }])
            assert.strictEqual(shared.rows.length, 16)
            assert.isAtLeast(shared.counts[0]!, 9)
            assert.isAtLeast(shared.counts[1]!, 3)
            assert.deepStrictEqual(shared.held, [])
          })
        )
      }))

    test("a claim brings of each of many tenants in a lane its share by weight", () =>
      Effect.gen(function* () {
        const store = yield* yield* Reopen
        const others = Array.from({ length: 9 }, (_, i) => `t${i}`)
        yield* Effect.forEach(
          ["big", ...others],
          (tenant) =>
            Stream.runDrain(
              Outbox.enqueueAll(
                Stream.map(Stream.range(1, tenant === "big" ? 40 : 10), () => mail("x@a.test")),
                { tenant }
              )
            ),
          { concurrency: "unbounded", discard: true }
        )
        yield* Effect.scoped(
          Effect.gen(function* () {
            const lease = yield* store.dispatch(1)
            const quota = { bucket: Lane.bucket("a.test"), lane: "a.test", limit: 36 }
            const { rows } = yield* lease.claim([quota], 0, [{ tenant: "big", limit: 36, weight: 9 }])
            assert.strictEqual(rows.length, 36)
            assert.approximately(rows.filter(({ tenant }) => tenant === "big").length, 18, 2)
            for (const name of others) assert.isAtLeast(rows.filter(({ tenant }) => tenant === name).length, 1)
            // Those at their limits take nothing of the others' shares.
            const atLimit = others.map((tenant) => ({ tenant, limit: 0, weight: 5 }))
            const alone = yield* lease.claim([{ ...quota, limit: 10 }], 0, atLimit)
            assert.deepStrictEqual(
              alone.rows.map(({ tenant }) => tenant),
              Array.from({ length: 10 }, () => "big")
            )
          })
        )
      }))

    test("claims get around to every tenant of a lane that has hundreds of them at their limits", () =>
      Effect.gen(function* () {
        const store = yield* yield* Reopen
        const atLimit = Array.from({ length: 260 }, (_, i) => `a${i}`)
        yield* Effect.forEach([...atLimit, "z"], (tenant) => Outbox.enqueue(mail("x@a.test"), { tenant }), {
          concurrency: "unbounded",
          discard: true
        })
        yield* Effect.scoped(
          Effect.gen(function* () {
            const lease = yield* store.dispatch(1)
            const quotas = [{ bucket: Lane.bucket("a.test"), lane: "a.test", limit: 20 }]
            const tenants = atLimit.map((tenant) => ({ tenant, limit: 0, weight: 1 }))
            const claim = Effect.map(lease.claim(quotas, 0, tenants), ({ rows }) => rows.map(({ tenant }) => tenant))
            assert.deepStrictEqual([...(yield* claim), ...(yield* claim)], ["z"])
            // And begins anew behind the last one.
            yield* Outbox.enqueue(mail("x@a.test"), { tenant: "A" })
            assert.deepStrictEqual([...(yield* claim), ...(yield* claim)], ["A"])
          })
        )
      }))

    test("a tenant at its limit keeps no other tenant of its lane waiting, and is not claimed from", () =>
      Effect.gen(function* () {
        const enqueue = (count: number, tenant: string) =>
          Stream.runDrain(
            Outbox.enqueueAll(
              Stream.map(Stream.range(1, count), () => mail(`${tenant}@a.test`)),
              { tenant }
            )
          )
        yield* enqueue(300, "big")
        yield* enqueue(10, "small")
        const flow = Result.getOrThrow(FlowOptions.resolve({ tenants: { big: { rate: ["5/d"] } } }, 0))
        const relay = ScriptedTransport.make()
        const running = yield* Effect.forkScoped(run(relay, { until: "never", flow }))
        const beat = Effect.andThen(TestClock.adjust("100 millis"), settle)
        const of = (tenant: string) => relay.sent.filter(({ to }) => to[0] === `${tenant}@a.test`).length
        // A store answers in its own time: what must come is waited for.
        while (of("big") + of("small") < 15) yield* beat
        yield* Effect.repeat(beat, { times: 5 })
        assert.deepStrictEqual([of("big"), of("small")], [5, 10])
        assert.deepInclude(yield* count, { claimed: 0, due: 295 })
        yield* Fiber.interrupt(running)
      }))

    test("a limit on recipients by the day counts those of each message", () =>
      Effect.gen(function* () {
        yield* Stream.runDrain(
          Outbox.enqueueAll(
            Stream.map(Stream.range(0, 9), () => mail("x@a.test", { cc: ["y@a.test", "X@a.test"], bcc: "z@a.test" }))
          )
        )
        const flow = Result.getOrThrow(FlowOptions.resolve({ rate: ["12 recipients/d"] }, 0))
        const relay = ScriptedTransport.make()
        const running = yield* Effect.forkScoped(run(relay, { until: "never", flow }))
        const beat = Effect.andThen(TestClock.adjust("100 millis"), settle)
        // A store answers in its own time: what must come is waited for.
        while (relay.sent.length < 4) yield* beat
        yield* Effect.repeat(beat, { times: 5 })
        yield* Fiber.interrupt(running)
        assert.strictEqual(relay.sent.length, 4)
      }))

    ledgerSuite(
      test,
      Effect.map(
        Effect.flatMap(Reopen, (open) => open),
        ({ ledgers }) => ledgers!
      )
    )

    test("of waiting messages, high goes first and bulk does not starve", () =>
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

    test("no more messages of a lane are claimed than its quota allows", () =>
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

    test("an end lets started messages finish and leaves nothing claimed", () =>
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

    test("an end with free places begins no message that arrives meanwhile, and the next dispatcher sends each once", () =>
      Effect.gen(function* () {
        yield* many(1, () => "first@a.test")
        const gate = yield* Latch.make()
        const begun = yield* Latch.make()
        const relay = ScriptedTransport.make((message) =>
          Effect.andThen(begun.open, Effect.as(gate.await, ScriptedTransport.taken(message)))
        )
        const fiber = yield* Effect.forkChild(run(relay, { until: "never", concurrency: 10 }))
        yield* begun.await
        const ending = yield* Effect.forkChild(Fiber.interrupt(fiber))
        yield* settle
        yield* many(5, (i) => `x@d${i}.test`)
        yield* settle
        yield* gate.open
        yield* Fiber.join(ending)
        assert.deepStrictEqual([...relay.counts.values()], [1])
        const { accepted, claimed, due } = yield* count
        assert.deepStrictEqual([accepted, due, claimed], [1, 5, 0])
        yield* run(relay)
        assert.deepStrictEqual([...relay.counts.values()], [1, 1, 1, 1, 1, 1])
      }))

    test("a message during which processes die is given up; one that they had only claimed is not counted against", () =>
      Effect.gen(function* () {
        const store = yield* yield* Reopen
        const begun = yield* Outbox.enqueue(mail("begun@a.test"))
        const waiting = yield* Outbox.enqueue(mail("waiting@a.test"))
        const entry = (id: string) => Effect.map(Outbox.get(id), (details) => details!.entry)
        const quota = [{ bucket: Lane.bucket("a.test"), lane: "a.test", limit: 10 }]
        let now = 0
        const givenUp: Array<readonly [string, string, number]> = []
        /** Claims what is due, begins the one, and dies; returns what it had found of the process before. */
        const crash = Effect.scoped(
          Effect.gen(function* () {
            // What came back apart from its neighbours is due within a minute.
            yield* TestClock.setTime((now += 60_000))
            const lease = yield* store.dispatch(3, ({ attempts, id, lane }) => givenUp.push([id, lane, attempts]))
            yield* TestClock.setTime((now += 60_000))
            const { rows } = yield* lease.claim(quota, now)
            const watched = rows.filter(({ id, isWatched }) => id === begun.id && isWatched)
            if (watched.length > 0) yield* lease.begin(watched)
            return lease.recovered
          })
        )
        assert.strictEqual(yield* crash, 0)
        // Nobody knows which of the two was begun.
        assert.strictEqual(yield* crash, 2)
        for (let crashes = 1; crashes <= 3; crashes++) {
          assert.deepInclude(yield* entry(begun.id), { state: "claimed", attempts: 1, crashes: crashes - 1 })
          assert.strictEqual(yield* crash, 2)
        }
        const dead = yield* entry(begun.id)
        assert.deepInclude(dead, { state: "dead", attempts: 0, crashes: 3 })
        assert.match(dead.lastReply!, /ended 3 times/)
        assert.deepStrictEqual(givenUp, [[begun.id, "a.test", 0]])
        for (let i = 0; i < 5; i++) assert.strictEqual(yield* crash, 1)
        assert.deepInclude(yield* entry(waiting.id), { state: "claimed", attempts: 1, crashes: 0 })

        // Asked to try it again, or after an attempt that came to an end, it begins anew.
        yield* Stream.runDrain(Outbox.retry({ ids: [begun.id] }))
        const relay = ScriptedTransport.make()
        yield* run(relay)
        assert.strictEqual(relay.sent.length, 2)
        assert.deepInclude(yield* entry(begun.id), { state: "accepted", attempts: 1, crashes: 0 })
        assert.deepInclude(yield* entry(waiting.id), { state: "accepted", attempts: 1, crashes: 0 })
      }))

    test("a watched message that is given back, or whose attempt ended, starts its count of crashes again", () =>
      Effect.gen(function* () {
        const store = yield* yield* Reopen
        const { id } = yield* Outbox.enqueue(mail("x@a.test"))
        const quota = [{ bucket: Lane.bucket("a.test"), lane: "a.test", limit: 10 }]
        /** Claims it, begins it if it is watched, and goes on with it as told; then its process is gone. */
        const process = <A>(use: (lease: DispatcherLease, row: ClaimedRow) => Effect.Effect<A, unknown>) =>
          Effect.scoped(
            Effect.gen(function* () {
              const lease = yield* store.dispatch(1)
              const { rows } = yield* lease.claim(quota, 0)
              yield* lease.begin(rows.filter(({ isWatched }) => isWatched))
              yield* use(lease, rows[0]!)
              return rows[0]!.isWatched
            })
          )
        const die = () => Effect.void
        const giveBack = (lease: DispatcherLease, row: ClaimedRow) => lease.release([row])
        const defer = (lease: DispatcherLease, row: ClaimedRow) =>
          lease.settle([endOf(row, { state: "due", dueAt: 0 })])
        const watched: Array<boolean> = []
        for (const use of [die, giveBack, giveBack, defer, die, defer, die]) watched.push(yield* process<unknown>(use))
        assert.deepStrictEqual(watched, [false, true, true, true, false, true, false])
        yield* Effect.scoped(store.dispatch(1))
        assert.deepInclude((yield* Outbox.get(id))!.entry, { state: "due", attempts: 2, crashes: 0 })
      }))

    test("a settlement of an earlier claim does not count for this one", () =>
      Effect.gen(function* () {
        const store = yield* yield* Reopen
        const { id } = yield* Outbox.enqueue(mail("x@a.test"))
        const quota = [{ bucket: Lane.bucket("a.test"), lane: "a.test", limit: 10 }]
        const claim = Effect.gen(function* () {
          const lease = yield* store.dispatch(5)
          const { rows } = yield* lease.claim(quota, 0)
          return { lease, row: rows[0]! }
        })
        const stale = yield* Effect.scoped(claim)
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { row, lease } = yield* claim
            assert.deepStrictEqual(yield* lease.settle([endOf(stale.row)]), [])
            assert.strictEqual((yield* Outbox.get(id))!.entry.state, "claimed")
            assert.deepStrictEqual(yield* lease.settle([endOf(row)]), [row.seq])
            // Its answer may be lost and the call repeated.
            assert.deepStrictEqual(yield* lease.settle([endOf(row)]), [row.seq])
            assert.strictEqual((yield* count).accepted, 1)
          })
        )
      }))

    test("messages whose claimer is gone are found and put back", () =>
      Effect.gen(function* () {
        const store = yield* yield* Reopen
        yield* many(3, () => "x@a.test")
        yield* Effect.scoped(
          Effect.gen(function* () {
            const lease = yield* store.dispatch(5)
            const { rows } = yield* lease.claim([{ bucket: Lane.bucket("a.test"), lane: "a.test", limit: 3 }], 0)
            const known = rows[0]!.seq
            assert.strictEqual(yield* lease.reclaim((seq) => seq === known, 0), 0)
            assert.strictEqual(yield* lease.reclaim((seq) => seq === known, 1), 2)
            const states = yield* count
            assert.deepStrictEqual([states.claimed, states.due], [1, 2])
          })
        )
      }))

    test("events report a message's life in order", () =>
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
