/**
 * Templates: one message with places to fill in, compiled once and rendered for each recipient in microseconds.
 *
 * Parts that all messages share are encoded when the template is compiled: headers, the static text between fields,
 * inline images and attachments. Rendering fills in the rest and copies everything into one buffer.
 *
 * `{{name}}` is filled in from the recipient's data and made safe for the place that it stands in: a text or an attribute
 * of HTML, an address in `href` or `src`, a style, a header, plain text. A value can therefore never add a tag, a
 * script, a header, a recipient or a part. Where nothing would be safe (inside `<style>` or `<script>`, in an attribute
 * without quotes, in a tag's or an attribute's name, in a comment) the template is refused when it is compiled.
 *
 * | written | means |
 * |---|---|
 * | `{{name}}`, `{{user.name}}` | a value: a text, a number, a boolean; names may hold letters of any script, `_`, `-`, single spaces |
 * | `{{name|there}}`, `{{name|"some words"}}` | with a default, for a value that is missing or empty |
 * | `{{{html}}}` | in HTML text: a value that *is* HTML. In an address: a piece that keeps its own `/`, `?` and `&` |
 * | `{{#if paid}}…{{else if due}}…{{else}}…{{/if}}` | missing, `null`, `false`, `0`, `""` and an empty list are no |
 * | `{{#each items}}…{{else}}…{{/each}}` | `{{this}}`, `{{this.price}}` or `{{price}}` for the element, `{{@index}}` from 0, `{{@first}}` and `{{@last}}` for `{{#if}}` |
 * | `\{{` | two braces |
 *
 * In an attribute that holds an address, a field that is all of it (`href="{{url}}"`) must begin with a scheme of
 * `schemes`, or with none; a field that is a part (`href="https://example.org/u/{{id}}?ref={{ref}}"`) is
 * percent-encoded. A line that holds only a block's tag leaves no line behind.
 *
 * @example
 * ```ts
 * import * as Effect from "effect/Effect"
 * import * as Template from "mailrace/Template"
 *
 * const program = Effect.gen(function* () {
 *   const template = yield* Template.compile({
 *     from: "Shop <news@shop.example>",
 *     subject: "{{name|Hello}}, your order {{order.id}}",
 *     html: '<p>Dear {{name|"customer"}},</p><p><a href="https://shop.example/o/{{order.id}}">your order</a></p>'
 *   })
 *   // Ready to send: `Mailer.sendAll` takes such messages from a stream.
 *   return yield* template.render({ to: "ann@example.org", data: { name: "Ann", order: { id: 4711 } } })
 * })
 *
 * export const composed = await Effect.runPromise(program)
 * ```
 *
 * @since 0.1.0
 */

import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaIssue from "effect/SchemaIssue"
import * as Stream from "effect/Stream"
import * as AttachmentFile from "./AttachmentFile.ts"
import type * as Composed from "./Composed.ts"
import { Composer } from "./Composer.ts"
import * as AttachmentSource from "./internal/mime/attachmentSource.ts"
import { attempt, attemptResult } from "./internal/model/attempt.ts"
import * as DateField from "./internal/mime/dateField.ts"
import * as EmlTemplate from "./internal/template/eml.ts"
import * as HtmlText from "./internal/template/plainText.ts"
import * as MailAddresses from "./internal/mime/mailAddresses.ts"
import type * as MailBody from "./internal/mime/mailBody.ts"
import * as MailHeader from "./internal/mime/header.ts"
import * as MailShape from "./internal/model/mailShape.ts"
import * as RandomToken from "./internal/mime/randomToken.ts"
import * as TemplateBody from "./internal/template/body.ts"
import { TemplateBuffer } from "./internal/template/buffer.ts"
import * as Escape from "./internal/template/escape.ts"
import { TemplateHeader } from "./internal/template/header.ts"
import * as TemplatePlaces from "./internal/template/places.ts"
import * as Scope from "./internal/template/scope.ts"
import * as TemplateSteps from "./internal/template/steps.ts"
import * as TextEntity from "./internal/mime/textEntity.ts"
import type * as Mail from "./Mail.ts"
import * as MailError from "./MailError.ts"
import * as TemplateError from "./TemplateError.ts"

/**
 * The values that are filled in.
 *
 * @since 0.1.0
 */
export interface Fields {
  readonly [name: string]: unknown
}

