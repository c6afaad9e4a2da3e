/**
 * Limits of the dispatcher over real sockets, counted by the server at each MAIL: in no second more than the limit and its
 * burst, and the limit is used.
 *
 * A cell is a limit, a number of connections, a pipelining mode and a think time of the relay, where a dispatcher of one SQLite
 * file would send at least twice the limit. Two cheap cells run in the suite, all of them with `MAILRACE_LONG=1`.
 */
import { assert, describe, it } from "@effect/vitest"
import * as FlowOptions from "@mailrace/flow/FlowOptions"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as TestServer from "@mailrace/testing/TestServer"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Outbox from "../src/Outbox.ts"
import { mail } from "./support/fixtures.ts"

const isLong = process.env["MAILRACE_LONG"] === "1"

type Mode = "off" | "envelope" | "overlap" | "speculative"

interface Cell {
  readonly limit: number
  readonly connections: number
  readonly mode: Mode
  readonly thinkMs: number
}

/** Messages a second without a limit, at most: what a dispatcher does here, and one message at a time on each connection. */
const boundOf = ({ connections, thinkMs }: Cell): number => Math.min(4_000, connections * (1000 / (thinkMs + 0.5)))

const every: ReadonlyArray<Cell> = [5, 20, 100, 500, 1000, 2000, 5000].flatMap((limit) =>
  [1, 2, 10, 50].flatMap((connections) =>
    (["off", "envelope", "overlap", "speculative"] as const).flatMap((mode) =>
      [0, 20, 100].map((thinkMs) => ({ limit, connections, mode, thinkMs }))
    )
  )
)

const cheap: ReadonlyArray<Cell> = [
  { limit: 20, connections: 2, mode: "envelope", thinkMs: 0 },
  { limit: 100, connections: 10, mode: "speculative", thinkMs: 0 }
]

/** The times of MAIL at the server. */
const measure = (cell: Cell, seconds: number) =>
  Effect.gen(function* () {
    const times: Array<number> = []
    const server = yield* TestServer.make({
      mailbox: { type: "discard" },
      ...(cell.thinkMs === 0 ? {} : { faults: [`final:delay=${cell.thinkMs}ms`] }),
      decide: ({ phase }) => {
        if (phase === "mail") times.push(performance.now())
        return undefined
      }
    })
    const transport = yield* SmtpTransport.make({
      host: server.host,
      port: server.port,
      tls: { mode: "off" },
      maxConnections: cell.connections,
      pipelining: cell.mode
    })
    const flow = Result.getOrThrow(FlowOptions.resolve({ rate: [`${cell.limit}/s`] }, 0))
    const count = Math.ceil(cell.limit * (seconds + 1.5)) + 100
    yield* Stream.runDrain(Outbox.enqueueAll(Stream.map(Stream.range(1, count), (i) => mail(`x@lane${i % 40}.test`))))
    const running = yield* Effect.forkChild(Effect.provideContext(Outbox.run({ flow }), transport))
    yield* Effect.sleep(`${seconds * 1000 + 300} millis`)
    yield* Fiber.interrupt(running)
    const startedAt = times[0] ?? 0
    return times.filter((time) => time - startedAt < seconds * 1000).map((time) => time - startedAt)
  }).pipe(Effect.scoped, Effect.provide(Outbox.layerSqlite(":memory:")))

const mostInASecond = (times: ReadonlyArray<number>): number => {
  let most = 0
  let first = 0
  times.forEach((time, last) => {
    while (times[first]! <= time - 1000) first++
    most = Math.max(most, last - first + 1)
  })
  return most
}

describe("a limit of the dispatcher at the server", () => {
  const cells = (isLong ? every : cheap).filter((cell) => boundOf(cell) >= 2 * cell.limit)
  const seconds = isLong ? 3 : 1

  it.live.each(cells.map((cell) => [cell.limit, cell.connections, cell.mode, cell.thinkMs, cell] as const))(
    "of %d/s, %d connections, %s, %d ms",
    ([limit, , , , cell]) =>
      Effect.gen(function* () {
        const times = yield* measure(cell, seconds)
        const most = mostInASecond(times)
        const share = times.length / (limit * seconds)
        if (isLong) yield* Effect.logInfo(JSON.stringify({ ...cell, most, share: Math.round(share * 1000) / 1000 }))
        // A busy machine bunches messages, and is not judged for its speed; see the same cells of `FlowTransport`.
        assert.isAtMost(most, limit + Math.max(1, 0.05 * limit) * (isLong ? 1 : 2))
        if (isLong) assert.isAtLeast(share, 0.95)
        else assert.isAbove(times.length, 0)
      })
  )
})
