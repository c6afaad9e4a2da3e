/**
 * Makes any nodemailer transport a `MailTransport`: Amazon SES, sendmail, a file, or a third-party plugin.
 *
 * The envelope and the bytes go through unchanged. The transport's lists of accepted and rejected recipients and its response
 * become a receipt. Its errors become `MailError`s, by the server's reply where there is one. An error without a reply after
 * the content was handed over is `OutcomeUnknown`, whatever the transport calls it. A program that cannot be run, and a
 * failed connection of a transport without a relay, is `TransportUnavailable`.
 *
 * **Gotchas**
 *
 * - `createTransport({ pool: true, … })` keeps connections; without it each message opens one of its own.
 * - Transports that do not speak SMTP give no reply. Receipts then hold a 250 with the transport's own words, and
 *   refusals 451 (try again) or 554.
 *
 * @example
 * ```ts
 * import * as NodemailerTransport from "@mailrace/nodemailer/NodemailerTransport"
 *
 * // Amazon SES goes the same way: layer({ SES: { sesClient, SendEmailCommand } }).
 * export const sendmail = NodemailerTransport.layer({ sendmail: true, path: "/usr/sbin/sendmail" })
 * ```
 *
 * @since 0.1.0
 */

import type * as Composed from "mailrace/Composed"
import * as Address from "mailrace/Address"
import * as MailError from "mailrace/MailError"
import { MailTransport, type Receipt, type SendOptions } from "mailrace/MailTransport"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Nodemailer from "nodemailer"
import * as Dsn from "./internal/dsn.ts"
import * as Failure from "./internal/failure.ts"
import { Handover } from "./internal/handover.ts"
import * as Recipients from "./internal/recipients.ts"
import * as ServerReply from "./internal/serverReply.ts"

/**
 * The result of `createTransport` of nodemailer 6 to 10, as far as it is used here.
 *
 * @since 0.1.0
 */
export interface AnyTransporter {
  readonly transporter: any
  sendMail(mail: any, callback: (error: Error | null, info: any) => void): void
  use(step: string, plugin: (mail: any, done: (error?: any) => void) => void): unknown
  close(): void
}

/**
 * The input of `createTransport`: options, a URL, or a plugin.
 *
 * @since 0.1.0
 */
export type AnyTransport = object | string

/**
 * The options for a transport.
 *
 * @since 0.1.0
 */
export interface Options {
  /** The relay's name in receipts. Defaults to its `host:port`, or to the transport's name if it has no relay. */
  readonly relay?: string | undefined
  /** The number of messages on their way at once, from 1. Defaults to the pool's `maxConnections`, or 10 without a pool. */
  readonly concurrency?: number | undefined
  /**
   * How long an interrupted send waits for the outcome of a message that was begun; one without an outcome by then ends as
   * `OutcomeUnknown` if it may have arrived. By default the send waits 10 seconds, and for content that was handed over as
   * long as nodemailer waits for a silent server (`socketTimeout`, by default 10 minutes).
   */
  readonly interruptGrace?: Duration.Input | undefined
}

/**
 * Makes a `MailTransport` from a transporter, which the caller closes.
 *
 * @since 0.1.0
 */
export const make = (transporter: AnyTransporter, options: Options = {}): MailTransport["Service"] => {
  const bridge = new Bridge(transporter, options)
  return MailTransport.of({
    concurrency: bridge.concurrency,
    send: (message, sendOptions) =>
      sendOptions?.restore === undefined
        ? Effect.uninterruptibleMask((restore) => send(bridge, message, restore))
        : send(bridge, message, sendOptions.restore)
  })
}

/**
 * The same as a layer. The caller closes a transporter of its own; one that is made here, from options or a plugin, closes
 * with the layer.
 *
 * @since 0.1.0
 */
export const layer = (transport: AnyTransporter | AnyTransport, options?: Options): Layer.Layer<MailTransport> =>
  Layer.effect(
    MailTransport,
    isTransporter(transport)
      ? Effect.succeed(make(transport, options))
      : Effect.map(open(transport), (transporter) => make(transporter, options))
  )

const isTransporter = (transport: AnyTransporter | AnyTransport): transport is AnyTransporter =>
  typeof transport === "object" && "sendMail" in transport

