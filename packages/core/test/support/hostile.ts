/**
 * Mails with a line break or a NUL in one field, and that field's name.
 */
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import type * as Mail from "../../src/Mail.ts"

const places: ReadonlyArray<readonly [field: string, put: (value: string) => Partial<Mail.Mail>]> = [
  ["from", (value) => ({ from: value })],
  ["from.address", (value) => ({ from: { address: value } })],
  ["from.name", (value) => ({ from: { name: value, address: "a@example.org" } })],
  ["from", (value) => ({ from: `${value} <a@example.org>` })],
  ["to", (value) => ({ to: `"${value}" <a@example.org>` })],
  ["to[0]", (value) => ({ to: [`<a@example.org${value}>`] })],
  ["cc[1].name", (value) => ({ cc: ["a@example.org", { name: value, address: "b@example.org" }] })],
  ["bcc", (value) => ({ bcc: `a@example.org (${value})` })],
  ["replyTo", (value) => ({ replyTo: `a@example.org${value}` })],
  ["subject", (value) => ({ subject: value })],
  ["headers.X-A", (value) => ({ headers: { "X-A": value } })],
  ["headers.X-A[1]", (value) => ({ headers: { "X-A": ["b", value] } })],
  ["headers.Sender", (value) => ({ headers: { Sender: `Office <a@example.org>${value}` } })],
  ["headers[", (value) => ({ headers: { [`X-A${value}`]: "b" } })],
  ["messageId", (value) => ({ messageId: `a${value}@b` })],
  ["inReplyTo", (value) => ({ inReplyTo: `<a@b${value}>` })],
  ["references", (value) => ({ references: `<a@b> <c@d${value}>` })],
  ["references[0]", (value) => ({ references: [`a@b${value}`] })],
  ["listUnsubscribe.url", (value) => ({ listUnsubscribe: `https://example.org/${value}` })],
  ["listUnsubscribe.mailto", (value) => ({ listUnsubscribe: { mailto: `a@example.org${value}` } })],
  ["calendar.method", (value) => ({ calendar: { content: "x", method: `REQUEST${value}` } })],
  ["dsn.envelopeId", (value) => ({ dsn: { envelopeId: value } })],
  ["envelope.from", (value) => ({ envelope: { from: `a@example.org${value}` } })],
  ["envelope.to[0]", (value) => ({ envelope: { to: [`a${value}@example.org`] } })],
  ["attachments[0].filename", (value) => ({ attachments: [{ content: "x", filename: value }] })],
  ["attachments[0].contentType", (value) => ({ attachments: [{ content: "x", contentType: `text/plain${value}` }] })],
  ["attachments[0].cid", (value) => ({ attachments: [{ content: "x", cid: `a${value}` }] })]
]

const injected = [
  "\r\nBcc: eve@example.com",
  "\nBcc: eve@example.com",
  "\rBcc: eve@example.com",
  "\r\n\r\n<script>",
  "\r\n.\r\nMAIL FROM:<eve@example.com>",
  "\r\n folded",
  "\r\n",
  "\n",
  "\r",
  "\0"
] as const

/** A mail that must be refused at `field`. */
export const AnyHostileMail = Arbitrary.map(
  Arbitrary.all([
    Arbitrary.schema(Schema.Literals(places.map((_, index) => index))),
    Arbitrary.schema(Schema.Literals(["", "x", "Hello there"])),
    Arbitrary.schema(Schema.Literals(injected)),
    Arbitrary.schema(Schema.Literals(["", "y"]))
  ]),
  ([index, before, middle, after]) => {
    const [field, put] = places[index]!
    return { field, given: put(before + middle + after) }
  }
)
