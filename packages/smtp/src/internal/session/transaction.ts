/**
 * One message on one connection: what is to be said, what has been answered, how it ended. `SmtpSession` makes it,
 * `SmtpPipeline` moves it on with each reply.
 */
import type * as Composed from "mailrace/Composed"
import type { Gate } from "mailrace/MailTransport"
import type * as Reply from "mailrace/Reply"
import type { ConnectionEnd } from "../connection/connectionEnd.ts"
import type { EnvelopeCommands } from "../protocol/command.ts"

/** How a transaction ended. */
export type Outcome =
  /** 2yz to the content. */
  | { readonly _tag: "Accepted"; readonly reply: Reply.Reply }
  /** MAIL, DATA or the content was refused. */
  | { readonly _tag: "Refused"; readonly at: "mail" | "data" | "content"; readonly reply: Reply.Reply }
  /** Each RCPT was refused. */
  | { readonly _tag: "RecipientsRefused" }
  /**
   * The connection ended before the relay could have taken the message. `begun` tells whether anything was written,
   * `isAttempt` whether that end was the relay's answer to this message.
   */
  | { readonly _tag: "NotSent"; readonly begun: boolean; readonly isAttempt: boolean; readonly ending: ConnectionEnd }
  /** The connection ended after the content was handed over and before its final reply. */
  | { readonly _tag: "Unknown"; readonly ending: ConnectionEnd }

/** The next reply that a transaction waits for. */
export type Stage = "queued" | "rset" | "mail" | "rcpt" | "data" | "emptyContent" | "final" | "done"

/** A message on its way over one connection. Its fields are moved on by `SmtpPipeline` alone. */
export class Transaction {
  readonly commands: EnvelopeCommands
  readonly content: Composed.Content
  /** Asked when the first command is about to be written. */
  readonly gate: Gate | undefined
  /** Called once, when the transaction has ended. */
  readonly settle: (outcome: Outcome) => void

  stage: Stage = "queued"
  /** Whether it was begun before all replies to what is ahead of it: other transactions, or the self-test. */
  isEarly = false
  /** Whether the content goes as BDAT, together with its envelope. */
  usesBdat = false
  /** How many bytes of content it then has. */
  chunkLength = 0
  /** What MAIL was answered. */
  mailReply: Reply.Reply | undefined
  /** What each RCPT was answered so far, in order. */
  readonly rcptReplies: Array<Reply.Reply> = []
  /** How many of them were 2yz. */
  acceptedRecipients = 0
  /** Whether all bytes of the content, with their end, have been handed to the socket. */
  isHandedOver = false
  /** Called after `settle`, for who waits only for the end. */
  onDone: (() => void) | undefined

  constructor(commands: EnvelopeCommands, content: Composed.Content, settle: (outcome: Outcome) => void, gate?: Gate) {
    this.commands = commands
    this.content = content
    this.gate = gate
    this.settle = settle
  }

  /** Whether the envelope so far leaves somebody to send to. */
  get hasRecipients(): boolean {
    return this.mailReply !== undefined && this.mailReply.code < 400 && this.acceptedRecipients > 0
  }

  /** The end that a refused envelope amounts to. */
  refusal(): Outcome {
    const mail = this.mailReply
    return mail !== undefined && mail.code >= 400
      ? { _tag: "Refused", at: "mail", reply: mail }
      : { _tag: "RecipientsRefused" }
  }

  /**
   * The end that the end of its connection amounts to, once it was begun. What the replies so far refuse is refused, unless
   * they may have been another's. After a 421 nothing that lacks its final reply was taken. Otherwise the relay may have
   * it if it was wholly handed over, and cannot have it if it was not.
   *
   * What was not taken was attempted only if the relay ended the session over its content. A silence is an attempt as well,
   * for its length, unless the early envelope may have caused it.
   */
  endedBy(ending: ConnectionEnd): Outcome {
    if (this.isRefused && ending._tag !== "Violation") return this.refusal()
    if (this.isHandedOver && ending._tag !== "Closing") return { _tag: "Unknown", ending }
    const isAttempt = this.stage === "final" || (ending._tag === "Silent" && !this.isEarly)
    return { _tag: "NotSent", begun: true, isAttempt, ending }
  }

  /** Whether the replies so far settle that the relay cannot have taken the message. */
  private get isRefused(): boolean {
    if (this.mailReply !== undefined && this.mailReply.code >= 400) return true
    return this.rcptReplies.length === this.commands.rcpt.length && this.acceptedRecipients === 0
  }
}