const open = (transport: AnyTransport): Effect.Effect<AnyTransporter, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync((): AnyTransporter => Nodemailer.createTransport(transport as Nodemailer.Transport)),
    (transporter) => Effect.sync(() => void transporter.close())
  )

type Outcome = Result.Result<Receipt, MailError.MailError>

/** How long an interrupted send waits where nothing can have arrived, in milliseconds. */
const defaultGraceMs = 10_000

/** Makes one attempt, in an uninterruptible region: an interrupt does not lose an outcome that was reached. */
const send = (
  bridge: Bridge,
  message: Composed.Composed,
  restore: NonNullable<SendOptions["restore"]>
): Effect.Effect<Receipt, MailError.MailError> => {
  let ended: Outcome | undefined
  const attempt = Effect.callback<Outcome>((resume) => {
    const delivery = bridge.begin(message, (sent) => {
      ended = sent
      resume(Effect.succeed(sent))
    })
    return delivery.conclude
  })
  return Effect.matchCauseEffect(restore(attempt), {
    onSuccess: Effect.fromResult,
    onFailure: (cause) => (ended === undefined ? Effect.failCause(cause) : Effect.fromResult(ended))
  })
}

/** A message that the transporter has: its outcome comes once, from the transporter or because we give it up. */
class Pending {
  private readonly onEnd: (sent: Outcome) => void
  isSettled = false
  onSettled: (() => void) | undefined

  constructor(onEnd: (sent: Outcome) => void) {
    this.onEnd = onEnd
  }

  /** `undefined` if it was given up before it was handed over. */
  settle(sent: Outcome | undefined): void {
    if (this.isSettled) return
    this.isSettled = true
    if (sent !== undefined) this.onEnd(sent)
    this.onSettled?.()
  }
}

/** A transporter and the facts about it. */
class Bridge {
  readonly concurrency: number
  private readonly transporter: AnyTransporter
  private readonly relay: string
  private readonly host: string
  private readonly port: number
  private readonly limits: Failure.Situation["limits"]
  private readonly graceMs: number | undefined
  /** The messages on their way, by the envelope object that nodemailer passes through. */
  private readonly handovers = new WeakMap<object, Handover>()

  constructor(transporter: AnyTransporter, options: Options) {
    this.transporter = transporter
    const inner: AnyInner = transporter.transporter
    const settings: InnerOptions = inner.options ?? {}
    const isSmtp = /^SMTP\b/.test(inner.name)
    this.host = isSmtp ? (settings.host ?? "localhost") : inner.name
    this.port = isSmtp ? Number(settings.port) || (settings.secure === true ? 465 : 587) : 0
    const host = this.host.includes(":") ? `[${this.host}]` : this.host
    this.relay = options.relay ?? (isSmtp ? `${host}:${this.port}` : inner.name)
    this.concurrency = Math.max(1, options.concurrency ?? (settings.pool ? (settings.maxConnections ?? 5) : 10))
    this.graceMs = options.interruptGrace === undefined ? undefined : Duration.toMillis(options.interruptGrace)
    // nodemailer's own defaults.
    this.limits = {
      connect: settings.connectionTimeout ?? 120_000,
      greeting: settings.greetingTimeout ?? 30_000,
      silence: settings.socketTimeout ?? 600_000
    }
    transporter.use("stream", (mail, done) => {
      const { envelope } = mail.data
      if (typeof envelope === "object") this.handovers.get(envelope)?.watch(mail.message)
      done()
    })
  }