/**
 * A message with fields in it.
 *
 * @since 0.1.0
 */
export interface Source {
  /** Who the messages are from. A name and an address with fields are written `{{name}} <{{address}}>`, or as parts. */
  readonly from: Mail.Mailbox
  /** Who a message is for, when the recipient does not say; `{{email}}` takes it from the data. */
  readonly to?: Mail.Mailboxes | undefined
  readonly replyTo?: Mail.Mailboxes | undefined
  readonly subject: string
  /** Derived from the HTML when left out; an empty text leaves the part out. */
  readonly text?: string | undefined
  /** As written by hand, by MJML or by React Email (with `{{name}}` as plain text in its JSX). */
  readonly html?: string | undefined
  /** More header fields. Those that hold mailboxes (as Sender) take no fields. */
  readonly headers?: Mail.Mail["headers"]
  /** Inline images and files, the same in all messages. Read once, when the template is compiled, whatever their size. */
  readonly attachments?: ReadonlyArray<Mail.Attachment> | undefined
  readonly listUnsubscribe?: Mail.ListUnsubscribe | undefined
  readonly priority?: Mail.Mail["priority"]
}

/**
 * The options for compiling a template.
 *
 * @since 0.1.0
 */
export interface Options {
  /**
   * The policy for a field that the data lacks, or has as `null`, and that has no default: the message is refused
   * (`error`), nothing is put there (`empty`), or the field stays as it was written (`keep`). Defaults to `error`.
   */
  readonly missing?: "error" | "empty" | "keep" | undefined
  /** Schemes that an address from the data may begin with, besides http, https, mailto, tel, sms and cid. */
  readonly schemes?: ReadonlyArray<string> | undefined
  /**
   * Where the template's own files may lie: `anywhere`, `nowhere`, or below a folder. Defaults to
   * `AttachmentFile.AttachmentsFrom`, which defaults to `anywhere`.
   */
  readonly attachmentsFrom?: AttachmentFile.From | undefined
}

/**
 * A recipient, and the values to fill in. They override what the template says.
 *
 * @since 0.1.0
 */
export type Recipient<Data = Fields> = Pick<
  Mail.Mail,
  | "id"
  | "cc"
  | "bcc"
  | "replyTo"
  | "messageId"
  | "date"
  | "inReplyTo"
  | "references"
  | "envelope"
  | "dsn"
  | "requireTls"
  | "tenant"
  /** Files of this message alone, beside the template's. Such a message is composed in full, which costs more. */
  | "attachments"
  /** An invitation of this message alone. Such a message is composed in full, which costs more. */
  | "calendar"
> &
  Partial<Pick<Mail.Mail, "from" | "to">> &
  ({} extends Data ? { readonly data?: Data | undefined } : { readonly data: Data })

/**
 * A message that was rendered.
 *
 * @since 0.1.0
 */
export interface Rendered extends Composed.Composed {
  /**
   * The parts of its body that all messages of its template share, so that nothing needs to read them twice. `undefined` where
   * the message was composed in full, is streamed, or was signed already.
   */
  readonly body?: Composed.SharedBody | undefined
}

/**
 * A message that is rendered when its turn comes.
 *
 * @since 0.1.0
 */
export interface Rendering extends Effect.Effect<Rendered, MailError.MailError> {
  readonly id?: string | undefined
}

/**
 * A template, ready to be rendered.
 *
 * @since 0.1.0
 */
export interface Template<Data = Fields> {
  /** What it was compiled from: a message taken apart, files read into memory. */
  readonly source: Source
  /** The policy for a field that the data lacks (see `Options`). */
  readonly missing: "error" | "empty" | "keep"
  /** The names that it looks up in the data, each once. Names inside `{{#each}}` are left out, as they may mean the element's. */
  readonly fields: ReadonlyArray<string>
  /** Where each of `fields` stands first. */
  readonly places: ReadonlyMap<string, TemplateError.Place>
  /**
   * Who the message is for: what the recipient says, else the template's own `to` with its fields filled in, `undefined`
   * where neither says. Fails with `InvalidMessage`.
   */
  readonly to: (recipient: Recipient<Data>) => Result.Result<Mail.Mailboxes | undefined, MailError.MailError>
  /**
   * Renders the message for one recipient; fails with `InvalidMessage` naming the field at fault, as in `data.name`. What it
   * gives is an Effect that runs when the message is sent, so that it can be handed to `Mailer.sendAll` as it is:
   * `Stream.map(people, template.render)`. A message that cannot be rendered then ends as `Rejected`.
   */
  readonly render: (recipient: Recipient<Data>) => Rendering
  /** The same message before it is composed, for another composer or an outbox. */
  readonly mail: (recipient: Recipient<Data>) => Effect.Effect<Mail.Mail, MailError.MailError>
}

