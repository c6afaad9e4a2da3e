/**
 * Puts an outbox between a program and its transport: one layer, and no other line of the program changes.
 *
 * A program that sends with `Mailer.send` or `Mailer.sendAll` keeps doing so. Each message is first stored durably, then
 * sent by the dispatcher that this layer runs, and the sender learns how the first attempt ended. The sender of a deferred
 * message gets `Deferred`, and the outbox retries the message for days. A message that was begun when the process died is
 * sent when a process with this layer runs again.
 *
 * The program's own concurrency bounds how many senders wait, and no wait is endless. A sender whose message gets no turn
 * within `firstAttemptTimeout`, because its lane is paused, the relay is down, or the outbox cannot record what was sent,
 * gets `Deferred`; the message stays in the outbox. A sender whose store does not answer in that time gets
 * `TransportUnavailable`; its message may have been stored, and then it is sent.
 *
 * A failure of the outbox itself is a `TransportUnavailable` with the store's words and remedy. A message that was
 * cancelled or purged, or that expired, is `Withdrawn`.
 *
 * **Gotchas**
 *
 * A message is known by its Message-ID. A program that runs again over the same input sends it again unless its messages
 * carry a `messageId` of their own. To resume in the middle of an input, enqueue with idempotency keys.
 *
 * This layer composes the messages of `Outbox.enqueue` when it sends them, so provide `Dkim.layer` to it as well. Around
 * the program alone, `Dkim.layer` signs only what goes through `Mailer`, and the enqueued messages go out unsigned.
 *
 * Messages are stored as composed, each with its body. `Outbox.enqueueAll` stores a campaign in a fraction of that space.
 *
 * Inside a transaction that `enqueue` joins, no message is sent before the commit, so do not wait for one there.
 *
 * @example
 * ```ts
 * import * as DurableTransport from "@mailrace/outbox/DurableTransport"
 * import * as Outbox from "@mailrace/outbox/Outbox"
 * import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import * as Mailer from "mailrace/Mailer"
 *
 * const transport = DurableTransport.layer().pipe(
 *   Layer.provide([Outbox.layerSqlite("durable.db"), SmtpTransport.layerUrl("smtp://127.0.0.1:2525")])
 * )
 *
 * const mail = { from: "shop@example.com", to: "ann@example.org", subject: "Thank you", text: "…" }
 *
 * export const delivery = await Mailer.send(mail).pipe(Effect.provide(transport), Effect.runPromise)
 * ```
 *
 * @since 0.1.0
 */

import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type * as Composed from "mailrace/Composed"
import type * as Delivery from "mailrace/Delivery"
import * as MailError from "mailrace/MailError"
import { MailTransport, type Receipt, type SendOptions } from "mailrace/MailTransport"
import * as Reply from "mailrace/Reply"
import type * as Dispatcher from "./Dispatcher.ts"
import { Outbox } from "./Outbox.ts"
import type { Entry } from "./OutboxEntry.ts"
import type { OutboxError } from "./OutboxError.ts"

/**
 * Options of the dispatcher, which ends with the layer.
 *
 * @since 0.1.0
 */
export interface Options extends Omit<Dispatcher.Options, "until" | "onStart" | "onDelivery"> {
  /**
   * The time for which a sender waits, first until its message is stored, then for the end of its first attempt. Defaults
   * to 1 minute.
   */
  readonly firstAttemptTimeout?: Duration.Input | undefined
}

/** The number of messages that may wait for their group commit beside those on their way. */
const enqueuedBeside = 250

/** The interval, in milliseconds, at which to look for messages that another process ended. */
const lookInterval = 1000

