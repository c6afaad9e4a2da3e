/**
 * DKIM signatures after a real Postfix has queued the mail and sent it on, which is where canonicalisation must hold.
 */
import { assert, describe, it } from "@effect/vitest"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Dkim from "mailrace/Dkim"
import type * as Mail from "mailrace/Mail"
import * as Mailer from "mailrace/Mailer"
import { bothPass, keys, verify } from "../../packages/core/test/support/dkim.ts"
import * as Mta from "./support/Mta.ts"
import * as Postfix from "./support/Postfix.ts"

/** Milliseconds: generous, because Postfix is many processes on a machine that others use. */
const limit = 60_000

const text = "Dear customer,\n\n.\n..  two  dots\ttab \n\nGrüße\n"

const mails: ReadonlyArray<Mail.Mail> = [
  { text },
  { text: "" },
  { text: `${text}\n\n \n\n` },
  { text: "no line end" },
  { text: `${"long ".repeat(1_000)}\n${"x".repeat(5_000)}` },
  { text, html: "<p>Grüße</p>" },
  { text, attachments: [{ filename: "a.bin", content: new Uint8Array(100_000).fill(7) }] },
  {
    text,
    attachments: [
      {
        filename: "streamed.bin",
        content: Stream.rechunk(
          Stream.map(Stream.range(1, 40), (i) => new Uint8Array(50_000).fill(i)),
          1
        )
      }
    ]
  },
  { text, references: "<1@example.org> <2@example.org>", headers: { "X-Twice": ["a", "b"] } },
  { text, listUnsubscribe: "https://example.org/out", priority: "high" as const, replyTo: "Reply <reply@example.org>" }
].map((mail, index) => ({
  from: '"Müller, Jörg" <joerg@example.org>',
  to: Array.from({ length: 1 + index * 3 }, (_, i) => `Recipient ${i} <to${i}@b.test>`),
  subject: `${"Grüße ".repeat(1 + index * 4)}${index}`,
  ...mail
}))

describe("mail signed with DKIM", () => {
  it.live(
    "verifies with both keys after a real Postfix relayed it",
    (context) =>
      Effect.gen(function* () {
        const postfix = yield* Postfix.make()
        const { ed25519, rsa } = yield* keys
        const signing = [
          { domain: "example.org", selector: "r", privateKey: rsa.privateKey },
          { domain: "example.org", selector: "e", privateKey: ed25519.privateKey }
        ]
        const relay = SmtpTransport.layer({ host: postfix.host, port: postfix.port, tls: { mode: "off" } })
        const deliveries = yield* Stream.fromIterable(mails).pipe(
          Mailer.sendAll(),
          Stream.runCollect,
          Effect.provide(Layer.merge(relay, Dkim.layer({ keys: signing })))
        )
        assert.deepStrictEqual(
          deliveries.flatMap((delivery) => ("error" in delivery ? [delivery.error.message] : [])),
          []
        )
        const arrived = yield* postfix.arrived
        assert.strictEqual(arrived.length, mails.length)
        const known = (yield* Dkim.make({ keys: signing })).keys
        for (const { content, received } of arrived) {
          const relayed = Buffer.concat([Buffer.from(`${received.trimEnd()}\r\n`), content])
          assert.include(received, "Postfix")
          assert.deepStrictEqual(yield* verify(relayed, known), bothPass)
        }
      }).pipe(Mta.orSkip(context)),
    limit
  )
})
