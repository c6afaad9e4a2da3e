/**
 * Replies to a transaction that are about the session and not about its message.
 *
 * Relays end a session's allowance in several ways. RFC 5321 §3.8 has 421 for it, which ends the connection. Others refuse each
 * further transaction and leave the connection open: Stalwart by 452 4.4.5 after this many messages, Exchange Online by 432 4.3.2
 * on each connection above its limit. Another session takes such a message.
 */
import type * as Reply from "mailrace/Reply"
import * as ReplyMeaning from "mailrace/ReplyMeaning"

/** The limit that a session is past: messages carried, or sessions beside it. */
export type SessionLimit = "messages" | "connections"

/** The limit that a refusal announces, if any. `hasCarried` tells whether the session has carried a message. */
export const sessionLimit = (reply: Reply.Reply, hasCarried: boolean): SessionLimit | undefined => {
  if (reply.code < 400) return undefined
  const { about, isTransient } = ReplyMeaning.of(reply, "mail", { hasCarried })
  if (!isTransient) return undefined
  switch (about) {
    case "messagesPerSession":
      return "messages"
    case "connections":
      return "connections"
    default:
      return undefined
  }
}
