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
import { MailTransport, type Receipt, type SendOptions } from "mailrace/MailTransport"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Attempt from "./internal/pool/attempt.ts"
import type { Capabilities } from "./Capabilities.ts"
import { RelayMetrics } from "./internal/pool/relayMetrics.ts"
import * as Pipelining from "./Pipelining.ts"
import * as RelayUrl from "./RelayUrl.ts"
import * as SmtpAuth from "./SmtpAuth.ts"
import * as SmtpOptions from "./SmtpOptions.ts"
import * as SmtpPool from "./SmtpPool.ts"

/**
 * The functions of an SMTP transport beside sending.
 *
 * @since 0.1.0
 */
export class SmtpTransport extends Context.Service<
  SmtpTransport,
  {
    /** The relay as `host:port`. */
    readonly relay: string
    /** Opens a first session and keeps it, so that problems with the relay show before the first message. */
    readonly verify: Effect.Effect<void, MailError.MailError>
    /** The same, and gives what the relay offers, after TLS and login. */
    readonly capabilities: Effect.Effect<Capabilities, MailError.MailError>
    /** Limits the connections for a time, in place of such limits before; `ProviderRules` asks for it. */
    readonly limit: (limits: SmtpPool.Limits) => Effect.Effect<void>
    /** Counts of the pool, past and current. */
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
  const metrics = yield* RelayMetrics.of(settings.relay)
  const pool = yield* SmtpPool.make(settings, metrics)
  const way: Attempt.Way = { pool, settings, metrics, spent: undefined }
  const fastest = settings.pipelining === "auto" ? "speculative" : settings.pipelining
  const transport = MailTransport.of({
    concurrency: settings.maxConnections * Pipelining.depthOf(fastest, settings.depth),
    send: (message, sendOptions) => send(way, message, sendOptions)
  })
  return Context.make(MailTransport, transport).pipe(
    Context.add(SmtpTransport, {
      relay: settings.relay,
      verify: Effect.asVoid(pool.warm),
      capabilities: pool.warm,
      limit: pool.limit,
      stats: pool.stats
    })
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
  way: Attempt.Way,
  message: Composed.Composed,
  options: SendOptions | undefined
): Effect.Effect<Receipt, MailError.MailError> =>
  isMasked(options)
    ? Attempt.attempt(way, message, options)
    : Effect.uninterruptibleMask((restore) => Attempt.attempt(way, message, { ...options, restore }))

const isMasked = (options: SendOptions | undefined): options is Attempt.Options => options?.restore !== undefined
