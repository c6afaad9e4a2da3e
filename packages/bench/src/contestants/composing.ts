/**
 * Composes without sending, to measure the cost of making a message's bytes.
 */
import type * as Mail from "mailrace/Mail"
import * as MimeComposer from "mailrace/MimeComposer"
import * as Effect from "effect/Effect"
import MailComposer from "nodemailer/lib/mail-composer"
import { performance } from "node:perf_hooks"
import type { MakeContestant } from "../Contestant.ts"

type Compose = (mail: Mail.Mail) => Promise<Uint8Array>

export const make: MakeContestant = async (spec, messages) => {
  const compose = spec.contestant === "mailrace-composer" ? withMailrace : withNodemailer
  return {
    concurrency: 1,
    contentOf: (index) => compose(messages.mail(index)),
    send: async (batch) => {
      for (let index = batch.first; index < batch.first + batch.count; index++) {
        const begin = performance.now()
        const content = await compose(messages.mail(index))
        if (content.length > 0) batch.accepted(performance.now() - begin)
        else batch.failed("nothing was composed")
      }
    },
    close: async () => {}
  }
}

const withMailrace: Compose = (mail) =>
  Effect.runPromise(
    Effect.map(MimeComposer.compose(mail), ({ content }) =>
      content instanceof Uint8Array ? content : new Uint8Array()
    )
  )

const withNodemailer: Compose = (mail) => new MailComposer(mail as MailComposer.Options).compile().build()
