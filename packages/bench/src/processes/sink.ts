/**
 * The process that takes the messages: the project's own test server, which keeps only a digest.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { SinkOpened, SinkReading, SinkRequest, SinkSpec } from "../Protocol.ts"
import { serve } from "./serve.ts"

interface Listening {
  readonly server: TestServer.TestServerService
  cpuAtReset: NodeJS.CpuUsage
}

let listening: Listening | undefined

serve<SinkRequest>(async (request): Promise<SinkOpened | SinkReading | undefined> => {
  if (request._tag === "Open") return open(request.spec)
  if (listening === undefined) throw new Error("the sink is not open")
  if (request._tag === "Reset") {
    await Effect.runPromise(listening.server.reset)
    listening.cpuAtReset = process.cpuUsage()
    return undefined
  }
  const cpu = process.cpuUsage(listening.cpuAtReset)
  return { digest: listening.server.digest, cpuMicros: cpu.user + cpu.system }
})

const open = async ({ chunking, limit, thinkMs, tls }: SinkSpec): Promise<SinkOpened> => {
  const scope = Scope.makeUnsafe()
  const server = await Effect.runPromise(
    Scope.provide(
      TestServer.start({
        name: "sink.example",
        extensions: { chunking },
        ...(tls === "off" ? {} : { tls: { implicit: tls === "implicit" } }),
        maxMessageSize: 0,
        ...(limit === undefined
          ? thinkMs === 0
            ? {}
            : { faults: [`final:delay=${thinkMs}ms`] }
          : { users: { user: "secret" }, decide: limited(limit, thinkMs) }),
        mailbox: { type: "discard", digest: true },
        checkContent: false,
        transcript: false
      }),
      scope
    )
  )
  listening = { server, cpuAtReset: process.cpuUsage() }
  return { port: server.port, ca: server.tls?.ca }
}

/** Accepts this many connections at a time and refuses the others, at the greeting or at AUTH. */
const limited = (
  { connections, toldAt }: NonNullable<SinkSpec["limit"]>,
  thinkMs: number
): TestServer.Options["decide"] => {
  const within = new Set<number>()
  const isOpen = (connection: number): boolean => listening?.server.connections[connection - 1]?.open ?? true
  return ({ connection, phase }) => {
    if (phase === "greeting") {
      for (const each of within) if (!isOpen(each)) within.delete(each)
      if (within.size < connections) within.add(connection)
    }
    if (phase === toldAt && !within.has(connection)) {
      return { type: "reply", code: 421, text: "4.7.0 too many connections" }
    }
    return phase === "final" && thinkMs > 0 ? { type: "delay", ms: thinkMs } : undefined
  }
}
