/**
 * Sends Mailrace's traces to an OpenTelemetry collector, such as Jaeger, over OTLP/HTTP, and metrics if that is wanted.
 *
 * Provide `Telemetry.layer`, and every span of the program goes out: one for each message (`mailrace.send`), one for each attempt
 * (`smtp.transaction`, linked to its connection), and one for each connection with its phases (`smtp.connect`). Four rules
 * hold:
 *
 * - Tracing never harms sending. Spans wait in a bounded queue; those that do not fit are dropped and counted. A slow or absent
 *   collector costs one warning and, at the end, no more than `timeout`.
 * - Sampling is decided at the root, before a span is built: at a ratio of 0.01, 99 of 100 messages build none. A message that
 *   is sent inside an existing span follows that span's choice.
 * - Failures and the slowest messages are kept whole although sampling left them out (`tail`): in each 10 seconds the first 50
 *   failures of each reason at each relay, one more for each 100 further messages, and the 10 slowest messages. So all failures
 *   are there where fewer than 1 % of the messages fail. Their spans are written when they have ended.
 * - Nothing personal goes out by accident. A span keeps the codes of a relay's reply without the text, which often repeats the
 *   recipient, and addresses in the words of any error lose their local part.
 *
 * The tracer does not make its spans active for OpenTelemetry's own instrumentations, because that would slow down every step
 * of a traced program. It does continue a span that such an instrumentation made active.
 *
 * @example
 * ```ts
 * import * as Telemetry from "@mailrace/telemetry/Telemetry"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.succeed("sent").pipe(Effect.withSpan("campaign"))
 *
 * const traced = program.pipe(Effect.provide(Telemetry.layer({ url: "http://localhost:4318", sampleRatio: 0.01 })))
 *
 * export const outcome = await Effect.runPromise(traced)
 * ```
 *
 * @since 0.1.0
 */

import * as NodeSdk from "@effect/opentelemetry/NodeSdk"
import * as OtelTracer from "@effect/opentelemetry/OtelTracer"
import * as Resource from "@effect/opentelemetry/Resource"
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http"
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler
} from "@opentelemetry/sdk-trace-base"
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Tracer from "effect/Tracer"
import { RecipientDomains, SampleRatio, Tail } from "mailrace/TraceSampling"
import { createRequire } from "node:module"
import { makeDeliveryWatch } from "./internal/deliveryWatch.ts"
import * as MetricsEndpoint from "./MetricsEndpoint.ts"
import { parseKeyValues } from "./internal/keyValues.ts"
import * as MetricExport from "./internal/metricExport.ts"
import { discreet } from "./internal/spanExit.ts"
import { TailRule } from "./internal/tailRule.ts"

/**
 * The destination of traces, and their share.
 *
 * @since 0.1.0
 */
