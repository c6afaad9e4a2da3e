/**
 * All public modules of `mailrace`: the domain, composing and the pipeline. Each can be imported alone, as `mailrace/Mailer`.
 *
 * @since 0.1.0
 */

export * as Address from "./Address.ts"
export * as AttachmentFile from "./AttachmentFile.ts"
export * as Composed from "./Composed.ts"
export * as Composer from "./Composer.ts"
export * as Dedupe from "./Dedupe.ts"
export * as Delivery from "./Delivery.ts"
export * as Dkim from "./Dkim.ts"
export * as Envelope from "./Envelope.ts"
export * as LogEvent from "./LogEvent.ts"
export * as Mail from "./Mail.ts"
export * as Mailbox from "./Mailbox.ts"
export * as Mailer from "./Mailer.ts"
export * as MailError from "./MailError.ts"
export * as MailTransport from "./MailTransport.ts"
export * as MimeComposer from "./MimeComposer.ts"
export * as NearestName from "./NearestName.ts"
export * as Preview from "./Preview.ts"
export * as RecipientLedger from "./RecipientLedger.ts"
export * as Reply from "./Reply.ts"
export * as ReplyMeaning from "./ReplyMeaning.ts"
export * as RetryPolicy from "./RetryPolicy.ts"
export * as RoleAddress from "./RoleAddress.ts"
export * as Screening from "./Screening.ts"
export * as Suppression from "./Suppression.ts"
export * as Template from "./Template.ts"
export * as TemplateError from "./TemplateError.ts"
export * as TestMailbox from "./TestMailbox.ts"
export * as TraceSampling from "./TraceSampling.ts"
