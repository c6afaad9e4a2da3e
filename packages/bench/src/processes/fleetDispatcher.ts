/**
 * A process that dispatches an outbox in PostgreSQL, over a transport that takes each message after 10 ms, until SIGTERM or
 * until its parent is gone.
 */
import * as Outbox from "@mailrace/outbox/Outbox"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { MailTransport } from "mailrace/MailTransport"
import { takingAll } from "../internal/takingAll.ts"

const [host, port] = process.argv.slice(2)
process.on("disconnect", () => process.exit(0))

const slow = MailTransport.of({ ...takingAll, send: (...mail) => Effect.delay(takingAll.send(...mail), 10) })

const fiber = Outbox.run({ concurrency: 20 }).pipe(
  Effect.provideService(MailTransport, slow),
  Effect.provide(Outbox.layerPostgres({ host, port: Number(port), database: "postgres", username: "postgres" })),
  Effect.runFork
)
process.once("SIGTERM", () => void Effect.runPromise(Fiber.interrupt(fiber)).then(() => process.exit(0)))
await Effect.runPromise(Fiber.join(fiber))
