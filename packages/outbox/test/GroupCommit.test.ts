import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import { TestClock } from "effect/testing"
import * as GroupCommit from "../src/GroupCommit.ts"
import * as Outbox from "../src/Outbox.ts"
import type { OutboxStore } from "../src/OutboxStore.ts"
import { fresh } from "./support/freshSqlite.ts"

/** A writer whose batches end on demand. */
const gated = Effect.gen(function* () {
  const batches: Array<{ readonly rows: ReadonlyArray<number>; readonly end: Deferred.Deferred<void, string> }> = []
  const write = (rows: ReadonlyArray<number>) =>
    Effect.gen(function* () {
      const end = yield* Deferred.make<void, string>()
      batches.push({ rows, end })
      yield* Deferred.await(end)
      return rows.map((row) => row * 10)
    })
  return { batches, write }
})

/** Lets the event loop turn, so that what is handed over is begun. */
const turns = Effect.promise(async () => {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
})

describe("GroupCommit", () => {
  it.live("gives each caller its own answer, in batches of at most maxRows", () =>
    Effect.gen(function* () {
      const sizes: Array<number> = []
      const group = yield* GroupCommit.make<number, number, never>({
        maxRows: 10,
        write: (rows) =>
          Effect.sync(() => {
            sizes.push(rows.length)
            return rows.map((row) => row * 10)
          })
      })
      const rows = Array.from({ length: 95 }, (_, i) => i)
      const answers = yield* Effect.forEach(rows, group.submit, { concurrency: "unbounded" })
      assert.deepStrictEqual(
        answers,
        rows.map((row) => row * 10)
      )
      assert.isAtMost(Math.max(...sizes), 10)
      assert.isAtMost(sizes.length, 12)
      assert.deepStrictEqual(yield* group.submitAll([1, 2, 3]), [10, 20, 30])
    })
  )

  it.effect("waits for its rows when its scope closes, and gives up the rows of a hanging write", () =>
    Effect.gen(function* () {
      for (const isLate of [false, true]) {
        const { batches, write } = yield* gated
        const scope = yield* Scope.make()
        const given: Array<ReadonlyArray<number>> = []
        const options: GroupCommit.Options<number, number, string> = {
          write,
          maxRows: 2,
          closing: {
            timeout: "5 seconds",
            abandoned: (isBegun) => (isBegun ? "unknown" : "unwritten"),
            onAbandoned: (...counts) => Effect.sync(() => given.push(counts))
          }
        }
        const group = yield* Scope.provide(GroupCommit.make(options), scope)
        const rows = yield* Effect.forEach([1, 2, 3], (row) =>
          Effect.forkChild(group.submit(row), { startImmediately: true })
        )
        yield* turns
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
        yield* TestClock.adjust("4 seconds")
        assert.isUndefined(closing.pollUnsafe())
        if (isLate) yield* TestClock.adjust("1 second")
        for (let n = 0; n < batches.length; n++) {
          yield* Deferred.succeed(batches[n]!.end, undefined)
          yield* turns
        }
        yield* Fiber.join(closing)
        const ends = yield* Effect.forEach(rows, (fiber) => Effect.result(Fiber.join(fiber)))
        assert.deepStrictEqual(
          ends.map((end) => (Result.isSuccess(end) ? end.success : end.failure)),
          isLate ? ["unknown", "unknown", "unwritten"] : [10, 20, 30]
        )
        assert.deepStrictEqual(given, isLate ? [[2, 1]] : [])
        if (isLate) assert.strictEqual(yield* Effect.flip(group.submit(4)), "unwritten")
      }
    })
  )

  it.live("writes a lone row at once, and gathers while a batch is being written", () =>
    Effect.gen(function* () {
      const { batches, write } = yield* gated
      const group = yield* GroupCommit.make({ write, maxDelay: 60_000 })
      const first = yield* Effect.forkChild(group.submit(1), { startImmediately: true })
      yield* turns
      assert.deepStrictEqual(batches[0]?.rows, [1])
      const others = yield* Effect.forkChild(Effect.forEach([2, 3], group.submit, { concurrency: 2 }), {
        startImmediately: true
      })
      yield* turns
      assert.strictEqual(batches.length, 1)
      yield* Deferred.succeed(batches[0]!.end, undefined)
      assert.strictEqual(yield* Fiber.join(first), 10)
      yield* turns
      assert.deepStrictEqual(batches[1]?.rows, [2, 3])
      yield* Deferred.succeed(batches[1]!.end, undefined)
      assert.deepStrictEqual(yield* Fiber.join(others), [20, 30])
    })
  )

  it.live("begins a second batch beside the first when it is full, or has waited long enough", () =>
    Effect.gen(function* () {
      const { batches, write } = yield* gated
      const group = yield* GroupCommit.make({ write, maxRows: 2, maxDelay: 5, parallel: 3 })
      const fiber = yield* Effect.forkChild(Effect.forEach([1, 2, 3, 4, 5], group.submit, { concurrency: 5 }), {
        startImmediately: true
      })
      yield* turns
      assert.deepStrictEqual(
        batches.map(({ rows }) => rows),
        [
          [1, 2],
          [3, 4]
        ]
      )
      yield* Effect.sleep(30)
      assert.deepStrictEqual(batches[2]?.rows, [5])
      for (const { end } of batches) yield* Deferred.succeed(end, undefined)
      yield* Fiber.join(fiber)
    })
  )

  it.live("divides many callers into equal batches while writes are quick, but not when they are slow", () =>
    Effect.gen(function* () {
      const many = Array.from({ length: 200 }, (_, i) => i)
      const sizesOf = (firstWriteMs: number) =>
        Effect.gen(function* () {
          const sizes: Array<number> = []
          const group = yield* GroupCommit.make<number, number, never>({
            maxDelay: 200,
            parallel: 2,
            write: (rows) => {
              sizes.push(rows.length)
              return Effect.as(Effect.sleep(sizes.length === 1 ? firstWriteMs : 1), rows)
            }
          })
          yield* group.submit(0)
          yield* Effect.forEach(many, group.submit, { concurrency: "unbounded" })
          return sizes
        })
      assert.deepStrictEqual(yield* sizesOf(0), [1, 100, 100])
      assert.deepStrictEqual(yield* sizesOf(110), [1, 200])
    })
  )

  it.live("fails only the callers of a failed batch", () =>
    Effect.gen(function* () {
      const group = yield* GroupCommit.make<number, number, string>({
        maxRows: 2,
        write: (rows) => (rows.includes(3) ? Effect.fail("three") : Effect.succeed(rows))
      })
      const exits = yield* Effect.forEach([1, 2, 3, 4, 5], (row) => Effect.exit(group.submit(row)), { concurrency: 5 })
      assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, true, false, false, true])
    })
  )

  it.live("writes waiting rows before it ends, also those of an interrupted caller", () =>
    Effect.gen(function* () {
      const written: Array<number> = []
      yield* Effect.scoped(
        Effect.gen(function* () {
          const group = yield* GroupCommit.make<number, void, never>({
            write: (rows) => Effect.map(Effect.sleep(5), () => rows.map((row) => void written.push(row)))
          })
          const fiber = yield* Effect.forkChild(group.submit(1), { startImmediately: true })
          yield* Fiber.interrupt(fiber)
          group.addUnsafe(2, () => undefined)
        })
      )
      assert.deepStrictEqual(written, [1, 2])
    })
  )

  it.live("puts as many messages of an outbox into a commit as its options say", () =>
    Effect.gen(function* () {
      const store = yield* yield* fresh()
      const commits = (mailsPerCommit: number | undefined) =>
        Effect.gen(function* () {
          const sizes: Array<number> = []
          const counting: OutboxStore = {
            ...store,
            accept: (rows) => {
              sizes.push(rows.length)
              return store.accept(rows)
            }
          }
          const outbox = yield* Outbox.make(counting, { mailsPerCommit })
          const mail = { from: "a@example.com", to: "b@example.org", subject: "s", text: "t" }
          yield* Effect.forEach(Array.from({ length: 7 }), () => outbox.enqueue(mail), { concurrency: "unbounded" })
          return sizes
        })
      assert.deepStrictEqual(yield* commits(undefined), [7])
      assert.deepStrictEqual(yield* commits(3), [3, 3, 1])
      assert.deepStrictEqual(yield* commits(1), [1, 1, 1, 1, 1, 1, 1])
    })
  )
})
