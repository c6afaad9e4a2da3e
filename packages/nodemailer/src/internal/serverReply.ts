/**
 * Reads a server's reply as nodemailer passes it on: all lines in one string.
 */
import * as ReplyDecoder from "@mailrace/smtp/ReplyDecoder"
import type * as Reply from "mailrace/Reply"

/** Reads a reply; `undefined` if the text is not one, as from transports that do not speak SMTP. */
export const parse = (text: unknown): Reply.Reply | undefined => {
  if (typeof text !== "string") return undefined
  let reply: Reply.Reply | undefined
  new ReplyDecoder.ReplyDecoder().push(Buffer.from(`${text.trim()}\r\n`), (first) => {
    reply ??= first
  })
  return reply
}
