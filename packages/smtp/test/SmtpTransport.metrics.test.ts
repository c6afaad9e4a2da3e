/** The metrics of a relay: the phases of an attempt, the opening of sessions, and the pool's state. */
import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import * as SendMetrics from "mailrace/SendMetrics"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import * as Pipelining from "../src/Pipelining.ts"
import * as Relay from "./support/relay.ts"

const inOwnRegistry = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => Effect.provideService(effect, Metric.MetricRegistry, new Map()))

/** As where something exports the metrics. */
const recorded = <A, E, R>(effect: Effect.Effect<A, E, R>) => inOwnRegistry(Effect.provide(effect, SendMetrics.layer))

const histograms = (name: string, attribute: string) =>
  Effect.map(Metric.snapshot, (all): Record<string, Metric.HistogramState> =>
    Object.fromEntries(
      all
        .filter(({ id }) => id === name)
        .map(({ attributes, state }) => [attributes?.[attribute], state as Metric.HistogramState])
    )
  )

const phases = histograms("mailrace.send.phase.duration", "phase")

const counts = Effect.map(phases, (all) =>
  Object.fromEntries(Object.entries(all).map(([phase, { count }]) => [phase, count]))
)

/** The gauges of the pool, with their relay and state. */
const gauges = Effect.map(Metric.snapshot, (all) =>
  Object.fromEntries(
    all
      .filter(({ id }) => id.startsWith("mailrace.pool."))
      .map(({ attributes, id, state }) => [
        [id.slice("mailrace.pool.".length), attributes?.["state"]].filter(Boolean).join(" "),
        (state as Metric.GaugeState<number>).value
      ])
  )
)

