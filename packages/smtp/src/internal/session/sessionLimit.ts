/**
 * Replies to a transaction that are about the session and not about its message.
 *
 * Relays end a session's allowance in several ways. RFC 5321 §3.8 has 421 for it, which ends the connection. Others refuse each further transaction and leave the connection open: Stalwart by 452 4.4.5 after
 * so many messages, Exchange Online by 432 4.3.2 on each connection above its limit. Another session takes such a message.
 */
import * as Reply from "mailrace/Reply"

/** What the limit counts: messages on the session, or sessions beside it. */
export type SessionLimit = "messages" | "connections"

/** How much of a reply's text is read, in octets; the rest may quote the client. */
const significant = 80

const tooManyConnections =
  /\b(?:too many|concurrent|simultaneous|maximum|max)\b.{0,40}\b(?:connections?|sessions?)\b|\bconnections?\b.{0,20}\b(?:limit|exceeded)\b/i
const tooManyMessages =
  /\b(?:too many|maximum|max|limit)\b.{0,40}\b(?:messages?|mails?|transactions?)\b.{0,20}\b(?:session|connection)\b/i

const enoughMessages = /\b(?:too many|maximum|max|limit)\b.{0,40}\b(?:messages?|mails?|transactions?)\b/i

/** The limit that a refusal reports, if any. `hasCarried`: the session has carried a message. */
export const sessionLimit = (reply: Reply.Reply, hasCarried: boolean): SessionLimit | undefined => {
  if (!Reply.isTransient(reply)) return undefined
  const words = reply.text.slice(0, significant)
  // A 421 ends the session, so that it need not say which messages it counts.
  if (tooManyMessages.test(words) || (reply.code === 421 && enoughMessages.test(words))) return "messages"
  if (reply.code === 432 ? reply.enhanced === "4.3.2" : tooManyConnections.test(words)) return "connections"
  // The code means congestion, but after a message it is about this session.
  return reply.code === 452 && reply.enhanced === "4.4.5" && hasCarried ? "messages" : undefined
}
