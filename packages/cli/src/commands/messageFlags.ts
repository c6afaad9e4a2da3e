/**
 * Flags that say which messages: where they are read, what they have in common, and who is left out.
 */
import * as Flag from "effect/cli/Flag"
import { optional, path } from "./flags.ts"

/** Which messages. */
export const messageFlags = {
  input: path("input", "either").pipe(
    Flag.withAlias("i"),
    Flag.withMetavar("FILE"),
    Flag.withDescription("Messages: a .ndjson or .csv file, an .eml file or a folder of them, or - for standard input")
  ),
  format: optional(
    Flag.Literals("format", ["ndjson", "csv", "eml"]).pipe(
      Flag.withDescription("How the input is written. Default: by the file's name, ndjson on standard input")
    )
  ),
  template: optional(
    path("template").pipe(
      Flag.withAlias("t"),
      Flag.withMetavar("FILE"),
      Flag.withDescription(
        "A mail with {{fields}}, filled in for each line: .html (also as MJML or React Email make it) or .txt with --from and --subject, an .eml, or a .json. Values are a CSV's columns or a line's data"
      )
    )
  ),
  from: optional(
    Flag.String("from").pipe(
      Flag.withMetavar("ADDRESS"),
      Flag.withDescription(
        "Who sends, where a message does not say; goes before what a template says. For an .eml as input: the envelope's sender"
      )
    )
  ),
  to: Flag.String("to").pipe(
    Flag.withMetavar("ADDRESS"),
    Flag.withDescription(
      "Recipient of messages that name none, as ops@example.org, or as '{{Contact}}', filled in for each line (then no column of a CSV counts). May be repeated. For an .eml as input: the envelope"
    ),
    Flag.atLeast(0)
  ),
  toColumn: optional(
    Flag.String("to-column").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription(
        'The column of a CSV that holds the recipients, as "Work Email". Default: to or email, else the one that is called as Mailchimp, HubSpot, Google Contacts, Outlook and Excel call it, as in "Email Address" or "E-mail 1 - Value"'
      )
    )
  ),
  subject: optional(
    Flag.String("subject").pipe(
      Flag.withMetavar("TEXT"),
      Flag.withDescription(
        "The subject, where a message has none; {{name}} is filled in. Goes before what a template says"
      )
    )
  ),
  textFile: optional(
    path("text-file").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("The plain text, where a message has no body; {{name}} is filled in")
    )
  ),
  htmlFile: optional(
    path("html-file").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("The HTML, where a message has no body; {{name}} is filled in, made safe for its place")
    )
  ),
  bodyField: optional(
    Flag.String("body-field").pipe(
      Flag.withMetavar("NAME"),
      Flag.withDescription(
        "The column of a CSV or the field of a line that holds the plain text, as message. Default: text"
      )
    )
  ),
  header: Flag.String("header").pipe(
    Flag.withMetavar("'NAME: VALUE'"),
    Flag.withDescription(
      "A header field of each message, as 'X-Campaign: spring' or 'X-Order: {{order.id}}'; may be repeated. A message's own field of that name goes before it"
    ),
    Flag.atLeast(0)
  ),
  replyTo: optional(
    Flag.String("reply-to").pipe(
      Flag.withMetavar("ADDRESS"),
      Flag.withDescription(
        "Where replies go, where a message does not say, as 'Support <help@example.org>'; {{name}} is filled in. Goes before what a template says"
      )
    )
  ),
  attach: path("attach").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("A file that each message carries, as terms.pdf, from wherever it lies; may be repeated"),
    Flag.atLeast(0)
  ),
  listUnsubscribe: Flag.String("list-unsubscribe").pipe(
    Flag.withMetavar("URL"),
    Flag.withDescription(
      "How readers leave the list (RFC 2369), as 'https://example.org/leave/{{id}}', which also offers one-click (RFC 8058) and must take a POST, or as 'mailto:leave@example.org?subject={{id}}'. Once for each"
    ),
    Flag.atLeast(0)
  ),
  attachmentsFrom: optional(
    path("attachments-from", "directory").pipe(
      Flag.withMetavar("DIR"),
      Flag.withDescription(
        "The folder that files attached by path must lie in, links followed. Default: the input's own; none for standard input and pipes. Relative paths start at the input's folder all the same. A template's files lie beside it"
      )
    )
  ),
  missing: optional(
    Flag.Literals("missing", ["error", "empty", "keep"]).pipe(
      Flag.withDescription(
        "What becomes of a field that a line does not have: the line is bad, nothing is put there, or the field stays. Default: error"
      )
    )
  ),
  onBadLine: optional(
    Flag.Literals("on-bad-line", ["skip", "abort"]).pipe(
      Flag.withDescription("At a line that is no message. Default: skip, but abort if the first line cannot be read")
    )
  ),
  suppress: path("suppress").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription(
      "Leave out who is in this file: addresses and @domains, or a CSV with a column email; may be repeated"
    ),
    Flag.atLeast(0)
  ),
  dedupe: Flag.Boolean("dedupe").pipe(
    Flag.withDescription(
      "Leave out who an earlier message of the input is for. A million addresses take 24 MB at most; from 5,000,000 on the oldest are forgotten"
    ),
    Flag.withDefault(false)
  ),
  roleAddresses: optional(
    Flag.Literals("role-addresses", ["keep", "warn", "drop"]).pipe(
      Flag.withDescription(
        "Addresses of a role and not a person, as info@ and noreply@: sent to, sent to and told of, or left out. Default: keep"
      )
    )
  )
}
