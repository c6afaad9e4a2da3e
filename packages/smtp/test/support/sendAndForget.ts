/** Run by a test: sends one mail to a port over a transport that it never closes, and says so. */
import { MailTransport } from "mailrace/MailTransport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as SmtpTransport from "../../src/SmtpTransport.ts"
import { message } from "./relay.ts"

const options = { host: "127.0.0.1", port: Number(process.argv[2]), tls: { mode: "off" }, idleTimeToLive: 20 } as const

const program = Effect.gen(function* () {
  const context = yield* Scope.provide(SmtpTransport.make(options), yield* Scope.make())
  yield* Context.get(context, MailTransport).send(message(1))
})

await Effect.runPromise(program)
process.stdout.write("sent")
