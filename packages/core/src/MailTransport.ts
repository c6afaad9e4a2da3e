/**
 * The way out: one method that hands a composed message to a relay and says how that ended.
 *
 * Implementations are `SmtpTransport` (package `@mailrace/smtp`) and `NodemailerTransport`
 * (`@mailrace/nodemailer`); a test gives its own with `MailTransport.of`.
 */

import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Composed from "./Composed.ts"
import type * as MailError from "./MailError.ts"
import type * as Reply from "./Reply.ts"

/** What a relay gave for a message it took. */
export interface Receipt {
  /** The final reply to the content, a 2yz (RFC 5321 §3.3). */
  readonly reply: Reply.Reply
  /** One outcome a recipient, in the envelope's order; at least one is `accepted`. */
  readonly recipients: ReadonlyArray<MailError.RecipientOutcome>
  /** The relay as `host:port`. */
  readonly relay: string
}

/** Says whether messages may be begun. */
export interface Gate {
  /** Whether a message may be begun now. */
  readonly isOpen: boolean
  /** Resumes when `isOpen` is true. */
  readonly opened: Effect.Effect<void>
}

/** How a call of `send` runs. */
export interface SendOptions {
  /**
   * Holds the message back while it is closed. A transport asks as late as it can, best when the message's first command
   * is about to be written; a message that was begun goes on whatever the gate says then. The wait can be interrupted.
   * Defaults to no gate.
   */
  readonly gate?: Gate | undefined
  /**
   * The `restore` of the caller's `Effect.uninterruptibleMask`. A caller that must not lose an outcome runs `send`
   * uninterruptibly and gives its `restore` here; the transport uses it for all that may still be interrupted without
   * loss (waiting for a connection, a transaction not yet begun). An interrupt that comes later waits for the outcome,
   * within the transport's bound. Without it the transport masks for itself.
   */
  readonly restore?: (<A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) | undefined
}

/** Hands composed messages to a relay. */
export class MailTransport extends Context.Service<
  MailTransport,
  {
    /**
     * Sends one message in one attempt. Succeeds when the relay took responsibility for at least one recipient; fails
     * with the reason otherwise. Never retries by itself.
     */
    readonly send: (message: Composed.Composed, options?: SendOptions) => Effect.Effect<Receipt, MailError.MailError>
    /**
     * How many messages in flight keep the transport busy: connections × transactions a connection. `sendAll` takes it
     * as its default concurrency. Defaults to 10.
     */
    readonly concurrency?: number | undefined
  }
>()("mailrace/MailTransport") {}
