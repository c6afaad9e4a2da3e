/**
 * Metrics for Prometheus, and whether the program is alive and ready, over HTTP.
 *
 * | path       | answers                                                                                             |
 * |------------|-----------------------------------------------------------------------------------------------------|
 * | `/metrics` | every metric of Effect's `Metric` in the program, in Prometheus' text format, and the process's own |
 * | `/health`  | 200 as long as the event loop turns                                                                 |
 * | `/ready`   | 200 if the program can do its work now, else 503                                                    |
 *
 * Mailrace's own (`SendMetrics`) are recorded while the endpoint is open. A program may answer more paths with JSON (`onJson`).
 *
 * It listens on this machine alone by default: metrics name relays, and nobody has to log in to read them.
 *
 * @example
 * ```ts
 * import * as Layer from "effect/Layer"
 * import * as MetricsEndpoint from "@mailrace/telemetry/MetricsEndpoint"
 * import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
 *
 * // curl http://127.0.0.1:9464/metrics
 * export const services = Layer.merge(
 *   SmtpTransport.layerUrl("smtp://127.0.0.1:2525"),
 *   MetricsEndpoint.layer({ port: 9464 })
 * )
 * ```
 *
 * @since 0.2.0
 */

import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as SendMetrics from "mailrace/SendMetrics"
import * as Http from "node:http"
import { type AddressInfo, isIP } from "node:net"
import { showProcessMetrics } from "./internal/processMetrics.ts"

/**
 * Where the endpoint listens.
 *
 * @since 0.2.0
 */
export interface Options {
  /** The address to listen on. Defaults to `127.0.0.1`. */
  readonly host?: string | undefined
  /** The port to listen on, 0 for a free one. Defaults to 9464. */
  readonly port?: number | undefined
  /** Whether the address may be one that other machines reach. Defaults to false. */
  readonly isPublic?: boolean | undefined
}

/**
 * The endpoint cannot listen at the given address.
 *
 * @since 0.2.0
 */
export class MetricsEndpointError extends Schema.TaggedError<MetricsEndpointError>("mailrace/MetricsEndpointError")(
  "MetricsEndpointError",
  {
    problem: Schema.String,
    /** What to try, as an imperative. */
    remedy: Schema.String
  }
) {
  override get message() {
    return `the metrics cannot be served: ${this.problem}`
  }
}

/**
 * A running endpoint.
 *
 * @since 0.2.0
 */
export class MetricsEndpoint extends Context.Service<
  MetricsEndpoint,
  {
    /** As `http://127.0.0.1:9464`. */
    readonly url: string
    /** Runs before each answer to `/metrics`, while the scope is open, to bring gauges up to date. */
    readonly onScrape: (refresh: Effect.Effect<void>) => Effect.Effect<void, never, Scope.Scope>
    /** Asked for `/ready`, while the scope is open; the program is ready if all say so. */
    readonly onReady: (isReady: Effect.Effect<boolean>) => Effect.Effect<void, never, Scope.Scope>
    /** Answers a path, as `/status`, with a value as JSON, while the scope is open. */
    readonly onJson: (path: string, value: Effect.Effect<unknown>) => Effect.Effect<void, never, Scope.Scope>
  }
>()("@mailrace/telemetry/MetricsEndpoint") {}

/**
 * Serves metrics until the layer's scope closes.
 *
 * @since 0.2.0
 */
export const layer = (options: Options = {}): Layer.Layer<MetricsEndpoint, MetricsEndpointError> =>
  Layer.effect(MetricsEndpoint, make(options))