/**
 * Puts the outbox before the transport and dispatches it. Fails with `AlreadyDispatching` if another process sends from
 * the same file. After an error of the outbox that is not retryable, every send fails with that error.
 *
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<MailTransport, OutboxError, Outbox | MailTransport> =>
  Layer.effect(
    MailTransport,
    Effect.gen(function* () {
      const outbox = yield* Outbox
      const transport = yield* MailTransport
      const senders = new Senders(outbox, Duration.toMillis(options?.firstAttemptTimeout ?? "1 minute"))
      const started = yield* Deferred.make<void, OutboxError>()
      // Runs after the dispatcher's own end, which still resumes the senders of messages on their way.
      yield* Effect.addFinalizer(() => Effect.sync(() => senders.break(closed)))
      yield* outbox
        .run({
          ...options,
          onStart: () => Effect.asVoid(Deferred.succeed(started, undefined)),
          onDelivery: (delivery, attempt) =>
            Effect.map(Clock.currentTimeMillis, (now) => senders.ended(delivery, attempt, now))
        })
        .pipe(
          Effect.tapError((error) => Effect.sync(() => senders.break(asMailError(error)))),
          Effect.tapDefect((defect) => Effect.sync(() => senders.break(broken(defect)))),
          Effect.onError((cause) => Deferred.failCause(started, cause)),
          Effect.ignore,
          Effect.forkScoped
        )
      yield* Effect.forkScoped(senders.look)
      yield* Deferred.await(started)
      return MailTransport.of({
        concurrency: (options?.concurrency ?? transport.concurrency ?? 10) + enqueuedBeside,
        send: (message, given) => senders.send(message, given)
      })
    })
  )

type Outcome = Effect.Effect<Receipt, MailError.MailError>

interface Sender {
  readonly message: Composed.Composed
  readonly since: number
  /** Completes when the outbox has the message. */
  readonly stored: Deferred.Deferred<void, MailError.MailError>
  readonly end: Deferred.Deferred<Receipt, MailError.MailError>
  /** The message's id, once it is in the outbox. */
  id: string | undefined
}

/** The senders that wait, by the Message-ID of their message. */
class Senders {
  private readonly outbox: Outbox["Service"]
  private readonly firstAttemptTimeout: number
  private readonly waiting = new Map<string, Set<Sender>>()
  private broken: MailError.MailError | undefined

  constructor(outbox: Outbox["Service"], firstAttemptTimeout: number) {
    this.outbox = outbox
    this.firstAttemptTimeout = firstAttemptTimeout
  }

  /** Stores a message and waits for the end of an attempt. */
  send(message: Composed.Composed, options: SendOptions | undefined): Outcome {
    const durably = (restore: NonNullable<SendOptions["restore"]>): Outcome =>
      Effect.clockWith((clock) => {
        // Waits before it enqueues, so that it cannot miss an early end.
        const sender = this.wait(message, clock.currentTimeMillisUnsafe())
        // In a fiber of its own: a store that gives no answer must not hold the sender for ever.
        return Effect.forkDetach(this.store(sender), { startImmediately: true }).pipe(
          Effect.andThen(Deferred.await(sender.stored)),
          // A stored message is sent even if its sender stops waiting.
          Effect.andThen(restore(Deferred.await(sender.end))),
          Effect.ensuring(Effect.sync(() => this.leave(sender)))
        )
      })
    return options?.restore === undefined ? Effect.uninterruptibleMask(durably) : durably(options.restore)
  }

  private store(sender: Sender): Effect.Effect<void> {
    const { message } = sender
    return Effect.mapError(this.outbox.enqueue(message, { idempotencyKey: message.messageId }), asMailError).pipe(
      Effect.flatMap(({ duplicate, id }) => {
        sender.id = id
        return duplicate ? this.ask([sender]) : Effect.void
      }),
      Effect.exit,
      Effect.map((exit) => Deferred.doneUnsafe(sender.stored, exit))
    )
  }

  /** Resumes the senders of a message whose attempt ended in this process. */
  ended(delivery: Delivery.Delivery, attempt: Dispatcher.AttemptedMail, now: number): void {
    if (delivery.messageId === undefined) return
    if (delivery._tag === "Accepted") {
      const { recipients, relay, reply } = delivery
      return this.resume(delivery.messageId, Effect.succeed({ recipients, relay, reply }))
    }
    const { error } = delivery
    const isOver = attempt.dueAt === undefined
    this.resume(delivery.messageId, Effect.fail(isOver ? error : postponed(error, attempt.dueAt.getTime() - now)))
  }

