/**
 * A mail as the outbox stores it.
 *
 * A template is stored once, and of each mail only who it is for and what is filled in; it is put together when it is
 * sent. So that no mail is taken in which cannot be, it is filled in here once for nothing. A mail that the outbox cannot
 * put together by itself is stored whole: one that says itself what its template says too, or whose missing fields are no
 * error.
 */
import * as Effect from "effect/Effect"
import type { Sendable } from "mailrace/Mailer"
import type * as MailError from "mailrace/MailError"
import { type Filled, type InputMail, mailOf } from "../input/Entry.ts"

/** A mail, and whether it is a template of itself. */
export interface Storable {
  readonly mail: Sendable
  readonly render: boolean
}

/** Makes a inputMail into what is stored; fails with `InvalidMessage` when its template cannot be filled in. */
export const make = (inputMail: InputMail): Effect.Effect<Storable, MailError.MailError> => {
  if (inputMail.template === undefined) return Effect.succeed({ mail: inputMail.mail, render: false })
  if (!isRecipientOnly(inputMail)) return Effect.map(mailOf(inputMail), (mail) => ({ mail, render: false }))
  const { mail, template } = inputMail
  return Effect.as(template.render(mail), { mail: { ...template.source, ...mail }, render: true })
}

const isRecipientOnly = ({ mail: { attachments, from, replyTo }, own, template }: Filled): boolean =>
  template.missing === "error" &&
  own === undefined &&
  attachments === undefined &&
  from === undefined &&
  replyTo === undefined
