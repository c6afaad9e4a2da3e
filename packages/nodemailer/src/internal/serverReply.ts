/**
 * What a server said, as nodemailer hands it on: the lines of a reply in one string.
 */
import * as ReplyDecoder from "@mailrace/smtp/ReplyDecoder"
import type * as Reply from "mailrace/Reply"

/** Reads a reply; `undefined` when the text is none, as of transports that do not speak SMTP. */
export const parse = (text: unknown): Reply.Reply | undefined => {
  if (typeof text !== "string") return undefined
  let reply: Reply.Reply | undefined
  new ReplyDecoder.ReplyDecoder().push(Buffer.from(`${text.trim()}\r\n`), (first) => {
    reply ??= first
  })
  return reply
}