/**
 * Compiles a template; fails with the place, the cause and a remedy. Files are read with the `FileSystem` at hand.
 *
 * @since 0.1.0
 */
export const compile: {
  (source: Source, options?: Options): Effect.Effect<Template, TemplateError.TemplateError>
  /** With a schema, data are decoded for each message, and a field that the schema does not have is found right away. */
  <S extends Schema.ConstraintDecoder<object>>(
    source: Source,
    options: Options & { readonly schema: S }
  ): Effect.Effect<Template<S["Encoded"]>, TemplateError.TemplateError>
} = <Data>(source: Source, options: AnyOptions = {}): Effect.Effect<Template<Data>, TemplateError.TemplateError> =>
  Effect.flatMap(
    Effect.mapError(read(source.attachments ?? [], options.attachmentsFrom), fromMailError),
    (attachments) =>
      // Only the caller's types know what the data must look like.
      attemptTemplate(() => makeUnsafe(source, options, attachments) as unknown as Template<Data>)
  )

/**
 * The options for compiling a message in a file.
 *
 * @since 0.1.0
 */
export interface EmlOptions extends Options {
  /** Overrides what the message says, such as a sender where it has none. */
  readonly replace?: Partial<Source> | undefined
}

/**
 * Compiles a message that a mail program saved (`.eml`): its subject, texts, images and files, and the headers that its author
 * wrote. Its recipients, its date and what relays added are left out; a recipient is kept where it holds a field.
 *
 * @since 0.1.0
 */
export const fromEml = (
  bytes: Uint8Array,
  options?: EmlOptions
): Effect.Effect<Template, TemplateError.TemplateError> =>
  Effect.suspend(() =>
    Effect.flatMap(
      attemptTemplate(() => sourceOfEmlUnsafe(bytes, options?.replace)),
      (source) => compile(source, options)
    )
  )

const sourceOfEmlUnsafe = (bytes: Uint8Array, replace: Partial<Source> | undefined): Source => {
  const source = { ...EmlTemplate.readUnsafe(bytes), ...replace }
  const { from } = source
  if (from !== undefined) return { ...source, from }
  throw TemplateError.make("from", "the message names no sender", "add a From header to it, or give one")
}

type AnyOptions = Options & { readonly schema?: Schema.ConstraintDecoder<object> | undefined }

/** Runs what throws `TemplateError` or `MailError` and nothing else on purpose. */
const attemptTemplate = <A>(run: () => A): Effect.Effect<A, TemplateError.TemplateError> => {
  try {
    return Effect.succeed(run())
  } catch (error) {
    if (error instanceof TemplateError.TemplateError) return Effect.fail(error)
    if (MailError.isMailError(error)) return Effect.fail(fromMailError(error))
    throw error
  }
}

const knownSchemes = ["http", "https", "mailto", "tel", "sms", "cid"]

const makeUnsafe = (source: Source, options: AnyOptions, attachments: ReadonlyArray<Held>): Template<object> => {
  refuseFieldsInNamesUnsafe(attachments)
  return new CompiledTemplate(source, options, attachments)
}

/** A template ready for rendering. Its constructor throws `TemplateError`. */
class CompiledTemplate implements Template<object> {
  readonly source: Source
  readonly missing: "error" | "empty" | "keep"
  readonly fields: ReadonlyArray<string>
  readonly places: ReadonlyMap<string, TemplateError.Place>
  private readonly header: TemplateHeader
  private readonly text: TemplateSteps.Steps | undefined
  private readonly html: TemplateSteps.Steps | undefined
  private readonly body: TemplateBody.Body
  private readonly afterHeader: string
  private readonly decodeUnsafe: ReturnType<typeof decoder>
  private readonly attachments: ReadonlyArray<Mail.Attachment>

