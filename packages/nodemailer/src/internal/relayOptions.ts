/**
 * The options of nodemailer's SMTP transports as Mailrace's.
 *
 * An option that Mailrace has no counterpart for is refused by name, because to leave a limit or a proxy out unsaid
 * would be worse than to fail at the start. What only concerns nodemailer's own working is left out: logs, and how it
 * keeps its connections.
 */
import type * as SmtpAuth from "@mailrace/smtp/SmtpAuth"
import type * as SmtpOptions from "@mailrace/smtp/SmtpOptions"
import type * as SmtpTls from "@mailrace/smtp/SmtpTls"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { DKIMOptions, SMTPPoolOptions, SMTPTransportOptions } from "nodemailer"
import wellKnown from "nodemailer/lib/well-known"

/** What `createTransport` takes for SMTP. */
export type Given = SMTPTransportOptions & SMTPPoolOptions & { readonly dkim?: DKIMOptions | undefined }

/** What nodemailer's options come to. */
export interface Read {
  readonly relay: SmtpOptions.Options
  /** Whether connections are to outlive a pause. */
  readonly keepsConnections: boolean
  readonly dkim: DKIMOptions | undefined
  readonly disableFileAccess: boolean
  readonly disableUrlAccess: boolean
}

/**
 * Whether these are nodemailer's options and not Mailrace's; host, port and the like are in both. A name that Mailrace's
 * do not have is nodemailer's or unknown, so that it is read or refused and never passed over.
 */
export const isNodemailers = (options: object): options is Given =>
  !("host" in options && typeof options.host === "string") ||
  Object.keys(options).some((name) => !(name in own)) ||
  ("auth" in options && typeof options.auth === "object" && options.auth !== null && !("username" in options.auth)) ||
  ("tls" in options &&
    typeof options.tls === "object" &&
    Object.keys(options.tls ?? {}).some((name) => tlsHandled.has(name)))

/** Mailrace's own options. */
export const ofMailrace = (relay: SmtpOptions.Options): Read => ({
  relay,
  keepsConnections: relay.idleTimeToLive !== undefined || (relay.minConnections ?? 0) > 0,
  dkim: undefined,
  disableFileAccess: false,
  disableUrlAccess: false
})

/** Reads the options. Throws an error in words for what cannot be done. */
export const readUnsafe = (given: Given): Read => {
  const service = given.service === undefined ? undefined : wellKnown(given.service)
  if (service === false) throw new Error(`the service "${given.service}" is not known; give host and port`)
  const options: Given = { ...given, ...(service as Given | undefined) }
  for (const [name, value] of Object.entries(options))
    if (!(name in handled) && value !== undefined && value !== false)
      throw new Error(`the option "${name}" has no counterpart here; leave it out, or keep nodemailer's transport`)
  const port = options.port === undefined ? undefined : Number(options.port)
  const isImplicit = options.secure ?? port === 465
  const auth = credentials(options)
  return {
    relay: {
      host: options.host ?? "localhost",
      port: port ?? (isImplicit ? 465 : 587),
      auth,
      // nodemailer's word for a login in clear: it was told to do without TLS.
      allowInsecureAuth: options.ignoreTLS === true && !isImplicit,
      tls: tls(options, isImplicit ? "implicit" : modeOf(options, auth !== undefined)),
      name: options.name,
      maxConnections: options.maxConnections,
      maxMessages: options.maxMessages,
      // 0 is nodemailer's word for no limit of its own.
      idleTimeToLive: options.idleTimeout || undefined,
      timeouts: {
        dns: options.dnsTimeout,
        connect: options.connectionTimeout,
        tls: options.connectionTimeout,
        greeting: options.greetingTimeout,
        command: options.socketTimeout,
        content: options.socketTimeout,
        finalReply: options.socketTimeout
      }
    },
    keepsConnections: options.pool === true,
    dkim: options.dkim,
    disableFileAccess: options.disableFileAccess === true,
    disableUrlAccess: options.disableUrlAccess === true
  }
}

const modeOf = (options: Given, hasLogin: boolean): SmtpTls.Mode =>
  options.ignoreTLS === true ? "off" : options.requireTLS === true || hasLogin ? "required" : "offered"

const credentials = ({ auth }: Given): SmtpAuth.Credentials | undefined => {
  if (!auth || (auth.user === undefined && auth.pass === undefined)) return undefined
  const username = auth.user ?? ""
  if (!/^oauth2$/i.test(auth.type ?? ""))
    return { username, password: Redacted.make(auth.pass ?? "", { label: "relay password" }) }
  const { accessToken } = auth
  if (typeof accessToken !== "string" || auth.refreshToken || auth.serviceClient || auth.provisionCallback)
    throw new Error("OAuth2 is taken with an accessToken only; for one that is renewed, give Mailrace's own auth.token")
  return { username, token: Effect.succeed(Redacted.make(accessToken, { label: "relay token" })) }
}

const tls = (options: Given, mode: SmtpTls.Mode): SmtpTls.Options => {
  const { ca, minVersion, rejectUnauthorized, servername, ...others } = options.tls ?? {}
  const [unknown] = Object.keys(others)
  if (unknown !== undefined)
    throw new Error(`the option "tls.${unknown}" of nodemailer has no counterpart; leave it out`)
  return {
    mode,
    serverName: servername ?? options.servername ?? undefined,
    ca: ca === undefined ? undefined : [ca].flat().map(String),
    // Unset, "offered" and the modes above it verify.
    verify: rejectUnauthorized === false ? false : undefined,
    policy: minVersion === "TLSv1.3" ? "strict" : undefined
  }
}

/** The options that are read or may be left out, and whether they matter. */
const handled: { readonly [name: string]: true } = Object.fromEntries(
  [
    "host port secure auth tls name servername ignoreTLS requireTLS opportunisticTLS service maxConnections maxMessages",
    "connectionTimeout greetingTimeout socketTimeout dnsTimeout dkim disableFileAccess disableUrlAccess",
    "pool idleTimeout maxRequeues logger debug transactionLog component authMethod",
    "allowInternalNetworkInterfaces dnsTtl description"
  ].flatMap((names) => names.split(" ").map((name) => [name, true] as const))
)

/** Mailrace's own options, all of them. */
const own: { readonly [name in keyof SmtpOptions.Options]-?: true } = {
  host: true,
  port: true,
  auth: true,
  allowInsecureAuth: true,
  tls: true,
  name: true,
  pipelining: true,
  depth: true,
  maxSpeculativeSize: true,
  minConnections: true,
  maxConnections: true,
  idleTimeToLive: true,
  maxMessages: true,
  maxLifetime: true,
  interruptGrace: true,
  timeouts: true
}

const tlsHandled = new Set(["rejectUnauthorized", "servername", "minVersion"])
