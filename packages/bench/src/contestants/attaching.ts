/**
 * Encodes an attachment in base64: composes a message of one line with 1 MB, and discards it.
 */
import type * as Mail from "mailrace/Mail"
import * as MimeComposer from "mailrace/MimeComposer"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import MailComposer from "nodemailer/lib/mail-composer"
import { performance } from "node:perf_hooks"
import type { MakeContestant } from "../Contestant.ts"

const content = Buffer.from(Array.from({ length: 1_000_000 }, (_, at) => (at * 31) & 255))

const mail: Mail.Mail = {
  from: "campaign@sender.example",
  to: "reader@reader.example",
  subject: "The report",
  text: "The report is attached.\n",
  attachments: [{ filename: "report.pdf", contentType: "application/pdf", content }],
  messageId: "<report@sender.example>",
  date: new Date(Date.UTC(2025, 0, 31, 12, 0, 0))
}

export const make: MakeContestant = async (spec) => {
  const compose = spec.contestant === "mailrace-attachment" ? withMailrace : withNodemailer
  // All messages are the same, so that checking sixteen of them does not take a second.
  const one = await compose()
  return {
    concurrency: 1,
    contentOf: async () => one,
    send: async (batch) => {
      for (let left = batch.count; left > 0; left--) {
        const begin = performance.now()
        const { length } = await compose()
        if (length > content.length) batch.accepted(performance.now() - begin)
        else batch.failed("the attachment is not whole")
      }
    },
    close: async () => {}
  }
}

const withMailrace = (): Promise<Uint8Array> =>
  Effect.runPromise(
    Effect.flatMap(MimeComposer.compose(mail), (composed) =>
      composed.content instanceof Uint8Array
        ? Effect.succeed(composed.content)
        : Effect.map(Stream.runCollect(composed.content.stream), (chunks) => Buffer.concat(chunks))
    )
  )

const withNodemailer = (): Promise<Uint8Array> => new MailComposer(mail as MailComposer.Options).compile().build()