  constructor(source: Source, options: AnyOptions, held: ReadonlyArray<Held>) {
    const schemes = new Set([...knownSchemes, ...(options.schemes ?? []).map((scheme) => scheme.toLowerCase())])
    this.missing = options.missing ?? "error"
    this.header = new TemplateHeader(source, { missing: this.missing, schemes })
    const text = source.text && TextEntity.withoutMark(source.text)
    const html = source.html && TextEntity.withoutMark(source.html)
    this.html = html ? TemplatePlaces.htmlUnsafe("html", html, schemes) : undefined
    this.text = textUnsafe(text, this.html, this.html !== undefined || held.length > 0)
    this.body = TemplateBody.make(this.text, this.html, held)
    this.afterHeader = `${this.body.header}\r\n`
    this.places = TemplateSteps.firstOf([
      this.header.names,
      TemplateSteps.names(this.text ?? []),
      TemplateSteps.names(this.html ?? [])
    ])
    this.fields = [...this.places.keys()]
    this.decodeUnsafe = decoder(options.schema, this.fields)
    this.attachments = held.map(({ description: { cid, contentType, filename }, source: content }) => ({
      filename,
      contentType,
      cid,
      content
    }))
    this.source = held.length === 0 ? source : { ...source, attachments: this.attachments }
  }

  // Properties, so that each can be passed on by itself.
  readonly to = ({ data, to }: Recipient<object>) =>
    attemptResult(() => to ?? this.header.to.fillUnsafe(Scope.make(this.decodeUnsafe(data))))

  readonly render = (recipient: Recipient<object>) => Object.assign(this.compose(recipient), { id: recipient.id })

  readonly mail = (recipient: Recipient<object>) => Effect.suspend(() => attempt(() => this.mailUnsafe(recipient)))

  /** Renders, then applies what the composer around does to every message; it composes messages beyond the template. */
  private compose(recipient: Recipient<object>): Effect.Effect<Rendered, MailError.MailError> {
    return Effect.withFiber((fiber) => {
      const composer = fiber.getRef(Composer)
      if (recipient.attachments !== undefined || recipient.calendar !== undefined)
        return Effect.flatMap(
          attempt(() => this.mailUnsafe(recipient)),
          composer.compose
        )
      const now = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
      const rendered = attempt(() => this.renderUnsafe(recipient, now))
      const { finish } = composer
      if (finish === undefined) return rendered
      // A finished message is no longer laid out as it was.
      return Effect.flatMap(rendered, (message) =>
        Effect.map(finish(message, message.body), (finished) => ({ ...finished, body: undefined }))
      )
    })
  }

  private renderUnsafe(recipient: Recipient<object>, now: number): Rendered {
    const { afterHeader, body, header, missing } = this
    MailShape.refuseUnsafe(recipient)
    const scope = Scope.make(this.decodeUnsafe(recipient.data))
    const sender = header.senderUnsafe(scope, recipient)
    const to = header.toUnsafe(scope, recipient)
    const cc = MailAddresses.mailboxesUnsafe("cc", recipient.cc)
    const bcc = MailAddresses.mailboxesUnsafe("bcc", recipient.bcc)
    const envelope = MailAddresses.envelopeUnsafe(recipient, sender.mailbox, [to, cc, bcc])
    const messageId =
      recipient.messageId === undefined
        ? `<${RandomToken.next()}@${sender.domain}>`
        : MailHeader.messageIdUnsafe("messageId", recipient.messageId)
    const date = DateField.valueUnsafe(recipient.date, now)
    const head = header.writeUnsafe(scope, recipient, sender, to, cc, date, messageId) + afterHeader
    // As `AddressSyntax.isAscii`, and ten times as fast on a whole header.
    const utf8Headers = Buffer.byteLength(head) !== head.length
    return usingBuffer((buffer) => {
      buffer.header(head, utf8Headers ? "utf8" : "latin1")
      const start = buffer.length
      const { content, size } = TemplateBody.writeUnsafe(body, buffer, scope, missing)
      return {
        _tag: "Composed",
        id: recipient.id,
        messageId,
        envelope,
        content,
        size,
        eightBit: false,
        utf8Headers,
        tenant: recipient.tenant,
        body: content instanceof Uint8Array ? { start, head: body.head, tail: body.tail } : undefined
      }
    })
  }

