/**
 * Sends one message, or a stream of messages.
 *
 * `sendAll` takes messages from a stream as fast as the transport's connections take them and gives one `Delivery` for each. A
 * failed message is a value like any other, so one bad address never stops a campaign. The stream itself fails only if its
 * source does.
 *
 * The `Composer` composes a message (`MimeComposer` by default), and the `MailTransport` attempts it (over SMTP that is
 * `@mailrace/smtp/SmtpTransport`). If the first attempt does not settle it, `internal/retry/retryState` keeps it until the
 * last one; then it becomes a `Delivery`.
 *
 * Five rules hold for each message:
 * - it ends exactly once, as `Accepted`, `Rejected`, `Deferred` or `Unknown`;
 * - it is retried only for retryable reasons, at the policy's times, under the same Message-ID, and only to recipients that
 *   were neither accepted nor refused permanently;
 * - it is not sent again after a lost final reply, unless `onUnknown` asks for that;
 * - a defect in composing or sending it fails this message alone;
 * - an interrupt lets a transaction that has begun finish, within the transport's bound, and its outcome reaches
 *   `onDelivery`.
 *
 * @example
 * ```ts
 * import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 * import * as Mailer from "mailrace/Mailer"
 *
 * const mails = Stream.range(1, 3).pipe(
 *   Stream.map((n) => ({ from: "news@example.org", to: `reader${n}@example.org`, subject: "Hello", text: `Number ${n}` }))
 * )
 *
 * // The deliveries of three messages, in the order in which they end.
 * export const deliveries = await mails.pipe(
 *   Mailer.sendAll(),
 *   Stream.runCollect,
 *   Effect.provide(SmtpTransport.layerUrl("smtp://127.0.0.1:2525")),
 *   Effect.runPromise
 * )
 * ```
 *
 * @since 0.1.0
 */

import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { dual } from "effect/Function"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type * as Tracer from "effect/Tracer"
import * as Composed from "./Composed.ts"
import { Composer, type ComposerService, type Composing } from "./Composer.ts"
import * as Delivery from "./Delivery.ts"
import { mapInFlight } from "./internal/sending/mapInFlight.ts"
import { MailMetrics } from "./internal/sending/mailMetrics.ts"
import { MailTrace } from "./internal/sending/mailTrace.ts"
import { RetryState } from "./internal/retry/retryState.ts"
import type * as Mail from "./Mail.ts"
import * as MailError from "./MailError.ts"
import {
  MailTransport,
  type Priority,
  type Receipt,
  type SendOptions as MailTransportSendOptions
} from "./MailTransport.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import * as TraceSampling from "./TraceSampling.ts"

/**
 * The options for one message.
 *
 * @since 0.1.0
 */
export interface SendOptions {
  /** The times of the retries. Defaults to `RetryPolicy.defaultPolicy`. */
  readonly retry?: RetryPolicy.RetryPolicy | undefined
  /**
   * The action after a lost final reply: `report` ends the message as `Unknown`; `resend` retries it under the same Message-ID
   * and risks that it arrives twice. Defaults to `report`.
   */
  readonly onUnknown?: "report" | "resend" | undefined
  /**
   * `urgent` lets a message pass those that wait for a connection, such as a sign-up beside a campaign over the same transport.
   * Defaults to `urgent` for `send` and to `normal` for `sendAll`.
   */
  readonly priority?: Priority | undefined
}

/**
 * The options for a stream of messages.
 *
 * @since 0.1.0
 */
export interface Options extends SendOptions {
  /**
   * The number of messages on their way at once, from 1. Defaults to the number that keeps the transport busy
   * (`MailTransport.concurrency`), or to 10 if the transport has none.
   */
  readonly concurrency?: number | undefined
  /** True to give deliveries in the order of the messages, so that the slowest holds up the rest. Defaults to false. */
  readonly ordered?: boolean | undefined
  /**
   * Runs once for each message that was begun, before its delivery leaves the stream. It cannot be interrupted. It also sees
   * the messages that finish while the stream is being interrupted, which nothing downstream can see.
   */
  readonly onDelivery?: ((delivery: Delivery.Delivery) => Effect.Effect<void>) | undefined
}

