/**
 * The transport service and its types, for `MailTransport` and for `TestMailbox`, which implements it.
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Tracer from "effect/Tracer"
import type * as Composed from "../../Composed.ts"
import type * as MailError from "../../MailError.ts"
import type * as Reply from "../../Reply.ts"

/**
 * A relay's receipt for a message that it accepted.
 *
 * @since 0.1.0
 */
export interface Receipt {
  /** The final reply to the content, a 2yz (RFC 5321 §3.3). */
  readonly reply: Reply.Reply
  /** One outcome for each recipient, in the envelope's order; at least one is `accepted`. */
  readonly recipients: ReadonlyArray<MailError.RecipientOutcome>
  /** The relay as `host:port`. */
  readonly relay: string
  /** What the relay offers, a line each of its reply to EHLO (RFC 5321 §4.1.1.1); absent where the transport cannot tell. */
  readonly extensions?: ReadonlyArray<string> | undefined
  /** Milliseconds from the envelope's first command to its last reply; absent where the transport cannot tell. */
  readonly envelopeMs?: number | undefined
  /** Milliseconds from then to the final reply. */
  readonly contentMs?: number | undefined
}

/**
 * Decides if messages may be begun.
 *
 * @since 0.1.0
 */
export interface Gate {
  /** True if a message may be begun now. */
  readonly isOpen: boolean
  /** Resumes when `isOpen` is true. Fails where the message is not to be begun any more; `send` then fails with it. */
  readonly opened: Effect.Effect<void, MailError.MailError>
  /**
   * Called right before each MAIL command that the message causes, in the same turn in which `isOpen` was true. A gate that
   * spends something, such as a rate limit, spends it here. A transport that does not know that moment does not call it.
   */
  readonly begun?: (() => void) | undefined
}

/**
 * The place of a message among those that wait: behind all earlier ones (`normal`), or before those that are not urgent.
 *
 * @since 0.1.0
 */
export type Priority = "normal" | "urgent"

/**
 * The session that carries a message, as the message's trace names it.
 *
 * @since 0.2.0
 */
export interface TracedSession {
  readonly host: string
  readonly port: number
  /** The pipelining mode in use. */
  readonly mode: string
  /** The span of the session's connection, if it has one. */
  readonly span: Tracer.AnySpan | undefined
}

/**
 * Takes the moments of a message's way to the relay, for its trace. Transports call it; it must not throw.
 *
 * @since 0.2.0
 */
export interface Moments {
  /** All limits let the message go. `gate` names the one that had held it back, as `rate` or `lane`; absent if none had. */
  readonly admitted: (gate: string | undefined) => void
  /** The message has a session. */
  readonly leased: (session: TracedSession) => void
}

/**
 * The options of `send`.
 *
 * @since 0.1.0
 */
export interface SendOptions {
  /**
   * Holds the message back while it is closed. A transport asks as late as it can, best right before the message's first
   * command. A message that was begun goes on even if the gate closes. The wait can be interrupted. Defaults to no gate.
   */
  readonly gate?: Gate | undefined
  /**
   * `urgent` lets the message pass those that wait for a connection. Of four free places, `urgent` messages take at most
   * three while others wait. Defaults to `normal`.
   */
  readonly priority?: Priority | undefined
  /** Takes the moments of the message's way. A transport over another one passes it on. Defaults to none. */
  readonly moments?: Moments | undefined
  /**
   * The `restore` of the caller's `Effect.uninterruptibleMask`. A caller that must not lose an outcome runs `send`
   * uninterruptibly and passes its `restore`. The transport applies it to every step that can be interrupted without loss:
   * waiting for a connection, and a transaction that has not begun. A later interrupt waits for the outcome, within the
   * transport's bound. Without `restore` the transport masks by itself.
   */
  readonly restore?: (<A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) | undefined
}

/**
 * Hands composed messages to a relay.
 *
 * @since 0.1.0
 */
export class MailTransport extends Context.Service<
  MailTransport,
  {
    /**
     * Sends one message in one attempt. Succeeds if the relay took responsibility for at least one recipient, else fails
     * with the reason. Never retries by itself.
     */
    readonly send: (message: Composed.Composed, options?: SendOptions) => Effect.Effect<Receipt, MailError.MailError>
    /**
     * The number of messages in flight that keeps the transport busy: connections × transactions for each. It is the
     * default concurrency of `sendAll`. Defaults to 10.
     */
    readonly concurrency?: number | undefined
    /**
     * Waits while the transport holds as much content as it may. `sendAll` runs it before it composes a message. Defaults to
     * no wait.
     */
    readonly admission?: Effect.Effect<void> | undefined
  }
>()("mailrace/MailTransport") {}
