/**
 * A message in the form in which the outbox stores it.
 *
 * A template is stored once, and each of its messages only as its recipients and values; the outbox renders the message
 * when it is sent. To refuse a message that cannot be rendered, it is rendered once before it is stored. A message that the
 * outbox cannot render by itself is stored whole: one that overrides its template, or whose missing fields are no error.
 */
import * as Effect from "effect/Effect"
import type { Sendable } from "mailrace/Mailer"
import type * as MailError from "mailrace/MailError"
import { type Filled, type InputMail, mailOf } from "../input/Entry.ts"

/** A message; `render` is true if the outbox renders it from its template. */
export interface Storable {
  readonly mail: Sendable
  readonly render: boolean
}

/** Returns the form that is stored; fails with `InvalidMessage` when its template cannot be filled in. */
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
