/**
 * An outbox between a program and its transport, by a layer and without another changed line.
 *
 * A program that sends with `Mailer.send` or `Mailer.sendAll` goes on doing so. Each message is first made durable, then
 * sent by the dispatcher that this layer runs, and its sender hears how the first attempt ended. What was deferred ends
 * as `Deferred` for the sender and is tried again by the outbox for days; what was begun when the process died is sent
 * when a process with this layer runs again.
 *
 * **Gotchas**
 *
 * A message is known by its Message-ID. A program that is run again over the same input sends it again unless its mails
 * carry a `messageId` of their own; to go on in the middle of an input, enqueue with idempotency keys.
 *
 * @example
 * ```ts
 * const transport = DurableTransport.layer().pipe(
 *   Layer.provide([Outbox.layerSqlite("outbox.db"), SmtpTransport.layerUrl("smtp://localhost")])
 * )
 * ```
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type * as Composed from "mailrace/Composed"
import type * as Delivery from "mailrace/Delivery"
import * as MailError from "mailrace/MailError"
import { MailTransport, type Receipt, type SendOptions } from "mailrace/MailTransport"
import type * as Reply from "mailrace/Reply"
import type * as Dispatcher from "./Dispatcher.ts"
import { Outbox, type Details } from "./Outbox.ts"
import type { OutboxError } from "./OutboxError.ts"
import type { OutboxEvent } from "./OutboxEvent.ts"

/** How the outbox is drained; the end of the layer is the end of the dispatcher. */
export type Options = Omit<Dispatcher.Options, "until" | "onStart" | "onDelivery">

/** Messages that wait for their group commit beside those on their way. */
const enqueuedBeside = 250

/**
 * Puts the outbox in place before the transport in place, and dispatches it. Fails with `AlreadyDispatching` when another
 * process sends from the same file; an error that waiting does not mend fails what is sent from then on.
 */
export const layer = (options?: Options): Layer.Layer<MailTransport, OutboxError, Outbox | MailTransport> =>
  Layer.effect(
    MailTransport,
    Effect.gen(function* () {
      const outbox = yield* Outbox
      const transport = yield* MailTransport
      const senders = new Senders()
      const started = yield* Deferred.make<void, OutboxError>()
      yield* Effect.forkScoped(
        Stream.runForEach(outbox.events, (event) => Effect.sync(() => senders.hear(event))),
        { startImmediately: true }
      )
      yield* outbox
        .run({
          ...options,
          onStart: () => Effect.asVoid(Deferred.succeed(started, undefined)),
          onDelivery: (delivery, attempt) =>
            Effect.map(Clock.currentTimeMillis, (now) => senders.ended(delivery, attempt, now))
        })
        .pipe(
          Effect.catch((error) => {
            senders.break(asMailError(error))
            return Deferred.fail(started, error)
          }),
          Effect.forkScoped
        )
      yield* Deferred.await(started)
      return MailTransport.of({
        concurrency: (options?.concurrency ?? transport.concurrency ?? 10) + enqueuedBeside,
        send: (message, given) => send(outbox, senders, message, given)
      })
    })
  )

const send = (
  outbox: Outbox["Service"],
  senders: Senders,
  message: Composed.Composed,
  options: SendOptions | undefined
): Effect.Effect<Receipt, MailError.MailError> => {
  const durably = (restore: NonNullable<SendOptions["restore"]>) =>
    Effect.suspend(() => {
      // Before it is enqueued, so that an end that comes at once is heard.
      const sender = senders.wait(message.messageId)
      return Effect.mapError(outbox.enqueue(message, { idempotencyKey: message.messageId }), asMailError).pipe(
        Effect.flatMap(({ duplicate, id }) =>
          duplicate
            ? Effect.flatMap(Effect.mapError(outbox.get(id), asMailError), (details) => standing(message, details))
            : Effect.undefined
        ),
        // What is on the disk is sent whether or not somebody waits for it.
        Effect.flatMap((receipt) => (receipt === undefined ? restore(sender.end) : Effect.succeed(receipt))),
        Effect.ensuring(Effect.sync(() => senders.leave(sender)))
      )
    })
  return options?.restore === undefined ? Effect.uninterruptibleMask(durably) : durably(options.restore)
}

