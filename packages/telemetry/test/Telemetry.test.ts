import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import type * as Address from "mailrace/Address"
import * as Composed from "mailrace/Composed"
import * as Mailer from "mailrace/Mailer"
import * as MailError from "mailrace/MailError"
import { MailTransport } from "mailrace/MailTransport"
import * as Net from "node:net"
import * as Telemetry from "../src/Telemetry.ts"
import * as OtlpCollector from "./support/OtlpCollector.ts"

/** Runs a program under a layer, to the end of the layer's scope, and gives every log line of it as JSON. */
const logsOf = <E, E2>(layer: Layer.Layer<never, E2>, program: Effect.Effect<unknown, E>) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const logger = Logger.make((entry: Logger.Options<unknown>) => {
      lines.push(JSON.stringify({ level: entry.logLevel, message: entry.message }))
    })
    yield* program.pipe(Effect.provide(layer), Effect.provide(Logger.layer([logger])))
    return lines
  })

const mail = Composed.make({
  messageId: "<1@a.test>",
  envelope: { from: "ann@a.test" as Address.Address, to: ["bob@b.test" as Address.Address] },
  content: Buffer.from("Subject: x\r\n\r\nx\r\n")
})

const sendMany = (count: number, send: MailTransport["Service"]["send"]) =>
  Stream.range(1, count).pipe(
    Stream.map(() => mail),
    Mailer.sendAll({ concurrency: 4 }),
    Stream.runDrain,
    Effect.provideService(MailTransport, MailTransport.of({ send }))
  )

const accept = Effect.succeed({ reply: { code: 250, text: "ok" }, recipients: [], relay: "relay:25" })