/**
 * A mail, or a composed message.
 *
 * @since 0.1.0
 */
export type Sendable = Mail.Mail | Composed.Composed

/**
 * The input of `send` and `sendAll`: a mail, a composed message, or a mail that composes itself, as from a template.
 *
 * @since 0.1.0
 */
export type Source = Sendable | Composing

/**
 * Sends one message. Succeeds if a relay took responsibility for it, else fails with the reason (`OutcomeUnknown` if the final
 * reply was lost).
 *
 * @since 0.1.0
 */
export const send = (
  mail: Source,
  options?: SendOptions
): Effect.Effect<Delivery.Accepted, MailError.MailError, MailTransport> =>
  Effect.withFiber((fiber) =>
    Effect.flatMap(MailTransport, (transport) =>
      Effect.flatMap(
        makeSender(fiber, transport, { ...options, priority: options?.priority ?? "urgent" })(mail, 0),
        (delivery) => (Delivery.isAccepted(delivery) ? Effect.succeed(delivery) : Effect.fail(delivery.error))
      )
    )
  )

/**
 * Sends a stream of messages and gives one `Delivery` for each.
 *
 * Backpressure reaches the source: the stream takes no more messages than `concurrency` allows. It fails only with the source's
 * error; the messages on their way are finished first, and `onDelivery` sees them.
 *
 * @since 0.1.0
 */
export const sendAll: {
  (
    options?: Options
  ): <E, R>(mails: Stream.Stream<Source, E, R>) => Stream.Stream<Delivery.Delivery, E, R | MailTransport>
  <E, R>(mails: Stream.Stream<Source, E, R>, options?: Options): Stream.Stream<Delivery.Delivery, E, R | MailTransport>
} = dual(
  (args) => Stream.isStream(args[0]),
  <E, R>(
    mails: Stream.Stream<Source, E, R>,
    options?: Options
  ): Stream.Stream<Delivery.Delivery, E, R | MailTransport> =>
    Stream.unwrap(
      Effect.withFiber((fiber) =>
        Effect.map(MailTransport, (transport) =>
          mapInFlight(mails, makeSender(fiber, transport, options), {
            concurrency: options?.concurrency ?? transport.concurrency ?? 10,
            ordered: options?.ordered === true
          })
        )
      )
    )
)

type Sender = (mail: Source, index: number) => Effect.Effect<Delivery.Delivery>

/** Reads the shared services from the fiber once, so that no mail looks them up again. */
const makeSender = (
  fiber: Fiber.Fiber<unknown, unknown>,
  transport: MailTransport["Service"],
  options: Options | undefined
): Sender => {
  const pipeline: Pipeline = {
    transport,
    composer: fiber.getRef(Composer),
    clock: fiber.getRef(Clock.Clock),
    policy: options?.retry ?? RetryPolicy.defaultPolicy,
    resendUnknown: options?.onUnknown === "resend",
    optionsOf: sendOptions(options?.priority),
    onDelivery: options?.onDelivery,
    domains: fiber.getRef(TraceSampling.RecipientDomains),
    metrics: MailMetrics.of(fiber)
  }
  const isTraced = TraceSampling.decision(fiber)
  const tail = TraceSampling.tailOf(fiber)
  const { tracer } = fiber.cache
  const deliverUntraced: Sender =
    tail === undefined || tracer === undefined
      ? (mail, index) => deliver(pipeline, mail, index, undefined)
      : (mail, index) => deliver(pipeline, mail, index, new WatchedTrace(pipeline, tail, tracer))
  return (mail, index) => (isTraced() ? deliverTraced(pipeline, mail, index) : deliverUntraced(mail, index))
}

