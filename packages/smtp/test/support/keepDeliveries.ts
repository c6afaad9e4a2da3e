/**
 * Run by a test: sends so many mails to so many recipients each, keeps every delivery, and prints what their replies hold
 * and the heap that is in use when all have ended.
 */
import { MailTransport } from "mailrace/MailTransport"
import * as Mailer from "mailrace/Mailer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as SmtpTransport from "../../src/SmtpTransport.ts"
import { message } from "./relay.ts"

const [port, count, recipients] = process.argv.slice(2).map(Number) as [number, number, number]

const to = Array.from({ length: recipients }, (_, i) => `to-${i}@test.example`)

const program = Effect.gen(function* () {
  const context = yield* SmtpTransport.make({ host: "127.0.0.1", port, tls: { mode: "off" } })
  return yield* Stream.range(1, count).pipe(
    Stream.map((n) => message(n, { to })),
    Mailer.sendAll(),
    Stream.runCollect,
    Effect.provideService(MailTransport, Context.get(context, MailTransport))
  )
})

const deliveries = await Effect.runPromise(Effect.scoped(program))
const texts = deliveries.flatMap((delivery) => [
  ...delivery.recipients.map(({ reply }) => reply?.text ?? ""),
  "reply" in delivery ? delivery.reply.text : ""
])
const longest = texts.reduce((most, text) => Math.max(most, Buffer.byteLength(text)), 0)
const accepted = deliveries.filter(({ _tag }) => _tag === "Accepted").length
process.stdout.write(JSON.stringify({ accepted, texts: texts.length, longest }))
