/**
 * An outbox between a program and its transport, by a layer and without another changed line.
 *
 * A program that sends with `Mailer.send` or `Mailer.sendAll` goes on doing so. Each message is first made durable, then
 * sent by the dispatcher that this layer runs, and its sender hears how the first attempt ended. What was deferred ends
 * as `Deferred` for the sender and is tried again by the outbox for days; what was begun when the process died is sent
 * when a process with this layer runs again.
 *
 * Who waits is bounded by the program's own concurrency, and no wait is without end: a sender whose mail has not had its
 * turn within `patience`, because its lane is paused, the relay is down, or the outbox cannot record what was sent, hears
 * that it is `Deferred` and in the outbox.
 *
 * **Gotchas**
 *
 * A message is known by its Message-ID. A program that is run again over the same input sends it again unless its mails
 * carry a `messageId` of their own; to go on in the middle of an input, enqueue with idempotency keys.
 *
 * What `Outbox.enqueue` puts in is composed by this layer when it is sent, so `Dkim.layer` is to be provided to it as well:
 * around the program alone it signs what goes through `Mailer`, and those mails go out unsigned.
 *
 * Messages are stored as they are composed, each with its body. A campaign is stored in a fraction of that by
 * `Outbox.enqueueAll`.
 *
 * Within a transaction that `enqueue` joins, no mail is sent before it commits, so do not wait there for one.
 *
 * @example
 * ```ts
 * const transport = DurableTransport.layer().pipe(
 *   Layer.provide([Outbox.layerSqlite("outbox.db"), SmtpTransport.layerUrl("smtp://localhost")])
 * )
 * ```
 */
import * as Cause from "effect/Cause"
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
import type * as Dispatcher from "./Dispatcher.ts"
import { Outbox } from "./Outbox.ts"
import type { Entry } from "./OutboxEntry.ts"
import type { OutboxError } from "./OutboxError.ts"

/** How the outbox is drained; the end of the layer is the end of the dispatcher. */
export interface Options extends Omit<Dispatcher.Options, "until" | "onStart" | "onDelivery"> {
  /** How long a sender waits for the end of its mail's first attempt. Defaults to 1 minute. */
  readonly firstAttemptTimeout?: Duration.Input | undefined
}

/** Messages that wait for their group commit beside those on their way. */
const enqueuedBeside = 250

/** How often to look after mails that may have ended by another process's hand. */
const lookInterval = 1000

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
      const senders = new Senders(outbox, Duration.toMillis(options?.firstAttemptTimeout ?? "1 minute"))
      const started = yield* Deferred.make<void, OutboxError>()
      // Behind the dispatcher's own end, which still tells those whose mails were on their way.
      yield* Effect.addFinalizer(() => Effect.sync(() => senders.break(unreachable("it is closed"))))
      yield* outbox
        .run({
          ...options,
          onStart: () => Effect.asVoid(Deferred.succeed(started, undefined)),
          onDelivery: (delivery, attempt) =>
            Effect.map(Clock.currentTimeMillis, (now) => senders.ended(delivery, attempt, now))
        })
        .pipe(
          Effect.tapError((error) => Effect.sync(() => senders.break(asMailError(error)))),
          Effect.tapDefect((defect) => Effect.sync(() => senders.break(unreachable(Cause.pretty(Cause.die(defect)))))),
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
  readonly end: Deferred.Deferred<Receipt, MailError.MailError>
  /** The mail's id, once it is in the outbox. */
  id: string | undefined
}

/** Who waits for which message. */
class Senders {
  private readonly outbox: Outbox["Service"]
  private readonly patience: number
  private readonly waiting = new Map<string, Set<Sender>>()
  private broken: MailError.MailError | undefined

  constructor(outbox: Outbox["Service"], patience: number) {
    this.outbox = outbox
    this.patience = patience
  }

  /** Makes a message durable and waits for the end of an attempt. */
  send(message: Composed.Composed, options: SendOptions | undefined): Outcome {
    const durably = (restore: NonNullable<SendOptions["restore"]>): Outcome =>
      Effect.clockWith((clock) => {
        // Before it is enqueued, so that an end that comes at once is heard.
        const sender = this.wait(message, clock.currentTimeMillisUnsafe())
        return Effect.mapError(this.outbox.enqueue(message, { idempotencyKey: message.messageId }), asMailError).pipe(
          Effect.tap(({ duplicate, id }) => {
            sender.id = id
            return duplicate ? this.ask([sender]) : Effect.void
          }),
          // What is on the disk is sent whether or not somebody waits for it.
          Effect.andThen(restore(Deferred.await(sender.end))),
          Effect.ensuring(Effect.sync(() => this.leave(sender)))
        )
      })
    return options?.restore === undefined ? Effect.uninterruptibleMask(durably) : durably(options.restore)
  }