export interface Options {
  /**
   * The collector's OTLP/HTTP address. `/v1/traces` is added unless it already ends with that. Defaults to
   * `http://localhost:4318`.
   */
  readonly url?: string | undefined
  /** Header fields of each export, as for a login; never logged. */
  readonly headers?: { readonly [name: string]: string | Redacted.Redacted<string> } | undefined
  /** The share of messages to trace, from 0 to 1. Defaults to 1. */
  readonly sampleRatio?: number | undefined
  /**
   * False to keep to `sampleRatio` alone. By default failures and the slowest messages are traced beyond it, unless it is 0.
   */
  readonly tail?: boolean | undefined
  /**
   * Recipient domains that the span of a message names in `mailrace.recipient.domain`; it is `other` for each other domain. Of
   * several recipients the first counts. Defaults to none: spans name no recipient domain.
   */
  readonly recipientDomains?: ReadonlyArray<string> | undefined
  /**
   * True to export metrics too: every metric of Effect's `Metric` in the program, and the process's own. Mailrace's own, which
   * `SendMetrics` lists, are recorded only then. Defaults to false, because a collector of traces alone, such as Jaeger, refuses them.
   */
  readonly metrics?: boolean | undefined
  /** The collector's address for metrics. `/v1/metrics` is added unless it already ends with that. Defaults to `url`. */
  readonly metricsUrl?: string | undefined
  /** The time between two exports of metrics; the last one is at the end. Defaults to 1 minute. */
  readonly metricsInterval?: Duration.Input | undefined
  /** The resource's `service.name`. Defaults to `OTEL_SERVICE_NAME`, else `mailrace`. */
  readonly serviceName?: string | undefined
  /** The resource's `service.version`. Defaults to this package's version. */
  readonly serviceVersion?: string | undefined
  /** More attributes of the resource, as `deployment.environment.name`, added to `OTEL_RESOURCE_ATTRIBUTES`. */
  readonly resourceAttributes?: { readonly [name: string]: string | number | boolean } | undefined
  /** The most spans that wait; more are dropped and counted. From 1. Defaults to 8,192. */
  readonly maxQueueSize?: number | undefined
  /** The most spans in one export, from 1 to `maxQueueSize`. Defaults to 512. */
  readonly maxExportBatchSize?: number | undefined
  /** The time that a span waits for others before its export. Defaults to 1 second. */
  readonly exportInterval?: Duration.Input | undefined
  /** The time limit of one export with its retries, and of the last one at the end. Defaults to 3 seconds. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * The error of an unusable option; `message` names it.
 *
 * @since 0.1.0
 */
export class TelemetryError extends Schema.TaggedError<TelemetryError>("mailrace/TelemetryError")("TelemetryError", {
  option: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `${this.option}: ${this.problem}`
  }
}

/**
 * Sends the spans of every effect to which it is provided. Waiting spans go out when the layer's scope closes.
 *
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<never, TelemetryError> =>
  Layer.unwrap(
    Effect.map(resolve(options), (settings) =>
      Layer.mergeAll(
        settings.metrics ? layerMetricExport(settings) : Layer.empty,
        Layer.succeed(SampleRatio, settings.sampleRatio),
        Layer.succeed(RecipientDomains, new Set(settings.recipientDomains.map((domain) => domain.toLowerCase()))),
        // The last messages are written before the exporter closes.
        settings.tail ? Layer.provideMerge(layerTail, layerTracer(settings)) : layerTracer(settings)
      )
    )
  )

/**
 * Sends metrics alone, as `layer` does with `metrics`.
 *
 * @since 0.2.0
 */
export const layerMetrics = (options: Options = {}): Layer.Layer<never, TelemetryError> =>
  Layer.unwrap(Effect.map(resolve(options), layerMetricExport))

/**
 * Reads OpenTelemetry's own variables: `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` (whole) or `OTEL_EXPORTER_OTLP_ENDPOINT`,
 * `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_EXPORTER_OTLP_TIMEOUT`, `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG`,
 * `OTEL_BSP_MAX_QUEUE_SIZE`, `OTEL_BSP_MAX_EXPORT_BATCH_SIZE`, `OTEL_BSP_SCHEDULE_DELAY`, `OTEL_SERVICE_NAME` and
 * `OTEL_RESOURCE_ATTRIBUTES`. Traces nothing without an endpoint, or if `OTEL_SDK_DISABLED` is true. Metrics are exported if
 * `OTEL_METRICS_EXPORTER` is `otlp`, or `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT` (whole) is there and the other is not, every
 * `OTEL_METRIC_EXPORT_INTERVAL` milliseconds. `options` take precedence over the variables.
 *
 * @since 0.1.0
 */
export const layerConfig = (options: Options = {}): Layer.Layer<never, TelemetryError | Config.ConfigError> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const env = yield* environment
      const url = options.url ?? env.url
      const metricsUrl = options.metricsUrl ?? env.metricsUrl ?? (options.url === undefined ? env.endpoint : undefined)
      const all = { ...env.options, ...defined(options), metricsUrl }
      if (env.disabled) return Layer.empty
      if (url !== undefined) return layer({ ...all, url })
      return all.metrics === true && metricsUrl !== undefined ? layerMetrics(all) : Layer.empty
    })
  )

/**
 * Serves the program's metrics to Prometheus, with `/health` and `/ready`, as `MetricsEndpoint.layer` does.
 *
 * @since 0.2.0
 */
export const layerPrometheus: (
  options?: MetricsEndpoint.Options
) => Layer.Layer<MetricsEndpoint.MetricsEndpoint, MetricsEndpoint.MetricsEndpointError> = MetricsEndpoint.layer

