/**
 * A mail as its author thinks of it: who, what, and what comes with it. Composing turns it into bytes.
 */

import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type * as Envelope from "./Envelope.ts"

/**
 * A file that travels with the mail.
 *
 * Exactly one of `content` and `path` is given. In JSON, `content` is text, or base64 when `encoding` says so.
 */
export interface Attachment {
  /** The name that the reader sees; taken from `path` when left out. */
  readonly filename?: string | undefined
  /** The file itself: text, bytes, or a stream of bytes, which is read anew at each attempt. */
  readonly content?: string | Uint8Array | Stream.Stream<Uint8Array, unknown> | undefined
  /** A file to read when the mail is composed; needs a `FileSystem` (as from `NodeServices.layer`). */
  readonly path?: string | undefined
  /** How a string in `content` is read. Defaults to `utf8`. */
  readonly encoding?: "utf8" | "base64" | undefined
  /** The media type (RFC 2045 §5); guessed from the file name when left out. */
  readonly contentType?: string | undefined
  /** Content-ID without angle brackets (RFC 2392): makes the part inline, for `<img src="cid:…">`. */
  readonly cid?: string | undefined
  /**
   * How many bytes a stream in `content` gives, where that is known: then the message's size is exact, and a stream
   * that gives more or fewer fails. Ignored for other content.
   */
  readonly size?: number | undefined
}

/**
 * How a reader takes themselves off the list (RFC 2369 §3.2). An `https:` address alone, or the parts.
 *
 * With an `https:` address the mail also offers one-click (RFC 8058), which the big mailbox providers demand of bulk
 * senders: the address must then take a POST without a login. `oneClick: false` leaves that out.
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

/** An invitation or another calendar message that mail programs show with its buttons (RFC 6047). */
export interface Calendar {
  /** The iCalendar object (RFC 5545). */
  readonly content: string
  /**
   * The iTIP method as `REQUEST`, `REPLY` or `CANCEL`, which must be the METHOD in the content (RFC 5545 §3.7.2). Defaults
   * to that; a content without a METHOD is sent without one.
   */
  readonly method?: string | undefined
}

/** `"ann@example.org"`, `"Ann <ann@example.org>"`, or the parts. A name is plain text, in any script. */
export type Mailbox = string | { readonly name?: string | undefined; readonly address: string }

/** One mailbox or several; a string may hold several, separated by commas. */
export type Mailboxes = Mailbox | ReadonlyArray<Mailbox>

/** A mail. Only `from`, `to` and `subject` are needed; an empty subject is allowed. */
export interface Mail {
  /** The caller's name for the mail; carried to its `Delivery`. Defaults to the mail's index in the stream. */
  readonly id?: string | undefined
  /** The author (RFC 5322 §3.6.2), and the envelope's sender unless `envelope` names another. */
  readonly from: Mailbox
  /** The recipients, at least one among `to`, `cc` and `bcc` (RFC 5322 §3.6.3). */
  readonly to: Mailboxes
  /** Receives the mail too; named in the header. */
  readonly cc?: Mailboxes | undefined
  /** Receives the mail; named in no header. */
  readonly bcc?: Mailboxes | undefined
  /** Where answers go. Defaults to `from`. */
  readonly replyTo?: Mailboxes | undefined
  /** Plain text in any script, one line. */
  readonly subject: string
  /** The body as plain text, in any script and with any line endings. */
  readonly text?: string | undefined
  /** The body as HTML; with `text`, mail programs choose what they show. */
  readonly html?: string | undefined
  /** More header fields (RFC 5322 §3.6.8); a list gives the field once a value. */
  readonly headers?: { readonly [name: string]: string | ReadonlyArray<string> } | undefined
  /** Files that travel with the mail, in their order. */
  readonly attachments?: ReadonlyArray<Attachment> | undefined
  /** Message-ID with or without angle brackets; made from 128 random bits and the sender's domain when left out. */
  readonly messageId?: string | undefined
  /** The Date field; the time of composing when left out. */
  readonly date?: Date | undefined
  /**
   * The Message-ID that this mail answers, with or without angle brackets (RFC 5322 §3.6.4). As its program made it: any
   * printable ASCII without blanks and angle brackets. What no header can hold, or is longer than 990 characters, is left
   * out.
   */
  readonly inReplyTo?: string | undefined
  /** The Message-IDs of the thread, oldest first, as `inReplyTo`; a string may hold several, also folded. */
  readonly references?: string | ReadonlyArray<string> | undefined
  /** Replaces the envelope that `from`, `to`, `cc` and `bcc` give. `from: ""` is the null sender. */
  readonly envelope?:
    | { readonly from?: string | undefined; readonly to?: ReadonlyArray<string> | undefined }
    | undefined
  /** How a reader takes themselves off the list (RFC 2369 §3.2, RFC 8058). */
  readonly listUnsubscribe?: ListUnsubscribe | undefined
  /** How urgent a mail program shows it. Without it nothing is said. */
  readonly priority?: "high" | "normal" | "low" | undefined
  /** Shown in place of the text where the mail program knows calendars. */
  readonly calendar?: Calendar | undefined
  /** What delivery status notifications are asked for (RFC 3461). Defaults to none. */
  readonly dsn?: Envelope.Dsn | undefined
  /** Refuse to hand the mail on without verified TLS (REQUIRETLS, RFC 8689). Defaults to false. */
  readonly requireTls?: boolean | undefined
  /** Whose quota the mail counts against. */
  readonly tenant?: string | undefined
  /** Values for merge fields, when the mail meets a template. */
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

/** A mail as JSON, one line of an NDJSON file. Addresses are checked when the mail is composed. */
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

/** Types a literal as a `Mail`, for completion in an editor; checks nothing by itself. */
export const make = (mail: Mail): Mail => mail