  /** An attempt ended here. */
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
   * Finds what ended without an attempt here: expired, cancelled or purged by somebody, sent by another process. Ends the
   * wait of those who waited long enough.
   */
  readonly look: Effect.Effect<never> = Effect.gen({ self: this }, function* () {
    while (true) {
      yield* Effect.sleep(lookInterval)
      const now = yield* Clock.currentTimeMillis
      const old = [...this.waiting.values()].flatMap((senders) =>
        [...senders].filter(({ id, since }) => id !== undefined && now - since >= lookInterval)
      )
      // What cannot be asked now, or gets no answer, is asked the next time.
      if (old.length > 0) yield* Effect.ignore(Effect.timeoutOption(this.ask(old), lookInterval))
      for (const sender of old) {
        if (now - sender.since >= this.patience) Deferred.doneUnsafe(sender.end, Effect.fail(outOfPatience))
      }
    }
  })

  /** Nothing will be sent any more. */
  break(error: MailError.MailError): void {
    this.broken ??= error
    for (const messageId of this.waiting.keys()) this.resume(messageId, Effect.fail(this.broken))
  }

  /** Asks the outbox how the mails of these senders stand. */
  private ask(senders: ReadonlyArray<Sender>): Effect.Effect<void, MailError.MailError> {
    return Effect.gen({ self: this }, function* () {
      const ids = senders.map(({ id }) => id!)
      const entries = yield* Effect.mapError(Stream.runCollect(this.outbox.list({ ids })), asMailError)
      const byId = new Map(entries.map((entry) => [entry.id, entry]))
      const now = yield* Clock.currentTimeMillis
      for (const { end, id, message } of senders) {
        const entry = byId.get(id!)
        const ended = entry === undefined ? Effect.fail(purged) : standing(message, entry, now)
        if (ended !== undefined) Deferred.doneUnsafe(end, ended)
      }
    })
  }

  private wait(message: Composed.Composed, since: number): Sender {
    const sender: Sender = { message, since, end: Deferred.makeUnsafe(), id: undefined }
    if (this.broken !== undefined) Deferred.doneUnsafe(sender.end, Effect.fail(this.broken))
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
    for (const sender of this.waiting.get(messageId) ?? []) Deferred.doneUnsafe(sender.end, end)
  }
}

/** The end of a message as its row tells it; `undefined` while an attempt is near and worth waiting for. */
const standing = (message: Composed.Composed, entry: Entry, now: number): Outcome | undefined => {
  const { lastCode: code, lastEnhanced: enhanced, lastRelay: relay = "", lastReply: text = "" } = entry
  switch (entry.state) {
    case "claimed":
      return undefined
    case "due": {
      const waitMs = entry.dueAt.getTime() - now
      if (entry.attempts === 0 || waitMs <= 0) return undefined
      const error =
        code === undefined
          ? unreachable(text)
          : MailError.make(new MailError.MessageRejected({ reply: { code, enhanced, text } }))
      return Effect.fail(postponed(error, waitMs))
    }
    case "accepted":
      return Effect.succeed({
        reply: { code: code ?? 250, enhanced, text },
        relay,
        recipients: message.envelope.to.map((address) => ({ address, outcome: "accepted" }))
      })
    case "cancelled":
      return Effect.fail(MailError.invalid("mail", "it was cancelled in the outbox"))
    case "expired":
      return Effect.fail(MailError.invalid("mail", "its time in the outbox was over before a relay took it"))
    case "rejected":
    case "dead":
      return Effect.fail(
        MailError.make(new MailError.MessageRejected({ reply: { code: code ?? 554, enhanced, text } }))
      )
  }
}

/**
 * The same error with the time of the outbox's next attempt, longer than anybody would hold a mail for: the sender lets
 * go of it at once, and the outbox does not.
 */
const postponed = (error: MailError.MailError, retryAfter: number): MailError.MailError =>
  Object.defineProperty(MailError.make(error.reason), "retryAfter", { value: retryAfter })

const unreachable = (problem: string): MailError.MailError =>
  MailError.make(new MailError.ConnectFailed({ kind: "unreachable", host: "outbox", port: 0, problem }))

const purged = MailError.invalid("mail", "it was purged from the outbox")

const outOfPatience = MailError.make(
  new MailError.Throttled({
    reply: { code: 451, text: "the mail waits in the outbox for its turn" },
    retryAfter: 86_400_000
  })
)

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
      return unreachable(error.message)
  }
}
