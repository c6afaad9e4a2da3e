/**
 * Flags that say which messages: where they are read, what they have in common, and who is left out.
 */
import * as Flag from "effect/cli/Flag"
import { optional } from "./flags.ts"

/** Which messages. */
export const messageFlags = {
  input: Flag.String("input").pipe(
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
    Flag.String("template").pipe(
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
      "Who receives, where a message does not say; may be repeated. For an .eml as input: the envelope"
    ),
    Flag.atLeast(0)
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
    Flag.String("text-file").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("The plain text, where a message has no body; {{name}} is filled in")
    )
  ),
  htmlFile: optional(
    Flag.String("html-file").pipe(
      Flag.withMetavar("FILE"),
      Flag.withDescription("The HTML, where a message has no body; {{name}} is filled in, made safe for its place")
    )
  ),
  attachmentsFrom: optional(
    Flag.String("attachments-from").pipe(
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
  suppress: Flag.String("suppress").pipe(
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
