/**
 * Makes Mailrace a transport plugin of nodemailer: an app changes one line and sends through Mailrace's connections.
 *
 * ```ts
 * import { mailraceTransport } from "@mailrace/nodemailer/MailraceTransport"
 * import * as nodemailer from "nodemailer"
 *
 * export const transporter = nodemailer.createTransport(mailraceTransport("smtps://user:password@mail.example.com"))
 * ```
 *
 * It takes a relay's URL, the options that nodemailer's own SMTP transports take, or a layer or runtime with any
 * `MailTransport`. Connections are kept and shared, and a message that failed for now is retried. `info` and errors look like
 * nodemailer's; an error's `cause` is the `MailError`.
 *
 * Options have nodemailer's meaning: certificates are verified, port 465 is TLS from the first byte, and the default port is
 * 587. Options that nodemailer does not have go under `mailrace`, as in
 * `{ host, port, mailrace: { pipelining: "envelope" } }`. `{ mailrace: { host, … } }` describes a relay by Mailrace's
 * options alone, with their meaning and their defaults.
 *
 * A URL has Mailrace's form (`RelayUrl`); for options that only nodemailer's URLs have, pass an object. Its defaults are
 * nodemailer's: port 587, and STARTTLS with a verified certificate where the relay offers it. Only `tls=opportunistic` and
 * `tlsVerify=false` accept any certificate.
 *
 * **Gotchas**
 *
 * - `tls.ca`, `tls.servername`, `tls.rejectUnauthorized: true` and `tls.minVersion: "TLSv1.3"` demand TLS: without it there is
 *   an error. nodemailer goes on in clear if the relay does not offer STARTTLS.
 * - A relay that offers STARTTLS and then refuses it gets no mail, even with `opportunisticTLS`.
 * - A login goes over TLS only, unless `ignoreTLS` or `mailrace: { allowInsecureAuth: true }` allows it in clear.
 * - After a second without a message all connections close, so that a script ends by itself, as with nodemailer's plain
 *   transport. With `pool: true`, with `idleTimeToLive` or `minConnections` under `mailrace`, or with a layer, they stay
 *   open, and a script has to call `close`.
 * - If the connection is lost between the content and the relay's reply, the relay may have the message. The error is then
 *   `ECONNECTION`, or `ETIMEDOUT` after a silence, as with nodemailer, and its cause has the reason `OutcomeUnknown`.
 * - Without `pool` the transport can be used after `close`, as nodemailer's.
 *
 * The package's README compares options, `info` and errors with nodemailer's, one by one.
 *
 * @since 0.1.0
 */

import * as RelayUrl from "@mailrace/smtp/RelayUrl"
import * as SmtpOptions from "@mailrace/smtp/SmtpOptions"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import type * as Delivery from "mailrace/Delivery"
import * as Mailer from "mailrace/Mailer"
import * as MailError from "mailrace/MailError"
import { MailTransport, type Receipt } from "mailrace/MailTransport"
import * as RetryPolicy from "mailrace/RetryPolicy"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import DKIM from "nodemailer/lib/dkim/index.js"
import { EventEmitter } from "node:events"
import type { Readable } from "node:stream"
import type { AccessTokens } from "./internal/accessTokens.ts"
import * as NodemailerErrors from "./internal/nodemailerError.ts"
import * as Outgoing from "./internal/outgoing.ts"
import type { Mailer as NodemailerMailer, MailMessage, NodemailerError } from "./internal/peer.ts"
import { RateLimit } from "./internal/rateLimit.ts"
import * as RelayOptions from "./internal/relayOptions.ts"
import * as ServerMessageId from "./internal/serverMessageId.ts"
import * as SharedRuntime from "./internal/sharedRuntime.ts"
import type { TransportOptions } from "./internal/transportOptions.ts"

/**
 * A relay, or a layer or runtime that sends.
 *
 * @since 0.1.0
 */
export type Relay =
  | string
  | Redacted.Redacted<string>
  | NodemailerOptions
  | Layer.Layer<MailTransport, unknown>
  | ManagedRuntime.ManagedRuntime<MailTransport, unknown>

