/**
 * One message on one connection: its commands, the replies so far, its outcome. `SmtpSession` creates it, and `SmtpPipeline`
 * advances it with each reply.
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

/** A message in flight on one connection. Only `SmtpPipeline` changes its fields. */
export class Transaction {
  commands: EnvelopeCommands
  content: Composed.Content
  /** Asked when the first command is about to be written. */
  gate: Gate | undefined
  /** Called once, when the transaction has ended. */
  settle: (outcome: Outcome) => void

  stage: Stage = "queued"
  /** True if it began before all replies to the transactions, or the self-test, ahead of it. */
  isEarly = false
  /** True if each command of its envelope waits for the reply to the one before it. */
  isOneByOne = false
  /** True if the content goes as BDAT, together with its envelope. */
  usesBdat = false
  /** How many bytes of content it then has. */
  chunkLength = 0
  /** The content's size in octets, also of a stream. */
  size = 0
  /** The reply to MAIL. */
  mailReply: Reply.Reply | undefined
  /** The replies to RCPT so far, in order. */
  readonly rcptReplies: Array<Reply.Reply> = []
  /** How many of them were 2yz. */
  acceptedRecipients = 0
  /** When its first command was written, and when its last RCPT was answered; milliseconds on the pipeline's clock. */
  begunAt = 0
  envelopeEndedAt = 0
  /** When its content was begun after the relay's go-ahead, and when all of it was handed to the socket; else 0. */
  contentBegunAt = 0
  handedOverAt = 0
  /** True if all bytes of the content, with their end, have been handed to the socket. */
  isHandedOver = false
  /** Called after `settle`, for a caller that only awaits the end. */
  onDone: (() => void) | undefined

  constructor(commands: EnvelopeCommands, content: Composed.Content, settle: (outcome: Outcome) => void, gate?: Gate) {
    this.commands = commands
    this.content = content
    this.gate = gate
    this.settle = settle
  }

  /** Forgets the message, once the transaction has ended. */
  empty(): void {
    this.commands = noCommands
    this.content = noContent
    this.gate = undefined
    this.settle = ignore
    this.onDone = undefined
    this.mailReply = undefined
    this.rcptReplies.length = 0
  }

  /** True if the replies so far leave a recipient. */
  get hasRecipients(): boolean {
    return this.mailReply !== undefined && this.mailReply.code < 400 && this.acceptedRecipients > 0
  }

  /** The command whose reply it waits for; nothing for RSET and before the first. */
  get command(): "mail" | "rcpt" | "data" | "content" | undefined {
    const { stage } = this
    if (stage === "final") return "content"
    return stage === "mail" || stage === "rcpt" || stage === "data" ? stage : undefined
  }

  /** The outcome of a refused envelope. */
  refusal(): Outcome {
    const mail = this.mailReply
    return mail !== undefined && mail.code >= 400
      ? { _tag: "Refused", at: "mail", reply: mail }
      : { _tag: "RecipientsRefused" }
  }

  /**
   * The outcome of a started transaction whose connection ended. A refusal among the replies so far counts, unless it may
   * answer another transaction. After a 421 the relay has not taken a message without a final reply. Otherwise it may have
   * the message if all of it was handed over, and cannot have it if not.
   *
   * Such a message counts as attempted only if the relay ended the session over its content. A silence counts too, because
   * of its length, unless the early envelope may have caused it.
   */
  endedBy(ending: ConnectionEnd): Outcome {
    if (this.isRefused && ending._tag !== "Violation") return this.refusal()
    if (this.isHandedOver && ending._tag !== "Closing") return { _tag: "Unknown", ending }
    const isAttempt = this.stage === "final" || ("limitMs" in ending && !this.isEarly)
    return { _tag: "NotSent", begun: true, isAttempt, ending }
  }

  /** True if the replies so far rule out that the relay has taken the message. */
  private get isRefused(): boolean {
    if (this.mailReply !== undefined && this.mailReply.code >= 400) return true
    return this.rcptReplies.length === this.commands.rcpt.length && this.acceptedRecipients === 0
  }
}

const noCommands: EnvelopeCommands = { mail: "", rcpt: [] }

const noContent = new Uint8Array(0)

const ignore = (): void => {}