const environment = Effect.gen(function* () {
  const text = (name: string) => Effect.map(Config.option(Config.NonEmptyString(name)), Option.getOrUndefined)
  const count = (name: string) => Effect.map(Config.option(Config.Int(name)), Option.getOrUndefined)
  const endpoint = yield* text("OTEL_EXPORTER_OTLP_ENDPOINT")
  const headers = yield* Config.option(Config.Redacted("OTEL_EXPORTER_OTLP_HEADERS"))
  const metricsUrl = yield* text("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
  const metrics = yield* text("OTEL_METRICS_EXPORTER")
  const sampler = yield* Config.Literals(samplers, "OTEL_TRACES_SAMPLER").pipe(
    Config.withDefault("parentbased_always_on")
  )
  const ratio = sampler.endsWith("traceidratio")
    ? yield* Config.Finite("OTEL_TRACES_SAMPLER_ARG").pipe(Config.withDefault(1))
    : sampler.endsWith("always_off")
      ? 0
      : 1
  return {
    disabled: (yield* text("OTEL_SDK_DISABLED"))?.toLowerCase() === "true",
    url: (yield* text("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")) ?? endpoint,
    endpoint,
    metricsUrl,
    options: defined({
      headers: Option.isSome(headers) ? parseKeyValues(Redacted.value(headers.value)) : undefined,
      sampleRatio: ratio,
      timeout: yield* count("OTEL_EXPORTER_OTLP_TIMEOUT"),
      maxQueueSize: yield* count("OTEL_BSP_MAX_QUEUE_SIZE"),
      maxExportBatchSize: yield* count("OTEL_BSP_MAX_EXPORT_BATCH_SIZE"),
      exportInterval: yield* count("OTEL_BSP_SCHEDULE_DELAY"),
      metrics: metrics === undefined ? metricsUrl !== undefined : metrics.split(",").includes("otlp"),
      metricsInterval: yield* count("OTEL_METRIC_EXPORT_INTERVAL")
    })
  }
})

const samplers = [
  "always_on",
  "always_off",
  "traceidratio",
  "parentbased_always_on",
  "parentbased_always_off",
  "parentbased_traceidratio"
] as const

interface Settings {
  readonly url: URL
  readonly headers: { readonly [name: string]: string | Redacted.Redacted<string> }
  readonly sampleRatio: number
  readonly tail: boolean
  readonly recipientDomains: ReadonlyArray<string>
  readonly attributes: { readonly [name: string]: string | number | boolean }
  readonly maxQueueSize: number
  readonly maxExportBatchSize: number
  readonly exportIntervalMs: number
  readonly timeoutMs: number
  readonly metrics: boolean
  readonly metricsUrl: URL
  readonly metricsIntervalMs: number
}

const resolve = Effect.fnUntraced(function* (options: Options) {
  const invalid = (option: string, problem: string) => new TelemetryError({ option, problem })
  const address = options.url ?? "http://localhost:4318"
  const url = signalUrl(address, "traces")
  if (url === undefined) return yield* invalid("url", "expected an address like http://localhost:4318")
  const metricsUrl = signalUrl(options.metricsUrl ?? address, "metrics")
  if (metricsUrl === undefined) return yield* invalid("metricsUrl", "expected an address like http://localhost:4318")
  const metricsIntervalMs = Duration.toMillis(options.metricsInterval ?? "1 minute")
  if (!(metricsIntervalMs > 0 && metricsIntervalMs < 2 ** 31))
    return yield* invalid("metricsInterval", "expected more than 0 and under 24 days")
  const sampleRatio = options.sampleRatio ?? 1
  if (!(sampleRatio >= 0 && sampleRatio <= 1)) {
    return yield* invalid("sampleRatio", `expected a number from 0 to 1, got ${sampleRatio}`)
  }
  const maxQueueSize = options.maxQueueSize ?? 8192
  if (!(maxQueueSize >= 1)) return yield* invalid("maxQueueSize", `expected at least 1, got ${maxQueueSize}`)
  const maxExportBatchSize = options.maxExportBatchSize ?? Math.min(512, maxQueueSize)
  if (!(maxExportBatchSize >= 1 && maxExportBatchSize <= maxQueueSize)) {
    return yield* invalid("maxExportBatchSize", `expected 1 to ${maxQueueSize}, got ${maxExportBatchSize}`)
  }
  const timeoutMs = Duration.toMillis(options.timeout ?? "3 seconds")
  if (!(timeoutMs > 0 && timeoutMs < 2 ** 31))
    return yield* invalid("timeout", "expected more than 0 and under 24 days")
  const serviceName = options.serviceName ?? (yield* environmentServiceName)
  const settings: Settings = {
    url,
    headers: options.headers ?? {},
    sampleRatio,
    tail: options.tail ?? true,
    recipientDomains: options.recipientDomains ?? [],
    attributes: {
      ...options.resourceAttributes,
      "service.name": serviceName,
      "service.version": options.serviceVersion ?? version
    },
    maxQueueSize,
    maxExportBatchSize,
    exportIntervalMs: Duration.toMillis(options.exportInterval ?? "1 second"),
    timeoutMs,
    metrics: options.metrics ?? false,
    metricsUrl,
    metricsIntervalMs
  }
  return settings
})

/** The address of one signal at a collector, from the collector's own or that of either signal. */
const signalUrl = (address: string, signal: "traces" | "metrics"): URL | undefined => {
  const url = URL.parse(address)
  if (url === null || !/^https?:$/.test(url.protocol)) return undefined
  url.pathname = `${url.pathname.replace(/\/+$/, "").replace(/\/v1\/(?:traces|metrics)$/, "")}/v1/${signal}`
  return url
}

const environmentServiceName = Config.NonEmptyString("OTEL_SERVICE_NAME").pipe(
  Config.withDefault("mailrace"),
  Effect.orElseSucceed(() => "mailrace")
)

const version: string = createRequire(import.meta.url)("../package.json").version

const layerTracer = (settings: Settings): Layer.Layer<never> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const watch = yield* makeDeliveryWatch(settings.url)
      const exporter = new OTLPTraceExporter({
        url: settings.url.href,
        headers: revealed(settings),
        timeoutMillis: settings.timeoutMs
      })
      const batches = new BatchSpanProcessor(watch.exporter(exporter), {
        maxQueueSize: settings.maxQueueSize,
        maxExportBatchSize: settings.maxExportBatchSize,
        scheduledDelayMillis: settings.exportIntervalMs,
        // The exporter keeps its own time limit. This one leaves a timer behind and only guards against a bug in it.
        exportTimeoutMillis: settings.timeoutMs * 2
      })
      const provider = NodeSdk.layerTracerProvider([watch.processor, batches], {
        // Messages are chosen before their span is built, so every root span that gets here is wanted.
        sampler: new ParentBasedSampler({
          root: settings.sampleRatio > 0 ? new AlwaysOnSampler() : new AlwaysOffSampler()
        }),
        shutdownTimeout: settings.timeoutMs
      })
      return Layer.effect(Tracer.Tracer, Effect.map(OtelTracer.make, discreet)).pipe(
        Layer.provide(OtelTracer.layerTracer),
        Layer.provide(provider),
        Layer.provide(Resource.layerFromEnv(settings.attributes))
      )
    })
  )

