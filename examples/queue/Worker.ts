/**
 * Sends what is due and writes each outcome into its row.
 *
 * A message bears its row's number in its Message-ID. If the process dies between the relay's reply and the row, the next run
 * sends the message again under the same Message-ID, and mail programs show it once.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as Mail from "mailrace/Mail"
import * as Mailer from "mailrace/Mailer"
import { type Job, Jobs } from "./Jobs.ts"

const mailFor = ({ email, id, name }: Job): Mail.Mail => ({
  id: String(id),
  messageId: `<job-${id}@example.org>`,
  from: "Shop <shop@example.org>",
  to: email,
  subject: "Your receipt",
  text: `Dear ${name},\n\nthank you.\n`
})

/** One pass over the table; returns how many mails it has settled. */
export const work = Effect.gen(function* () {
  const jobs = yield* Jobs
  return yield* jobs.due.pipe(Stream.map(mailFor), Mailer.sendAll(), Stream.tap(jobs.record), Stream.runCount)
})
