/**
 * The end of a connection, and the errors of the messages that were on it.
 */
import * as MailError from "mailrace/MailError"
import * as Reply from "mailrace/Reply"
import * as ReplyClassification from "../../ReplyClassification.ts"

/** The cause of a connection's end. */
export type ConnectionEnd =
  /** The peer closed, or the link broke. */
  | { readonly _tag: "Lost"; readonly problem: string }
  /** The peer announced the end with 421 (RFC 5321 §3.8). */
  | { readonly _tag: "Closing"; readonly reply: Reply.Reply; readonly at?: MailError.Throttled["at"] }
  /** The peer was silent for longer than the phase allows. */
  | { readonly _tag: "Silent"; readonly phase: MailError.Phase; readonly limitMs: number }
  /** The peer was never silent for long, and yet the message took too long from MAIL to its last octet. */
  | { readonly _tag: "Slow"; readonly limitMs: number }
  /** The peer broke the protocol. */
  | {
      readonly _tag: "Violation"
      readonly problem: string
      readonly reply?: Reply.Reply | undefined
      readonly at?: MailError.Throttled["at"]
    }
  /** We closed: the pool is shut, or an interrupt's grace was over. */
  | { readonly _tag: "Closed" }
  /** The content could not be read to its end. */
  | { readonly _tag: "ContentFailed"; readonly cause: unknown }

/** Describes the cause. */
export const describe = (ending: ConnectionEnd): string => {
  switch (ending._tag) {
    case "Lost":
      return ending.problem
    case "Closing":
      return `the relay ended the session: "${Reply.format(ending.reply)}"`
    case "Silent":
      return `the relay was silent for ${ending.limitMs} ms in phase ${ending.phase}`
    case "Slow":
      return `the message took more than ${ending.limitMs} ms from MAIL to the end of its content`
    case "Violation":
      return ending.reply === undefined ? ending.problem : `${ending.problem}: "${Reply.format(ending.reply)}"`
    case "Closed":
      return "Mailrace closed the connection"
    case "ContentFailed":
      return "the content could not be read to its end"
  }
}

/** The error of a step that certainly did not take place. */
export const toError = (ending: ConnectionEnd, phase: MailError.Phase): MailError.MailError => {
  switch (ending._tag) {
    case "Closing":
      return ReplyClassification.fromClosing(ending.reply, ending.at)
    case "Silent":
      return MailError.make(new MailError.Timeout({ phase: ending.phase, limitMs: ending.limitMs }))
    case "Slow":
      return MailError.make(
        new MailError.Timeout({ phase: "content", limitMs: ending.limitMs, problem: describe(ending) })
      )
    case "Violation":
      return MailError.make(
        new MailError.ProtocolViolation({
          problem: ending.problem,
          ...(ending.reply === undefined ? {} : { reply: ending.reply }),
          ...(ending.at === undefined ? {} : { at: ending.at })
        })
      )
    case "ContentFailed":
      return MailError.isMailError(ending.cause)
        ? ending.cause
        : MailError.invalid("content", `it could not be read: ${String(ending.cause)}`)
    case "Lost":
    case "Closed":
      return MailError.make(new MailError.ConnectionLost({ phase, problem: describe(ending) }))
  }
}

/** The error of a message whose content had been handed over when the connection ended. */
export const toUnknown = (ending: ConnectionEnd): MailError.MailError => {
  const problem = describe(ending)
  return MailError.make(
    new MailError.OutcomeUnknown("limitMs" in ending ? { problem, limitMs: ending.limitMs } : { problem })
  )
}