/** The options that a transport gets with each message, the same for all, because `restore` is. */
const sendOptions = (priority: Priority | undefined): ((restore: Restore) => MailTransportSendOptions) => {
  let last: MailTransportSendOptions | undefined
  return (restore) => (last?.restore === restore ? last : (last = { restore, priority }))
}

type Restore = NonNullable<MailTransportSendOptions["restore"]>

interface Pipeline {
  readonly transport: MailTransport["Service"]
  readonly composer: ComposerService
  readonly clock: Clock.Clock
  readonly policy: RetryPolicy.RetryPolicy
  readonly resendUnknown: boolean
  readonly optionsOf: (restore: Restore) => MailTransportSendOptions
  readonly onDelivery: ((delivery: Delivery.Delivery) => Effect.Effect<void>) | undefined
  /** Recipient domains that spans name. */
  readonly domains: ReadonlySet<string>
  readonly metrics: MailMetrics
}

/** A trace that is completed with the message's end, and then gives the delivery with its id. */
abstract class EndingTrace extends MailTrace {
  protected readonly pipeline: Pipeline

  constructor(pipeline: Pipeline) {
    super(pipeline.clock, pipeline.domains)
    this.pipeline = pipeline
  }

  abstract end(delivery: Delivery.Delivery): Delivery.Delivery
}

/** The trace of a message that has a span. */
class SpanTrace extends EndingTrace {
  private readonly span: Tracer.Span

  constructor(pipeline: Pipeline, span: Tracer.Span) {
    super(pipeline)
    this.span = span
  }

  end(delivery: Delivery.Delivery): Delivery.Delivery {
    this.describe(this.span, delivery)
    return { ...delivery, traceId: this.span.traceId }
  }
}

/** The trace of a message that has none, unless the tail watch wants it. */
class WatchedTrace extends EndingTrace {
  private readonly tail: TraceSampling.TailWatch
  private readonly tracer: Tracer.Tracer

  constructor(pipeline: Pipeline, tail: TraceSampling.TailWatch, tracer: Tracer.Tracer) {
    super(pipeline)
    this.tail = tail
    this.tracer = tracer
  }

  end(delivery: Delivery.Delivery): Delivery.Delivery {
    const endedAt = this.clock.currentTimeNanosUnsafe()
    const traceId = this.tail.end({
      delivery,
      relay: delivery.relay ?? this.relay,
      endedAt: Number(endedAt / 1_000_000n),
      write: (attributes) => this.write(this.tracer, delivery, endedAt, attributes)
    })
    return traceId === undefined ? delivery : { ...delivery, traceId }
  }
}

/** Takes one message from arrival to outcome. Only the waits can be interrupted, so that no outcome is lost. */
const deliver = (
  pipeline: Pipeline,
  mail: Source,
  index: number,
  trace: EndingTrace | undefined
): Effect.Effect<Delivery.Delivery> =>
  Effect.uninterruptibleMask((restore) => {
    const sent = new MailInFlight(pipeline, mail, index, restore, trace).deliver()
    const ended = trace === undefined ? sent : Effect.map(sent, (delivery) => trace.end(delivery))
    const { onDelivery } = pipeline
    return onDelivery === undefined ? ended : Effect.tap(ended, onDelivery)
  })

/** A message between its arrival and its outcome. A class, because each message of a campaign would pay for a dozen closures. */
class MailInFlight {
  private readonly pipeline: Pipeline
  private readonly mail: Source
  private readonly index: number
  private readonly restore: Restore
  private readonly trace: MailTrace | undefined
  private readonly arrival: bigint

  constructor(pipeline: Pipeline, mail: Source, index: number, restore: Restore, trace: MailTrace | undefined) {
    this.pipeline = pipeline
    this.mail = mail
    this.index = index
    this.restore = restore
    this.trace = trace
    this.arrival = pipeline.clock.monotonicTimeNanosUnsafe()
  }

