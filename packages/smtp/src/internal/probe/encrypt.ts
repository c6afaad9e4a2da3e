/**
 * The TLS handshakes of a probe.
 *
 * The first goes through with any certificate, so that a bad one can be described, and is then judged as the transport
 * would judge it. The second, on another connection, shows whether the relay resumes a session (RFC 8446 §2.2).
 */
import * as Effect from "effect/Effect"
import type { X509Certificate } from "node:crypto"
import * as Tls from "node:tls"
import type { SmtpConnection } from "../connection/smtpConnection.ts"
import type { Settings } from "../../SmtpOptions.ts"
import * as SmtpTls from "../../SmtpTls.ts"
import type { Certificate, Encryption, Problem } from "./report.ts"
import * as Causes from "./tlsCauses.ts"

/** The result of a handshake. */
export interface Encrypted {
  readonly facts: Encryption
  /** Why the transport would refuse it. */
  readonly refusal: Problem | undefined
  /** A flaw that the transport accepts, but that is worth mentioning. */
  readonly concern: Problem | undefined
}

/** Encrypts a connection by a full handshake. */
export const encrypt = (
  connection: SmtpConnection,
  settings: Settings,
  memory: SmtpTls.Memory
): Effect.Effect<Encrypted, Problem> =>
  Effect.suspend(() => {
    const { host, tls, tlsMode } = settings
    // Reading the system's authorities takes long the first time, and is not the relay's doing.
    memory.tlsContexts.get(tls)
    const started = performance.now()
    let isStapled = false
    let failure: Causes.OpenSslError | undefined
    let encrypted: Encrypted | undefined
    return connection
      .upgrade(
        {
          ...SmtpTls.connectionOptions(tls, tlsMode, host, memory.tlsContexts, undefined),
          rejectUnauthorized: false,
          requestOCSP: true
        },
        settings.timeouts.tls,
        (socket) => {
          const fullMs = performance.now() - started
          connection.isVerified = SmtpTls.isVerified(socket, undefined)
          memory.tlsSessions.watch(socket, tls, host, connection.isVerified)
          // Before the certificate is looked at: once Node has given it as an X509Certificate, it gives it no other way.
          const objection = SmtpTls.checkPins(tls.pins, socket)
          const facts = { ...describe(socket, tls.serverName ?? host), ocspStapled: isStapled, fullMs }
          encrypted = judge(settings, facts, objection)
          return undefined
        },
        (socket) => {
          socket.on("OCSPResponse", (response: Buffer | null) => {
            isStapled = response !== null && response.length > 0
          })
          socket.prependListener("error", (error: Causes.OpenSslError) => (failure ??= error))
        }
      )
      .pipe(
        Effect.mapError((error) => Causes.handshakeFailed(settings, error, failure)),
        Effect.map(() => encrypted!)
      )
  })

/** Encrypts another connection and gives the time that took in milliseconds, if the relay resumed the first session. */
export const resume = (
  connection: SmtpConnection,
  settings: Settings,
  memory: SmtpTls.Memory
): Effect.Effect<number | null, unknown> =>
  Effect.suspend(() => {
    const { host, tls, tlsMode } = settings
    const offered = memory.tlsSessions.offer(tls, host)
    const started = performance.now()
    return Effect.map(
      connection.upgrade(
        { ...SmtpTls.connectionOptions(tls, tlsMode, host, memory.tlsContexts, offered), rejectUnauthorized: false },
        settings.timeouts.tls,
        () => undefined
      ),
      (socket) => (socket.isSessionReused() ? performance.now() - started : null)
    )
  })

const judge = (settings: Settings, facts: Encryption, objection: Error | undefined): Encrypted => {
  const { tls, tlsMode } = settings
  const problem = facts.problem === null ? undefined : Causes.untrusted(settings, facts)
  const isDemanded = tls.verify ?? tlsMode !== "opportunistic"
  const concern = problem ?? (facts.daysLeft < soonDays ? Causes.expiresSoon(facts) : undefined)
  return {
    facts,
    refusal: objection !== undefined ? Causes.notPinned(objection.message) : isDemanded ? problem : undefined,
    // A caller who turns verification off knows why.
    concern: tls.verify === false ? undefined : concern
  }
}

/** A certificate that expires in fewer days is mentioned. */
const soonDays = 14

const dayMs = 86_400_000

type Described = Omit<Encryption, "fullMs" | "ocspStapled">

const describe = (socket: Tls.TLSSocket, wanted: string): Described => {
  const certificate = socket.getPeerX509Certificate()
  const ephemeral = socket.getEphemeralKeyInfo() as { readonly name?: string; readonly type?: string } | null
  const expires = certificate === undefined ? new Date(0) : new Date(certificate.validTo)
  return {
    version: socket.getProtocol() ?? "unknown",
    cipher: socket.getCipher().standardName,
    keyExchange: ephemeral?.name ?? ephemeral?.type ?? null,
    chain: chainOf(certificate),
    expires: expires.toISOString(),
    daysLeft: Math.floor((expires.getTime() - Date.now()) / dayMs),
    name: { wanted, matches: carries(certificate, wanted), carried: namesOf(certificate) },
    keyType: keyTypeOf(certificate),
    fingerprint256: certificate?.fingerprint256 ?? "",
    verified: socket.authorized,
    // Node's types say Error; what it holds is the error's code.
    problem: socket.authorized ? null : String(socket.authorizationError),
    resumedMs: null
  }
}

const carries = (certificate: X509Certificate | undefined, wanted: string): boolean => {
  try {
    return certificate !== undefined && Tls.checkServerIdentity(wanted, certificate.toLegacyObject()) === undefined
  } catch {
    return false
  }
}

const chainOf = (leaf: X509Certificate | undefined): ReadonlyArray<Certificate> => {
  const chain: Array<Certificate> = []
  const seen = new Set<string>()
  for (let one = leaf; one !== undefined && !seen.has(one.fingerprint256); one = one.issuerCertificate) {
    seen.add(one.fingerprint256)
    chain.push({
      subject: oneLine(one.subject),
      issuer: oneLine(one.issuer),
      validTo: new Date(one.validTo).toISOString()
    })
  }
  return chain
}

const oneLine = (name: string): string => name.replaceAll("\n", ", ")

const namesOf = (certificate: X509Certificate | undefined): ReadonlyArray<string> =>
  (certificate?.subjectAltName ?? "").split(", ").flatMap((entry) => /^(?:DNS|IP Address):(.+)$/.exec(entry)?.[1] ?? [])

const keyTypeOf = (certificate: X509Certificate | undefined): string => {
  const key = certificate?.publicKey
  const details = key?.asymmetricKeyDetails
  switch (key?.asymmetricKeyType) {
    case undefined:
      return "unknown"
    case "rsa":
      return `RSA ${details?.modulusLength}`
    case "ec":
      return `EC ${curves[details?.namedCurve ?? ""] ?? details?.namedCurve}`
    default:
      return key!.asymmetricKeyType!
  }
}

const curves: { readonly [name: string]: string } = { prime256v1: "P-256", secp384r1: "P-384", secp521r1: "P-521" }
