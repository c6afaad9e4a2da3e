/** Run by a test: sends so many mails from a generator to a port, and prints how many were accepted and the peak of memory. */
import { MailTransport } from "mailrace/MailTransport"
import * as Mailer from "mailrace/Mailer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as SmtpTransport from "../../src/SmtpTransport.ts"
import { message } from "./relay.ts"

const [port, count] = process.argv.slice(2).map(Number) as [number, number]

function* messages() {
  for (let n = 0; n < count; n++) yield message(n)
}

const program = Effect.gen(function* () {
  const context = yield* SmtpTransport.make({ host: "127.0.0.1", port, tls: { mode: "off" } })
  return yield* Stream.fromIterable(messages()).pipe(
    Mailer.sendAll(),
    Stream.runFold(
      () => 0,
      (accepted, { _tag }) => (_tag === "Accepted" ? accepted + 1 : accepted)
    ),
    Effect.provideService(MailTransport, Context.get(context, MailTransport))
  )
})

const accepted = await Effect.runPromise(Effect.scoped(program))
// maxRSS is in kibibytes.
process.stdout.write(JSON.stringify({ accepted, peakBytes: process.resourceUsage().maxRSS * 1024 }))
