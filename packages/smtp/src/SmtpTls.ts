/**
 * Encryption of a session: when TLS is used, which versions and ciphers, which certificates are trusted, and what to remember.
 *
 * @since 0.1.0
 */

import * as MailError from "mailrace/MailError"
import { isIP } from "node:net"
import * as Tls from "node:tls"

/**
 * When TLS is used.
 *
 * - `implicit`: from the first byte (RFC 8314, port 465).
 * - `required`: STARTTLS (RFC 3207), or no mail is sent.
 * - `opportunistic`: STARTTLS where it is offered, with any certificate; in clear where it is not, or where it fails.
 *   Protects from listeners, not from impostors (RFC 7435).
 * - `offered`: STARTTLS where it is offered, with a verified certificate, or no mail is sent; in clear where it is not
 *   offered. This is nodemailer's behaviour; an attacker who can strip STARTTLS from the relay's offer reads the message.
 * - `off`: in clear.
 *
 * @since 0.1.0
 */
export type Mode = "implicit" | "required" | "opportunistic" | "offered" | "off"

/**
 * All modes, from the safest to none.
 *
 * @since 0.1.0
 */
export const modes: ReadonlyArray<Mode> = ["implicit", "required", "offered", "opportunistic", "off"]

/**
 * The demands on the channel where TLS is used.
 *
 * - `strict`: TLS 1.3 only.
 * - `balanced`: TLS 1.2 or 1.3 with forward secrecy.
 * - `constrained`: the same with ChaCha20-Poly1305 first, for machines without AES in hardware.
 *
 * All verify the certificate and its name, but in mode `opportunistic`.
 *
 * @since 0.1.0
 */
export type Policy = "strict" | "balanced" | "constrained"

/**
 * All policies, the strictest first.
 *
 * @since 0.1.0
 */
export const policies: ReadonlyArray<Policy> = ["strict", "balanced", "constrained"]

/**
 * The options of encryption.
 *
 * `verify: true`, `pins`, `ca`, `serverName` and `policy: "strict"` demand TLS: with one of them the mode is `required`
 * unless another is given, and `off`, `offered` and `opportunistic` contradict it.
 *
 * @since 0.1.0
 */
export interface Options {
  /**
   * When TLS is used. Defaults to `required` with a login or where TLS is demanded (on port 465 to `implicit`), else to
   * `opportunistic`.
   */
  readonly mode?: Mode | undefined
  /** The demands on the channel. Defaults to `balanced`. */
  readonly policy?: Policy | undefined
  /** Certificates in PEM to trust instead of the system's. */
  readonly ca?: string | ReadonlyArray<string> | undefined
  /** The name that the relay is asked for and that a verified certificate must carry. Defaults to the host. */
  readonly serverName?: string | undefined
  /**
   * SHA-256 fingerprints of certificates, in hexadecimal with or without colons; the relay's own must be one of them,
   * beside being valid.
   */
  readonly pins?: ReadonlyArray<string> | undefined
  /** True if the certificate is verified. Defaults to true, but in mode `opportunistic` to false. */
  readonly verify?: boolean | undefined
}

/**
 * An option that only callers set who want their mail encrypted.
 *
 * @since 0.1.0
 */
export type Demand = "verify" | "pins" | "ca" | "serverName" | "policy"

/**
 * The first option that demands TLS, if one does. `verify: false` and the other policies demand nothing.
 *
 * @since 0.1.0
 */
export const demandOf = (options: Options): Demand | undefined => {
  if (options.verify === true) return "verify"
  if (options.pins !== undefined && options.pins.length > 0) return "pins"
  if (options.ca !== undefined) return "ca"
  if (options.serverName !== undefined) return "serverName"
  return options.policy === "strict" ? "policy" : undefined
}

/**
 * A TLS session to resume, and what its full handshake proved.
 *
 * @since 0.1.0
 */
export interface KeptSession {
  readonly session: Buffer
  /** True if the certificate and its name were verified. Node verifies neither again when the session is resumed. */
  readonly isVerified: boolean
  /** The name that the certificate was checked against. */
  readonly name: string
  /** The options that it was checked by. */
  readonly options: Options
}

/**
 * Remembers a relay's TLS session, so that the next connection resumes it instead of a full handshake (RFC 8446 §2.2).
 *
 * @since 0.1.0
 */
export class SessionCache {
  private kept: KeptSession | undefined

  /** The session to resume, if one is kept that was checked against the same name by the same options. */
  offer(options: Options, host: string): KeptSession | undefined {
    const { kept } = this
    return kept?.options === options && kept.name === nameOf(options, host) ? kept : undefined
  }

  /** Keeps what a socket can be resumed by: TLS 1.2 has it now, TLS 1.3 sends tickets after the handshake. */
  watch(socket: Tls.TLSSocket, options: Options, host: string, isVerified: boolean): void {
    const keep = (session: Buffer): void => {
      this.kept = { session, isVerified, name: nameOf(options, host), options }
    }
    const session = socket.getProtocol() === "TLSv1.3" ? undefined : socket.getSession()
    if (session !== undefined) keep(session)
    socket.on("session", keep)
  }
}

/**
 * True if the certificate and its name are verified. A resumed session is as good as the one it goes back to: Node calls it
 * authorized without having checked the name.
 *
 * @since 0.1.0
 */
export const isVerified = (socket: Tls.TLSSocket, offered: KeptSession | undefined): boolean =>
  socket.authorized && (!socket.isSessionReused() || offered?.isVerified === true)

/**
 * Keeps what is the same for all handshakes with a relay; made anew for each, it costs a fifth of one.
 *
 * @since 0.1.0
 */
