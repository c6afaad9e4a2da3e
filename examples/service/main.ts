/**
 * `sendAll` inside an app that has services and errors of its own.
 *
 * `Digests.send` needs `Subscribers` and a `MailTransport`; which ones is said here and nowhere else. A test would give
 * others.
 *
 *     pnpm mailrace sink --fault 'rcpt:550:to=*@gone.example'   # in one terminal
 *     pnpm --filter @mailrace/example-service start              # in another
 *
 * With a file in `MAILRACE_OUTBOX` an outbox lies between the job and the relay: kill the job and run it again, and it
 * goes on; what the relay put off is tried again by later runs. That is one layer here and not one other line.
 *
 *     MAILRACE_OUTBOX=digests.db pnpm --filter @mailrace/example-service start
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as DurableTransport from "@mailrace/outbox/DurableTransport"
import * as Outbox from "@mailrace/outbox/Outbox"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Digests from "./Digests.ts"
import { Subscribers } from "./Subscribers.ts"

const relay = SmtpTransport.layerUrl(process.env["MAILRACE_RELAY"] ?? "smtp://127.0.0.1:2525")

const file = process.env["MAILRACE_OUTBOX"]

const transport =
  file === undefined ? relay : DurableTransport.layer().pipe(Layer.provide([Outbox.layerSqlite(file), relay]))

const program = Effect.gen(function* () {
  const { again, refused, sent } = yield* Digests.send
  yield* Console.log(`${sent} sent, ${refused} refused, ${again} to be sent again`)
  const suspended = yield* (yield* Subscribers).suspended
  yield* Console.log(`suspended: ${suspended.toSorted().join(", ")}`)
}).pipe(
  Effect.catchTags({
    SubscribersError: ({ page }) => Console.error(`page ${page} of the list cannot be read; the next run goes on`),
    TooManyRefused: ({ refused, sent }) => Console.error(`stopped: ${refused} refused and only ${sent} sent`)
  })
)

program.pipe(Effect.provide(Layer.merge(Subscribers.layer, transport)), NodeRuntime.runMain)
