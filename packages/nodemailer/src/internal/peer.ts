/**
 * The parts of nodemailer's types that its versions 6 to 10 share.
 *
 * The types come from `@types/nodemailer` up to version 9 and from nodemailer itself since, under other names and with more
 * members. The public modules are declared with these instead, so that an app compiles with the version that it has.
 */
import type { Readable } from "node:stream"

/** An error in nodemailer's form. */
export interface NodemailerError extends Error {
  errno?: number | undefined
  /** The kind of failure, as `EENVELOPE`. */
  code?: string | undefined
  path?: string | undefined
  syscall?: string | undefined
  /** The SMTP command that failed, as `RCPT TO`; `CONN` for the connection and `API` for what never reached the relay. */
  command?: string | undefined
  /** The relay's reply, as it came. */
  response?: string | undefined
  /** The three digits of the reply. */
  responseCode?: number | undefined
  /** True if the relay refused for good. Absent without a reply. */
  permanent?: boolean | undefined
  /** The refused recipient, in an error about one. */
  recipient?: string | undefined
  rejected?: Array<string> | undefined
  rejectedErrors?: Array<NodemailerError> | undefined
  /** The code of the system's error, as `ECONNREFUSED`. */
  originalCode?: string | undefined
  /** Where an `ETIMEDOUT` waited. */
  timeoutType?: "CONNECT_TIMEOUT" | "GREETING_TIMEOUT" | "UPGRADE_TIMEOUT" | "SOCKET_TIMEOUT" | undefined
}

/** The option `dsn` of `sendMail`. */
export interface Dsn {
  readonly ret?: string | null | undefined
  readonly return?: string | null | undefined
  readonly envid?: string | null | undefined
  readonly id?: string | null | undefined
  readonly notify?: string | ReadonlyArray<string> | null | undefined
  readonly recipient?: string | null | undefined
  readonly orcpt?: string | null | undefined
}

/** The options of `sendMail` that the transport itself reads. */
export interface MailData {
  readonly signal?: AbortSignal | undefined
  readonly dkim?: unknown
  readonly dsn?: Dsn | undefined
  readonly requireTLSExtensionEnabled?: boolean | undefined
  readonly raw?: unknown
  readonly auth?: unknown
}

type EnvelopeAddress = string | { readonly address?: string | undefined }

/** A compiled message. An app may pass one of its own, with no more than the first three methods. */
export interface Message {
  getEnvelope(): {
    readonly from?: EnvelopeAddress | false | undefined
    readonly to?: EnvelopeAddress | ReadonlyArray<EnvelopeAddress> | undefined
    readonly size?: number | string | undefined
  }
  messageId(): string
  createReadStream(): Readable
  processFunc?(transform: (content: any) => any): void
  readonly childNodes?: ReadonlyArray<Message> | undefined
  readonly content?: unknown
  readonly _raw?: unknown
}

/** A message on its way to a transport. */
export interface MailMessage {
  readonly data: MailData
  readonly message: Message
}

/** nodemailer's transporter, as a transport sees it. */
export interface Mailer {
  /** Its options, which it copies into each message before it compiles it. */
  readonly options?: object | undefined
  get?(key: string): any
  emit?(event: string, ...values: ReadonlyArray<unknown>): boolean
}