const closedPort = Effect.callback<number>((resume) => {
  const server = Net.createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address() as Net.AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

const named = (collector: OtlpCollector.OtlpCollector, name: string) => collector.spans.filter((s) => s.name === name)

describe("the export to the collector", () => {
  it.live("is every span with its parent, kind, attributes and resource, before the scope has closed", () =>
    Effect.gen(function* () {
      const collector = yield* OtlpCollector.make()
      const layer = Telemetry.layer({
        url: collector.url,
        serviceName: "shop",
        resourceAttributes: { "deployment.environment.name": "test" }
      })
      const program = Effect.withSpan(Effect.void, "inner", { kind: "client", attributes: { "a.number": 7 } }).pipe(
        Effect.withSpan("outer")
      )
      assert.deepStrictEqual(yield* logsOf(layer, program), [])
      const [inner] = named(collector, "inner")
      const [outer] = named(collector, "outer")
      assert.strictEqual(collector.spans.length, 2)
      assert.strictEqual(collector.requests[0]?.path, "/v1/traces")
      assert.strictEqual(inner?.parentSpanId, outer?.spanId)
      assert.strictEqual(inner?.traceId, outer?.traceId)
      assert.strictEqual(outer?.parentSpanId, undefined)
      assert.strictEqual(inner?.kind, 3)
      assert.deepInclude(inner?.attributes, { "a.number": 7 })
      assert.strictEqual(inner?.status.code, 1)
      assert.strictEqual(inner?.resource["service.name"], "shop")
      assert.match(String(inner?.resource["service.version"]), /^\d+\.\d+\.\d+/)
      assert.strictEqual(inner?.resource["deployment.environment.name"], "test")
    })
  )

  it.live("comes with the headers, whose values are in no log and no printed option", () =>
    Effect.gen(function* () {
      const collector = yield* OtlpCollector.make(() => 401)
      const options = {
        url: collector.url,
        headers: { Authorization: Redacted.make("Bearer s3cret"), "x-team": "mail" }
      }
      const logs = yield* logsOf(Telemetry.layer(options), Effect.withSpan(Effect.void, "a"))
      assert.strictEqual(collector.requests[0]?.headers.authorization, "Bearer s3cret")
      assert.strictEqual(collector.requests[0]?.headers["x-team"], "mail")
      assert.strictEqual(logs.length, 1)
      assert.include(logs[0], "401")
      assert.notInclude(JSON.stringify([options, logs]), "s3cret")
    })
  )

  it.live("is sent to a path that the address names already", () =>
    Effect.gen(function* () {
      const collector = yield* OtlpCollector.make()
      for (const path of ["/", "/otlp/", "/otlp/v1/traces"]) {
        yield* logsOf(Telemetry.layer({ url: collector.url + path }), Effect.withSpan(Effect.void, "a"))
      }
      const paths = collector.requests.map((request) => request.path)
      assert.deepStrictEqual(paths, ["/v1/traces", "/otlp/v1/traces", "/otlp/v1/traces"])
    })
  )
})

describe("sampling", () => {
  const spansSeen = (sampleRatio: number, count: number, around: <A>(self: Effect.Effect<A>) => Effect.Effect<A>) =>
    Effect.gen(function* () {
      const collector = yield* OtlpCollector.make()
      let inSpan = 0
      const program = sendMany(count, () =>
        Effect.flatMap(Effect.result(Effect.currentSpan), (span) => {
          if (span._tag === "Success") inSpan++
          return accept
        })
      )
      const logs = yield* logsOf(Telemetry.layer({ url: collector.url, sampleRatio, tail: false }), around(program))
      assert.deepStrictEqual(logs, [])
      return { inSpan, arrived: named(collector, "mailrace.send").length }
    })
  const alone = <A>(self: Effect.Effect<A>) => self

  it.live("at 1 traces every mail", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* spansSeen(1, 50, alone), { inSpan: 50, arrived: 50 })
    })
  )

  it.live("at 0 builds no span and sends nothing", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* spansSeen(0, 50, alone), { inSpan: 0, arrived: 0 })
    })
  )

  it.live("between builds a span only for the messages that arrive", () =>
    Effect.gen(function* () {
      const { arrived, inSpan } = yield* spansSeen(0.2, 1000, alone)
      assert.strictEqual(inSpan, arrived)
      // Six standard deviations on either side of 200.
      assert.isTrue(arrived > 120 && arrived < 280, `${arrived} of 1000`)
    })
  )

  it.live("follows a caller's choice, whatever the ratio", () =>
    Effect.gen(function* () {
      const under = (sampled: boolean) =>
        Effect.withParentSpan(
          Tracer.externalSpan({ traceId: "0af7651916cd43dd8448eb211c80319c", spanId: "b7ad6b7169203331", sampled })
        )
      assert.strictEqual((yield* spansSeen(1, 10, under(false))).arrived, 0)
      assert.strictEqual((yield* spansSeen(0, 10, under(true))).arrived, 10)
    })
  )
})