/**
 * The options of nodemailer's SMTP transports, `dkim` included, and Mailrace's own under `mailrace`. An option
 * without a counterpart here, such as `proxy` or `lmtp`, is refused by name.
 *
 * @since 0.1.0
 */
export type NodemailerOptions = TransportOptions

/**
 * The options for sending.
 *
 * @since 0.1.0
 */
export interface Options {
  /**
   * The times of the retries. Defaults to `RetryPolicy.defaultPolicy`; `RetryPolicy.none` is nodemailer's behaviour. A message
   * over 1 MiB with a Node stream, which can be read only once, is not retried.
   */
  readonly retry?: RetryPolicy.RetryPolicy | undefined
  /** The action after a lost final reply. Defaults to `report`. */
  readonly onUnknown?: "report" | "resend" | undefined
  /** The number of messages on their way at once, from 1. Defaults to the number that keeps the relay's connections busy. */
  readonly concurrency?: number | undefined
}

/**
 * The result of `sendMail`, as nodemailer's SMTP transports give it.
 *
 * @since 0.1.0
 */
export interface SentInfo {
  envelope: { from: string; to: Array<string> }
  /** The Message-ID with its angle brackets. */
  messageId: string
  accepted: Array<string>
  rejected: Array<string>
  /** Recipients whose outcome is not known, because the connection broke before the relay had answered. */
  pending?: Array<string>
  rejectedErrors?: Array<NodemailerError>
  /** The relay's reply to the content. */
  response: string
  /** The relay's offers: the lines of its reply to EHLO. */
  ehlo?: Array<string>
  /** The Message-ID that the relay gave the message in place of its own, where its reply names it (Microsoft 365, Amazon SES). */
  serverMessageId?: string
  /** Milliseconds from the envelope's first command to its last reply; 0 over a transport that cannot tell. */
  envelopeTime: number
  /** Milliseconds from then to the reply to the content; 0 over a transport that cannot tell. */
  messageTime: number
  /** Bytes of the message as DATA carries it, with doubled dots and the final one. */
  messageSize: number
}

/**
 * Makes the transport. Throws (`ECONFIG`) for an unusable URL or option.
 *
 * @since 0.1.0
 */
export const mailraceTransport = (relay: Relay, options?: Options): MailraceTransport =>
  new MailraceTransport(relay, options)

/**
 * The transport; give it to `createTransport`. It emits `idle` whenever it can take more messages, `clear` when its
 * connections were closed after a pause, and `close`.
 *
 * @since 0.1.0
 */
export class MailraceTransport extends EventEmitter {
  readonly name = "Mailrace"
  readonly version = "0.1.0"
  readonly supportsAbortSignal = true
  /**
   * nodemailer's options of the relay, with those that `service` and `url` stand for, and without logins and keys. Empty for a
   * layer or a runtime.
   */
  readonly options: NodemailerOptions = {}
  private readonly sending: Options
  private readonly runtime: SharedRuntime.SharedRuntime
  private readonly dkim: DKIM | undefined
  private readonly forced: object = {}
  private readonly tokens: AccessTokens | undefined
  private readonly rate: RateLimit | undefined
  /** True if `close` ends it for good, as it does a pool of nodemailer; its plain transport goes on. */
  private readonly isPool: boolean = true
  /** True to refuse an `auth` of a single message, which nodemailer's pool ignores and its plain transport takes. */
  private readonly refusesAuth: boolean = true
  private readonly lacksLogin: boolean = false
  private readonly queue: Array<Entry> = []
  private readonly active = new Set<Entry>()
  private concurrency: number
  private verifying = 0
  private isIdling = true
  private isClosed = false
  private drained: Promise<void> | undefined
  private whenDrained: (() => void) | undefined

