/**
 * Mails that are templates of themselves: `{{fields}}` in their subject and bodies, values in `data`, put together when
 * the mail is sent. What many mails share is stored once and compiled once.
 */
import * as Effect from "effect/Effect"
import type { Composing } from "mailrace/Composer"
import type * as Mail from "mailrace/Mail"
import * as MailError from "mailrace/MailError"
import * as Template from "mailrace/Template"
import type * as TemplateError from "mailrace/TemplateError"

/** Fields that belong to a template; all others are its recipient's. */
export const templateFields: ReadonlySet<string> = new Set<keyof Template.Source>([
  "from",
  "replyTo",
  "subject",
  "text",
  "html",
  "headers",
  "attachments",
  "listUnsubscribe",
  "priority"
])

/** Templates by the object that holds the fields that their mails share. */
const compiled = new WeakMap<object, Template.Template>()

/** Compiles the template that a mail is; remembers it by `shared`, when all its fields come from there. */
export const compile = (
  mail: Mail.Mail,
  shared?: object
): Effect.Effect<Template.Template, TemplateError.TemplateError> => {
  const known = shared && compiled.get(shared)
  if (known !== undefined) return Effect.succeed(known)
  const source = Object.fromEntries(Object.entries(mail).filter(([field]) => templateFields.has(field)))
  return Effect.map(Template.compile(source as unknown as Template.Source), (template) => {
    if (shared !== undefined) compiled.set(shared, template)
    return template
  })
}

/** The mail with its fields filled in; as it is where that fails. */
export const fill = (mail: Mail.Mail, shared: object | undefined): Effect.Effect<Mail.Mail> =>
  Effect.flatMap(compile(mail, shared), (template) => template.mail(recipientOf(mail))).pipe(
    Effect.orElseSucceed(() => mail)
  )

/** The mail as something that composes itself. */
export const render = (mail: Mail.Mail, shared: object | undefined): Composing => {
  const composing: Effect.Effect<Effect.Success<Composing>, MailError.MailError> = Effect.matchEffect(
    compile(mail, shared),
    {
      onFailure: (error) => Effect.fail(MailError.invalid(error.field, `${error.problem}; ${error.remedy}`)),
      onSuccess: (template) => template.render(recipientOf(mail))
    }
  )
  return Object.assign(composing, { id: mail.id })
}

const recipientOf = (mail: Mail.Mail): Template.Recipient =>
  Object.fromEntries(Object.entries(mail).filter(([field]) => !templateFields.has(field)))