describe("a collector that does not do its part", () => {
  const program = Effect.as(Effect.withSpan(Effect.void, "a"), "done")

  it.live("is logged once if nothing listens, and the program succeeds", () =>
    Effect.gen(function* () {
      const url = `http://user:s3cret@127.0.0.1:${yield* closedPort}`
      const logs = yield* logsOf(
        Telemetry.layer({ url, timeout: 300, exportInterval: 1 }),
        Effect.forEach([1, 2, 3], () => Effect.delay(program, 20))
      )
      assert.strictEqual(logs.length, 1)
      assert.match(logs[0] ?? "", /"Warn".*127\.0\.0\.1:\d+.*ECONNREFUSED/)
      assert.notInclude(logs[0], "s3cret")
    })
  )

  it.live("is logged once if it never answers, and delays the program by no more than the timeout", () =>
    Effect.gen(function* () {
      const collector = yield* OtlpCollector.make(() => "silence")
      const logs = yield* logsOf(Telemetry.layer({ url: collector.url, timeout: 200 }), program)
      assert.strictEqual(collector.spans.length, 1)
      assert.strictEqual(logs.length, 1)
      assert.include(logs[0], "traces do not reach the collector")
    })
  )

  for (const status of [400, 503]) {
    it.live(`is logged once if it answers ${status}`, () =>
      Effect.gen(function* () {
        const collector = yield* OtlpCollector.make(() => status)
        const logs = yield* logsOf(Telemetry.layer({ url: collector.url, timeout: 200 }), program)
        assert.strictEqual(logs.length, 1)
      })
    )
  }

  it.live("keeps no more spans waiting than the queue holds, and says how many were lost", () =>
    Effect.gen(function* () {
      const collector = yield* OtlpCollector.make()
      // All 500 end before the event loop turns, so nothing can leave meanwhile but the first batch.
      const burst = Effect.withFiber((fiber) =>
        Effect.sync(() => {
          const tracer = fiber.getRef(Tracer.Tracer)
          for (let i = 0; i < 500; i++) {
            const span = tracer.span({
              name: "burst",
              parent: Option.none(),
              annotations: Context.empty(),
              links: [],
              startTime: 0n,
              kind: "internal",
              root: true,
              sampled: true
            })
            span.end(1n, Exit.void)
          }
        })
      )
      const logs = yield* logsOf(
        Telemetry.layer({ url: collector.url, maxQueueSize: 40, maxExportBatchSize: 10 }),
        burst
      )
      assert.strictEqual(collector.spans.length, 50)
      assert.strictEqual(logs.length, 1)
      assert.include(logs[0], "450 of 500 spans")
    })
  )
})

describe("a failure on a span", () => {
  class Refund extends Schema.TaggedError<Refund>("Refund")("Refund", { cause: Schema.Defect() }) {}

  const refused = MailError.make(
    new MailError.RecipientsRejected({
      recipients: [{ address: "ann.b@example.org", outcome: "rejected" }],
      reply: { code: 550, enhanced: "5.1.1", text: "<ann.b@example.org>: no ann here" }
    })
  )

  const failing: ReadonlyArray<readonly [string, unknown, string]> = [
    ["a relay's reply", refused, "550 5.1.1 (text withheld)"],
    ["a relay's reply deep in the causes", new Refund({ cause: new Refund({ cause: refused }) }), "(text withheld)"],
    [
      "a relay's reply in the error of an outbox that retries",
      MailError.make(
        new MailError.TransportUnavailable({
          transport: "outbox",
          problem: refused.message,
          hint: refused.remedy,
          isRetryable: true,
          reply: refused.reply
        })
      ),
      "550 5.1.1 (text withheld)"
    ],
    [
      "a relay's reply before a message expired",
      MailError.make(new MailError.Withdrawn({ state: "expired", reply: refused.reply })),
      "550 5.1.1 (text withheld)"
    ],
    ["an invalid mail", MailError.invalid("subject", "ann here\u0000"), "subject: (text withheld)"],
    ["an address in other words", new Error("no account for ann.b@localhost, Ann"), "…@localhost"]
  ]

  for (const [what, error, shown] of failing) {
    for (const fail of [Effect.fail, Effect.die]) {
      it.live(`keeps to itself ${what} when it ${fail === Effect.fail ? "fails" : "dies"}`, () =>
        Effect.gen(function* () {
          const collector = yield* OtlpCollector.make()
          const program = Effect.exit(Effect.withSpan(fail(error) as Effect.Effect<never>, "refund"))
          yield* logsOf(Telemetry.layer({ url: collector.url }), program)
          const [span] = collector.spans
          assert.strictEqual(span?.status.code, 2)
          const event = span?.events[0]
          assert.isDefined(event)
          assert.strictEqual(event.name, "exception")
          assert.strictEqual(event.attributes["exception.type"], (error as Error).name)
          assert.include(`${event.attributes["exception.stacktrace"]}`, shown)
          // The stack keeps its paths.
          assert.match(`${event.attributes["exception.stacktrace"]}`, /Telemetry\.test\.ts/)
          assert.notMatch(collector.bodies.join(), /ann\.b|ann here/)
        })
      )
    }
  }

  it.live("marks a mail that was not accepted as failed, by its reason", () =>
    Effect.gen(function* () {
      const collector = yield* OtlpCollector.make()
      const program = sendMany(1, () => Effect.fail(refused))
      yield* logsOf(Telemetry.layer({ url: collector.url }), program)
      const [span] = named(collector, "mailrace.send")
      assert.deepStrictEqual(span?.status, { code: 2, message: "RecipientsRejected" })
      assert.deepInclude(span?.attributes, { "error.type": "RecipientsRejected", "mailrace.outcome": "rejected" })
      assert.notMatch(collector.bodies.join(), /ann\.b|ann here|bob/)
    })
  )
})

