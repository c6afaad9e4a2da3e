/**
 * Retention: reading and changing messages, and deleting them in time, the same for every store.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Outbox from "../../src/Outbox.ts"
import type { Filter, State } from "../../src/OutboxEntry.ts"
import { hear, mail, Reopen, run, tester, type Fresh } from "./fixtures.ts"
import * as ScriptedTransport from "./scriptedTransport.ts"

const day = 86_400_000

/** Takes mails to `yes`, refuses those to `no`, defers the others. */
const relay = () =>
  ScriptedTransport.make((message) => {
    const [local] = message.envelope.to[0]!.split("@")
    if (local === "yes") return Effect.succeed(ScriptedTransport.taken(message))
    return Effect.fail(local === "no" ? ScriptedTransport.refusal : ScriptedTransport.deferral())
  })

const recipients = (filter?: Filter) =>
  Effect.map(Stream.runCollect(Outbox.list(filter)), (entries) => entries.map(({ recipient }) => recipient))

const states = Effect.map(Outbox.stats, ({ states }) =>
  Object.fromEntries(Object.entries(states).filter(([, count]) => count > 0))
) as Effect.Effect<Partial<Record<State, number>>, unknown, Outbox.Outbox>

/** Runs the tests against a store. */
export const retentionSuite = (fresh: Fresh): void => {
  const test = tester(fresh)
  describe("retention", () => {
    test("mails are found by state, tenant, lane, recipient, time and id", () =>
      Effect.gen(function* () {
        yield* Outbox.enqueue(mail("yes@a.test"), { tenant: "one" })
        yield* Outbox.enqueue(mail("no@a.test"), { tenant: "two" })
        yield* run(relay())
        yield* TestClock.adjust("1 day")
        const last = yield* Outbox.enqueue(mail("later@b.test"), { tenant: "two", priority: "bulk" })
        assert.deepStrictEqual(yield* recipients(), ["yes@a.test", "no@a.test", "later@b.test"])
        assert.deepStrictEqual(yield* recipients({ states: ["rejected", "accepted"] }), ["yes@a.test", "no@a.test"])
        assert.deepStrictEqual(yield* recipients({ states: ["accepted", "due"] }), ["yes@a.test", "later@b.test"])
        assert.deepStrictEqual(yield* recipients({ states: [] }), [])
        assert.deepStrictEqual(yield* recipients({ tenant: "two" }), ["no@a.test", "later@b.test"])
        assert.deepStrictEqual(yield* recipients({ tenant: "two", states: ["rejected"] }), ["no@a.test"])
        assert.deepStrictEqual(yield* recipients({ lane: "a.test" }), ["yes@a.test", "no@a.test"])
        assert.deepStrictEqual(yield* recipients({ recipient: "no@a.test" }), ["no@a.test"])
        assert.deepStrictEqual(yield* recipients({ since: new Date(day) }), ["later@b.test"])
        assert.deepStrictEqual(yield* recipients({ until: new Date(day) }), ["yes@a.test", "no@a.test"])
        assert.deepStrictEqual(yield* recipients({ ids: [last.id, "none"] }), ["later@b.test"])
        assert.isUndefined(yield* Outbox.get("none"))
      }))

    test("more than a page is listed once each, in either order", () =>
      Effect.gen(function* () {
        const mails = Stream.map(Stream.range(1, 5200), (i) => mail(i % 2 ? "no@a.test" : `u${i}@b.test`))
        const receipts = yield* Stream.runCollect(Outbox.enqueueAll(mails))
        const ids = receipts.map((receipt) => (receipt as Outbox.Receipt).id)
        const listed = yield* Stream.runCollect(Outbox.list())
        assert.deepStrictEqual(listed.map(({ id }) => id).sort(), ids)
        assert.strictEqual((yield* Stream.runCollect(Outbox.cancel({ lane: "a.test" }))).length, 2600)
        const cancelled = yield* Stream.runCollect(Outbox.list({ states: ["cancelled", "rejected"] }))
        assert.strictEqual(new Set(cancelled.map(({ id }) => id)).size, 2600)
        assert.strictEqual((yield* recipients({ lane: "b.test", states: ["due"] })).length, 2600)
      }))

    test("more than a page with the same time is listed once each, by state, by lane and when settled", () =>
      Effect.gen(function* () {
        const mails = Stream.map(Stream.range(1, 5200), (i) => mail(`u${i}@a.test`))
        yield* Stream.runDrain(Outbox.enqueueAll(mails))
        const distinct = (filter: Filter) =>
          Effect.map(recipients(filter), (found) => [found.length, new Set(found).size])
        assert.deepStrictEqual(yield* distinct({ states: ["due"] }), [5200, 5200])
        assert.deepStrictEqual(yield* distinct({ states: ["due", "claimed"], lane: "a.test" }), [5200, 5200])
        assert.strictEqual((yield* Stream.runCollect(Outbox.cancel({}))).length, 5200)
        assert.deepStrictEqual(yield* distinct({ states: ["cancelled"] }), [5200, 5200])
        assert.strictEqual(yield* Outbox.purge({ lane: "a.test" }), 5200)
        assert.deepStrictEqual(yield* states, {})
      }))

    test("messages are counted by attempts, by due time, and by all other conditions of a filter", () =>
      Effect.gen(function* () {
        for (const to of ["yes@a.test", "no@a.test", "later@a.test"]) {
          yield* Outbox.enqueue(mail(to), { tenant: to === "no@a.test" ? "two" : "one" })
        }
        yield* run(relay())
        yield* Outbox.enqueue(mail("new@a.test"))
        yield* Outbox.enqueue(mail("new@b.test"), { sendAt: new Date(day) })
        const count = (filter?: Filter) =>
          Effect.map(Outbox.count(filter), (counts) =>
            Object.fromEntries(Object.entries(counts).filter(([, count]) => count > 0))
          )
        assert.deepStrictEqual(yield* count(), { due: 3, accepted: 1, rejected: 1 })
        assert.deepStrictEqual(yield* count({ states: ["due", "dead"] }), { due: 3 })
        assert.deepStrictEqual(yield* count({ tenant: "two" }), { rejected: 1 })
        const ids = (yield* Stream.runCollect(Outbox.list())).map(({ id }) => id)
        assert.deepStrictEqual(yield* count({ ids: ids.slice(0, 2) }), { accepted: 1, rejected: 1 })
        assert.deepStrictEqual(yield* count({ ids, states: ["due"], lane: "b.test" }), { due: 1 })
        assert.deepStrictEqual(yield* count({ lane: "a.test" }), { due: 2, accepted: 1, rejected: 1 })
        assert.deepStrictEqual(yield* count({ states: ["due"], attempted: true }), { due: 1 })
        assert.deepStrictEqual(yield* count({ states: ["due"], attempted: false }), { due: 2 })
        assert.deepStrictEqual(yield* count({ states: ["due"], dueUntil: new Date(1) }), { due: 1 })
        assert.deepStrictEqual(yield* count({ states: ["due"], dueSince: new Date(day) }), { due: 1 })
        assert.deepStrictEqual(yield* recipients({ states: ["due"], lane: "a.test", attempted: true }), [
          "later@a.test"
        ])
      }))

    test("messages are found by their keys alone, with their outcomes", () =>
      Effect.gen(function* () {
        yield* Outbox.enqueue(mail(["yes@a.test", "no@a.test"] as never), { idempotencyKey: "run:2" })
        yield* Outbox.enqueue(mail("no@a.test"), { idempotencyKey: "run:1", tenant: "one" })
        yield* Outbox.enqueue(mail("yes@a.test"))
        yield* Outbox.enqueue(mail("yes@a.test"), { idempotencyKey: "ruin" })
        yield* run(relay())
        const entries = yield* Stream.runCollect(Outbox.list())
        const keyed = yield* Stream.runCollect(Outbox.keyed("run:"))
        assert.deepStrictEqual(
          keyed,
          entries.slice(0, 2).map(({ idempotencyKey, recipients, state }) => ({
            idempotencyKey: idempotencyKey!,
            state,
            recipients
          }))
        )
        assert.deepStrictEqual(
          keyed.map(({ recipients }) => recipients.length),
          [2, 0]
        )
        assert.strictEqual((yield* Stream.runCollect(Outbox.keyed(""))).length, 3)
        assert.deepStrictEqual(yield* Stream.runCollect(Outbox.keyed("x")), [])
      }))

    test("the space of deleted messages is given back, and the remaining messages stay whole", () =>
      Effect.gen(function* () {
        yield* Stream.runDrain(
          Outbox.enqueueAll(Stream.map(Stream.range(1, 1000), (i) => mail("yes@a.test", { text: `${i} `.repeat(500) })))
        )
        yield* Outbox.enqueue(mail("kept@b.test"))
        yield* Stream.runDrain(Outbox.cancel({ lane: "a.test" }))
        assert.strictEqual(yield* Outbox.purge({}), 1000)
        const [before, ...after] = yield* Stream.runCollect(Outbox.vacuum)
        assert.isAbove(before!.total, 0)
        assert.oneOf(after.at(-1)?.free, [0, undefined])
        assert.deepStrictEqual(yield* recipients(), ["kept@b.test"])
        assert.deepStrictEqual(yield* states, { due: 1 })
      }))

    test("statistics count by state and lane, and show the longest wait", () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(day)
        yield* Outbox.enqueue(mail("yes@a.test"))
        yield* Outbox.enqueue(mail("no@a.test"))
        yield* run(relay())
        yield* Outbox.enqueue(mail("x@b.test"))
        yield* Outbox.enqueue(mail("x@a.test"), { sendAt: new Date(3 * day) })
        yield* Outbox.enqueue(mail("x@b.test"), { sendAt: new Date(2 * day) })
        yield* Outbox.pause("b.test")
        yield* Outbox.pause("empty.test")
        const stats = yield* Outbox.stats
        assert.deepStrictEqual(yield* states, { due: 3, accepted: 1, rejected: 1 })
        assert.isAbove(stats.pendingBytes, 100)
        assert.strictEqual(stats.oldestDueAt?.getTime(), day)
        assert.strictEqual(stats.acceptedPerSecond, 1 / 60)
        assert.deepStrictEqual(stats.lanes, [
          { lane: "b.test", waiting: 2, oldestDueAt: new Date(day), paused: true },
          { lane: "a.test", waiting: 1, oldestDueAt: new Date(3 * day), paused: false },
          { lane: "empty.test", waiting: 0, oldestDueAt: undefined, paused: true }
        ])
      }))

    test("a cancelled message is not sent; a settled one cannot be cancelled", () =>
      Effect.gen(function* () {
        const events = yield* hear
        const { id } = yield* Outbox.enqueue(mail("yes@a.test"))
        yield* Outbox.enqueue(mail("yes@b.test"))
        assert.deepStrictEqual(
          (yield* Stream.runCollect(Outbox.cancel({ ids: [id] }))).map(({ state }) => state),
          ["cancelled"]
        )
        assert.strictEqual((yield* events.next("Cancelled")).id, id)
        const sink = relay()
        yield* run(sink)
        assert.deepStrictEqual(
          sink.sent.map(({ to }) => to),
          [["yes@b.test"]]
        )
        assert.deepStrictEqual(yield* Stream.runCollect(Outbox.cancel({})), [])
        assert.deepStrictEqual(yield* states, { accepted: 1, cancelled: 1 })
      }))

    test("retry makes refused messages due again and deferred ones due now, and leaves accepted ones alone", () =>
      Effect.gen(function* () {
        for (const to of ["yes@a.test", "no@a.test", "later@a.test"]) yield* Outbox.enqueue(mail(to))
        yield* run(relay())
        assert.deepStrictEqual(yield* states, { accepted: 1, rejected: 1, due: 1 })
        const retried = yield* Stream.runCollect(Outbox.retry({}))
        assert.deepStrictEqual(
          retried.map(({ recipient, state, dueAt }) => [recipient, state, dueAt.getTime()]),
          [
            ["no@a.test", "due", 0],
            ["later@a.test", "due", 0]
          ]
        )
        const sink = ScriptedTransport.make()
        yield* run(sink)
        assert.deepStrictEqual(sink.sent.map(({ to }) => to[0]).sort(), ["later@a.test", "no@a.test"])
        assert.deepStrictEqual(yield* states, { accepted: 3 })
      }))

    test("a retry leaves a message that waits for its time, unless the filter names it or scheduled ones are wanted", () =>
      Effect.gen(function* () {
        const send = (to: string) => Outbox.enqueue(mail(to), { sendAt: new Date(day) })
        const [waiting, cancelled, named, other] = yield* Effect.forEach(["w", "c", "n", "o"], (name) =>
          send(`${name}@a.test`)
        )
        yield* Stream.runDrain(Outbox.cancel({ ids: [cancelled!.id, other!.id] }))
        const retry = (filter: Filter, options?: Outbox.RetryOptions) =>
          Effect.map(Stream.runCollect(Outbox.retry(filter, options)), (entries) =>
            entries.map(({ dueAt, recipient }) => [recipient[0], dueAt.getTime()])
          )
        assert.deepStrictEqual(yield* retry({ states: ["due"] }), [])
        assert.deepStrictEqual(yield* retry({}), [
          ["c", day],
          ["o", day]
        ])
        assert.deepStrictEqual(yield* retry({ ids: [named!.id] }), [["n", 0]])
        assert.deepStrictEqual(yield* retry({ ids: [waiting!.id] }, { scheduled: false }), [])
        yield* TestClock.adjust("1 hour")
        const hour = 3_600_000
        assert.deepStrictEqual(yield* retry({}, { scheduled: true }), [
          ["w", hour],
          ["c", hour],
          ["n", 0],
          ["o", hour]
        ])
      }))

    test("purge deletes settled messages with their keys, and no waiting ones", () =>
      Effect.gen(function* () {
        yield* Outbox.enqueue(mail("yes@a.test"), { idempotencyKey: "k" })
        yield* Outbox.enqueue(mail("no@a.test"))
        yield* Outbox.enqueue(mail("later@a.test"))
        yield* run(relay())
        assert.strictEqual(yield* Outbox.purge({ states: ["accepted"] }), 1)
        assert.strictEqual(yield* Outbox.purge({}), 1)
        assert.deepStrictEqual(yield* recipients(), ["later@a.test"])
        assert.deepStrictEqual(yield* states, { due: 1 })
        assert.isFalse((yield* Outbox.enqueue(mail("yes@a.test"), { idempotencyKey: "k" })).duplicate)
      }))

    test("a paused lane waits, for every process, until it is resumed", () =>
      Effect.gen(function* () {
        const store = yield* yield* Reopen
        yield* store.pause("b.other.test", 0)
        yield* store.pause("a.test", 0)
        assert.deepStrictEqual(yield* Outbox.pausedLanes, ["a.test", "b.other.test"])
        yield* Outbox.enqueue(mail("yes@a.test"))
        yield* Outbox.enqueue(mail("yes@b.test"))
        const sink = relay()
        yield* run(sink)
        assert.deepStrictEqual(
          sink.sent.map(({ to }) => to[0]),
          ["yes@b.test"]
        )
        yield* Outbox.resume("a.test")
        assert.deepStrictEqual(yield* Outbox.pausedLanes, ["b.other.test"])
        yield* run(sink)
        assert.strictEqual(sink.sent.length, 2)
      }))

    test("bodies of accepted messages are deleted soon, rows after 30 days; refused messages keep theirs for a retry", () =>
      Effect.gen(function* () {
        const store = yield* yield* Reopen
        const retention = { bodies: 60_000, rows: 30 * day }
        const accepted = yield* Outbox.enqueue(mail("yes@a.test"))
        const refused = yield* Outbox.enqueue(mail("no@a.test"))
        const waiting = yield* Outbox.enqueue(mail("x@a.test"), { sendAt: new Date(40 * day) })
        yield* run(relay())
        yield* store.sweep(retention, 59_000)
        assert.isDefined((yield* Outbox.get(accepted.id))?.mail)
        yield* store.sweep(retention, 61_000)
        assert.isUndefined((yield* Outbox.get(accepted.id))?.mail)
        assert.strictEqual((yield* Outbox.get(accepted.id))?.entry.state, "accepted")
        assert.isDefined((yield* Outbox.get(refused.id))?.mail)
        yield* store.sweep(retention, 31 * day)
        assert.isUndefined(yield* Outbox.get(accepted.id))
        assert.isUndefined(yield* Outbox.get(refused.id))
        assert.isDefined(yield* Outbox.get(waiting.id))
        assert.deepStrictEqual(yield* states, { due: 1 })
      }))

    test("housekeeping works in steps, however much there is to do", () =>
      Effect.gen(function* () {
        const store = yield* yield* Reopen
        yield* Stream.runDrain(Outbox.enqueueAll(Stream.map(Stream.range(1, 2500), () => mail("x@a.test"))))
        yield* Stream.runDrain(Outbox.cancel({}))
        const steps: Array<readonly [bodies: number, rows: number, done: boolean]> = []
        for (const [retention, now] of [
          [{ bodies: 60_000, rows: day }, 60_000],
          [{ bodies: 60_000, rows: day }, day]
        ] as const) {
          for (let done = false; !done;) {
            const swept = yield* store.sweep(retention, now)
            done = swept.done
            steps.push([swept.bodies, swept.rows, done])
          }
        }
        assert.deepStrictEqual(steps, [
          [1000, 0, false],
          [1000, 0, false],
          [500, 0, true],
          [0, 1000, false],
          [0, 1000, false],
          [0, 500, true]
        ])
        assert.deepStrictEqual(yield* states, {})
      }))

    test("housekeeping finds an expired message that nobody claims", () =>
      Effect.gen(function* () {
        const store = yield* yield* Reopen
        const { id } = yield* Outbox.enqueue(mail("x@a.test"), { expiresAt: new Date(2 * day) })
        yield* Outbox.enqueue(mail("x@a.test"))
        yield* Outbox.pause("a.test")
        const retention = { bodies: 60_000, rows: 30 * day }
        assert.deepStrictEqual((yield* store.sweep(retention, 2 * day - 1)).expired, [])
        const { expired } = yield* store.sweep(retention, 2 * day)
        assert.deepStrictEqual(
          expired.map((row) => [row.id, row.lane]),
          [[id, "a.test"]]
        )
        assert.deepInclude((yield* Outbox.get(id))!.entry, { state: "expired", attempts: 0 })
        assert.deepStrictEqual(yield* states, { due: 1, expired: 1 })
      }))

    test("a campaign's body is stored once, outlives its first messages, and is deleted with the last", () =>
      Effect.gen(function* () {
        const store = yield* yield* Reopen
        const html = `<p>${"All of this is the same. ".repeat(400)}</p>`
        const pdf = new Uint8Array(50_000).map((_, i) => i % 7)
        const campaign = (i: number) =>
          mail(`yes@c${i}.test`, { html, data: { i }, attachments: [{ filename: "a.pdf", content: pdf }] })
        const receipts = yield* Stream.runCollect(Outbox.enqueueAll(Stream.map(Stream.range(0, 9), campaign)))
        // The first mail with a body stores it; from the second on it is shared.
        assert.isBelow((yield* Outbox.stats).pendingBytes, html.length + 10 * 600)
        const seen: Array<string> = []
        yield* run(
          ScriptedTransport.make((message) => {
            seen.push(Buffer.from(message.content as Uint8Array).toString())
            return Effect.succeed(ScriptedTransport.taken(message))
          })
        )
        assert.strictEqual(seen.length, 10)
        for (const text of seen) assert.include(text.replaceAll("=\r\n", ""), "All of this is the same. All of this")
        const last = (yield* Outbox.get((receipts[9] as Outbox.Receipt).id))!
        assert.deepStrictEqual((last.mail as { data: unknown }).data, { i: 9 })
        yield* store.sweep({ bodies: 0, rows: 30 * day }, 10_000)
        const again = yield* Outbox.enqueue(campaign(10))
        assert.deepStrictEqual((yield* Outbox.get(again.id))!.mail, { ...campaign(10), messageId: again.messageId })
      }))
  })
}
