/**
 * Metrics over HTTP: what is there, who may read it, and when it ends.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Scope from "effect/Scope"
import { connect } from "node:net"
import * as MetricsEndpoint from "../src/MetricsEndpoint.ts"
import * as Telemetry from "../src/Telemetry.ts"

const open = (options: MetricsEndpoint.Options = {}) =>
  Effect.map(Layer.build(MetricsEndpoint.layer({ port: 0, ...options })), (context) =>
    Context.get(context, MetricsEndpoint.MetricsEndpoint)
  )

const get = (url: string, method = "GET") =>
  Effect.promise(async () => {
    const response = await fetch(url, { method })
    return { status: response.status, type: response.headers.get("content-type"), body: await response.text() }
  })

describe("MetricsEndpoint", () => {
  it.live("serves Effect's metrics and the process's own in Prometheus' format", () =>
    Effect.gen(function* () {
      const endpoint = yield* open()
      const sent = Metric.counter("mailrace.test.sent", { description: "Sent in this test", incremental: true })
      yield* Metric.update(Metric.withAttributes(sent, { outcome: 'a "b"\n' }), 3)
      const { body, status, type } = yield* get(`${endpoint.url}/metrics`)
      assert.deepStrictEqual([status, type], [200, "text/plain; version=0.0.4; charset=utf-8"])
      assert.match(body, /^# HELP mailrace_test_sent Sent in this test$/m)
      assert.match(body, /^# TYPE mailrace_test_sent counter$/m)
      assert.match(body, /^mailrace_test_sent\{outcome="a \\"b\\"\\n"\} 3$/m)
      assert.match(body, /^process_memory_usage \d{7,}$/m)
      assert.match(body, /^process_cpu_time \d/m)
      assert.match(body, /^nodejs_eventloop_utilization [01]/m)
    })
  )

  it.live("brings gauges up to date before it answers, while their scope is open", () =>
    Effect.gen(function* () {
      const endpoint = yield* open()
      const gauge = Metric.gauge("mailrace.test.scrapes")
      const scope = yield* Scope.make()
      let scrapes = 0
      yield* Scope.provide(endpoint.onScrape(Effect.suspend(() => Metric.update(gauge, ++scrapes))), scope)
      yield* get(`${endpoint.url}/metrics`)
      assert.match((yield* get(`${endpoint.url}/metrics`)).body, /^mailrace_test_scrapes 2$/m)
      yield* Scope.close(scope, Exit.void)
      assert.match((yield* get(`${endpoint.url}/metrics`)).body, /^mailrace_test_scrapes 2$/m)
    })
  )

  it.live("tells whether the program is alive and ready", () =>
    Effect.gen(function* () {
      const endpoint = yield* open()
      let isReady = false
      assert.strictEqual((yield* get(`${endpoint.url}/ready`)).status, 200)
      yield* endpoint.onReady(Effect.sync(() => isReady))
      assert.strictEqual((yield* get(`${endpoint.url}/ready`)).status, 503)
      assert.strictEqual((yield* get(`${endpoint.url}/health`)).status, 200)
      isReady = true
      assert.strictEqual((yield* get(`${endpoint.url}/ready`)).status, 200)
    })
  )

  it.live("answers a path of the program's own with JSON, while its scope is open", () =>
    Effect.gen(function* () {
      const endpoint = yield* open()
      const scope = yield* Scope.make()
      yield* Scope.provide(
        endpoint.onJson(
          "/status",
          Effect.sync(() => ({ lanes: ["gmail.com"] }))
        ),
        scope
      )
      const { body, status, type } = yield* get(`${endpoint.url}/status?pretty`)
      assert.deepStrictEqual([status, type], [200, "application/json; charset=utf-8"])
      assert.deepStrictEqual(JSON.parse(body), { lanes: ["gmail.com"] })
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* get(`${endpoint.url}/status`)).status, 404)
    })
  )

  it.live("answers nothing else", () =>
    Effect.gen(function* () {
      const { url } = yield* open()
      assert.strictEqual((yield* get(`${url}/constructor`)).status, 404)
      assert.strictEqual((yield* get(`${url}/metrics`, "POST")).status, 405)
      assert.strictEqual((yield* get(`${url}/metrics?x=1`)).status, 200)
      assert.strictEqual((yield* get(`${url}/health`, "HEAD")).body, "")
    })
  )

  it.live("listens where other machines reach it only if it is told to", () =>
    Effect.gen(function* () {
      for (const host of ["0.0.0.0", "::", "192.0.2.1", "127.example.org"]) {
        const error = yield* Effect.flip(open({ host }))
        assert.match(error.problem, /other machines reach/, host)
        assert.match(error.remedy, /`isPublic`/)
      }
      const { url } = yield* open({ host: "0.0.0.0", isPublic: true })
      assert.strictEqual((yield* get(url.replace("0.0.0.0", "127.0.0.1") + "/health")).status, 200)
    })
  )

  it.live("names a port that is taken", () =>
    Effect.gen(function* () {
      const { url } = yield* open()
      const error = yield* Effect.flip(open({ port: Number(new URL(url).port) }))
      assert.match(error.problem, /EADDRINUSE/)
      assert.match(error.remedy, /another port/)
    })
  )

  it.live("ends with its scope, whoever is still connected", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const context = yield* Scope.provide(Layer.build(Telemetry.layerPrometheus({ port: 0 })), scope)
      const { port } = new URL(Context.get(context, MetricsEndpoint.MetricsEndpoint).url)
      const ended = yield* Effect.callback<Promise<void>>((resume) => {
        const socket = connect(Number(port), "127.0.0.1", () =>
          resume(Effect.succeed(new Promise((closed) => socket.on("close", () => closed()))))
        )
        socket.on("error", () => {})
        socket.resume()
      })
      yield* Scope.close(scope, Exit.void)
      yield* Effect.promise(() => ended)
    })
  )
})