  constructor(relay: Relay, options: Options = {}) {
    super()
    this.sending = options
    this.concurrency = Math.max(1, options.concurrency ?? 10)
    if (isRuntime(relay)) {
      this.runtime = SharedRuntime.borrowed(relay)
    } else if (isLayer(relay)) {
      this.runtime = SharedRuntime.owned(relay, undefined)
    } else {
      const read = readRelay(relay)
      // nodemailer's transports print nothing by default; a layer or a runtime of the app logs as it likes.
      const quiet = Layer.provideMerge(SmtpTransport.layer(read.relay), Logger.layer([]))
      this.runtime = SharedRuntime.owned(quiet, read.keepsConnections ? undefined : lingerMs, () => this.emit("clear"))
      this.dkim = read.dkim === undefined ? undefined : new DKIM(read.dkim)
      this.options = read.shown
      this.forced = read.mailer
      this.tokens = read.tokens
      this.lacksLogin = read.lacksLogin
      this.rate = read.rate === undefined ? undefined : new RateLimit(read.rate, () => this.settle())
      this.isPool = read.isPool
      this.refusesAuth = !read.isPool
    }
    setImmediate(() => {
      if (this.isIdling) this.emit("idle")
    })
  }

  /** nodemailer sets its transporter here, whose options it copies into each message before the transport sees it. */
  set mailer(mailer: any) {
    const { options = {} } = mailer as NodemailerMailer
    Object.assign(options, this.forced)
    if (this.tokens !== undefined) this.tokens.owner = mailer as NodemailerMailer
  }

  /** Sends a message that nodemailer compiled. */
  send(mail: MailMessage, callback: Callback): void {
    if (this.isClosed) return void setImmediate(callback, closed())
    const refusal = this.refusalOf(mail)
    if (refusal !== undefined) return void setImmediate(callback, refusal)
    const { signal } = mail.data
    const entry: Entry = {
      mail,
      callback,
      fiber: undefined,
      receipt: undefined,
      unreadable: undefined,
      info: undefined,
      error: undefined
    }
    const onAbort = (): void => {
      const place = this.queue.indexOf(entry)
      if (place === -1) return entry.fiber?.interruptUnsafe()
      this.queue.splice(place, 1)
      entry.error = aborted(signal)
      this.conclude(entry)
    }
    signal?.addEventListener("abort", onAbort, { once: true })
    entry.callback = (error, info) => {
      signal?.removeEventListener("abort", onAbort)
      callback(error, info)
    }
    this.queue.push(entry)
    this.isIdling &&= this.hasRoom
    // As with nodemailer's pool, a message that was given in the same turn as `close` is not begun.
    setImmediate(() => this.settle())
    if (signal?.aborted === true) onAbort()
  }

  /** Opens a connection to the relay and logs in, if the transport can do that. */
  verify(): Promise<true>
  verify(callback: (error: Error | null, success: true) => void): void
  verify(callback?: (error: Error | null, success: true) => void): Promise<true> | void {
    this.verifying++
    const verified = this.runtime
      .use()
      .runPromiseExit(
        Effect.flatMap(Effect.serviceOption(SmtpTransport.SmtpTransport), (smtp) =>
          Option.isSome(smtp)
            ? Effect.map(smtp.value.capabilities, ({ auth }) => auth.length > 0)
            : Effect.succeed(false)
        )
      )
      .then((exit): true => {
        this.verifying--
        this.settle()
        if (exit._tag === "Failure") throw ofCause(exit.cause)
        const offersLogin = exit.value
        if (offersLogin && this.lacksLogin)
          throw NodemailerErrors.make("ENOAUTH", "Authentication info was not provided")
        return true
      })
    if (callback === undefined) return verified
    verified.then(() => callback(null, true), callback as (error: Error) => void)
  }

  /** True if another message could begin at once. */
  isIdle(): boolean {
    return this.isIdling
  }

  /** The number of messages without an outcome yet. */
  pendingCount(): number {
    return this.queue.length + this.active.size
  }

  /**
   * Closes the connections. With `pool: true`, with a layer and with a runtime it takes no more messages, fails those that
   * wait, and lets those on their way finish first. Else it goes on as nodemailer's plain transport does: messages that wait are
   * sent, and later ones open connections again. `force` aborts those on their way, except a message whose content the relay may
   * already have. Resolves when the connections are closed.
   */
  close(options?: { readonly force?: boolean | undefined }): Promise<void> {
    if (this.isPool) {
      this.isClosed = true
      this.rate?.stop()
      for (const entry of this.queue.splice(0)) {
        entry.error = closed()
        this.conclude(entry)
      }
    }
    if (options?.force === true) for (const entry of this.active) entry.fiber?.interruptUnsafe()
    this.drained ??= new Promise<void>((resolve) => {
      this.whenDrained = resolve
      this.settle()
    })
      .then(() => this.runtime.close())
      .then(() => {
        if (!this.isPool) this.drained = undefined
        this.emit("close")
      })
    return this.drained
  }