describe("SmtpTransport: metrics", () => {
  it.live("counts every attempt in each phase that it reached, in every mode", () =>
    Effect.gen(function* () {
      for (const pipelining of Pipelining.modes) {
        yield* Effect.gen(function* () {
          const server = yield* TestServer.make({ faults: ["rcpt:550:to=gone@*"] })
          const relay = yield* Relay.open(server, { pipelining, maxConnections: 2 })
          yield* Relay.sendMany(relay, 40)
          assert.deepStrictEqual(yield* counts, { wait: 40, envelope: 40, content: 40, reply: 40 }, pipelining)
          const first = (yield* Metric.snapshot).find(({ id }) => id === "mailrace.send.phase.duration")
          assert.strictEqual(first?.attributes?.["relay"], `${server.host}:${server.port}`)
          yield* Effect.flip(relay.send(Relay.message(41, { to: ["gone@test.example"] })))
          assert.deepInclude(yield* counts, { wait: 41, envelope: 41 }, pipelining)
          assert.notInclude(JSON.stringify(yield* Metric.snapshot), "@")
        }).pipe(recorded)
      }
    })
  )

  it.live("gives the time to the phase in which it was spent", () =>
    Effect.gen(function* () {
      for (const [fault, slow] of [
        ["connect:delay=60ms", "wait"],
        ["mail:delay=60ms", "envelope"],
        ["data:delay=60ms", "envelope"],
        ["final:delay=60ms", "reply"]
      ] as const) {
        yield* Effect.gen(function* () {
          const server = yield* TestServer.make({ faults: [fault] })
          const relay = yield* Relay.open(server, { pipelining: "envelope", maxConnections: 1 })
          yield* relay.send(Relay.message(1))
          assert.isAtLeast((yield* phases)[slow]!.sum, 0.05, fault)
          const { opened } = yield* histograms("mailrace.connect.duration", "outcome")
          if (slow === "wait") assert.isAtLeast(opened!.sum, 0.05)
          assert.strictEqual(opened!.count, 1)
        }).pipe(recorded)
      }
    })
  )

  it.live("counts an attempt whose connection ends up to the phase in which it ended", () =>
    Effect.gen(function* () {
      for (const [fault, reached] of [
        ["mail:drop", ["envelope"]],
        ["content:drop", ["envelope", "content"]],
        ["final:drop", ["envelope", "content", "reply"]]
      ] as const) {
        yield* Effect.gen(function* () {
          const server = yield* TestServer.make({ faults: [`${fault}:first=1`] })
          const relay = yield* Relay.open(server, { pipelining: "envelope", maxConnections: 1, depth: 1 })
          yield* Effect.exit(relay.send(Relay.message(1)))
          const all: Record<string, number> = yield* counts
          for (const phase of reached) assert.isAtLeast(all[phase] ?? 0, 1, `${fault} ${phase}`)
          // A further attempt, which costs the message nothing, counts as well.
          const further = (all["wait"] ?? 0) - 1
          if (fault === "mail:drop") assert.strictEqual(all["reply"] ?? 0, further)
        }).pipe(recorded)
      }
    })
  )

  it.live("records each step of opening a session", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ users: { ann: "secret" }, faults: ["connect:delay=60ms"] })
      const auth = { username: "ann", password: Redacted.make("secret") }
      const relay = yield* Relay.open(server, { auth, allowInsecureAuth: true, maxConnections: 1 })
      yield* relay.smtp.verify
      const steps = yield* histograms("mailrace.connect.phase.duration", "phase")
      assert.deepStrictEqual(
        Object.entries(steps).map(([step, { count }]) => [step, count]),
        ["dns", "tcp", "greeting", "ehlo", "auth"].map((step) => [step, 1])
      )
      assert.isAtLeast(steps["greeting"]!.sum, 0.05)
    }).pipe(recorded)
  )

  it.live("counts sessions that could not be opened", () =>
    Effect.gen(function* () {
      const port = yield* Effect.scoped(Effect.map(TestServer.make(), (server) => server.port))
      const relay = yield* Relay.open({ host: "127.0.0.1", port })
      yield* Effect.flip(relay.send(Relay.message(1)))
      const { failed, opened } = yield* histograms("mailrace.connect.duration", "outcome")
      assert.isUndefined(opened)
      assert.isAtLeast(failed!.count, 1)
      assert.deepStrictEqual(yield* counts, {})
    }).pipe(recorded)
  )

  it.live("shows the state of all pools of a relay as one, for as long as one is open", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const scopes = [yield* Scope.make(), yield* Scope.make()]
      const relays = yield* Effect.forEach(scopes, (scope) =>
        Scope.provide(Relay.open(server, { maxConnections: 1 }), scope)
      )
      assert.deepStrictEqual(yield* gauges, { "sessions busy": 0, "sessions idle": 0, waiting: 0, stepped_down: 0 })
      for (const relay of relays) yield* relay.send(Relay.message(1))
      assert.deepInclude(yield* gauges, { "sessions idle": 2 })
      yield* Scope.close(scopes[1]!, Exit.void)
      assert.deepInclude(yield* gauges, { "sessions idle": 1 })
      yield* Scope.close(scopes[0]!, Exit.void)
      assert.deepStrictEqual(yield* gauges, {})
    }).pipe(recorded)
  )

  it.live("shows the messages that wait", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["final:delay=100ms:nth=1"] })
      const relay = yield* Relay.open(server, { maxConnections: 1, pipelining: "off" })
      const sending = yield* Effect.forkChild(Relay.sendMany(relay, 3))
      yield* server.until(({ faults }) => faults === 1)
      assert.deepInclude(yield* gauges, { "sessions busy": 1, waiting: 2 })
      yield* Fiber.join(sending)
    }).pipe(recorded)
  )

  it.live("shows a relay where pipelining went wrong", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["ehlo:lie=CHUNKING"] })
      const relay = yield* Relay.open(server, { maxConnections: 1 })
      yield* Relay.sendMany(relay, 40)
      assert.isDefined((yield* relay.smtp.stats).speculationRefused)
      assert.deepInclude(yield* gauges, { stepped_down: 1 })
    }).pipe(recorded)
  )

  it.live("records nothing while nothing exports, and all from when something does", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const relay = yield* Relay.open(server, { maxConnections: 1 })
      yield* relay.send(Relay.message(1))
      assert.deepStrictEqual(yield* Metric.snapshot, [])
      const exporter = yield* Scope.make()
      yield* Scope.provide(SendMetrics.record, exporter)
      assert.deepInclude(yield* gauges, { "sessions idle": 1 })
      yield* relay.send(Relay.message(2))
      assert.deepStrictEqual(yield* counts, { wait: 1, envelope: 1, content: 1, reply: 1 })
      yield* Scope.close(exporter, Exit.void)
      yield* relay.send(Relay.message(3))
      assert.deepStrictEqual(yield* gauges, {})
      assert.deepInclude(yield* counts, { reply: 1 })
    }).pipe(inOwnRegistry)
  )

  it.live("records nothing where that is turned off", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const relay = yield* Relay.open(server)
      yield* relay.send(Relay.message(1))
      assert.deepStrictEqual(yield* Metric.snapshot, [])
    }).pipe(Effect.provideService(SendMetrics.Recording, false), recorded)
  )
})
