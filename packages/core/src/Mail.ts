/**
 * A message as its author sees it: sender, recipients, texts and attachments. Composing turns it into bytes.
 *
 * @since 0.1.0
 */

import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type * as Envelope from "./Envelope.ts"

/**
 * A file that travels with the message.
 *
 * Give exactly one of `content` and `path`. In JSON, `content` is text, or base64 if `encoding` says so.
 *
 * @since 0.1.0
 */
export interface Attachment {
  /** The name that the reader sees. Defaults to the file name in `path`. */
  readonly filename?: string | undefined
  /** The file itself: text, bytes, or a stream of bytes, which each attempt reads anew. */
  readonly content?: string | Uint8Array | Stream.Stream<Uint8Array, unknown> | undefined
  /** A file to read when the message is composed; needs a `FileSystem` (as from `NodeServices.layer`). */
  readonly path?: string | undefined
  /** The encoding of a string in `content`. Defaults to `utf8`. */
  readonly encoding?: "utf8" | "base64" | undefined
  /** The media type (RFC 2045 §5); guessed from the file name if it is absent. */
  readonly contentType?: string | undefined
  /** Content-ID without angle brackets (RFC 2392): makes the part inline, for `<img src="cid:…">`. */
  readonly cid?: string | undefined
  /**
   * The number of bytes that a stream in `content` gives, where it is known. It makes the message's size exact, and a stream
   * with more or fewer bytes fails. Ignored for other content.
   */
  readonly size?: number | undefined
}

/**
 * The reader's way off the list (RFC 2369 §3.2). An `https:` address alone, or the parts.
 *
 * With an `https:` address the message also offers one-click (RFC 8058), which the big mailbox providers demand of bulk
 * senders. The address must then accept a POST without a login. `oneClick: false` leaves it out.
 *
 * @since 0.1.0
 */
export type ListUnsubscribe =
  | string
  | {
      readonly url?: string | undefined
      /** An address, or a whole `mailto:` address with its subject. */
      readonly mailto?: string | undefined
      /** Defaults to true with an `https:` address. */
      readonly oneClick?: boolean | undefined
    }

/**
 * An invitation or another calendar message that mail programs show with its buttons (RFC 6047).
 *
 * @since 0.1.0
 */
export interface Calendar {
  /** The iCalendar object (RFC 5545). */
  readonly content: string
  /**
   * The iTIP method as `REQUEST`, `REPLY` or `CANCEL`, which must be the METHOD in the content (RFC 5545 §3.7.2). Defaults
   * to that; a content without a METHOD is sent without one.
   */
  readonly method?: string | undefined
}

/**
 * `"ann@example.org"`, `"Ann <ann@example.org>"`, or the parts. A name is plain text, in any script.
 *
 * @since 0.1.0
 */
export type Mailbox = string | { readonly name?: string | undefined; readonly address: string }

/**
 * One mailbox or several; a string may hold several, separated by commas.
 *
 * @since 0.1.0
 */
export type Mailboxes = Mailbox | ReadonlyArray<Mailbox>

/**
 * A message. Only `from`, `to` and `subject` are needed; an empty subject is allowed.
 *
 * @since 0.1.0
 */
