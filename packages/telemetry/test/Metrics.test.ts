/** Metrics that are exported to a collector on a real socket. */
import { assert, describe, it } from "@effect/vitest"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as TestServer from "@mailrace/testing/TestServer"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Redacted from "effect/Redacted"
import * as Mailer from "mailrace/Mailer"
import * as MailTransport from "mailrace/MailTransport"
import * as SendMetrics from "mailrace/SendMetrics"
import * as MetricsEndpoint from "../src/MetricsEndpoint.ts"
import * as Telemetry from "../src/Telemetry.ts"
import * as OtlpCollector from "./support/OtlpCollector.ts"

const mail = { from: "app@example.org", to: "ann@example.org", subject: "Hello", text: "Hello." }

/** Sends a mail under a layer, in a registry of the test's own, to the end of the layer's scope; gives the log. */
const send = <E>(layer: Layer.Layer<never, E>, env: Record<string, string> = {}) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const logger = Logger.make((entry: Logger.Options<unknown>) => void lines.push(String(entry.message)))
    yield* Mailer.send(mail).pipe(
      Effect.provide(layer),
      Effect.provide(MailTransport.layerTest()),
      Effect.provide(Logger.layer([logger])),
      Effect.provideService(Metric.MetricRegistry, new Map()),
      Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnvRecord(env))
    )
    return lines
  })

const paths = (collector: OtlpCollector.OtlpCollector) => collector.requests.map(({ path }) => path).toSorted()