  deliver(): Effect.Effect<Delivery.Delivery> {
    const { mail, pipeline } = this
    if (Composed.isWhole(mail)) return this.transact(mail)
    return Effect.matchCauseEffect(this.restore(composeAdmitted(pipeline, mail)), {
      onSuccess: (message) => (Composed.isWhole(message) ? this.transact(message) : this.reject(notComposed())),
      onFailure: (cause) => {
        const error = failureOf(cause, brokeWhileComposing)
        return error === undefined ? Effect.failCause(cause as Cause.Cause<never>) : this.reject(error)
      }
    })
  }

  private transact(message: Composed.Composed): Effect.Effect<Delivery.Delivery> {
    this.trace?.composed(message, message !== this.mail)
    return Effect.matchCauseEffect(sendOnce(this.pipeline, message, this.restore, this.trace), {
      onSuccess: (receipt) => this.received(message, receipt),
      onFailure: (cause) => this.failed(message, cause)
    })
  }

  private received(message: Composed.Composed, receipt: Receipt): Effect.Effect<Delivery.Delivery> {
    this.trace?.attempted(receipt.reply, undefined)
    if (!receipt.recipients.every(isSettled)) return this.retry(message, (state) => state.accepted(receipt))
    return Effect.succeed(
      this.ended({
        ...this.info(message, 1, receipt),
        _tag: "Accepted",
        messageId: message.messageId,
        relay: receipt.relay,
        reply: receipt.reply
      })
    )
  }

  private failed(
    message: Composed.Composed,
    cause: Cause.Cause<MailError.MailError>
  ): Effect.Effect<Delivery.Delivery> {
    const error = failureOf(cause, brokeWhileSending)
    if (error === undefined) return Effect.failCause(cause as Cause.Cause<never>)
    this.trace?.attempted(error.reply, error)
    return isWorthRetrying(this.pipeline, error)
      ? this.retry(message, (state) => state.failed(error))
      : Effect.succeed(
          this.ended(Delivery.fromError(error, { ...this.info(message, 1), recipients: recipientsOf(error) }))
        )
  }

  private retry(message: Composed.Composed, begin: (state: RetryState) => void): Effect.Effect<Delivery.Delivery> {
    const { pipeline, restore, trace } = this
    const state = new RetryState(message, (error) => isWorthRetrying(pipeline, error))
    begin(state)
    const again = (rest: Composed.Composed) => {
      trace?.retried()
      const attempt = Effect.catchCause(sendOnce(pipeline, rest, restore, trace), (cause) => {
        const error = failureOf(cause, brokeWhileSending)
        if (error === undefined) return Effect.failCause(cause)
        trace?.attempted(error.reply, error)
        return Effect.fail(error)
      })
      return trace === undefined
        ? attempt
        : Effect.map(attempt, (receipt) => {
            trace.attempted(receipt.reply, undefined)
            return receipt
          })
    }
    return Effect.map(state.run(pipeline.policy, restore, again), () =>
      this.ended(state.conclude((attempts) => this.info(message, attempts)))
    )
  }

  private reject(error: MailError.MailError): Effect.Effect<Delivery.Delivery> {
    return Effect.succeed(this.ended(Delivery.fromError(error, this.info(undefined, 0))))
  }

  private ended(delivery: Delivery.Delivery): Delivery.Delivery {
    this.pipeline.metrics.ended(delivery)
    return delivery
  }

  private info(message: Composed.Composed | undefined, attempts: number, receipt?: Receipt): Delivery.Info {
    return {
      id: idOf(this.mail) ?? String(this.index),
      index: this.index,
      messageId: message?.messageId,
      recipients: receipt?.recipients ?? [],
      relay: receipt?.relay,
      attempts,
      size: message?.size ?? 0,
      durationMs: Number(this.pipeline.clock.monotonicTimeNanosUnsafe() - this.arrival) / 1_000_000
    }
  }
}

