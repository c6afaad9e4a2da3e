/**
 * What a message costs a dispatcher of an outbox in PostgreSQL, over `SmtpTransport`: messages are enqueued first, and only the
 * drain is measured, of which the server's own time is no part.
 */
import * as Outbox from "@mailrace/outbox/Outbox"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Stream from "effect/Stream"
import type { Batch, MakeContestant } from "../Contestant.ts"
import * as PostgresServer from "../internal/postgresServer.ts"
import { composedFrom, relayOptions } from "./relay.ts"

export const make: MakeContestant = async (spec, messages) => {
  const server = await PostgresServer.start()
  const mail = composedFrom(messages)
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
    const mails = Stream.map(Stream.range(batch.first, batch.first + batch.count - 1), mail)
    await runtime.runPromise(Stream.runDrain(Outbox.enqueueAll(mails)))
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
      await server.close()
    }
  }
}
