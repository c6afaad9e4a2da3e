/**
 * Messages that are their own templates: their subject and bodies hold `{{fields}}`, `data` holds the values, and the
 * dispatcher fills them in when it sends. The outbox stores and compiles a shared template once.
 */
import * as Effect from "effect/Effect"
import type { Composing } from "mailrace/Composer"
import type * as Mail from "mailrace/Mail"
import * as MailError from "mailrace/MailError"
import * as Template from "mailrace/Template"
import type * as TemplateError from "mailrace/TemplateError"

/** The fields of the template; all others belong to the recipient. */
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

/** Compiled templates by the object that holds the shared fields. */
const compiled = new WeakMap<object, Template.Template>()

/** Compiles the template of a message; remembers it by `shared` if all its fields come from there. */
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

/** The message with its fields filled in; unchanged if that fails. */
export const fill = (mail: Mail.Mail, shared: object | undefined): Effect.Effect<Mail.Mail> =>
  Effect.flatMap(compile(mail, shared), (template) => template.mail(recipientOf(mail))).pipe(
    Effect.orElseSucceed(() => mail)
  )

/** The message as an effect that composes it. */
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
