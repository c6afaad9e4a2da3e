/**
 * A dispatcher in a process of its own: sends what is due in a PostgreSQL outbox to an SMTP server, until SIGTERM.
 *
 * Its argument is JSON: where the outbox is, the server's port, and how it owns.
 */
import * as FlowOptions from "@mailrace/flow/FlowOptions"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as Outbox from "../../src/Outbox.ts"

/** What the process is told. */
export interface FleetInstructions {
  readonly host: string
  readonly port: number
  readonly username: string
  /** Its sessions' `application_name`. */
  readonly applicationName: string
  readonly smtpPort: number
  readonly concurrency: number
  readonly heartbeatMs: number
  readonly leaseMs: number
  /** Limits that all dispatchers share. Defaults to none. */
  readonly rate?: ReadonlyArray<string> | undefined
}

const { concurrency, heartbeatMs, leaseMs, rate, smtpPort, ...place } = JSON.parse(
  process.argv[2]!
) as FleetInstructions

const outbox = Outbox.layerPostgres({ ...place, database: "postgres", heartbeat: heartbeatMs, lease: leaseMs })
const relay = SmtpTransport.layer({ host: "127.0.0.1", port: smtpPort, maxConnections: 4 })

const flow = rate && Result.getOrThrow(FlowOptions.resolve({ rate }, Date.now()))

const fiber = Effect.runFork(Effect.provide(Outbox.run({ concurrency, flow }), Layer.merge(outbox, relay)))
process.once("SIGTERM", () => void Effect.runPromise(Fiber.interrupt(fiber)).then(() => process.exit(0)))
await Effect.runPromise(Fiber.join(fiber))