  /**
   * Looks for messages that ended without an attempt here, because they expired, were cancelled or purged, or were sent by
   * another process. Ends the wait of senders that have waited for `firstAttemptTimeout`.
   */
  readonly look: Effect.Effect<never> = Effect.gen({ self: this }, function* () {
    while (true) {
      yield* Effect.sleep(lookInterval)
      const now = yield* Clock.currentTimeMillis
      const old = [...this.waiting.values()].flatMap((senders) =>
        [...senders].filter(({ since }) => now - since >= lookInterval)
      )
      const stored = old.filter(({ id }) => id !== undefined)
      // If the outbox does not answer now, the next round asks again.
      if (stored.length > 0) yield* Effect.ignore(Effect.timeoutOption(this.ask(stored), lookInterval))
      for (const { end, since, stored } of old) {
        if (now - since < this.firstAttemptTimeout) continue
        Deferred.doneUnsafe(stored, Effect.fail(notStored(this.firstAttemptTimeout)))
        Deferred.doneUnsafe(end, Effect.fail(noTurn))
      }
    }
  })

  /** Ends all waits, now and later: nothing will be sent any more. */
  break(error: MailError.MailError): void {
    this.broken ??= error
    for (const messageId of this.waiting.keys()) this.resume(messageId, Effect.fail(this.broken))
  }

  /** Asks the outbox for the state of these senders' messages and ends the waits that are over. */
  private ask(senders: ReadonlyArray<Sender>): Effect.Effect<void, MailError.MailError> {
    return Effect.gen({ self: this }, function* () {
      const ids = senders.map(({ id }) => id!)
      const entries = yield* Effect.mapError(Stream.runCollect(this.outbox.list({ ids })), asMailError)
      const byId = new Map(entries.map((entry) => [entry.id, entry]))
      const now = yield* Clock.currentTimeMillis
      for (const { end, id, message } of senders) {
        const entry = byId.get(id!)
        const ended = entry === undefined ? Effect.fail(withdrawn("purged")) : standing(message, entry, now)
        if (ended !== undefined) Deferred.doneUnsafe(end, ended)
      }
    })
  }

  private wait(message: Composed.Composed, since: number): Sender {
    const stored = Deferred.makeUnsafe<void, MailError.MailError>()
    const end = Deferred.makeUnsafe<Receipt, MailError.MailError>()
    const sender: Sender = { message, since, stored, end, id: undefined }
    if (this.broken !== undefined) Deferred.doneUnsafe(end, Effect.fail(this.broken))
    const others = this.waiting.get(message.messageId)
    if (others === undefined) this.waiting.set(message.messageId, new Set([sender]))
    else others.add(sender)
    return sender
  }

  private leave(sender: Sender): void {
    const { messageId } = sender.message
    const others = this.waiting.get(messageId)
    others?.delete(sender)
    if (others?.size === 0) this.waiting.delete(messageId)
  }

  private resume(messageId: string, end: Outcome): void {
    for (const sender of this.waiting.get(messageId) ?? []) {
      // A message that has ended was stored, even if that is not answered yet.
      Deferred.doneUnsafe(sender.stored, Effect.void)
      Deferred.doneUnsafe(sender.end, end)
    }
  }
}

/** The end of a message as its row shows it; `undefined` while an attempt is near and worth waiting for. */
const standing = (message: Composed.Composed, entry: Entry, now: number): Outcome | undefined => {
  switch (entry.state) {
    case "claimed":
      return undefined
    case "due": {
      const waitMs = entry.dueAt.getTime() - now
      return entry.attempts === 0 || waitMs <= 0 ? undefined : Effect.fail(postponed(lastError(entry, true), waitMs))
    }
    case "accepted":
      return Effect.succeed({
        reply: lastReply(entry) ?? { code: 250, text: entry.lastReply ?? "" },
        relay: entry.lastRelay ?? "",
        recipients:
          entry.recipients.length === 0
            ? message.envelope.to.map((address) => ({ address, outcome: "accepted" }))
            : entry.recipients.map(({ address, outcome, reply = "" }) => ({
                address,
                outcome,
                reply: Reply.parse(reply)
              }))
      })
    case "cancelled":
    case "expired":
      return Effect.fail(withdrawn(entry.state, entry))
    case "rejected":
    case "dead":
      return Effect.fail(lastError(entry, false))
  }
}