  /** Hands a message to the transporter and calls back once. */
  begin(message: Composed.Composed, onEnd: (sent: Outcome) => void): { readonly conclude: Effect.Effect<void> } {
    const handover = new Handover(message.content)
    const abort = new AbortController()
    const { dsn, from, requireTls, to } = message.envelope
    const envelope = {
      from: from === undefined ? "" : onWire(from),
      to: to.map(onWire),
      size: message.size,
      ...(message.eightBit === true ? { use8BitMime: true } : {})
    }
    this.handovers.set(envelope, handover)
    const pending = new Pending(onEnd)
    this.transporter.sendMail(
      {
        envelope,
        raw: handover.raw,
        messageId: message.messageId,
        signal: abort.signal,
        ...(requireTls === true ? { requireTLSExtensionEnabled: true } : {}),
        ...(dsn === undefined ? {} : { dsn: Dsn.write(dsn) })
      },
      (error, info: Recipients.Lists & { readonly response?: unknown }) => {
        if (error === null) pending.settle(this.receipt(message, info))
        // There is no reply because we aborted.
        else if (abort.signal.aborted && handover.stage !== "handedOver") pending.settle(undefined)
        else pending.settle(Result.fail(this.failure(error, message, handover)))
      }
    )
    return { conclude: this.conclude(pending, handover, abort) }
  }

  /** After an interrupt: gives up what was not handed over yet, and waits for the outcome of the rest within the grace. */
  private conclude(pending: Pending, handover: Handover, abort: AbortController): Effect.Effect<void> {
    return Effect.callback((resume) => {
      if (pending.isSettled) return resume(Effect.void)
      const cutOff = (): void => {
        const problem = "the send was interrupted, and its grace was over before the outcome came"
        pending.settle(
          handover.stage === "handedOver"
            ? Result.fail(MailError.make(new MailError.OutcomeUnknown({ problem })))
            : undefined
        )
        abort.abort()
      }
      const waitOn = (): void => {
        // A message that may have arrived would be sent a second time.
        if (this.graceMs !== undefined || handover.stage !== "handedOver") cutOff()
        else timer = setTimeout(cutOff, Math.max(0, this.limits.silence - defaultGraceMs))
      }
      let timer = setTimeout(waitOn, this.graceMs ?? defaultGraceMs)
      pending.onSettled = () => {
        clearTimeout(timer)
        resume(Effect.void)
      }
      if (handover.stage === "connect" || handover.stage === "envelope") abort.abort()
    })
  }

  private receipt(message: Composed.Composed, info: Recipients.Lists & { readonly response?: unknown }): Outcome {
    const isListed = [info.accepted, info.rejected, info.pending].some((list) => Array.isArray(list) && list.length > 0)
    const recipients = Recipients.outcomes(message.envelope.to, info, isListed ? "unknown" : "accepted")
    const said = ServerReply.parse(info.response)
    if (recipients.some(({ outcome }) => outcome === "accepted"))
      return Result.succeed({
        reply: said ?? { code: 250, text: typeof info.response === "string" ? info.response : "accepted" },
        recipients,
        relay: this.relay
      })
    // A transport may succeed without a recipient, as with LMTP servers that refuse each one after the content.
    const problem = "the transport reports success and no recipient that was accepted"
    const reply = recipients.find((recipient) => recipient.reply !== undefined)?.reply
    return Result.fail(
      MailError.make(
        reply === undefined
          ? new MailError.OutcomeUnknown({ problem })
          : new MailError.RecipientsRejected({ recipients, reply })
      )
    )
  }

  private failure(error: unknown, message: Composed.Composed, handover: Handover): MailError.MailError {
    if (handover.problem !== undefined) return handover.problem
    const { host, limits, port } = this
    // A transport that never asked for the content may have got it in another way.
    const stage =
      handover.stage === "connect" && handover.isDispatched && !this.readsContent ? "handedOver" : handover.stage
    return Failure.toMailError(error, { message, stage, host, port, limits })
  }

  /** True if the transport takes the content through nodemailer's stream and in no other way. */
  private get readsContent(): boolean {
    return /^(?:SMTP\b|Sendmail$|SESTransport$)/.test((this.transporter.transporter as AnyInner).name)
  }
}

interface InnerOptions {
  readonly host?: string | undefined
  readonly port?: number | string | undefined
  readonly secure?: boolean | undefined
  readonly pool?: boolean | undefined
  readonly maxConnections?: number | undefined
  readonly connectionTimeout?: number | undefined
  readonly greetingTimeout?: number | undefined
  readonly socketTimeout?: number | undefined
}

interface AnyInner {
  readonly name: string
  readonly options?: InnerOptions | undefined
}

/** The same address with its domain in ASCII, as nodemailer reads it. */
const onWire = (address: Address.Address): string => Address.toAscii(address) ?? address
