/**
 * A queue in a table of your own: mails in, outcomes back into the rows, a pass every ten seconds.
 *
 *     pnpm mailrace sink                                            # in one terminal
 *     pnpm --filter @mailrace/example-queue start [jobs.db]         # in another
 *
 * `@mailrace/outbox` is such a table with claims, leases, retries over days and group commits, for more than one worker.
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import { Jobs } from "./Jobs.ts"
import { work } from "./Worker.ts"

const relay = SmtpTransport.layerUrl(process.env["MAILRACE_RELAY"] ?? "smtp://127.0.0.1:2525")

work.pipe(
  Effect.tap((count) => (count === 0 ? Effect.void : Console.log(`${count} mails settled`))),
  Effect.repeat(Schedule.spaced("10 seconds")),
  Effect.provide(Layer.merge(Jobs.layer(process.argv[2] ?? "jobs.db"), relay)),
  NodeRuntime.runMain
)