const lastReply = ({ lastCode: code, lastEnhanced: enhanced, lastReply: text = "" }: Entry): Reply.Reply | undefined =>
  code === undefined ? undefined : { code, enhanced, text }

/** The error of the last attempt, from what its row keeps of it: the relay's reply, or the error's message. */
const lastError = (entry: Entry, isRetryable: boolean): MailError.MailError => {
  const reply = lastReply(entry)
  if (reply !== undefined) return MailError.make(new MailError.MessageRejected({ reply }))
  const text = entry.lastReply ?? "the last attempt failed"
  const [, tag, problem = text] = /^([A-Z][A-Za-z]+): (.*)$/s.exec(text) ?? []
  if (tag === "OutcomeUnknown" && !isRetryable) return MailError.make(new MailError.OutcomeUnknown({ problem }))
  const [, field, fault] = /^(\S+): (.*)$/s.exec(problem) ?? []
  if (tag === "InvalidMessage" && field !== undefined && fault !== undefined) return MailError.invalid(field, fault)
  return MailError.make(
    new MailError.TransportUnavailable({
      transport: entry.lastRelay ?? "outbox",
      problem: text,
      hint: isRetryable
        ? "wait for the outbox's next attempt; `Outbox.get` shows the attempts so far"
        : "mend what the attempts show (`Outbox.get`), then retry the message in the outbox (`Outbox.retry`)",
      isRetryable
    })
  )
}

const withdrawn = (state: MailError.Withdrawn["state"], entry?: Entry): MailError.MailError => {
  const reply = entry && lastReply(entry)
  const problem = reply === undefined && entry !== undefined && entry.attempts > 0 ? entry.lastReply : undefined
  return MailError.make(new MailError.Withdrawn({ state, reply, problem }))
}

/**
 * The same error with the time of the outbox's next attempt. That is longer than `Mailer` holds a message for, so the
 * sender gives it up at once, and the outbox does not.
 *
 * An error that is final elsewhere, such as a refused login, is not final for the outbox: it retries the message.
 */
const postponed = (error: MailError.MailError, retryAfter: number): MailError.MailError =>
  error.isRetryable || error.reason._tag === "OutcomeUnknown"
    ? MailError.retryIn(error, retryAfter)
    : unavailable({ problem: error.message, hint: error.remedy, isRetryable: true, reply: error.reply, retryAfter })

const unavailable = (facts: Omit<ConstructorParameters<typeof MailError.TransportUnavailable>[0], "transport">) =>
  MailError.make(new MailError.TransportUnavailable({ transport: "outbox", ...facts }))

const closed = unavailable({
  problem: "its layer is closed",
  hint: "send before the layer's scope closes; a process that provides this layer sends the stored messages",
  isRetryable: true
})

const broken = (defect: unknown): MailError.MailError =>
  unavailable({
    problem: `the dispatcher broke: ${MailError.describeThrown(defect)}`,
    hint: "start the process again; the stored messages are safe; report this as a defect of Mailrace",
    isRetryable: true
  })

const notStored = (waitedMs: number): MailError.MailError =>
  unavailable({
    problem: `it has not said within ${waitedMs} ms whether it has stored the message`,
    hint: "look at the outbox's database, then send the message again under its Message-ID: the outbox stores that once",
    isRetryable: true
  })

const noTurn = unavailable({
  problem: "the message waits in the outbox for its turn",
  hint: "leave the message to the outbox; if its lane is paused, resume it (`Outbox.resume`), and look at the relay's errors",
  isRetryable: true,
  retryAfter: 86_400_000
})

/** The error of a message that the outbox could not store. */
const asMailError = ({ reason }: OutboxError): MailError.MailError =>
  reason._tag === "InvalidMail"
    ? MailError.invalid(reason.field, reason.problem)
    : // A message that may be stored is sent later, so a second copy would be one too many.
      reason._tag === "OutcomeUnknown"
      ? MailError.make(new MailError.OutcomeUnknown({ problem: reason.message, limitMs: reason.waitedMs }))
      : unavailable({ problem: reason.message, hint: reason.remedy, isRetryable: reason.isRetryable })