describe("Telemetry: metrics", () => {
  it.live("reach the collector before the scope has closed, with their units, bounds and resource", () =>
    Effect.gen(function* () {
      const collector = yield* OtlpCollector.make()
      const layer = Telemetry.layer({ url: collector.url, metrics: true, serviceName: "shop" })
      assert.deepStrictEqual(yield* send(layer), [])
      assert.deepStrictEqual(paths(collector), ["/v1/metrics", "/v1/traces"])
      const duration = collector.points.find(({ name }) => name === "mailrace.send.duration")
      assert.deepInclude(duration, { type: "histogram", unit: "s", value: 1, bounds: SendMetrics.boundaries })
      assert.deepInclude(duration?.attributes, { outcome: "accepted" })
      assert.deepInclude(duration?.resource, { "service.name": "shop" })
      const memory = collector.points.find(({ name }) => name === "process.memory.usage")
      assert.isAbove(memory!.value, 1_000_000)
      assert.lengthOf(
        collector.spans.filter(({ name }) => name === "mailrace.send"),
        1
      )
    })
  )

  it.live("are exported again and again", () =>
    Effect.gen(function* () {
      const collector = yield* OtlpCollector.make()
      const exported = Effect.repeat(Effect.sleep(1), { until: () => collector.points.length > 0 })
      const layer = Telemetry.layerMetrics({ url: `${collector.url}/otlp/v1/traces`, metricsInterval: "20 millis" })
      yield* Effect.provide(exported, layer)
      assert.strictEqual(collector.requests[0]?.path, "/otlp/v1/metrics")
      assert.lengthOf(collector.spans, 0)
    })
  )

  it.live("are not exported unless they are asked for", () =>
    Effect.gen(function* () {
      const collector = yield* OtlpCollector.make()
      yield* send(Telemetry.layer({ url: collector.url }))
      assert.deepStrictEqual(paths(collector), ["/v1/traces"])
    })
  )

  it.live("are recorded while a layer exports them, whether it stands beside the transport, above or beneath", () =>
    Effect.gen(function* () {
      const { url } = yield* OtlpCollector.make()
      const transport = MailTransport.layerTest()
      const recorded = Effect.map(Metric.snapshot, (all) => all.some(({ id }) => id === "mailrace.send.duration"))
      const sent = Effect.andThen(Mailer.send(mail), recorded)
      const inOwnRegistry = Effect.provideServiceEffect(
        Metric.MetricRegistry,
        Effect.sync(() => new Map())
      )
      const endpoint = MetricsEndpoint.layer({ port: 0 })
      const cases: ReadonlyArray<
        [where: string, isRecorded: boolean, layer: Layer.Layer<MailTransport.MailTransport, unknown>]
      > = [
        ["no layer", false, transport],
        ["layer without metrics", false, Layer.merge(transport, Telemetry.layer({ url }))],
        ["layer with metrics", true, Layer.merge(transport, Telemetry.layer({ url, metrics: true }))],
        ["layerMetrics", true, Layer.merge(transport, Telemetry.layerMetrics({ url }))],
        ["layerConfig", true, Layer.merge(transport, Telemetry.layerConfig({ url, metrics: true }))],
        ["layerPrometheus", true, Layer.merge(transport, Telemetry.layerPrometheus({ port: 0 }))],
        ["MetricsEndpoint.layer beneath", true, Layer.provideMerge(transport, endpoint)],
        ["MetricsEndpoint.layer above", true, Layer.provideMerge(endpoint, transport)]
      ]
      for (const [where, isRecorded, layer] of cases) {
        const seen = yield* sent.pipe(Effect.provide(layer), inOwnRegistry)
        assert.strictEqual(seen, isRecorded, where)
      }
    })
  )

  it.live("of a relay are in a scrape where the endpoint stands beside the transport", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const relay = SmtpTransport.layer({ host: server.host, port: server.port })
      const text = yield* Effect.gen(function* () {
        yield* Mailer.send(mail)
        const { url } = yield* MetricsEndpoint.MetricsEndpoint
        return yield* Effect.promise(async () => (await fetch(`${url}/metrics`)).text())
      }).pipe(
        Effect.provide(Layer.merge(relay, MetricsEndpoint.layer({ port: 0 }))),
        Effect.provideService(Metric.MetricRegistry, new Map())
      )
      for (const name of [
        "send_duration_count",
        "send_phase_duration_count",
        "connect_duration_count",
        "pool_sessions"
      ]) {
        assert.include(text, `mailrace_${name}{`)
      }
    })
  )

  it.live("cost one warning where the collector refuses them, is silent or is not there", () =>
    Effect.gen(function* () {
      const collectors = {
        "it answers 404": yield* OtlpCollector.make(() => 404),
        silent: yield* OtlpCollector.make(() => "silence"),
        ECONNREFUSED: { url: (yield* Effect.scoped(OtlpCollector.make())).url }
      }
      for (const [why, { url }] of Object.entries(collectors)) {
        const headers = { authorization: Redacted.make("Bearer s3cret") }
        const logs = yield* send(Telemetry.layerMetrics({ url, headers, timeout: "100 millis" }))
        assert.lengthOf(logs, 1, why)
        assert.include(logs[0], `metrics do not reach the collector at ${url}`)
        if (why !== "silent") assert.include(logs[0], why)
        assert.notInclude(logs[0]!, "s3cret")
      }
    })
  )

  it.live("go by OpenTelemetry's variables", () =>
    Effect.gen(function* () {
      const all = yield* OtlpCollector.make()
      const own = yield* OtlpCollector.make()
      const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: all.url }
      const metrics = { OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: `${own.url}/v1/metrics` }
      const seen = (env: Record<string, string>, options?: Telemetry.Options) =>
        Effect.gen(function* () {
          const before = [all.requests.length, own.requests.length]
          assert.deepStrictEqual(yield* send(Telemetry.layerConfig(options), env), [])
          const after = (collector: OtlpCollector.OtlpCollector, from: number) => paths(collector).length - from
          return [after(all, before[0]!), after(own, before[1]!)]
        })
      assert.deepStrictEqual(yield* seen(endpoint), [1, 0])
      assert.deepStrictEqual(yield* seen({ ...endpoint, OTEL_METRICS_EXPORTER: "otlp" }), [2, 0])
      assert.deepStrictEqual(yield* seen(metrics), [0, 1])
      assert.deepStrictEqual(yield* seen({ ...endpoint, ...metrics }), [1, 1])
      assert.deepStrictEqual(yield* seen({ ...endpoint, ...metrics, OTEL_METRICS_EXPORTER: "none" }), [1, 0])
      assert.deepStrictEqual(yield* seen({ ...metrics, OTEL_SDK_DISABLED: "true" }), [0, 0])
      assert.deepStrictEqual(yield* seen(endpoint, { url: own.url, metrics: true }), [0, 2])
    })
  )

  it.live("fail with the option that is wrong", () =>
    Effect.gen(function* () {
      for (const [options, option] of [
        [{ metricsUrl: "collector" }, "metricsUrl"],
        [{ metricsInterval: 0 }, "metricsInterval"]
      ] as const) {
        const error = yield* Effect.flip(Effect.scoped(Layer.build(Telemetry.layer({ ...options, metrics: true }))))
        assert.strictEqual(error.option, option)
      }
    })
  )
})
