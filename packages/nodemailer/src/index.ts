/**
 * All public modules of `@mailrace/nodemailer`: bridges to and from nodemailer.
 *
 * @since 0.1.0
 */

export * as MailraceTransport from "./MailraceTransport.ts"
export * as NodemailerComposer from "./NodemailerComposer.ts"
export * as NodemailerTransport from "./NodemailerTransport.ts"
