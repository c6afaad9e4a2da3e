/**
 * Mailrace against the servers that others wrote: of 200 messages each is stored once, with its own envelope and its own
 * bytes, at the first attempt, in each mode that the server offers.
 *
 * What only `auto` may promise is asked of it: it chooses nothing that the server gets wrong.
 */
import { assert, describe, it } from "@effect/vitest"
import type * as Pipelining from "@mailrace/smtp/Pipelining"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import type * as Address from "mailrace/Address"
import * as Composed from "mailrace/Composed"
import * as Mailer from "mailrace/Mailer"
import * as Crypto from "node:crypto"
import * as Mta from "./support/Mta.ts"
import * as RealServers from "./support/RealServers.ts"

/** Milliseconds: generous, because the servers are many processes on a machine that others use. */
const limit = 90_000

const connections = 5

const transport = ({ host, login, port }: Mta.RealServer, pipelining: Pipelining.Choice) =>
  SmtpTransport.layer({
    host,
    port,
    tls: { mode: "off" },
    pipelining,
    maxConnections: connections,
    ...(login && {
      auth: { username: login.username, password: Redacted.make(login.password) },
      allowInsecureAuth: true
    })
  })

const address = (text: string) => text as Address.Address

/** No two alike in size, recipients and bytes; what looks like the end of a message or a command is in all of them. */
const unlike = (index: number): Composed.Composed => {
  const noise = Crypto.createHash("sha512").update(String(index)).digest("base64")
  const isLarge = index % 25 === 3
  const recipients = Array.from({ length: index % 40 === 9 ? 30 : 1 + (index % 4) }, (_, i) => `to${i}.${index}@b.test`)
  const lines = [
    `From: sender${index}@a.test`,
    `To: ${recipients[0]}`,
    "Date: Sat, 21 Nov 2026 10:00:00 +0000",
    `Message-ID: <${index}@a.test>`,
    `Subject: ${index}`,
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    `Content-Transfer-Encoding: ${index % 3 === 0 ? "8bit" : "7bit"}`,
    "",
    ".",
    "..",
    ".dot",
    "MAIL FROM:<evil@x.test>",
    "RCPT TO:<evil@x.test>",
    "DATA",
    "QUIT",
    ...(index % 3 === 0 ? ["Grüße, 你好 🚀", "x".repeat(997)] : []),
    ...Array.from({ length: index % 60 }, (_, i) => `${i} ${noise}`),
    ...(isLarge ? Array.from({ length: 3_500 + index }, (_, i) => `${i} ${noise}`) : []),
    ...(index % 5 === 0 ? ["", "."] : []),
    ""
  ]
  const content = Buffer.from(lines.join("\r\n"))
  return Composed.make({
    id: String(index),
    messageId: `<${index}@a.test>`,
    envelope: { from: address(`sender${index}@a.test`), to: recipients.map(address) },
    content
  })
}

const messages = Array.from({ length: 200 }, (_, index) => unlike(index))

/** Some of them read from a stream. */
const asSent = messages.map((message, index): Composed.Composed => {
  const bytes = message.content as Uint8Array
  return index % 10 === 4 || index % 50 === 3
    ? {
        ...message,
        content: { _tag: "StreamedContent", stream: Stream.make(bytes.subarray(0, 100), bytes.subarray(100)) }
      }
    : message
})

/** Who a message is from and for, and all its bytes. */
const line = (from: string, to: ReadonlyArray<string>, content: Uint8Array): string =>
  `${from} > ${[...to].sort().join()} ${content.length} ${Crypto.createHash("sha256").update(content).digest("hex")}`

const expected = messages.map(({ content, envelope }) => line(envelope.from!, envelope.to, content as Uint8Array))

/** What is more often, and what less often, in a list than in another: short where the lists are long. */
const differences = (found: ReadonlyArray<string>, wanted: ReadonlyArray<string>) => {
  const count = new Map<string, number>()
  for (const one of found) count.set(one, (count.get(one) ?? 0) + 1)
  for (const one of wanted) count.set(one, (count.get(one) ?? 0) - 1)
  const of = (sign: number) => [...count].filter(([, times]) => Math.sign(times) === sign).map(([one]) => one)
  return { surplus: of(1), missing: of(-1) }
}

const sendAll = Effect.gen(function* () {
  const deliveries = yield* Stream.runCollect(Mailer.sendAll(Stream.fromIterable(asSent)))
  const stats = yield* (yield* SmtpTransport.SmtpTransport).stats
  return { deliveries, stats }
})

for (const { auto, modes, name, start } of RealServers.all) {
  describe(`real ${name}`, () => {
    for (const choice of ["auto", ...modes] as const) {
      it.live(
        `stores 200 unlike messages as they were sent, at the first attempt, in mode ${choice}`,
        (context) =>
          Effect.gen(function* () {
            const server = yield* start
            const { deliveries, stats } = yield* Effect.provide(sendAll, transport(server, choice))
            assert.deepStrictEqual(
              deliveries.flatMap((delivery) => ("error" in delivery ? [delivery.error.message] : [])),
              []
            )
            const stored = (yield* server.arrived).map(({ content, from, to }) => line(from, to, content))
            assert.deepStrictEqual(differences(stored, expected), { surplus: [], missing: [] })
            assert.deepStrictEqual(
              deliveries.filter(({ attempts }) => attempts > 1).map(({ id }) => id),
              []
            )
            assert.include(choice === "auto" ? auto : [choice], stats.pipelining)
            // One that fails the self-test is replaced.
            assert.isAtMost(stats.opened, 2 * connections)
          }).pipe(Effect.scoped, Mta.orSkip(context)),
        limit
      )
    }
  })
}
