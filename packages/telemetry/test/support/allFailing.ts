/**
 * Sends mails that all fail, traced at 1 % to the collector at the given address, and prints how the memory grew from three tenths
 * of them on: `node --expose-gc allFailing.ts URL MAILS`. The number of mails is a multiple of ten.
 */
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import type * as Address from "mailrace/Address"
import * as Composed from "mailrace/Composed"
import * as Mailer from "mailrace/Mailer"
import * as MailError from "mailrace/MailError"
import { MailTransport } from "mailrace/MailTransport"
import * as RetryPolicy from "mailrace/RetryPolicy"
import * as Telemetry from "../../src/Telemetry.ts"

const [url = "", mails = ""] = process.argv.slice(2)
const count = Number(mails)

const envelope = { from: "ann@a.test" as Address.Address, to: ["bob@b.test" as Address.Address] }
const content = Buffer.from("Subject: x\r\n\r\nx\r\n")

const transport = MailTransport.of({
  send: (_, options) =>
    Effect.suspend(() => {
      options?.moments?.leased({ host: "relay", port: 25, mode: "envelope", span: undefined })
      return Effect.fail(MailError.make(new MailError.OutcomeUnknown({ problem: "the connection was lost" })))
    })
})

/** The resident memory without garbage, in bytes. */
const resident = (): number => {
  globalThis.gc!()
  return process.memoryUsage.rss()
}

let ended = 0
let before = 0
let largest = 0

const send = Stream.range(1, count).pipe(
  Stream.map((n) => Composed.make({ messageId: `<${n}@a.test>`, envelope, content, id: `mail ${n}` })),
  Mailer.sendAll({ concurrency: 100, retry: RetryPolicy.none }),
  Stream.runForEach(() =>
    Effect.sync(() => {
      const tenth = (++ended * 10) / count
      // Up to here a process grows without tracing as well.
      if (tenth === 3) before = resident()
      else if (tenth > 3 && Number.isInteger(tenth)) largest = Math.max(largest, resident())
    })
  ),
  Effect.provideService(MailTransport, transport),
  Effect.provide(Telemetry.layer({ url, sampleRatio: 0.01 })),
  Effect.provide(Logger.layer([]))
)

const begin = Date.now()
await Effect.runPromise(send)
process.stdout.write(JSON.stringify({ ended, grownBytes: largest - before, durationMs: Date.now() - begin }))
