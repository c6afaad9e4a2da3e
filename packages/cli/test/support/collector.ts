/**
 * Takes what an OpenTelemetry collector would.
 */
import * as Effect from "effect/Effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"

/** A span as it comes over OTLP in JSON. */
export interface Span {
  readonly name: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly links: ReadonlyArray<{ readonly traceId: string; readonly spanId: string }>
  readonly attributes: ReadonlyArray<{ readonly key: string; readonly value: { readonly stringValue?: string } }>
}

/** A collector; gone with the scope. */
export const make = Effect.acquireRelease(
  Effect.callback<Collector>((resume) => {
    const requests: Array<string> = []
    const server = createServer((request, response) => {
      let body = ""
      request.setEncoding("utf8").on("data", (text: string) => (body += text))
      request.on("end", () => {
        requests.push(body)
        response.writeHead(200, { "content-type": "application/json" }).end("{}")
      })
    })
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo
      const spans = () => requests.flatMap((body) => spansOf(JSON.parse(body)))
      const byOutcome = (metric: string) =>
        Object.fromEntries(
          requests
            .flatMap((body) => countsOf(JSON.parse(body)))
            .flatMap(({ name, outcome, value }) => (name === metric ? [[outcome, value]] : []))
        )
      const close = () => void server.close()
      resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, requests, spans, byOutcome, close }))
    })
  }),
  (collector) => Effect.sync(collector.close)
)

/** What came, and where it listens. */
export interface Collector {
  readonly url: string
  /** The bodies of all requests so far. */
  readonly requests: Array<string>
  /** The spans in them. */
  readonly spans: () => ReadonlyArray<Span>
  /** The last values of a counter, by the `outcome` of each. */
  readonly byOutcome: (metric: string) => Readonly<Record<string, number>>
  readonly close: () => void
}

const spansOf = (request: {
  readonly resourceSpans?: ReadonlyArray<{
    readonly scopeSpans: ReadonlyArray<{ readonly spans: ReadonlyArray<Omit<Span, "links"> & Partial<Span>> }>
  }>
}): ReadonlyArray<Span> =>
  (request.resourceSpans ?? []).flatMap(({ scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) => spans.map((span) => ({ links: [], ...span })))
  )

const countsOf = (request: {
  readonly resourceMetrics?: ReadonlyArray<{
    readonly scopeMetrics: ReadonlyArray<{
      readonly metrics: ReadonlyArray<{
        readonly name: string
        readonly sum?: {
          readonly dataPoints: ReadonlyArray<{ readonly asDouble?: number; readonly attributes: Span["attributes"] }>
        }
      }>
    }>
  }>
}): ReadonlyArray<{ readonly name: string; readonly outcome: string; readonly value: number }> =>
  (request.resourceMetrics ?? []).flatMap(({ scopeMetrics }) =>
    scopeMetrics.flatMap(({ metrics }) =>
      metrics.flatMap(({ name, sum }) =>
        (sum?.dataPoints ?? []).flatMap(({ asDouble = Number.NaN, attributes }) => {
          const outcome = attributes.find(({ key }) => key === "outcome")?.value.stringValue
          return outcome === undefined ? [] : [{ name, outcome, value: asDouble }]
        })
      )
    )
  )
