/**
 * SMTP as a `MailTransport`: messages over a pool of sessions with one relay.
 *
 * Here a composed message arrives from `Mailer`. `SmtpPool` lends it a session, the session gives it to the wire
 * (`SmtpSession.send`), and the receipt or the error goes back to `Mailer`, which knows about retries. A session that ends
 * before the message was begun is no attempt: the message gets another one.
 *
 * @example
 * ```ts
 * import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
 *
 * export const relay = SmtpTransport.layerUrl("smtp://user:password@mail.example.com:587?tls=required")
 * ```
 *
 * @since 0.1.0
 */

import type * as Composed from "mailrace/Composed"
import type * as MailError from "mailrace/MailError"
import { type Gate, MailTransport, type Receipt, type SendOptions } from "mailrace/MailTransport"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as ConnectionEnd from "./internal/connection/connectionEnd.ts"
import * as Pipelining from "./Pipelining.ts"
import type { Wish } from "./internal/pool/messageScheduler.ts"
import * as RecipientGroups from "./internal/session/recipientGroups.ts"
import { ServiceTime } from "./internal/session/serviceTime.ts"
import * as RelayUrl from "./RelayUrl.ts"
import * as SmtpAuth from "./SmtpAuth.ts"
import * as SmtpOptions from "./SmtpOptions.ts"
import * as SmtpPool from "./SmtpPool.ts"
import type * as SmtpSession from "./SmtpSession.ts"

/**
 * What an SMTP transport can do beside sending.
 *
 * @since 0.1.0
 */
export class SmtpTransport extends Context.Service<
  SmtpTransport,
  {
    /** The relay as `host:port`. */
    readonly relay: string
    /** Opens a first session and keeps it, so that what is wrong with the relay shows before any message. */
    readonly verify: Effect.Effect<void, MailError.MailError>
    /** What the pool has done and holds. */
    readonly stats: Effect.Effect<SmtpPool.Stats>
  }
>()("@mailrace/smtp/SmtpTransport") {}

/**
 * Makes the transport for a relay; its sessions live as long as the scope. Fails when the options cannot be used.
 *
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  options: SmtpOptions.Options
): Effect.fn.Return<Context.Context<MailTransport | SmtpTransport>, SmtpOptions.SmtpOptionsError, Scope.Scope> {
  const settings = yield* Effect.try({
    try: () => SmtpOptions.resolve(options),
    catch: (error) => {
      if (error instanceof SmtpOptions.SmtpOptionsError) return error
      throw error
    }
  })
  const pool = yield* SmtpPool.make(settings)
  const fastest = settings.pipelining === "auto" ? "speculative" : settings.pipelining
  const transport = MailTransport.of({
    concurrency: settings.maxConnections * Pipelining.depthOf(fastest, settings.depth),
    send: (message, sendOptions) => send(pool, settings, message, sendOptions)
  })
  return Context.make(MailTransport, transport).pipe(
    Context.add(SmtpTransport, { relay: settings.relay, verify: pool.warm, stats: pool.stats })
  )
})

/**
 * The transport for a relay. Fails when the options contradict each other.
 *
 * @since 0.1.0
 */
export const layer = (
  options: SmtpOptions.Options
): Layer.Layer<MailTransport | SmtpTransport, SmtpOptions.SmtpOptionsError> => Layer.effectContext(make(options))

/**
 * The same from a URL, described in `RelayUrl`. Fails when the URL cannot be used.
 *
 * @since 0.1.0
 */
export const layerUrl = (
  url: string | Redacted.Redacted<string>
): Layer.Layer<MailTransport | SmtpTransport, RelayUrl.RelayUrlError | SmtpOptions.SmtpOptionsError> =>
  Layer.unwrap(
    Effect.map(Effect.fromResult(RelayUrl.parse(typeof url === "string" ? url : Redacted.value(url))), layer)
  )

/**
 * The same from configuration: the URL in `MAILRACE_RELAY`, and over it the password in `MAILRACE_PASSWORD`.
 *
 * @since 0.1.0
 */
export const layerConfig: Layer.Layer<
  MailTransport | SmtpTransport,
  RelayUrl.RelayUrlError | SmtpOptions.SmtpOptionsError | Config.ConfigError
> = Layer.unwrap(
  Effect.gen(function* () {
    const url = yield* Config.Redacted("MAILRACE_RELAY")
    const password = yield* Config.Redacted("MAILRACE_PASSWORD").pipe(Config.withDefault(undefined))
    const options = yield* Effect.fromResult(RelayUrl.parse(Redacted.value(url)))
    return layer(
      options.auth === undefined || password === undefined
        ? options
        : { ...options, auth: SmtpAuth.withSecret(options.auth, password) }
    )
  })
)

const send = (
  pool: SmtpPool.SmtpPool,
  settings: SmtpOptions.Settings,
  message: Composed.Composed,
  options: SendOptions | undefined
): Effect.Effect<Receipt, MailError.MailError> =>
  options?.restore === undefined
    ? Effect.uninterruptibleMask((restore) => sendMasked(pool, settings, message, { ...options, restore }))
    : sendMasked(pool, settings, message, { ...options, restore: options.restore })