describe("options", () => {
  for (const [option, options] of [
    ["url", { url: "localhost:4318" }],
    ["url", { url: "grpc://localhost:4317" }],
    ["sampleRatio", { sampleRatio: 1.5 }],
    ["sampleRatio", { sampleRatio: Number.NaN }],
    ["maxQueueSize", { maxQueueSize: 0 }],
    ["maxExportBatchSize", { maxQueueSize: 10, maxExportBatchSize: 11 }],
    ["timeout", { timeout: 0 }]
  ] as const) {
    it.live(`are refused by name: ${JSON.stringify(options)}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Effect.provide(Effect.void, Telemetry.layer(options)))
        assert.strictEqual(error.option, option)
      })
    )
  }

  const withEnvironment = (env: Record<string, string>, options?: Telemetry.Options) =>
    Telemetry.layerConfig(options).pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(env))))
  const isTraced = Effect.withFiber((fiber) => Effect.succeed(fiber.cache.tracer !== undefined))

  it.live("come from OpenTelemetry's own variables", () =>
    Effect.gen(function* () {
      const collector = yield* OtlpCollector.make()
      const env = {
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
        OTEL_EXPORTER_OTLP_HEADERS: "authorization=Bearer%20abc,x-team=mail, ,=",
        OTEL_SERVICE_NAME: "from-env",
        OTEL_RESOURCE_ATTRIBUTES: "host.name=h1",
        OTEL_TRACES_SAMPLER: "traceidratio",
        OTEL_TRACES_SAMPLER_ARG: "0.0"
      }
      const program = Effect.andThen(
        sendMany(5, () => accept),
        Effect.withSpan(Effect.void, "never")
      )
      yield* logsOf(withEnvironment(env), program)
      assert.deepStrictEqual(collector.spans, [])
      yield* logsOf(withEnvironment(env, { sampleRatio: 1 }), program)
      assert.strictEqual(named(collector, "mailrace.send").length, 5)
      assert.deepInclude(collector.spans[0]?.resource, { "service.name": "from-env", "host.name": "h1" })
      assert.deepInclude(collector.requests[0]?.headers, { authorization: "Bearer abc", "x-team": "mail" })
    })
  )

  it.live("trace nothing without an endpoint, or if disabled", () =>
    Effect.gen(function* () {
      const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1" }
      assert.isFalse(yield* Effect.provide(isTraced, withEnvironment({})))
      assert.isFalse(yield* Effect.provide(isTraced, withEnvironment({ ...endpoint, OTEL_SDK_DISABLED: "true" })))
      assert.isTrue(yield* Effect.provide(isTraced, withEnvironment(endpoint)))
    })
  )

  it.live("that cannot be read are a ConfigError", () =>
    Effect.gen(function* () {
      const env = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:1", OTEL_TRACES_SAMPLER: "sometimes" }
      const error = yield* Effect.flip(Effect.provide(Effect.void, withEnvironment(env)))
      assert.strictEqual(error._tag, "ConfigError")
    })
  )
})
