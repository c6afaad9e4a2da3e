/**
 * Reads a message in a file as the body of a template, with its attached files.
 *
 * A text that readers see is filled in; where it cannot be, the message is refused rather than sent with its braces.
 */
import * as TemplateError from "../../TemplateError.ts"
import * as MessageBody from "../mime/messageBody.ts"
import * as MimeReader from "../mime/reader.ts"

/** Reads a message's body. Throws `TemplateError`. */
export const readUnsafe = (message: MimeReader.Part): MessageBody.MessageBody =>
  MessageBody.read(message, {
    text: textUnsafe,
    file: refuseFieldsUnsafe,
    unread: refuseUnsafe,
    // Its fields stay fields; three braces mean HTML there, which they do not in a text.
    beforeHtml: (text) => text.replace(/\{\{\{([^{}]*)\}\}\}/g, "{{$1}}")
  })

/** Nothing fills in a text that travels as a file. A part that is marked as an attachment is meant to be one. */
const refuseFieldsUnsafe = (part: MimeReader.Part): void => {
  if (part.disposition === "attachment" || !part.type.startsWith("text/") || part.type === "text/css") return
  if (!/(?:\{|%7B){2}/i.test(MimeReader.textOf(part))) return
  const name = part.filename === undefined ? "without a name" : `"${part.filename}"`
  throw TemplateError.make(
    "attachments",
    `the part of type ${part.type} ${name} holds braces, and would be sent without being filled in`,
    "take it out of the message, or attach it as a file (Content-Disposition: attachment)"
  )
}

/** The message would be sent without what stands there. */
const refuseUnsafe = ({ type }: MimeReader.Part): never => {
  throw TemplateError.make(
    "text",
    `the part of type ${type} has no part that can be read`,
    "check its boundary, which is that of the lines between its parts, and nest parts no more than 20 deep"
  )
}

const textUnsafe = (part: MimeReader.Part, field: string): string => {
  const { problem, text } = MimeReader.decodedText(part)
  if (problem === undefined) return text
  const fault = problem.endsWith("is not known") ? 0 : Math.max(0, text.indexOf("\ufffd"))
  throw TemplateError.at(
    field,
    text,
    fault,
    problem,
    "save the message as UTF-8, or correct the charset of its Content-Type"
  )
}