export class ContextCache {
  private options: Options | undefined
  private context: Tls.SecureContext | undefined

  /** Trust, versions and ciphers, as Node wants them. */
  get(options: Options): Tls.SecureContext {
    if (this.context === undefined || this.options !== options) {
      this.options = options
      this.context = Tls.createSecureContext(contextOptions(options))
    }
    return this.context
  }
}

/**
 * A relay's TLS state that connections share.
 *
 * @since 0.1.0
 */
export interface Memory {
  /** Trust, versions and ciphers, made ready once. */
  readonly tlsContexts: ContextCache
  /** The session that the next handshake resumes. */
  readonly tlsSessions: SessionCache
}

const forwardSecret = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL"
const chachaFirst = "ECDHE+CHACHA20:ECDHE+AESGCM:!aNULL"

const contextOptions = ({ ca, policy = "balanced" }: Options): Tls.SecureContextOptions => ({
  minVersion: policy === "strict" ? "TLSv1.3" : "TLSv1.2",
  // TLS 1.3 suites and the older ones share one list; order is preference.
  ciphers:
    policy === "constrained"
      ? `TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:${chachaFirst}`
      : `TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256:${forwardSecret}`,
  ...(ca === undefined ? {} : { ca: typeof ca === "string" ? ca : [...ca] })
})

/**
 * What Node's TLS needs to connect to a host; `offered` is the session to resume.
 *
 * @since 0.1.0
 */
export const connectionOptions = (
  options: Options,
  mode: Mode,
  host: string,
  contexts: ContextCache,
  offered: KeptSession | undefined
): Tls.ConnectionOptions => {
  const name = nameOf(options, host)
  return {
    ...(offered === undefined ? {} : { session: offered.session }),
    secureContext: contexts.get(options),
    rejectUnauthorized: options.verify ?? mode !== "opportunistic",
    // Thrown out of Node's handshake it would end the process.
    checkServerIdentity: (_, certificate) => {
      try {
        return Tls.checkServerIdentity(name, certificate)
      } catch (error) {
        return error as Error
      }
    },
    // An address is no name to ask for (RFC 6066 §3).
    ...(isIP(name) === 0 ? { servername: name } : { host: name })
  }
}

/** The name that the certificate must carry. */
const nameOf = (options: Options, host: string): string => options.serverName ?? host

/**
 * The error of a handshake that failed. OpenSSL's own words are in `reason`; its message is a line of its log.
 *
 * @since 0.1.0
 */
export const handshakeError = (
  problem: Error & { readonly code?: string; readonly reason?: string }
): MailError.MailError => {
  const failed = (text: string, hint: string) => MailError.make(new MailError.TlsFailed({ problem: text, hint }))
  switch (problem.code) {
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return failed(
        `the relay's certificate is for another name: ${problem.message.replace(/^.*altnames: /i, "")}`,
        "connect by a name that is in the certificate, or give that name as `serverName` (tlsName in the URL)"
      )
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
      return failed(
        "the relay's certificate is not signed by an authority that this machine trusts",
        "trust the authority's certificate (`tls.ca`); or, for a relay of your own, trust this certificate alone: tlsVerify=false&tlsPin=… in its URL, with the SHA-256 fingerprint"
      )
    case "CERT_HAS_EXPIRED":
      return failed("the relay's certificate has expired", "tell the relay's operator; check this machine's clock")
    case pinMismatch:
      return failed(problem.message, "compare the pinned fingerprint with the relay's new certificate")
    case "ERR_SSL_WRONG_VERSION_NUMBER":
    case "ERR_SSL_PACKET_LENGTH_TOO_LONG":
    case "EPROTO":
      return failed(
        "the relay does not speak TLS at this point of the session",
        "use tls=required (STARTTLS, port 587) instead of tls=implicit (port 465), or the other way round"
      )
    case "ERR_SSL_UNSUPPORTED_PROTOCOL":
    case "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION":
      return failed(
        "the relay offers no TLS version that the policy allows",
        "if the TLS policy is strict, use balanced, which allows 1.2; otherwise have the relay's operator switch TLS 1.2 or 1.3 on, as older versions are broken (RFC 8996)"
      )
    case "ECONNRESET":
    case "EPIPE":
    case undefined:
      return MailError.make(new MailError.ConnectionLost({ phase: "tls", problem: problem.message }))
    default:
      return failed(
        `the TLS handshake failed: ${problem.reason ?? problem.message.trim()}`,
        "check the TLS policy against what the relay offers"
      )
  }
}

/**
 * Returns an error if pins are configured and the certificate matches none of them. A valid certificate must match too.
 *
 * @since 0.1.0
 */
export const checkPins = (pins: ReadonlyArray<string> | undefined, socket: Tls.TLSSocket): Error | undefined => {
  if (pins === undefined || pins.length === 0) return undefined
  // A resumed session shows no certificate. It is only kept when the pin was right, and only that relay can resume it.
  if (socket.isSessionReused()) return undefined
  const actual = socket.getPeerCertificate().fingerprint256 ?? ""
  return pins.some((pin) => fingerprint(pin) === fingerprint(actual))
    ? undefined
    : Object.assign(new Error(`the relay's certificate has fingerprint ${actual}, which is not pinned`), {
        code: pinMismatch
      })
}

const pinMismatch = "MAILRACE_PIN_MISMATCH"

const fingerprint = (text: string): string => text.replaceAll(":", "").toLowerCase()

/**
 * True for a SHA-256 fingerprint in hexadecimal, with or without colons. Anything else is the pin of no certificate.
 *
 * @since 0.1.0
 */
export const isFingerprint = (text: string): boolean => /^[0-9a-f]{64}$/.test(fingerprint(text))