/** How a message stands that was enqueued before; `undefined` when its next attempt is near and worth waiting for. */
const standing = (
  message: Composed.Composed,
  details: Details | undefined
): Effect.Effect<Receipt | undefined, MailError.MailError> =>
  Effect.clockWith((clock) => {
    if (details === undefined) return Effect.undefined
    const { entry } = details
    const reply = { code: entry.lastCode ?? 451, enhanced: entry.lastEnhanced, text: entry.lastReply ?? "" }
    const waitMs = entry.dueAt.getTime() - clock.currentTimeMillisUnsafe()
    switch (entry.state) {
      case "claimed":
        return Effect.undefined
      case "due":
        return waitMs > 0 ? Effect.fail(deferred(reply, waitMs)) : Effect.undefined
      case "accepted":
        return Effect.succeed<Receipt>({
          reply,
          relay: entry.lastRelay ?? "",
          recipients: message.envelope.to.map((address) => ({ address, outcome: "accepted" }))
        })
      default:
        return Effect.fail(
          MailError.make(new MailError.MessageRejected({ reply: { ...reply, code: entry.lastCode ?? 554 } }))
        )
    }
  })

/** The sender is told to wait longer than anybody would hold a mail for, and lets go of it; the outbox does not. */
const deferred = (reply: Reply.Reply, retryAfter: number): MailError.MailError =>
  MailError.make(new MailError.Throttled({ reply, retryAfter }))

interface Sender {
  readonly messageId: string
  readonly end: Effect.Effect<Receipt, MailError.MailError>
  readonly resume: (end: Effect.Effect<Receipt, MailError.MailError>) => void
}

/** Who waits for which message. */
class Senders {
  private readonly waiting = new Map<string, Set<Sender>>()
  private broken: MailError.MailError | undefined

  wait(messageId: string): Sender {
    const end = Deferred.makeUnsafe<Receipt, MailError.MailError>()
    const sender: Sender = {
      messageId,
      end: Deferred.await(end),
      resume: (effect) => void Deferred.doneUnsafe(end, effect)
    }
    if (this.broken !== undefined) sender.resume(Effect.fail(this.broken))
    const others = this.waiting.get(messageId)
    if (others === undefined) this.waiting.set(messageId, new Set([sender]))
    else others.add(sender)
    return sender
  }

  leave(sender: Sender): void {
    const others = this.waiting.get(sender.messageId)
    others?.delete(sender)
    if (others?.size === 0) this.waiting.delete(sender.messageId)
  }

  /** An attempt ended. */
  ended(delivery: Delivery.Delivery, attempt: Dispatcher.Attempted, now: number): void {
    if (delivery.messageId === undefined) return
    if (delivery._tag === "Accepted") {
      const { recipients, relay, reply } = delivery
      return this.resume(delivery.messageId, Effect.succeed({ recipients, relay, reply }))
    }
    const { error } = delivery
    this.resume(
      delivery.messageId,
      Effect.fail(
        attempt.dueAt !== undefined && error.reply !== undefined
          ? deferred(error.reply, attempt.dueAt.getTime() - now)
          : error
      )
    )
  }

  /** A mail ended without an attempt. */
  hear({ _tag, messageId }: OutboxEvent): void {
    if (_tag === "Expired")
      this.resume(messageId, Effect.fail(MailError.invalid("expiresAt", "its time was over before it was sent")))
    else if (_tag === "Cancelled")
      this.resume(messageId, Effect.fail(MailError.invalid("mail", "it was cancelled in the outbox")))
    else if (_tag === "Dead")
      this.resume(messageId, Effect.fail(MailError.invalid("mail", "it was given up in the outbox")))
  }

  /** Nothing will be sent any more. */
  break(error: MailError.MailError): void {
    this.broken = error
    for (const messageId of this.waiting.keys()) this.resume(messageId, Effect.fail(error))
  }

  private resume(messageId: string, end: Effect.Effect<Receipt, MailError.MailError>): void {
    for (const sender of this.waiting.get(messageId) ?? []) sender.resume(end)
  }
}

/** An error of the outbox as one of the mail that could not be made durable. */
const asMailError = (error: OutboxError): MailError.MailError => {
  const { reason } = error
  switch (reason._tag) {
    case "InvalidMail":
      return MailError.invalid(reason.field, reason.problem)
    case "Busy":
    case "DiskFull":
      return MailError.make(new MailError.QuotaExceeded({ quota: `outbox: ${reason.message}` }))
    default:
      return MailError.make(
        new MailError.ConnectFailed({ kind: "unreachable", host: "outbox", port: 0, problem: error.message })
      )
  }
}
