/**
 * A Jaeger of its own for a test: all in one process, with its traces in memory.
 *
 * `MAILRACE_JAEGER` names the binary, `jaeger-all-in-one`. It can be built from the Go module proxy, without its pages:
 *
 *     go mod init j && go get -tool github.com/jaegertracing/jaeger/cmd/all-in-one@v1.76.0
 *     go build -o jaeger-all-in-one github.com/jaegertracing/jaeger/cmd/all-in-one
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createServer, type AddressInfo } from "node:net"

/** The binary; `undefined` where there is none. */
export const binary = process.env["MAILRACE_JAEGER"]

/** A span as Jaeger's query API gives it. */
export interface Span {
  readonly traceID: string
  readonly spanID: string
  readonly operationName: string
  readonly references: ReadonlyArray<{
    readonly refType: "CHILD_OF" | "FOLLOWS_FROM"
    readonly traceID: string
    readonly spanID: string
  }>
  readonly tags: ReadonlyArray<{ readonly key: string; readonly value: string | number | boolean }>
  readonly logs: ReadonlyArray<{ readonly fields: ReadonlyArray<{ readonly key: string; readonly value: unknown }> }>
}

interface Trace {
  readonly spans: ReadonlyArray<Span>
}

/** Starts Jaeger; it is killed when the scope closes. */
export const make = Effect.gen(function* () {
  const [otlp, query] = yield* Effect.promise(() => Promise.all([freePort(), freePort()]))
  const nowhere = "127.0.0.1:0"
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(
        binary!,
        [
          ["collector.otlp.http.host-port", `127.0.0.1:${otlp}`],
          ["query.http-server.host-port", `127.0.0.1:${query}`],
          ["query.grpc-server.host-port", nowhere],
          ["collector.otlp.grpc.host-port", nowhere],
          ["collector.grpc-server.host-port", nowhere],
          ["collector.http-server.host-port", nowhere],
          ["admin.http.host-port", nowhere]
        ].map(([flag, address]) => `--${flag}=${address}`),
        { stdio: "ignore", env: { ...process.env, SPAN_STORAGE_TYPE: "memory" } }
      )
    ),
    (jaeger) =>
      Effect.promise(async () => {
        const gone = once(jaeger, "exit")
        if (jaeger.kill("SIGKILL")) await gone
      })
  )

  const get = (path: string) =>
    Effect.tryPromise(async () => {
      const response = await fetch(`http://127.0.0.1:${query}/api/${path}`)
      const { data } = (await response.json()) as { readonly data: ReadonlyArray<Trace> | null }
      return data ?? []
    })
  // It stores spans a moment after it took them.
  const patiently = Effect.retry(Schedule.spaced("50 millis"))

  yield* patiently(get("services"))
  return {
    /** Where traces go to. */
    url: `http://127.0.0.1:${otlp}`,
    /** The spans of a trace, once it has one of this name. */
    trace: (id: string, operation: string) =>
      get(`traces/${id}`).pipe(
        Effect.map((traces) => traces.flatMap(({ spans }) => spans)),
        Effect.filterOrFail((spans) => spans.some(({ operationName }) => operationName === operation)),
        patiently,
        Effect.orDie
      ),
    /** The ids of the traces that a search finds, as the search form asks for them. */
    search: (operation: string, tags: Readonly<Record<string, string>>) =>
      get(`traces?${new URLSearchParams({ service: "mailrace", operation, tags: JSON.stringify(tags) })}`).pipe(
        Effect.map((traces) => traces.map(({ spans }) => spans[0]!.traceID)),
        Effect.orDie
      )
  }
})

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, "close")
  return port
}
