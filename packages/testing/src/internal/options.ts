/** The options of a test server, as `TestServer.Options`, and their resolved form. */
import * as Duration from "effect/Duration"
import * as Result from "effect/Result"
import * as Fault from "../Fault.ts"
import type * as Inbox from "../Inbox.ts"

/** The ways to log in that the server knows (RFC 4954), strongest first. */
export const mechanisms = ["SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2", "CRAM-MD5", "PLAIN", "LOGIN"] as const

/** A way to log in (RFC 4954). */
export type Mechanism = (typeof mechanisms)[number]

/** The extensions that EHLO offers (RFC 5321 §4.1.1.1). An extension that is off is neither advertised nor honoured. */
export interface Extensions {
  /** RFC 2920. Defaults to true. Without it, commands sent ahead are answered and noted as a protocol error. */
  readonly pipelining?: boolean | undefined
  /** BDAT (RFC 3030). Defaults to true. */
  readonly chunking?: boolean | undefined
  /** RFC 1870; the limit is `maxMessageSize`. Defaults to true. */
  readonly size?: boolean | undefined
  /** RFC 6152. Defaults to true. */
  readonly eightBitMime?: boolean | undefined
  /** RFC 6531. Defaults to true. */
  readonly smtpUtf8?: boolean | undefined
  /** RFC 3461. Defaults to true. */
  readonly dsn?: boolean | undefined
  /** RFC 2034. Defaults to true; without it replies carry no enhanced status. */
  readonly enhancedStatusCodes?: boolean | undefined
  /** RFC 3207. Defaults to true when `tls` is given and not implicit. */
  readonly starttls?: boolean | undefined
  /** RFC 4954. Defaults to every mechanism for which `users` or `tokens` has credentials. */
  readonly auth?: ReadonlyArray<Mechanism> | undefined
  /** RFC 8689, advertised on encrypted connections. Defaults to true. */
  readonly requireTls?: boolean | undefined
  /** RFC 9422. Defaults to none; what is given is advertised and enforced. */
  readonly limits?: Limits | undefined
}

/** Limits of one session (RFC 9422 §4). */
export interface Limits {
  /** Transactions a connection. */
  readonly mailMax?: number | undefined
  /** Recipients a transaction. */
  readonly rcptMax?: number | undefined
}

/** The server's encryption. */
export interface TlsOptions {
  /** The handshake comes first, as on port 465 (RFC 8314), instead of STARTTLS. Defaults to false. */
  readonly implicit?: boolean | undefined
  /** The names in the certificate, host names or IP addresses. Defaults to `localhost`, `127.0.0.1` and `::1`. */
  readonly names?: ReadonlyArray<string> | undefined
  /** True if the certificate's time is over. Defaults to false. */
  readonly expired?: boolean | undefined
  /** True if no authority stands behind the certificate. Defaults to false. */
  readonly selfSigned?: boolean | undefined
  /** As in `TLSv1.2`. Node's defaults otherwise. */
  readonly minVersion?: "TLSv1.2" | "TLSv1.3" | undefined
  readonly maxVersion?: "TLSv1.2" | "TLSv1.3" | undefined
  /** In OpenSSL's syntax; Node's default otherwise. */
  readonly ciphers?: string | undefined
  /** Protocols for ALPN, best first. None by default. */
  readonly alpn?: ReadonlyArray<string> | undefined
}

