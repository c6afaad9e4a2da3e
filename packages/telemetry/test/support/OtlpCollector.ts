/**
 * A collector on a real socket: it takes OTLP/HTTP as JSON at `/v1/traces` and `/v1/metrics`, answers as told, and gives the
 * spans and metrics back as a collector would see them.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import type * as Net from "node:net"

/** A span as it arrived. */
export interface Span {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  /** `SPAN_KIND_…` as a number: 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number
  readonly attributes: Attributes
  readonly events: ReadonlyArray<{ readonly name: string; readonly attributes: Attributes }>
  readonly links: ReadonlyArray<{ readonly traceId: string; readonly spanId: string }>
  /** 0 unset, 1 ok, 2 error. */
  readonly status: { readonly code: number; readonly message: string | undefined }
  readonly resource: Attributes
}

/** A series of a metric as it arrived. */
export interface Point {
  readonly name: string
  readonly unit: string
  readonly type: "sum" | "gauge" | "histogram"
  readonly attributes: Attributes
  readonly resource: Attributes
  /** The value, or the count of a histogram. */
  readonly value: number
  readonly bounds: ReadonlyArray<number>
}

export type Attributes = { readonly [name: string]: unknown }

/** What to do with a request: a status, or nothing at all. */
export type Answer = number | "silence"

export interface OtlpCollector {
  /** The address as a user would write it. */
  readonly url: string
  /** The spans of every request so far, whatever was answered. */
  readonly spans: ReadonlyArray<Span>
  /** The metrics of every request so far, whatever was answered. */
  readonly points: ReadonlyArray<Point>
  /** What was received, as text. */
  readonly bodies: ReadonlyArray<string>
  readonly requests: ReadonlyArray<{ readonly path: string; readonly headers: Http.IncomingHttpHeaders }>
}

/** Starts a collector that ends with the scope. */
export const make = (answer: () => Answer = () => 200): Effect.Effect<OtlpCollector, never, Scope.Scope> =>
  Effect.gen(function* () {
    const spans: Array<Span> = []
    const points: Array<Point> = []
    const bodies: Array<string> = []
    const requests: Array<{ path: string; headers: Http.IncomingHttpHeaders }> = []
    const server = Http.createServer((request, response) => {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        const body = Buffer.concat(chunks).toString("utf8")
        requests.push({ path: request.url ?? "", headers: request.headers })
        bodies.push(body)
        const received = JSON.parse(body) as ExportRequest & MetricsRequest
        if (received.resourceMetrics === undefined) spans.push(...decode(received))
        else points.push(...pointsOf(received))
        const status = answer()
        if (status === "silence") return
        response.writeHead(status, { "content-type": "application/json" }).end("{}")
      })
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
      () =>
        Effect.callback<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
        })
    )
    const { port } = server.address() as Net.AddressInfo
    return { url: `http://127.0.0.1:${port}`, spans, points, bodies, requests }
  })

interface KeyValue {
  readonly key: string
  readonly value: { readonly [type: string]: unknown }
}

interface ExportRequest {
  readonly resourceSpans: ReadonlyArray<{
    readonly resource: { readonly attributes: ReadonlyArray<KeyValue> }
    readonly scopeSpans: ReadonlyArray<{
      readonly spans: ReadonlyArray<{
        readonly name: string
        readonly traceId: string
        readonly spanId: string
        readonly parentSpanId?: string
        readonly kind: number
        readonly attributes?: ReadonlyArray<KeyValue>
        readonly events?: ReadonlyArray<{ readonly name: string; readonly attributes?: ReadonlyArray<KeyValue> }>
        readonly links?: ReadonlyArray<{ readonly traceId: string; readonly spanId: string }>
        readonly status?: { readonly code?: number; readonly message?: string }
      }>
    }>
  }>
}

const decode = (request: ExportRequest): ReadonlyArray<Span> =>
  request.resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap((scope) =>
      scope.spans.map((span) => ({
        name: span.name,
        traceId: span.traceId,
        spanId: span.spanId,
        parentSpanId: span.parentSpanId || undefined,
        kind: span.kind,
        attributes: toAttributes(span.attributes),
        events: (span.events ?? []).map(({ attributes, name }) => ({ name, attributes: toAttributes(attributes) })),
        links: (span.links ?? []).map(({ spanId, traceId }) => ({ spanId, traceId })),
        status: { code: span.status?.code ?? 0, message: span.status?.message },
        resource: toAttributes(resource.attributes)
      }))
    )
  )

interface DataPoint {
  readonly attributes?: ReadonlyArray<KeyValue>
  readonly asDouble?: number
  readonly asInt?: number | string
  readonly count?: number
  readonly explicitBounds?: ReadonlyArray<number>
}

interface MetricsRequest {
  readonly resourceMetrics?: ReadonlyArray<{
    readonly resource: { readonly attributes: ReadonlyArray<KeyValue> }
    readonly scopeMetrics: ReadonlyArray<{
      readonly metrics: ReadonlyArray<
        { readonly name: string; readonly unit: string } & {
          readonly [T in Point["type"]]?: { readonly dataPoints: ReadonlyArray<DataPoint> }
        }
      >
    }>
  }>
}

const types = ["sum", "gauge", "histogram"] as const

const pointsOf = ({ resourceMetrics = [] }: MetricsRequest): ReadonlyArray<Point> =>
  resourceMetrics.flatMap(({ resource, scopeMetrics }) =>
    scopeMetrics
      .flatMap(({ metrics }) => metrics)
      .flatMap((metric) =>
        types.flatMap((type) =>
          (metric[type]?.dataPoints ?? []).map((point) => ({
            name: metric.name,
            unit: metric.unit,
            type,
            attributes: toAttributes(point.attributes),
            resource: toAttributes(resource.attributes),
            value: point.count ?? point.asDouble ?? Number(point.asInt),
            bounds: point.explicitBounds ?? []
          }))
        )
      )
  )

const toAttributes = (pairs: ReadonlyArray<KeyValue> = []): Attributes =>
  Object.fromEntries(pairs.map(({ key, value }) => [key, Object.values(value)[0]]))
