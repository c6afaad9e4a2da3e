/**
 * The findings of a probe, as plain data that JSON can hold.
 *
 * @since 0.2.0
 */
import type * as Pipelining from "../../Pipelining.ts"

/**
 * The phases of a session in their order. With STARTTLS, `starttls` and `tls` stand between two of `ehlo`; with implicit
 * TLS, `tls` comes before `greeting`.
 *
 * @since 0.2.0
 */
export type PhaseName = "dns" | "tcp" | "tls" | "greeting" | "ehlo" | "starttls" | "auth" | "envelope" | "content"

/**
 * A phase that was begun.
 *
 * @since 0.2.0
 */
export interface Phase {
  readonly name: PhaseName
  /** How long it took, in milliseconds; for `envelope` and `content` the median of the test messages. */
  readonly ms: number
  /** False for the phase at which the probe had to stop. */
  readonly ok: boolean
  /** The result in words. */
  readonly detail: string
}

/**
 * The failing phase, else the one that is too slow, else the longest, with its cause and what to do.
 *
 * @since 0.2.0
 */
export interface Diagnosis {
  readonly phase: PhaseName
  /** The cause in one sentence, without a full stop. */
  readonly cause: string
  /** What to try, the likeliest first; shell commands stand in backticks. Empty if nothing is to be done. */
  readonly advice: ReadonlyArray<string>
}

/**
 * An address of the relay, and whether it takes connections.
 *
 * @since 0.2.0
 */
export interface Address {
  readonly address: string
  /** How long its DNS record may be kept, in seconds; null for names from elsewhere, such as the hosts file. */
  readonly ttl: number | null
  /** How long the TCP connection took, in milliseconds; null if there was none. */
  readonly connectMs: number | null
  /** Why there was no connection. */
  readonly problem: string | null
}

/**
 * A mail exchanger of the host's name (RFC 5321 §5.1).
 *
 * @since 0.2.0
 */
export interface Exchanger {
  readonly exchange: string
  readonly priority: number
}

/**
 * An extension that the relay offers (RFC 5321 §2.2).
 *
 * @since 0.2.0
 */
export interface Extension {
  readonly keyword: string
  readonly parameters: ReadonlyArray<string>
  /** What the extension allows. */
  readonly meaning: string
}

/**
 * The logins (RFC 4954).
 *
 * @since 0.2.0
 */
export interface Auth {
  /** The mechanisms that the relay offers. */
  readonly offered: ReadonlyArray<string>
  /** The mechanism that was used; null without credentials. */
  readonly mechanism: string | null
  readonly loggedIn: boolean
}

/**
 * A certificate (RFC 5280).
 *
 * @since 0.2.0
 */
export interface Certificate {
  readonly subject: string
  readonly issuer: string
  /** The end of its time (ISO 8601). */
  readonly validTo: string
}

/**
 * The encryption of the session.
 *
 * @since 0.2.0
 */
export interface Encryption {
  /** As `TLSv1.3`. */
  readonly version: string
  readonly cipher: string
  /** The group or curve, as `X25519`; null if Node does not know it. */
  readonly keyExchange: string | null
  /** The certificates that the relay sends, from its own towards its authority. */
  readonly chain: ReadonlyArray<Certificate>
  /** The end of the time of the relay's certificate (ISO 8601). */
  readonly expires: string
  /** Days until then, rounded down; negative once it has expired. */
  readonly daysLeft: number
  /** The name that the certificate has to carry, whether it does, and those that it carries. */
  readonly name: { readonly wanted: string; readonly matches: boolean; readonly carried: ReadonlyArray<string> }
  /** As `RSA 2048` or `EC P-256`. */
  readonly keyType: string
  /** SHA-256 of the certificate, in hexadecimal with colons. */
  readonly fingerprint256: string
  /** True if the certificate and its name are verified. */
  readonly verified: boolean
  /** Why not, as OpenSSL's code. */
  readonly problem: string | null
  /** The full handshake, in milliseconds. */
  readonly fullMs: number
  /** A second handshake that resumed the first one's session, in milliseconds; null if the relay resumed none. */
  readonly resumedMs: number | null
  /** True if the relay sent an OCSP response along (RFC 6066 §8). */
  readonly ocspStapled: boolean
}

/**
 * How far Mailrace runs ahead of this relay's replies.
 *
 * @since 0.2.0
 */
export interface PipeliningReport {
  /** True if the relay keeps the content of BDAT apart from commands; `skipped` if that was not to be found out. */
  readonly selfTest: "passed" | "failed" | "skipped"
  /** The mode that `auto` takes with this relay. */
  readonly mode: Pipelining.Mode
  /** Why it takes that mode. */
  readonly why: string
}

/**
 * The limits that the relay announces; null where it announces none.
 *
 * @since 0.2.0
 */
export interface Limits {
  /** The largest message in bytes (SIZE, RFC 1870). */
  readonly size: number | null
  /** The most recipients of a message (LIMITS RCPTMAX, RFC 9422). */
  readonly maxRecipients: number | null
  /** The most messages of a session (LIMITS MAILMAX, RFC 9422). */
  readonly maxMessages: number | null
}

/**
 * A test message that the relay accepted.
 *
 * @since 0.2.0
 */
export interface TestMessage {
  /** From MAIL to the reply to DATA, in milliseconds. */
  readonly envelopeMs: number
  /** From the first byte of content to the final reply, in milliseconds: a round trip and the relay's think time. */
  readonly contentMs: number
  /** The final reply. */
  readonly reply: string
}

/**
 * The report of a probe.
 *
 * @since 0.2.0
 */
export interface Report {
  /** The relay, as `smtp://host:port`. */
  readonly target: string
  /** True if every phase that was begun succeeded. */
  readonly ok: boolean
  readonly phases: ReadonlyArray<Phase>
  readonly addresses: ReadonlyArray<Address>
  readonly exchangers: ReadonlyArray<Exchanger>
  /** The relay's greeting; null if there was none. */
  readonly greeting: string | null
  readonly extensions: ReadonlyArray<Extension>
  readonly auth: Auth
  /** Null if the session is not encrypted. */
  readonly tls: Encryption | null
  readonly pipelining: PipeliningReport
  readonly limits: Limits
  /** The shortest exchange of a command and its reply, in milliseconds; null if there was none. */
  readonly roundTripMs: number | null
  readonly messages: ReadonlyArray<TestMessage>
  readonly diagnosis: Diagnosis
}

/** A cause and what to do about it, before it is known whether this is what counts. */
export type Problem = Omit<Diagnosis, "phase">
