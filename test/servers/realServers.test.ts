/**
 * Mailrace against real Postfix and real Exim: what arrives is what was sent, each message once, with its own envelope
 * and its own bytes, in every pipelining mode and whatever is refused in between.
 */
import { assert, describe, it } from "@effect/vitest"
import type * as Pipelining from "@mailrace/smtp/Pipelining"
import type * as SmtpTls from "@mailrace/smtp/SmtpTls"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as Address from "mailrace/Address"
import * as Composed from "mailrace/Composed"
import type * as Delivery from "mailrace/Delivery"
import * as Mailer from "mailrace/Mailer"
import type * as Mail from "mailrace/Mail"
import * as MimeComposer from "mailrace/MimeComposer"
import * as Crypto from "node:crypto"
import * as Exim from "./support/Exim.ts"
import * as Mta from "./support/Mta.ts"
import * as Postfix from "./support/Postfix.ts"

/** Milliseconds: generous, because the servers are many processes on a machine that others use. */
const limit = 90_000

const servers = [
  ["Postfix", Postfix.make],
  ["Exim", Exim.make]
] as const

const digest = (bytes: Uint8Array): string => Crypto.createHash("sha256").update(bytes).digest("hex")

const transport = (mta: Mta.Mta, mode: SmtpTls.Mode, pipelining: Pipelining.Choice) =>
  SmtpTransport.layer({
    host: mode === "off" ? mta.host : "localhost",
    port: mta.port,
    tls: mode === "off" ? { mode } : { mode, ca: mta.certificate },
    pipelining,
    maxConnections: 5
  })

const address = (text: string) => text as Address.Address

/** Sends all and gives the deliveries by index, with the mode that was in use. */
const sendAll = (mails: ReadonlyArray<Mailer.Sendable>) =>
  Effect.gen(function* () {
    const deliveries = yield* Stream.runCollect(Mailer.sendAll(Stream.fromIterable(mails)))
    const { pipelining } = yield* (yield* SmtpTransport.SmtpTransport).stats
    return { deliveries: [...deliveries].sort((a, b) => a.index - b.index), pipelining }
  })

/** Unlike each other in every way that has ever broken a sender. */
const unlike = (index: number): Mail.Mail => {
  const words = ["Grüße", "你好", "🚀🚀", "مرحبا", "plain", "ÅÄÖ", "Ω≈ç", "naïve"]
  const word = words[index % words.length]!
  const many = index % 50 === 7 ? 60 : 1 + (index % 3)
  return {
    from: { name: `Sender ${word}`, address: `sender${index}@a.test` },
    to: Array.from({ length: many }, (_, i) => ({ name: `${word}, ${i}`, address: `to${i}.${index}@b.test` })),
    ...(index % 7 === 0 ? { cc: `"Quoted \\"${index}\\"" <cc${index}@c.test>`, bcc: `bcc${index}@d.test` } : {}),
    ...(index % 11 === 0 ? { replyTo: `Reply <reply${index}@münchen.test>` } : {}),
    subject: `${word} ${index} ${index % 5 === 0 ? "long ".repeat(60) : ""}`,
    text: `${word}\n.\n..\n.dot\n${"x".repeat(index % 13 === 0 ? 12_000 : index % 200)}\n${`${word} `.repeat(index % 90)}`,
    ...(index % 2 === 0 ? { html: `<p>${word} &amp; <b>${index}</b></p>\n`.repeat(1 + (index % 40)) } : {}),
    headers: { "X-Index": String(index), "X-Word": word },
    ...(index % 9 === 0
      ? {
          attachments: [
            { filename: `${word} ${index}.bin`, content: Crypto.createHash("sha512").update(String(index)).digest() },
            { filename: "notes.txt", content: `${word}\r\n`.repeat(index), contentType: "text/plain" }
          ]
        }
      : {})
  }
}

/** Messages whose header or addresses need SMTPUTF8 (RFC 6531). */
const utf8 = (index: number): Composed.Composed =>
  Composed.make({
    id: `utf8-${index}`,
    messageId: `<utf8.${index}@a.test>`,
    envelope: { from: address(`käfer${index}@a.test`), to: [address(`größe${index}@b.test`)] },
    content: Buffer.from(
      `From: käfer${index}@a.test\r\nTo: größe${index}@b.test\r\nMessage-ID: <utf8.${index}@a.test>\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nSubject: Ünïcödé ${index}\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n`
    ),
    eightBit: true,
    utf8Headers: true
  })