  /** Begins the messages that can begin, and emits `idle` when there is room again. */
  private settle(): void {
    while (this.queue.length > 0 && this.active.size < this.concurrency && this.rate?.hasRoom !== false)
      this.begin(this.queue.shift()!)
    if (this.pendingCount() === 0) {
      this.whenDrained?.()
      this.whenDrained = undefined
      if (this.verifying === 0) this.runtime.release()
    }
    const { hasRoom } = this
    if (hasRoom && !this.isIdling) setImmediate(() => this.emit("idle"))
    this.isIdling = hasRoom
  }

  private get hasRoom(): boolean {
    return this.pendingCount() < this.concurrency
  }

  /** Why a message is not sent as it is, where that would otherwise be passed over without a word. */
  private refusalOf({ data, message }: MailMessage): NodemailerError | undefined {
    if (this.refusesAuth && data.auth)
      return NodemailerErrors.make(
        "ECONFIG",
        'the option "auth" of a single mail has no counterpart here; give it to the transport, one for each login'
      )
    return this.dkim !== undefined && message.processFunc === undefined
      ? NodemailerErrors.make("ECONFIG", "a message without processFunc cannot be signed; leave the option dkim out")
      : undefined
  }

  private begin(entry: Entry): void {
    this.active.add(entry)
    this.rate?.begin()
    const { data, message } = entry.mail
    const { dkim } = this
    // nodemailer itself handled the keys of this message.
    if (dkim !== undefined && !data.dkim) message.processFunc?.((input: Readable) => dkim.sign(input))
    entry.fiber = this.runtime.use().runFork(this.deliver(entry))
    entry.fiber.addObserver((exit) => {
      if (exit._tag === "Failure" && entry.info === undefined)
        entry.error ??= Cause.hasInterruptsOnly(exit.cause) ? aborted(data.signal) : ofCause(exit.cause)
      this.conclude(entry)
    })
  }

  /** Calls the app back outside of the fiber, so that an error thrown by the app stays the app's. */
  private conclude(entry: Entry): void {
    setImmediate(() => {
      this.active.delete(entry)
      const { error, unreadable } = entry
      if (error?.code === "ESTREAM" && unreadable instanceof Error && "code" in unreadable)
        error.originalCode = String(unreadable.code)
      try {
        if (entry.info === undefined) entry.callback(entry.error ?? closed())
        else entry.callback(null, entry.info)
      } finally {
        this.settle()
      }
    })
  }

  private deliver(entry: Entry): Effect.Effect<void, MailError.MailError, MailTransport> {
    const { onUnknown, retry } = this.sending
    return Effect.flatMap(MailTransport, (transport) => {
      this.concurrency = Math.max(1, this.sending.concurrency ?? transport.concurrency ?? 10)
      return Effect.flatMap(
        Outgoing.compose(entry.mail, (error) => (entry.unreadable = error)),
        (outgoing) =>
          Mailer.sendAll(Stream.succeed(outgoing.composed), {
            concurrency: 1,
            retry: Outgoing.canBeReadAgain(entry.mail.message, outgoing.composed) ? retry : RetryPolicy.none,
            onUnknown,
            // A late interrupt does not lose the outcome.
            onDelivery: (delivery) => Effect.sync(() => report(entry, outgoing, delivery))
          }).pipe(Stream.runDrain, Effect.provideService(MailTransport, keepingReceipt(transport, entry)))
      )
    })
  }
}

/** The same transport, which leaves the first receipt with its message, because a `Delivery` has no times. */
const keepingReceipt = (transport: MailTransport["Service"], entry: Entry): MailTransport["Service"] => ({
  ...transport,
  send: (message, options) =>
    Effect.tap(transport.send(message, options), (receipt) => Effect.sync(() => (entry.receipt ??= receipt)))
})

/** The time after which unused connections close, unless the app asked to keep them. */
const lingerMs = 1_000

const isRuntime = (relay: Relay): relay is ManagedRuntime.ManagedRuntime<MailTransport, unknown> =>
  ManagedRuntime.isManagedRuntime(relay)

