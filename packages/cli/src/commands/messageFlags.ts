/**
 * Flags for the messages: their input, the fields that they share, and the recipients that are dropped.
 */
import * as Flag from "effect/cli/Flag"
import { optional, path } from "./flags.ts"

export const messageFlags = {
  input: path("input", "either").pipe(
    Flag.withAlias("i"),
    Flag.withMetavar("FILE"),
    Flag.withDescription(
      "The messages: an .ndjson or .csv file, an .eml file or a folder of them, or - for standard input"
    )
  ),
  format: optional(
    Flag.Literals("format", ["ndjson", "csv", "eml"]).pipe(
      Flag.withDescription("The input's format. Default: by the file's name; ndjson for standard input")
    )
  ),
  template: optional(
    path("template").pipe(
      Flag.withAlias("t"),
      Flag.withMetavar("FILE"),
      Flag.withDescription(
        "A message with {{fields}} that each line fills in: .html (MJML and React Email output too) or .txt with --from and --subject, .eml, or .json. Values come from a CSV's columns or a line's data"
      )
    )
  ),
  from: optional(
    Flag.String("from").pipe(
      Flag.withMetavar("ADDRESS"),
      Flag.withDescription(
        "The sender of messages that name none; overrides the template's. For .eml input: the envelope's sender"
      )
    )
  ),
  to: Flag.String("to").pipe(
    Flag.withMetavar("ADDRESS"),
    Flag.withDescription(
      "A recipient of messages that name none, such as ops@example.org or '{{Contact}}', which each line fills in (a CSV's recipient column is then not used). May be repeated. For .eml input: the envelope's recipients"
    ),
    Flag.atLeast(0)
  ),
  toColumn: optional(
    Flag.String("to-column").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription(
        'The CSV column with the recipients, such as "Work Email". Default: to or email, then the names that Mailchimp, HubSpot, Google Contacts, Outlook and Excel use, such as "Email Address" or "E-mail 1 - Value"'
      )
    )
  ),
  subject: optional(
    Flag.String("subject").pipe(
      Flag.withMetavar("TEXT"),
      Flag.withDescription("The subject of messages that have none; {{name}} is filled in. Overrides the template's")
    )
  ),
  textFile: optional(
    path("text-file").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("The plain text of messages that have no body; {{name}} is filled in")
    )
  ),
  htmlFile: optional(
    path("html-file").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("The HTML of messages that have no body; {{name}} is filled in and escaped")
    )
  ),
  bodyField: optional(
    Flag.String("body-field").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription("The CSV column or line field with the plain text, such as message. Default: text")
    )
  ),
  header: Flag.String("header").pipe(
    Flag.withMetavar("'NAME: VALUE'"),
    Flag.withDescription(
      "A header field for each message, such as 'X-Campaign: spring' or 'X-Order: {{order.id}}'; may be repeated. A message's own field of that name overrides it"
    ),
    Flag.atLeast(0)
  ),
  replyTo: optional(
    Flag.String("reply-to").pipe(
      Flag.withMetavar("ADDRESS"),
      Flag.withDescription(
        "The Reply-To of messages that have none, such as 'Support <help@example.org>'; {{name}} is filled in. Overrides the template's"
      )
    )
  ),
  attach: path("attach").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("A file to attach to each message, such as terms.pdf, from any folder; may be repeated"),
    Flag.atLeast(0)
  ),
  listUnsubscribe: Flag.String("list-unsubscribe").pipe(
    Flag.withMetavar("URL"),
    Flag.withDescription(
      "How readers leave the list (RFC 2369): 'https://example.org/leave/{{id}}', which also offers one-click (RFC 8058) and must accept a POST, or 'mailto:leave@example.org?subject={{id}}'. At most one of each"
    ),
    Flag.atLeast(0)
  ),
  attachmentsFrom: optional(
    path("attachments-from", "directory").pipe(
      Flag.withMetavar("DIR"),
      Flag.withDescription(
        "The folder that attachments given by path must be in, after following links. Default: the input's folder; none for standard input and pipes. Relative paths still start at the input's folder. A template's files must be beside it"
      )
    )
  ),
  missing: optional(
    Flag.Literals("missing", ["error", "empty", "keep"]).pipe(
      Flag.withDescription(
        "If a line lacks a field: reject the line (error), insert nothing (empty), or leave the field as it is (keep). Default: error"
      )
    )
  ),
  onBadLine: optional(
    Flag.Literals("on-bad-line", ["skip", "abort"]).pipe(
      Flag.withDescription(
        "At a line that is not a valid message: skip it or abort. Default: skip, but abort if the first line cannot be read"
      )
    )
  ),
  suppress: path("suppress").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription(
      "Drop recipients listed in this file: addresses and @domains, or a CSV with a column email; may be repeated"
    ),
    Flag.atLeast(0)
  ),
  dedupe: Flag.Boolean("dedupe").pipe(
    Flag.withDescription(
      "Drop recipients of earlier messages of the input. A million addresses take at most 24 MB; beyond 5,000,000 the oldest are forgotten"
    ),
    Flag.withDefault(false)
  ),
  roleAddresses: optional(
    Flag.Literals("role-addresses", ["keep", "warn", "drop"]).pipe(
      Flag.withDescription(
        "Addresses of a role instead of a person, such as info@ and noreply@: send (keep), send with a warning (warn), or drop. Default: keep"
      )
    )
  )
}
