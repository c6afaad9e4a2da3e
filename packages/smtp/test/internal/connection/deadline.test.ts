import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { connect, createServer, type AddressInfo, type Socket } from "node:net"
import { vi } from "vitest"
import type { ConnectionEnd } from "../../../src/internal/connection/connectionEnd.ts"
import { Deadline, type Limit } from "../../../src/internal/connection/deadline.ts"
import * as Stopped from "../../support/stopped.ts"

const silent = (limitMs: number): Limit => ({ limitMs, ending: { _tag: "Silent", phase: "envelope", limitMs } })

const make = Effect.gen(function* () {
  const { pass } = yield* Stopped.clock
  const endings: Array<ConnectionEnd> = []
  const state = { limit: silent(100) as Limit | undefined, bytesWritten: 0, writableLength: 0 }
  const deadline = new Deadline(
    () => state.limit,
    () => state as unknown as Socket,
    (ending) => endings.push(ending)
  )
  return { deadline, endings, pass, state }
})

/**
 * Counts the timers that are set. Not by a spy: the test runner gives the original of a spy back once more with the next
 * file, and that of a stopped timer stands still for good.
 */
const countingTimers = Effect.acquireRelease(
  Effect.sync(() => {
    const { setTimeout } = globalThis
    const timers = { count: 0, setTimeout }
    globalThis.setTimeout = ((...args: Parameters<typeof setTimeout>) => {
      timers.count++
      return setTimeout(...args)
    }) as typeof setTimeout
    return timers
  }),
  ({ setTimeout }) =>
    Effect.sync(() => {
      globalThis.setTimeout = setTimeout
    })
)

describe("Deadline", () => {
  it.live("calls back once when nothing came for as long as is bearable", () =>
    Effect.gen(function* () {
      const { deadline, endings, pass } = yield* make
      deadline.restart()
      yield* pass(99)
      assert.isEmpty(endings)
      yield* pass(1)
      assert.deepStrictEqual(endings, [silent(100).ending])
      yield* pass(10_000)
      assert.lengthOf(endings, 1)
    })
  )

  it.live("ends what goes on for too long in spite of its progress, to the millisecond", () =>
    Effect.gen(function* () {
      const { pass } = yield* Stopped.clock
      const endings: Array<ConnectionEnd> = []
      const slow: ConnectionEnd = { _tag: "Slow", limitMs: 350 }
      const dueAt = performance.now() + 350
      let bound: { readonly dueAt: number; readonly ending: ConnectionEnd } | undefined = { dueAt, ending: slow }
      const deadline: Deadline = new Deadline(
        () => silent(100),
        () => ({ bytesWritten: 0, writableLength: 0 }) as unknown as Socket,
        (ending) => endings.push(ending),
        () => bound
      )
      deadline.restart()
      for (let n = 0; n < 34; n++) {
        yield* pass(10)
        deadline.restart()
      }
      yield* pass(9)
      assert.isEmpty(endings)
      yield* pass(1)
      assert.deepStrictEqual(endings, [slow])
      // Where nothing is bounded, a silence is one.
      bound = undefined
      deadline.restart()
      yield* pass(100)
      assert.deepStrictEqual(endings, [slow, silent(100).ending])
    })
  )

  it.live("counts from the last progress, with no timer for each", () =>
    Effect.gen(function* () {
      const { deadline, endings, pass } = yield* make
      const timers = yield* countingTimers
      for (let n = 0; n < 50; n++) {
        deadline.restart()
        yield* pass(10)
      }
      assert.isEmpty(endings)
      assert.isAtMost(timers.count, 6)
      yield* pass(89)
      assert.isEmpty(endings)
      yield* pass(1)
      assert.lengthOf(endings, 1)
    })
  )

  it.live("keeps to a shorter limit while a longer one is being counted", () =>
    Effect.gen(function* () {
      const { deadline, endings, pass, state } = yield* make
      deadline.restart()
      yield* pass(10)
      state.limit = silent(20)
      deadline.restart()
      yield* pass(20)
      assert.deepStrictEqual(endings, [silent(20).ending])
    })
  )

  it.live("gives a longer limit its whole time while a shorter one is being counted", () =>
    Effect.gen(function* () {
      const { deadline, endings, pass, state } = yield* make
      deadline.restart()
      yield* pass(90)
      state.limit = silent(500)
      deadline.restart()
      yield* pass(499)
      assert.isEmpty(endings)
      yield* pass(1)
      assert.deepStrictEqual(endings, [silent(500).ending])
    })
  )

  it.live("counts bytes that the peer takes as progress while more follow", () =>
    Effect.gen(function* () {
      const { deadline, endings, pass, state } = yield* make
      Object.assign(state, { bytesWritten: 1000, writableLength: 1000 })
      deadline.restart()
      for (let n = 0; n < 5; n++) {
        state.writableLength -= 100
        yield* pass(100)
      }
      assert.isEmpty(endings)
      // Nothing more is taken.
      yield* pass(100)
      assert.lengthOf(endings, 1)
    })
  )

  it.live("counts nothing while nothing is awaited, and after it was stopped", () =>
    Effect.gen(function* () {
      const { deadline, endings, pass, state } = yield* make
      deadline.restart()
      state.limit = undefined
      yield* pass(1_000)
      deadline.restart()
      yield* pass(1_000)
      state.limit = silent(100)
      yield* pass(1_000)
      assert.isEmpty(endings)
      deadline.restart()
      deadline.stop()
      deadline.restart()
      yield* pass(1_000)
      assert.isEmpty(endings)
      assert.strictEqual(vi.getTimerCount(), 0)
    })
  )

  it.live("reads replies that arrived while the process was suspended before it judges", () =>
    Effect.gen(function* () {
      const endings: Array<ConnectionEnd> = []
      const { local, remote } = yield* sockets
      const deadline = new Deadline(
        () => silent(50),
        () => local,
        (ending) => endings.push(ending)
      )
      yield* Effect.addFinalizer(() => Effect.sync(() => deadline.stop()))
      deadline.restart()
      const heard = yield* Effect.forkChild(
        Effect.callback<void>((resume) => {
          local.once("data", () => {
            deadline.restart()
            resume(Effect.void)
          })
        }),
        { startImmediately: true }
      )
      // After this the event loop looks at timers first.
      yield* Effect.callback<void>((resume) => {
        setImmediate(() => {
          remote.write("250 2.0.0 Ok\r\n")
          Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
          resume(Effect.void)
        })
      })
      yield* Fiber.join(heard)
      assert.isEmpty(endings)
    })
  )
})

/** Two ends of one connection. */
const sockets = Effect.acquireRelease(
  Effect.promise(async () => {
    const server = createServer()
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const accepted = new Promise<Socket>((resolve) => server.once("connection", resolve))
    const local = connect((server.address() as AddressInfo).port, "127.0.0.1")
    return { server, local, remote: await accepted }
  }),
  ({ local, remote, server }) =>
    Effect.sync(() => {
      local.destroy()
      remote.destroy()
      server.close()
    })
)