for (const [name, make] of servers) {
  describe(`1,000 unlike messages through real ${name}`, () => {
    for (const mode of ["off", "required"] as const) {
      it.live(
        mode === "off" ? "arrive over plain SMTP as they were sent" : "arrive over STARTTLS as they were sent",
        (context) =>
          Effect.gen(function* () {
            const mta = yield* make()
            const mails = yield* Effect.forEach(
              Array.from({ length: 980 }, (_, i) => i),
              (i) => MimeComposer.compose({ ...unlike(i), id: String(i) })
            )
            const messages = [...mails, ...Array.from({ length: 20 }, (_, i) => utf8(i))]
            const { deliveries } = yield* Effect.provide(sendAll(messages), transport(mta, mode, "auto"))
            assert.deepStrictEqual(
              deliveries.flatMap((delivery) => ("error" in delivery ? [delivery.error.message] : [])),
              []
            )
            const arrived = yield* mta.arrived
            assert.strictEqual(arrived.length, messages.length)
            assert.deepStrictEqual(
              arrived.map((message) => digest(message.content)).sort(),
              messages.map((message) => digest(message.content as Uint8Array)).sort()
            )
            const byContent = new Map(arrived.map((message) => [digest(message.content), message]))
            for (const message of messages) {
              const found = byContent.get(digest(message.content as Uint8Array))!
              assert.strictEqual(found.from, message.envelope.from)
              assert.deepStrictEqual([...found.to].sort(), [...message.envelope.to].sort())
              if (mode === "required") assert.match(found.received, / with \S*smtp\S*s\b/i)
            }
          }).pipe(Effect.scoped, Mta.orSkip(context)),
        limit
      )
    }
  })
}

/** What becomes of message `index`: a tenth has a refused recipient, a twentieth a refused sender, some are too large. */
const kindOf = (random: number): "good" | "badRecipient" | "mixed" | "badSender" | "tooLarge" =>
  random < 0.05
    ? "badSender"
    : random < 0.1
      ? "badRecipient"
      : random < 0.15
        ? "mixed"
        : random < 0.17
          ? "tooLarge"
          : "good"

const sizeLimit = 20_000

/** A message that is like no other, and of its kind; the order of kinds is random and the same each time. */
const hostile = (index: number, seed: string) => {
  const bytes = Crypto.createHash("sha256").update(`${seed} ${index}`).digest()
  const kind = kindOf(bytes.readUInt32BE(0) / 2 ** 32)
  const from = kind === "badSender" ? `refused@a.test` : `sender${index}@a.test`
  const good = `good${index}@b.test`
  const bad = `bad${index}@b.test`
  const to = kind === "badRecipient" ? [bad] : kind === "mixed" ? [bad, good] : [good]
  const body =
    kind === "tooLarge"
      ? `${"x".repeat(76)}\r\n`.repeat(300)
      : `MAIL FROM:<evil@x>\r\nRSET\r\n.\r\nQUIT ${index}\r\n${bytes.toString("hex")}\r\n`
  return {
    kind,
    good,
    message: Composed.make({
      id: String(index),
      messageId: `<${index}@a.test>`,
      envelope: { from: address(from), to: to.map(address) },
      content: Buffer.from(
        `From: ${from}\r\nTo: ${to.join(", ")}\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <${index}@a.test>\r\nSubject: ${index}\r\n\r\n${body}`
      )
    })
  }
}

const expectedOutcome: Readonly<Record<ReturnType<typeof kindOf>, Delivery.Delivery["_tag"]>> = {
  good: "Accepted",
  mixed: "Accepted",
  badRecipient: "Rejected",
  badSender: "Rejected",
  tooLarge: "Rejected"
}

for (const [name, make] of servers) {
  describe(`2,000 messages with refusals in between through real ${name}`, () => {
    for (const pipelining of ["off", "envelope", "overlap", "speculative"] as const) {
      it.live(
        `arrive exactly once with their own envelope and bytes in mode ${pipelining}`,
        (context) =>
          Effect.gen(function* () {
            const mta = yield* make({ messageSizeLimit: sizeLimit })
            const cases = Array.from({ length: 2_000 }, (_, index) => hostile(index, pipelining))
            const run = yield* Effect.provide(
              sendAll(cases.map((one) => one.message)),
              transport(mta, "off", pipelining)
            )
            assert.strictEqual(run.pipelining, pipelining)
            const wrong = run.deliveries.flatMap((delivery, index) =>
              delivery._tag === expectedOutcome[cases[index]!.kind]
                ? []
                : [`${index} ${cases[index]!.kind}: ${"error" in delivery ? delivery.error.message : delivery._tag}`]
            )
            assert.deepStrictEqual(wrong, [])
            const arrived = yield* mta.arrived
            const sent = cases.filter((one) => expectedOutcome[one.kind] === "Accepted")
            const line = (from: string, to: string, content: Uint8Array) => `${from} ${to} ${digest(content)}`
            assert.deepStrictEqual(
              arrived.map((message) => line(message.from, message.to.join(), message.content)).sort(),
              sent.map(({ good, message }) => line(message.envelope.from!, good, message.content as Uint8Array)).sort()
            )
          }).pipe(Effect.scoped, Mta.orSkip(context)),
        limit
      )
    }
  })
}
