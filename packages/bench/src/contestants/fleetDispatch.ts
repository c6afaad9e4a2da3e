/**
 * Measures the cost of a message for a dispatcher of an outbox in PostgreSQL, over `SmtpTransport`. Another process
 * enqueues the messages first; only the drain is measured, without the server's own time.
 */
import * as Outbox from "@mailrace/outbox/Outbox"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import type { Batch, MakeContestant } from "../Contestant.ts"
import * as Enqueuer from "../internal/enqueuer.ts"
import * as PostgresServer from "../internal/postgresServer.ts"
import { relayOptions } from "./relay.ts"

export const make: MakeContestant = async (spec) => {
  const server = await PostgresServer.start()
  const { messageBytes, recipients } = spec
  const enqueuer = Enqueuer.start(server, { messageBytes, content: "prebuilt", recipients })
  const runtime = ManagedRuntime.make(
    Layer.merge(
      Outbox.layerPostgres({ host: server.host, port: server.port, database: "postgres", username: "postgres" }),
      SmtpTransport.layer({
        ...relayOptions(spec, "auto"),
        minConnections: spec.connections,
        maxConnections: spec.connections
      })
    )
  )
  await runtime.runPromise(Effect.flatMap(SmtpTransport.SmtpTransport, ({ verify }) => verify))
  const send = async (batch: Batch) => {
    await enqueuer.enqueue(batch.first, batch.count)
    const begin = performance.now()
    const cpu = process.cpuUsage()
    await runtime.runPromise(
      Outbox.run({
        until: "idle",
        onDelivery: (delivery) =>
          Effect.sync(() => {
            if (delivery._tag === "Accepted") batch.accepted(delivery.durationMs)
            else batch.failed(delivery.error.message)
          })
      })
    )
    const { system, user } = process.cpuUsage(cpu)
    return {
      elapsedMs: performance.now() - begin,
      cpuMicros: system + user,
      rssPeakBytes: process.memoryUsage.rss()
    }
  }
  return {
    concurrency: spec.concurrency ?? 256,
    send,
    close: async () => {
      await runtime.dispose()
      await enqueuer.close()
      await server.close()
    }
  }
}