const layerMetricExport = (settings: Settings): Layer.Layer<never> =>
  MetricExport.layer({
    url: settings.metricsUrl,
    headers: revealed(settings),
    attributes: settings.attributes,
    intervalMs: settings.metricsIntervalMs,
    timeoutMs: settings.timeoutMs
  })

/** The rule for messages that sampling left out. A window ends at the next message, or within a second when none comes. */
const layerTail = Layer.effect(
  Tail,
  Effect.gen(function* () {
    const rule = new TailRule()
    const clock = yield* Clock.Clock
    yield* Effect.addFinalizer(() => Effect.sync(() => rule.flush()))
    // A timer of Node's, because a fiber that sleeps would keep a finished program alive.
    yield* Effect.acquireRelease(
      Effect.sync(() => setInterval(() => rule.flushAt(clock.currentTimeMillisUnsafe()), 1000).unref()),
      (timer) => Effect.sync(() => clearInterval(timer))
    )
    return rule
  })
)

/** The header fields, as a function, so that a printed configuration never holds their values. */
const revealed =
  ({ headers }: Settings) =>
  async (): Promise<Record<string, string>> =>
    Object.fromEntries(Object.entries(headers).map(reveal))

const reveal = ([name, value]: [string, string | Redacted.Redacted<string>]): [string, string] => [
  name,
  typeof value === "string" ? value : Redacted.value(value)
]

/** The given fields alone, so that a spread does not erase defaults. */
const defined = <A extends object>(fields: A): { [K in keyof A]?: Exclude<A[K], undefined> } =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof A]?: Exclude<A[K], undefined>
  }
