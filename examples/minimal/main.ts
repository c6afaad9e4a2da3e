/**
 * The least that sends mail: a stream of mails in, a stream of outcomes out.
 *
 *     pnpm mailrace sink                                    # in one terminal
 *     pnpm --filter @mailrace/example-minimal start         # in another
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Mailer from "mailrace/Mailer"

const mails = Stream.map(Stream.range(1, 5), (number) => ({
  from: "Ann <ann@example.org>",
  to: `reader${number}@example.org`,
  subject: `Message ${number}`,
  text: "Hello!"
}))

mails.pipe(
  Mailer.sendAll(),
  Stream.runForEach(({ _tag, id }) => Console.log(`message ${id}: ${_tag}`)),
  Effect.provide(SmtpTransport.layerUrl(process.env["MAILRACE_RELAY"] ?? "smtp://127.0.0.1:2525")),
  NodeRuntime.runMain
)