  private mailUnsafe(recipient: Recipient<object>): Mail.Mail {
    const { header, html, missing, text } = this
    MailShape.refuseUnsafe(recipient)
    const { data, ...own } = recipient
    const scope = Scope.make(this.decodeUnsafe(data))
    return {
      ...own,
      ...header.fieldsUnsafe(scope, recipient),
      text: text === undefined ? undefined : TemplateSteps.textUnsafe(text, scope, missing),
      html: html === undefined ? undefined : TemplateSteps.textUnsafe(html, scope, missing),
      attachments: [...this.attachments, ...(recipient.attachments ?? [])]
    }
  }
}

const fieldInName = /\{\{\s*[#/]?[\p{L}\p{N}_$@][^{}]*\}\}/u

/** The files of a template are the same in all its messages, names included. */
const refuseFieldsInNamesUnsafe = (attachments: ReadonlyArray<Held>): void => {
  for (const { description } of attachments)
    if (fieldInName.test(description.filename ?? ""))
      throw TemplateError.make(
        `${description.field}.filename`,
        "names of files are not filled in, and this one holds a field",
        "take them out, or give the file with each recipient's attachments"
      )
}

/** The plain text: as given, or as it follows from the HTML. */
const textUnsafe = (
  given: string | undefined,
  html: TemplateSteps.Steps | undefined,
  hasOther: boolean
): TemplateSteps.Steps | undefined => {
  if (given || !hasOther) return TemplatePlaces.plainUnsafe("text", given ?? "", Escape.text)
  if (given === "" || html === undefined) return undefined
  const derived = HtmlText.derive(html)
  return derived.length === 0 ? undefined : derived
}

let spare: TemplateBuffer | undefined

/** Lends the one buffer that all templates share; a run within a run, as from a getter of the data, gets its own. */
const usingBuffer = <A>(use: (buffer: TemplateBuffer) => A): A => {
  const buffer = spare ?? new TemplateBuffer()
  spare = undefined
  buffer.reset()
  try {
    return use(buffer)
  } finally {
    spare = buffer
  }
}

/** The decoder of the data. Throws `TemplateError` if the schema lacks a field, and later `MailError`. */
const decoder = (
  schema: Schema.ConstraintDecoder<object> | undefined,
  fields: Iterable<string>
): ((data: object | undefined) => object) => {
  if (schema === undefined) return (data) => data ?? {}
  const { ast } = Schema.toType(schema)
  if (SchemaAST.isObjects(ast) && ast.indexSignatures.length === 0)
    for (const field of fields)
      if (!ast.propertySignatures.some(({ name }) => String(name).normalize("NFC") === field.split(".")[0]))
        throw TemplateError.make(
          "schema",
          `the template names {{${field}}}, the schema has no such field`,
          "correct the template or the schema"
        )
  const decode = Schema.decodeUnknownResult(schema)
  return (data) => {
    const decoded = decode(data ?? {})
    if (Result.isSuccess(decoded)) return decoded.success
    const [issue] = describe(decoded.failure.issue).issues
    throw MailError.invalid(["data", ...(issue?.path ?? []).map(String)].join("."), issue?.message ?? "it is not valid")
  }
}

const describe = SchemaIssue.makeFormatterStandardSchemaV1()

/** An attachment whose bytes are at hand. */
interface Held {
  readonly description: MailBody.Resolved["description"]
  readonly source: Uint8Array
}

/** Reads files and streams to their end, since their bytes go into each message. */
const read = (
  attachments: ReadonlyArray<Mail.Attachment>,
  from: AttachmentFile.From | undefined
): Effect.Effect<ReadonlyArray<Held>, MailError.MailError> =>
  Effect.flatMap(AttachmentSource.open(attachments, from), (opened) =>
    Effect.forEach(opened, ({ description, source }) => {
      if (source instanceof Uint8Array) return Effect.succeed({ description, source })
      const { size = 0 } = source
      if (size > AttachmentFile.maxHeldBytes) return Effect.fail(AttachmentFile.tooLarge(description.field, size))
      return Effect.map(Stream.runCollect(source.stream), (chunks) => ({ description, source: Buffer.concat(chunks) }))
    })
  )

const fromMailError = ({ reason }: MailError.MailError): TemplateError.TemplateError =>
  reason._tag === "InvalidMessage"
    ? TemplateError.make(reason.field, reason.problem, "correct it in the template")
    : TemplateError.make("attachments", reason.message, reason.remedy)