/** Ways of real or malicious servers that no reply code expresses. All are off by default. */
export interface Quirks {
  /** A refused BDAT chunk is not read as a chunk: its bytes are run as commands. */
  readonly unreadRefusedChunk?: boolean | undefined
  /** CHUNKING is advertised, but BDAT is an unknown command (500) and its bytes are run as commands. */
  readonly unknownBdat?: boolean | undefined
  /** Replies of this phase are sent twice. */
  readonly doubleReply?: Fault.Phase | undefined
  /** Replies of this phase come after the reply to the command that follows, or 100 ms later if none does. */
  readonly lateReply?: Fault.Phase | undefined
  /** The connection is closed after a refused chunk, or after every chunk, has been answered. */
  readonly closeAfterChunk?: "refused" | "every" | undefined
  /**
   * As Exim 4.96 without RSET: after a refused chunk the transaction stays open, so that the next MAIL is out of order
   * (503) and the recipients that follow join the old sender. Without it everything but RSET is answered with 503.
   */
  readonly openAfterRefusedChunk?: boolean | undefined
  /**
   * The treatment of commands that come before the reply to the end of DATA (RFC 2920 §3.1 allows them). `store`: those that are
   * read together with it are stored in the message, and run as well. `refuse`: each is answered with 503. `close`: where any are
   * read together with it, the message is taken and the connection closed without a reply.
   */
  readonly behindDot?: "store" | "refuse" | "close" | undefined
  /** A chunk of more bytes than that is taken, and neither it nor anything after it is answered. */
  readonly largestAnsweredChunk?: number | undefined
  /** Each connection is closed, without a word, once it has answered this many messages. */
  readonly closeAfterMessages?: number | undefined
  /** While replies wait to be sent, nothing is read: a client that writes without reading stands still for ever. */
  readonly deafWhileReplying?: boolean | undefined
  /** Each reply gets about this many bytes of further lines (RFC 5321 §4.2.1), to fill the way back. */
  readonly replyPadding?: number | undefined
  /** The reply to STARTTLS is followed by this text in clear, as an attacker in between would inject it. */
  readonly injectAfterStartTls?: string | undefined
  /** Each connection is closed once it has sent this many bytes of replies, wherever that is. */
  readonly cutAfterSent?: number | undefined
  /** Each connection is closed once it has read this many bytes, wherever that is. */
  readonly cutAfterReceived?: number | undefined
}

/** The input of a `decide` function. */
export interface Event {
  readonly phase: Fault.Phase
  /** The connection, counted from 1. */
  readonly connection: number
  /** The sender, once there is a transaction. */
  readonly from: string | undefined
  /** The recipient at hand in phase `rcpt`, those accepted so far later on. */
  readonly to: ReadonlyArray<string>
}

/** Options of a test server; every one may be left out. */
export interface Options {
  /** The address to listen on. Defaults to `127.0.0.1`. */
  readonly host?: string | undefined
  /** The port to listen on. Defaults to 0, a free one. */
  readonly port?: number | undefined
  /** The name in greeting and EHLO. Defaults to `test.invalid`. */
  readonly name?: string | undefined
  readonly extensions?: Extensions | undefined
  /** Turns encryption on; `true` is STARTTLS with a certificate for localhost. Off by default. */
  readonly tls?: boolean | TlsOptions | undefined
  /** Refuse MAIL on an unencrypted connection (530). Defaults to false. */
  readonly requireTls?: boolean | undefined
  /** Users that may log in, as names with passwords. */
  readonly users?: { readonly [name: string]: string } | undefined
  /** Users that may log in by XOAUTH2 and OAUTHBEARER, as names with bearer tokens. */
  readonly tokens?: { readonly [name: string]: string } | undefined
  /** Refuse MAIL before a login (530). Defaults to false. */
  readonly requireAuth?: boolean | undefined
  /** Offer AUTH on encrypted connections only. Defaults to false. */
  readonly authNeedsTls?: boolean | undefined
  /** The largest content in bytes. Defaults to 35,882,577; 0 sets no limit. */
  readonly maxMessageSize?: number | undefined
  /** The destination of accepted messages. Defaults to `{ type: "keep" }`. */
  readonly mailbox?: Inbox.Mode | undefined
  /** Called with each accepted message, in any mode. */
  readonly onMessage?: ((message: Inbox.Message) => void) | undefined
  /** Look for bare LF and bare CR in content too. Defaults to true, but false when discarding. */
  readonly checkContent?: boolean | undefined
  /** Keep what was said on each connection, up to 10,000 lines. Defaults to true, but false when discarding. */
  readonly transcript?: boolean | undefined
  /** Faults, parsed or as text; a text that cannot be parsed is a defect. */
  readonly faults?: ReadonlyArray<Fault.Fault | string> | undefined
  /** The seed of the odds. Defaults to 1. */
  readonly seed?: number | undefined
  /** Asked at each event before the faults; `undefined` leaves it to them. */
  readonly decide?: ((event: Event) => Fault.Action | undefined) | undefined
  readonly quirks?: Quirks | undefined
  /**
   * Round-trip time to add: bytes take half of it each way. Throughput is not limited. TLS handshakes are not
   * delayed; see `connectDelay`. Defaults to 0.
   */
  readonly latency?: Duration.Input | undefined
  /** How long a new connection waits before its handshake or greeting, as a costly connect would. Defaults to 0. */
  readonly connectDelay?: Duration.Input | undefined
}