const make = Effect.fnUntraced(function* (options: Options) {
  const { host = "127.0.0.1", isPublic = false, port = 9464 } = options
  if (!isPublic && !isLoopback(host)) {
    return yield* new MetricsEndpointError({
      problem: `other machines reach ${host}, and nobody has to log in to read metrics`,
      remedy: "listen on 127.0.0.1, or set `isPublic` if a firewall stands before it"
    })
  }
  const refreshes = new Set<Effect.Effect<void>>()
  const conditions = new Set<Effect.Effect<boolean>>()
  yield* SendMetrics.record
  yield* showProcessMetrics
  const routes = new Map<string, Effect.Effect<Answer>>([
    ["/metrics", scrape(refreshes)],
    ["/health", Effect.succeed(plain(200, "alive"))],
    ["/ready", readiness(conditions)]
  ])
  const server = yield* serve(host, port, routes)
  return {
    url: urlOf(server.address() as AddressInfo),
    onScrape: (refresh: Effect.Effect<void>) => during(refreshes, refresh),
    onReady: (isReady: Effect.Effect<boolean>) => during(conditions, isReady),
    onJson: (path: string, value: Effect.Effect<unknown>) =>
      Effect.acquireRelease(
        Effect.sync(() => void routes.set(path, Effect.map(value, json))),
        () => Effect.sync(() => void routes.delete(path))
      )
  }
})

/** The metrics, once every gauge is up to date. */
const scrape = (refreshes: ReadonlySet<Effect.Effect<void>>): Effect.Effect<Answer> =>
  Effect.gen(function* () {
    yield* Effect.forEach([...refreshes], (refresh) => refresh, { discard: true })
    return { status: 200, type: "text/plain; version=0.0.4; charset=utf-8", body: yield* PrometheusMetrics.format() }
  })

const readiness = (conditions: ReadonlySet<Effect.Effect<boolean>>): Effect.Effect<Answer> =>
  Effect.suspend(() =>
    Effect.map(
      Effect.forEach([...conditions], (isReady) => isReady),
      (all) => (all.every((isReady) => isReady) ? plain(200, "ready") : plain(503, "not ready"))
    )
  )

/** Answers requests by their path until the scope closes. */
const serve = Effect.fnUntraced(function* (
  host: string,
  port: number,
  routes: ReadonlyMap<string, Effect.Effect<Answer>>
) {
  const runFork = Effect.runForkWith(yield* Effect.context<never>())
  return yield* listen(host, port, (request, response) => {
    const path = (request.url ?? "").split("?", 1)[0]!
    const answer =
      request.method !== "GET" && request.method !== "HEAD"
        ? Effect.succeed(plain(405, "only GET"))
        : (routes.get(path) ?? Effect.succeed(plain(404, "see /metrics, /health and /ready")))
    runFork(
      Effect.map(
        Effect.catchCause(answer, () => Effect.succeed(plain(500, "the metrics could not be read"))),
        ({ body, status, type }) => {
          response.writeHead(status, { "content-type": type, "cache-control": "no-store" })
          response.end(request.method === "HEAD" ? undefined : body)
        }
      )
    )
  })
})

const urlOf = ({ address, port }: AddressInfo): string =>
  `http://${isIP(address) === 6 ? `[${address}]` : address}:${port}`

/** Keeps an entry in a set while the scope is open. */
const during = <A>(set: Set<A>, one: A): Effect.Effect<void, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => void set.add(one)),
    () => Effect.sync(() => void set.delete(one))
  )

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
}

const plain = (status: number, text: string): Answer => ({
  status,
  type: "text/plain; charset=utf-8",
  body: `${text}\n`
})

const json = (value: unknown): Answer => ({
  status: 200,
  type: "application/json; charset=utf-8",
  body: `${JSON.stringify(value)}\n`
})

const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."))

/** A listening server; its connections are broken off when the scope closes. */
const listen = (host: string, port: number, onRequest: Http.RequestListener) =>
  Effect.acquireRelease(
    Effect.callback<Http.Server, MetricsEndpointError>((resume) => {
      const server = Http.createServer({ requestTimeout: 10_000, maxHeaderSize: 8_192 }, onRequest)
      server.once("error", (error: NodeJS.ErrnoException) =>
        resume(
          Effect.fail(
            new MetricsEndpointError({
              problem: `${host}:${port} cannot be listened on (${error.code ?? error.message})`,
              remedy: error.code === "EADDRINUSE" ? "choose another port, or 0 for a free one" : "check the address"
            })
          )
        )
      )
      server.listen(port, host, () => {
        // A program that has done its work ends, even if something still reads its metrics.
        server.unref()
        resume(Effect.succeed(server))
      })
    }),
    (server) =>
      Effect.sync(() => {
        server.closeAllConnections()
        server.close()
      })
  )