/**
 * How many sessions may end on a message without that being an attempt at it: those that ended with nothing carried, or
 * when its envelope was out and its content was not.
 */
const maxEnds = 3

/** One attempt, inside an uninterruptible region: an end that was reached is given back even when interrupted. */
const sendMasked = (
  pool: SmtpPool.SmtpPool,
  settings: SmtpOptions.Settings,
  message: Composed.Composed,
  options: SendOptions & { readonly restore: NonNullable<SendOptions["restore"]> },
  ends = 0
): Effect.Effect<Receipt, MailError.MailError> => {
  let ended: SmtpSession.SessionOutcome
  /** The end of the groups that have ended, of a message that goes in several. */
  let endedSoFar: (() => SmtpSession.SessionOutcome) | undefined
  let lent: SmtpSession.SmtpSession | undefined
  let wasBegun = false
  const { gate, restore } = options
  const onEnd: SmtpSession.OnEnd = (sent, begun = false) => {
    ended = sent
    wasBegun ||= begun
  }
  const wish: Wish = {
    units: ServiceTime.unitsOf(message.size),
    isUrgent: options.priority === "urgent",
    isAlone: pool.contentEnds.goesAlone(message.messageId)
  }
  const attempt = pool.use(wish, (session) => {
    lent = session
    const { maxRecipients } = session.capabilities
    if (maxRecipients === undefined || message.envelope.to.length <= maxRecipients) {
      return transact(session, settings, message, onEnd, gate)
    }
    // Once the first group is begun, so is the message.
    let gateOfNext = gate
    const sendOne: RecipientGroups.SendOne = (part, onPartEnd) => {
      const onSent: SmtpSession.OnEnd = (sent, begun = false) => {
        wasBegun ||= begun
        onPartEnd(sent)
      }
      const sent = transact(session, settings, part, onSent, gateOfNext)
      gateOfNext = undefined
      return sent
    }
    return RecipientGroups.send(message, maxRecipients, sendOne, (known) => {
      endedSoFar = known
    })
  })
  // It was held back, or the session went before its content, so another gets it, at no cost in attempts.
  const again = (): Effect.Effect<Receipt, MailError.MailError> => {
    const ending = wasBegun ? lent?.leaving : lent?.endedUnused
    if (ending === undefined) return sendMasked(pool, settings, message, options, ends)
    return ends < maxEnds
      ? sendMasked(pool, settings, message, options, ends + 1)
      : Effect.fail(ConnectionEnd.toError(ending, "envelope"))
  }
  const admitted = gate === undefined ? attempt : Effect.andThen(gate.opened, attempt)
  return Effect.matchCauseEffect(restore(admitted), {
    onSuccess: (sent) => {
      if (sent === undefined) return again()
      if (Result.isSuccess(sent)) pool.contentEnds.forget(message.messageId)
      else if (sent.failure.isRetryable && lent?.ending !== undefined) pool.contentEnds.note(message.messageId)
      return Effect.fromResult(sent)
    },
    onFailure: (cause) => {
      const end = ended ?? endedSoFar?.()
      return end === undefined ? Effect.failCause(cause) : Effect.fromResult(end)
    }
  })
}

/** Within a span when the mail is traced; it links to the span of the connection, whose life is longer. */
const transact = (
  session: SmtpSession.SmtpSession,
  settings: SmtpOptions.Settings,
  message: Composed.Composed,
  onEnd: SmtpSession.OnEnd,
  gate: Gate | undefined
): Effect.Effect<SmtpSession.SessionOutcome> =>
  Effect.withFiber((fiber) => {
    const around = fiber.cache.span
    if (around === undefined || !around.sampled || fiber.cache.tracer === undefined) {
      return session.send(message, onEnd, gate)
    }
    return Effect.useSpan(
      "smtp.transaction",
      {
        kind: "client",
        links: session.span === undefined ? [] : [{ span: session.span, attributes: {} }],
        attributes: {
          "server.address": settings.host,
          "server.port": settings.port,
          "network.protocol.name": "smtp",
          "smtp.pipelining": session.mode,
          "mailrace.size": message.size,
          "mailrace.recipients": message.envelope.to.length
        }
      },
      (span) =>
        Effect.map(session.send(message, onEnd, gate), (sent) => {
          const verdict = session.takeVerdict()
          if (verdict !== undefined) {
            span.attribute("smtp.speculation.safe", verdict.isSafe)
            if (!verdict.isSafe) span.attribute("smtp.speculation.why", verdict.why)
          }
          if (sent === undefined) {
            span.attribute("smtp.begun", false)
          } else if (Result.isSuccess(sent)) {
            span.attribute("smtp.reply.code", sent.success.reply.code)
          } else {
            span.attribute("error.type", sent.failure.reason._tag)
            const reply = sent.failure.reply
            if (reply !== undefined) span.attribute("smtp.reply.code", reply.code)
          }
          return sent
        })
    )
  })