/** Extensions with every choice made. */
export interface ResolvedExtensions {
  readonly pipelining: boolean
  readonly chunking: boolean
  readonly size: boolean
  readonly eightBitMime: boolean
  readonly smtpUtf8: boolean
  readonly dsn: boolean
  readonly enhancedStatusCodes: boolean
  readonly starttls: boolean
  readonly auth: ReadonlyArray<Mechanism>
  readonly requireTls: boolean
  readonly limits: Limits
}

/** Options with every choice made. */
export interface Config {
  readonly host: string
  readonly port: number
  readonly name: string
  readonly extensions: ResolvedExtensions
  readonly tls: TlsOptions | undefined
  readonly requireTls: boolean
  readonly users: { readonly [name: string]: string }
  readonly tokens: { readonly [name: string]: string }
  readonly requireAuth: boolean
  readonly authNeedsTls: boolean
  readonly maxMessageSize: number
  readonly mailbox: Inbox.Mode
  readonly onMessage: ((message: Inbox.Message) => void) | undefined
  readonly checkContent: boolean
  readonly transcript: boolean
  readonly faults: ReadonlyArray<Fault.Fault>
  readonly seed: number
  readonly decide: ((event: Event) => Fault.Action | undefined) | undefined
  readonly quirks: Quirks
  readonly latencyMs: number
  readonly connectDelayMs: number
}

/** Makes every choice; throws `FaultError` for a fault that cannot be read. */
export const resolve = (options: Options): Config => {
  const tls = options.tls === true ? {} : options.tls === false ? undefined : options.tls
  const mailbox = options.mailbox ?? { type: "keep" }
  const discards = mailbox.type === "discard"
  return {
    host: options.host ?? "127.0.0.1",
    port: options.port ?? 0,
    name: options.name ?? "test.invalid",
    extensions: resolveExtensions(options, tls),
    tls,
    requireTls: options.requireTls ?? false,
    users: options.users ?? {},
    tokens: options.tokens ?? {},
    requireAuth: options.requireAuth ?? false,
    authNeedsTls: options.authNeedsTls ?? false,
    maxMessageSize: options.maxMessageSize ?? 35_882_577,
    mailbox,
    onMessage: options.onMessage,
    checkContent: options.checkContent ?? !discards,
    transcript: options.transcript ?? !discards,
    faults: readFaults(options.faults ?? []),
    seed: options.seed ?? 1,
    decide: options.decide,
    quirks: options.quirks ?? {},
    latencyMs: Duration.toMillis(options.latency ?? 0),
    connectDelayMs: Duration.toMillis(options.connectDelay ?? 0)
  }
}

/** Parses what is text; throws `FaultError`. */
export const readFaults = (faults: ReadonlyArray<Fault.Fault | string>): ReadonlyArray<Fault.Fault> =>
  faults.map((fault) => (typeof fault === "string" ? Result.getOrThrow(Fault.parse(fault)) : fault))

const resolveExtensions = (options: Options, tls: TlsOptions | undefined): ResolvedExtensions => {
  const given = options.extensions ?? {}
  return {
    pipelining: given.pipelining ?? true,
    chunking: given.chunking ?? true,
    size: given.size ?? true,
    eightBitMime: given.eightBitMime ?? true,
    smtpUtf8: given.smtpUtf8 ?? true,
    dsn: given.dsn ?? true,
    enhancedStatusCodes: given.enhancedStatusCodes ?? true,
    starttls: given.starttls ?? (tls !== undefined && tls.implicit !== true),
    auth: given.auth ?? mechanisms.filter((mechanism) => Object.keys(credentials(options, mechanism)).length > 0),
    requireTls: given.requireTls ?? true,
    limits: given.limits ?? {}
  }
}

const credentials = (options: Options, mechanism: Mechanism) =>
  (mechanism === "XOAUTH2" || mechanism === "OAUTHBEARER" ? options.tokens : options.users) ?? {}