const isLayer = (relay: Relay): relay is Layer.Layer<MailTransport, unknown> => Layer.isLayer(relay)

type Callback = (error: NodemailerError | null, info?: SentInfo) => void

/** A message from `send` to its callback. */
interface Entry {
  readonly mail: MailMessage
  callback: Callback
  fiber: Fiber.Fiber<void, unknown> | undefined
  receipt: Receipt | undefined
  /** The error of reading the content, if that failed. */
  unreadable: unknown
  info: SentInfo | undefined
  error: NodemailerError | undefined
}

const report = (entry: Entry, { composed, dataSize }: Outgoing.Outgoing, delivery: Delivery.Delivery): void => {
  const { envelope, messageId } = composed
  if (delivery._tag !== "Accepted") {
    const { signal } = entry.mail.data
    const isAborted = signal?.aborted === true && delivery._tag !== "Unknown"
    entry.error = isAborted ? aborted(signal) : NodemailerErrors.fromMailError(delivery.error, envelope.to)
    return
  }
  const those = (...outcomes: ReadonlyArray<MailError.RecipientOutcome["outcome"]>) =>
    delivery.recipients.filter(({ outcome }) => outcomes.includes(outcome)).map(({ address }) => address)
  const pending = those("unknown")
  const response = NodemailerErrors.responseOf(delivery.reply)
  const { envelopeMs = 0, contentMs = 0, extensions: ehlo = [] } = entry.receipt ?? {}
  const serverMessageId = ServerMessageId.read(response, hostOf(delivery.relay))
  const rejectedErrors = NodemailerErrors.ofRecipients(delivery.recipients)
  entry.info = {
    // nodemailer's own transports write the null sender so.
    envelope: { from: envelope.from ?? "", to: [...envelope.to] },
    messageId,
    accepted: those("accepted"),
    rejected: those("rejected", "deferred"),
    ...(pending.length === 0 ? {} : { pending }),
    ...(rejectedErrors.length === 0 ? {} : { rejectedErrors }),
    response,
    ...(ehlo.length === 0 ? {} : { ehlo: [...ehlo] }),
    ...(serverMessageId === undefined ? {} : { serverMessageId }),
    envelopeTime: Math.round(envelopeMs),
    messageTime: Math.round(contentMs),
    messageSize: dataSize()
  }
}

const hostOf = (relay: string): string => relay.replace(/:\d+$/, "")

const readRelay = (relay: string | Redacted.Redacted<string> | NodemailerOptions): RelayOptions.Read => {
  // Seldom meant: an untyped program passes it if its environment does not name the relay.
  if (relay === undefined || relay === null)
    throw NodemailerErrors.make("ECONFIG", "no relay is given; name it by its URL, as smtp://user@mail.example.org:587")
  if (typeof relay === "string" || Redacted.isRedacted(relay)) {
    const url = RelayUrl.parse(typeof relay === "string" ? relay : (Redacted.value(relay) as string))
    if (Result.isFailure(url)) throw NodemailerErrors.make("ECONFIG", `${url.failure.message}; ${url.failure.remedy}`)
    return RelayOptions.ofUrl(url.success)
  }
  try {
    const read = RelayOptions.readUnsafe(relay)
    SmtpOptions.resolve(read.relay)
    return read
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    const remedy = error instanceof SmtpOptions.SmtpOptionsError ? `; ${error.remedy}` : ""
    throw NodemailerErrors.make("ECONFIG", `${problem}${remedy}`, { cause: error })
  }
}

const closed = (): NodemailerError => NodemailerErrors.make("ECONNECTION", "Connection pool was closed")

const aborted = (signal: AbortSignal | undefined): NodemailerError =>
  Object.assign(NodemailerErrors.make("EABORT", "Message sending aborted"), {
    name: "AbortError",
    cause: signal?.reason as unknown
  })

/** The error of a failed effect: that of a message, or of a layer that could not be built. */
const ofCause = (cause: Cause.Cause<unknown>): NodemailerError => {
  const error = Cause.squash(cause)
  if (MailError.isMailError(error)) return NodemailerErrors.fromMailError(error)
  return NodemailerErrors.make("ECONFIG", error instanceof Error ? error.message : String(error), { cause: error })
}