/** The same within a span `mailrace.send`, which holds the outcome and nothing about the recipients. */
const deliverTraced = (pipeline: Pipeline, mail: Source, index: number): Effect.Effect<Delivery.Delivery> =>
  Effect.useSpan("mailrace.send", { kind: "producer" }, (span) =>
    Effect.withParentSpan(deliver(pipeline, mail, index, new SpanTrace(pipeline, span)), span)
  )

const isComposing = (mail: Mail.Mail | Composing): mail is Composing => Effect.isEffect(mail)

/** The id of a message; `undefined` also where a message from untyped code throws as it is read. */
const idOf = (mail: Source): string | undefined => {
  try {
    const id = (mail as { readonly id?: unknown } | null | undefined)?.id
    return typeof id === "string" ? id : undefined
  } catch {
    return undefined
  }
}

/** Composes a message once the transport has room for its content. */
const composeAdmitted = (
  pipeline: Pipeline,
  mail: Exclude<Source, Composed.Composed>
): Effect.Effect<Composed.Composed, MailError.MailError> => {
  const { admission } = pipeline.transport
  return admission === undefined
    ? composeOnce(pipeline, mail)
    : Effect.flatMap(admission, () => composeOnce(pipeline, mail))
}

/** Composes a message. A composer that throws is a defect, and so is a message that throws as it is looked at. */
const composeOnce = (
  pipeline: Pipeline,
  mail: Exclude<Source, Composed.Composed>
): Effect.Effect<Composed.Composed, MailError.MailError> => {
  if (typeof mail !== "object" || mail === null) return Effect.fail(MailError.invalid("mail", "it must be an object"))
  try {
    if (isComposing(mail)) return mail
    if (Composed.isComposed(mail)) return Effect.fail(notComposed())
    return pipeline.composer.compose(mail)
  } catch (defect) {
    return Effect.die(defect)
  }
}

const notComposed = (): MailError.MailError =>
  MailError.invalid("mail", "it looks composed but lacks a messageId, recipients or content")

/** Makes one attempt. A transport that throws is a defect. */
const sendOnce = (
  pipeline: Pipeline,
  message: Composed.Composed,
  restore: Restore,
  trace: MailTrace | undefined
): Effect.Effect<Receipt, MailError.MailError> => {
  try {
    const options = pipeline.optionsOf(restore)
    return pipeline.transport.send(message, trace === undefined ? options : { ...options, moments: trace })
  } catch (defect) {
    return Effect.die(defect)
  }
}

/**
 * The error of a failed message; `undefined` if it was only interrupted. A defect becomes the error of its own message, so that it
 * never ends the stream that all messages share.
 */
const failureOf = (
  cause: Cause.Cause<MailError.MailError>,
  broke: (defect: unknown) => MailError.MailError
): MailError.MailError | undefined => {
  const failure = Cause.findErrorOption(cause)
  if (Option.isSome(failure)) return failure.value
  const defect = cause.reasons.find(Cause.isDieReason)
  return defect === undefined ? undefined : broke(defect.defect)
}

const brokeWhileComposing = (defect: unknown): MailError.MailError =>
  MailError.invalid("mail", `composing it failed unexpectedly: ${MailError.describeThrown(defect)}`)

/** The transport's progress is not known, so the relay may have the message. */
const brokeWhileSending = (defect: unknown): MailError.MailError =>
  MailError.make(
    new MailError.OutcomeUnknown({ problem: `the transport failed unexpectedly: ${MailError.describeThrown(defect)}` })
  )

const isSettled = (recipient: MailError.RecipientOutcome): boolean => recipient.outcome !== "deferred"

const isWorthRetrying = (pipeline: Pipeline, error: MailError.MailError): boolean =>
  error.isRetryable || (pipeline.resendUnknown && error.reason._tag === "OutcomeUnknown")

const recipientsOf = (error: MailError.MailError): ReadonlyArray<MailError.RecipientOutcome> =>
  error.reason._tag === "RecipientsRejected" ? error.reason.recipients : []