export interface Mail {
  /** The caller's name for the message; its `Delivery` carries it. Defaults to the message's index in the stream. */
  readonly id?: string | undefined
  /** The author (RFC 5322 §3.6.2), and the envelope's sender unless `envelope` names another. */
  readonly from: Mailbox
  /** The recipients, at least one among `to`, `cc` and `bcc` (RFC 5322 §3.6.3). */
  readonly to: Mailboxes
  /** More recipients, named in the header. */
  readonly cc?: Mailboxes | undefined
  /** More recipients, not named in any header. */
  readonly bcc?: Mailboxes | undefined
  /** The address for answers. Defaults to `from`. */
  readonly replyTo?: Mailboxes | undefined
  /** Plain text in any script, one line. */
  readonly subject: string
  /** The body as plain text, in any script and with any line endings. */
  readonly text?: string | undefined
  /** The body as HTML; with `text`, mail programs choose what they show. */
  readonly html?: string | undefined
  /** More header fields (RFC 5322 §3.6.8); a list gives the field once a value. */
  readonly headers?: { readonly [name: string]: string | ReadonlyArray<string> } | undefined
  /** Files that travel with the message, in their order. */
  readonly attachments?: ReadonlyArray<Attachment> | undefined
  /** Message-ID with or without angle brackets; made from 128 random bits and the sender's domain if it is absent. */
  readonly messageId?: string | undefined
  /** The Date field. Defaults to the time of composing. */
  readonly date?: Date | undefined
  /**
   * The Message-ID that this message answers, with or without angle brackets (RFC 5322 §3.6.4): any printable ASCII without
   * blanks and angle brackets. A value that no header can hold, or longer than 990 characters, is left out.
   */
  readonly inReplyTo?: string | undefined
  /** The Message-IDs of the thread, oldest first, as `inReplyTo`; a string may hold several, also folded. */
  readonly references?: string | ReadonlyArray<string> | undefined
  /** Replaces the envelope that `from`, `to`, `cc` and `bcc` give. `from: ""` is the null sender. */
  readonly envelope?:
    | { readonly from?: string | undefined; readonly to?: ReadonlyArray<string> | undefined }
    | undefined
  /** The reader's way off the list (RFC 2369 §3.2, RFC 8058). */
  readonly listUnsubscribe?: ListUnsubscribe | undefined
  /** The urgency that a mail program shows. Without it, the header has no such field. */
  readonly priority?: "high" | "normal" | "low" | undefined
  /** Shown in place of the text where the mail program knows calendars. */
  readonly calendar?: Calendar | undefined
  /** The requested delivery status notifications (RFC 3461). Defaults to none. */
  readonly dsn?: Envelope.Dsn | undefined
  /** True if no relay may pass the message on without verified TLS (REQUIRETLS, RFC 8689). Defaults to false. */
  readonly requireTls?: boolean | undefined
  /** The tenant whose quota the message counts against. */
  readonly tenant?: string | undefined
  /** Values for the fields of a template. */
  readonly data?: { readonly [field: string]: unknown } | undefined
}

const JsonMailbox = Schema.Union([
  Schema.String,
  Schema.Struct({ name: Schema.optionalKey(Schema.String), address: Schema.String })
])

const JsonMailboxes = Schema.Union([JsonMailbox, Schema.Array(JsonMailbox)])

const JsonAttachment = Schema.Struct({
  filename: Schema.optionalKey(Schema.String),
  content: Schema.optionalKey(Schema.String),
  path: Schema.optionalKey(Schema.String),
  encoding: Schema.optionalKey(Schema.Literals(["utf8", "base64"])),
  contentType: Schema.optionalKey(Schema.String),
  cid: Schema.optionalKey(Schema.String)
})

/**
 * A message as JSON, one line of an NDJSON file. Addresses are checked when the message is composed.
 *
 * @since 0.1.0
 */
export const MailJson = Schema.Struct({
  id: Schema.optionalKey(Schema.String),
  from: JsonMailbox,
  to: JsonMailboxes,
  cc: Schema.optionalKey(JsonMailboxes),
  bcc: Schema.optionalKey(JsonMailboxes),
  replyTo: Schema.optionalKey(JsonMailboxes),
  subject: Schema.String,
  text: Schema.optionalKey(Schema.String),
  html: Schema.optionalKey(Schema.String),
  headers: Schema.optionalKey(Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Array(Schema.String)]))),
  attachments: Schema.optionalKey(Schema.Array(JsonAttachment)),
  messageId: Schema.optionalKey(Schema.String),
  inReplyTo: Schema.optionalKey(Schema.String),
  references: Schema.optionalKey(Schema.Union([Schema.String, Schema.Array(Schema.String)])),
  envelope: Schema.optionalKey(
    Schema.Struct({ from: Schema.optionalKey(Schema.String), to: Schema.optionalKey(Schema.Array(Schema.String)) })
  ),
  listUnsubscribe: Schema.optionalKey(
    Schema.Union([
      Schema.String,
      Schema.Struct({
        url: Schema.optionalKey(Schema.String),
        mailto: Schema.optionalKey(Schema.String),
        oneClick: Schema.optionalKey(Schema.Boolean)
      })
    ])
  ),
  priority: Schema.optionalKey(Schema.Literals(["high", "normal", "low"])),
  calendar: Schema.optionalKey(Schema.Struct({ content: Schema.String, method: Schema.optionalKey(Schema.String) })),
  requireTls: Schema.optionalKey(Schema.Boolean),
  tenant: Schema.optionalKey(Schema.String),
  data: Schema.optionalKey(Schema.Record(Schema.String, Schema.Unknown))
})

/**
 * Types a literal as a `Mail`, for completion in an editor. It checks nothing by itself.
 *
 * @since 0.1.0
 */
export const make = (mail: Mail): Mail => mail
