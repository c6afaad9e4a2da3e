/**
 * Converts the options of nodemailer's SMTP transports into Mailrace's.
 *
 * An option without a counterpart is refused by name, because it is worse to ignore a limit or a proxy silently than to fail
 * at the start. Options about nodemailer's own internals, such as its handling of sockets, are ignored. Each option
 * has nodemailer's meaning, whatever other options are given. Mailrace's own options are separate, under `mailrace`.
 */
import * as SmtpAuth from "@mailrace/smtp/SmtpAuth"
import type * as SmtpOptions from "@mailrace/smtp/SmtpOptions"
import * as SmtpTls from "@mailrace/smtp/SmtpTls"
import * as Duration from "effect/Duration"
import * as Redacted from "effect/Redacted"
import { parseConnectionUrl } from "nodemailer/lib/shared/index.js"
import wellKnown from "nodemailer/lib/well-known/index.js"
import type * as tls from "node:tls"
import { AccessTokens } from "./accessTokens.ts"
import type * as RateLimit from "./rateLimit.ts"
import { withLogger } from "./transcriptLogger.ts"
import type { Auth, TransportOptions } from "./transportOptions.ts"

/** A relay, and the lifetime of its connections. */
interface ReadRelay {
  readonly relay: SmtpOptions.Options
  /** True to keep connections open over a pause. */
  readonly keepsConnections: boolean
}

/** The options that nodemailer copies from its transporter into each message, or reads there while it compiles one. */
const ofMailer = [
  "attachDataUrls",
  "disableFileAccess",
  "disableUrlAccess",
  "maxRecipients",
  "normalizeHeaderKey"
] as const

type MailerOptions = Pick<TransportOptions, (typeof ofMailer)[number]>

/** The result of reading nodemailer's options. */
export interface Read extends ReadRelay {
  readonly dkim: object | undefined
  /** True if `close` ends the transport for good, as it does nodemailer's pool. */
  readonly isPool: boolean
  readonly rate: RateLimit.Rate | undefined
  readonly mailer: MailerOptions
  /** The options as the app may see them, without secrets. */
  readonly shown: TransportOptions
  /** The tokens of a login by OAuth2. */
  readonly tokens: AccessTokens | undefined
  /** True if `verify` fails at a relay that offers a login, because `forceAuth` asks for one and there are no credentials. */
  readonly lacksLogin: boolean
}

/**
 * The options of a Mailrace URL. Its defaults are nodemailer's, so that an app that changes its transport changes nothing else:
 * port 587, and verified certificates only.
 */
export const ofUrl = (relay: SmtpOptions.Options): Read => {
  const { port, tls = {} } = relay
  const isOpen = tls.mode === undefined && SmtpTls.demandOf(tls) === undefined && !needsTls(relay)
  return {
    ...ofMailrace({
      ...relay,
      port: port ?? (tls.mode === "implicit" ? 465 : 587),
      tls: isOpen ? { ...tls, mode: "offered" } : tls
    }),
    dkim: undefined,
    isPool: false,
    rate: undefined,
    mailer: {},
    shown: { host: relay.host, port: port ?? (tls.mode === "implicit" ? 465 : 587), secure: tls.mode === "implicit" },
    tokens: undefined,
    lacksLogin: false
  }
}

/** Reads the options. Throws an error that names an unusable one. */
export const readUnsafe = (given: TransportOptions): Read => {
  const { mailrace } = given
  if (mailrace !== undefined && (typeof mailrace !== "object" || mailrace === null))
    throw new Error('the option "mailrace" is not an object')
  for (const name of Object.keys(mailrace ?? {}))
    if (!(name in own))
      throw new Error(`the option "mailrace.${name}" is not known; known are ${Object.keys(own).join(", ")}`)
  const options = expandUnsafe(given)
  for (const [name, value] of Object.entries(options))
    if (!handled.has(name) && value !== undefined && value !== false)
      throw new Error(
        name in own
          ? `the option "${name}" is Mailrace's own; write it as mailrace: { ${name}: … }`
          : `the option "${name}" has no counterpart here; leave it out, or keep nodemailer's transport`
      )
  const isAlone = mailrace !== undefined && isWhole(mailrace)
  const tokens = new AccessTokens()
  const read = isAlone ? readMailraceUnsafe(mailrace, options) : readBothUnsafe(options, mailrace ?? {}, tokens)
  return {
    ...read,
    relay: withLogger(read.relay, options),
    dkim: options.dkim,
    shown: withoutSecrets(options),
    tokens: tokens.isUsed ? tokens : undefined,
    lacksLogin: options.forceAuth === true && read.relay.auth === undefined,
    isPool: options.pool === true,
    // nodemailer's plain transport has no limit.
    rate: options.pool === true ? rateOf(options) : undefined,
    mailer: Object.fromEntries(
      ofMailer.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]] as const]))
    )
  }
}

const withoutSecrets = (options: TransportOptions): TransportOptions =>
  Object.fromEntries(Object.entries(options).filter(([name]) => !secret.has(name)))

const secret = new Set(["auth", "dkim", "mailrace", "tls"])

/** The options together with those that a URL or the name of a provider stands for, which take precedence. */
const expandUnsafe = (given: TransportOptions): TransportOptions => {
  const { url, ...others } = given
  const named = url === undefined ? others : joined(others, parseConnectionUrl(url) as TransportOptions)
  const name = given.service ?? named.service
  if (name === undefined) return named
  const service = wellKnown(name) as TransportOptions | false | undefined
  if (!service) throw new Error(`the service "${name}" is not known; give host and port`)
  return joined(named, service)
}

const joined = (options: TransportOptions, others: TransportOptions): TransportOptions => ({
  ...options,
  ...others,
  ...(others.auth === undefined ? {} : { auth: { ...options.auth, ...others.auth } }),
  ...(others.tls === undefined ? {} : { tls: { ...options.tls, ...others.tls } })
})

const rateOf = ({ rateDelta, rateLimit }: TransportOptions): RateLimit.Rate | undefined => {
  const limit = Number(rateLimit) || 0
  return limit > 0 ? { limit, periodMs: Number(rateDelta) || 1000 } : undefined
}

const isWhole = (mailrace: Partial<SmtpOptions.Options>): mailrace is SmtpOptions.Options => mailrace.host !== undefined

const ofMailrace = (relay: SmtpOptions.Options): ReadRelay => ({
  relay,
  keepsConnections: relay.idleTimeToLive !== undefined || (relay.minConnections ?? 0) > 0
})

/** A relay from Mailrace's own options; nodemailer's could only contradict them. */
const readMailraceUnsafe = (mailrace: SmtpOptions.Options, options: TransportOptions): ReadRelay => {
  const beside = Object.entries(options).find(([name, value]) => value !== undefined && !besideMailrace.has(name))
  if (beside !== undefined)
    throw new Error(`"mailrace.host" describes the whole relay; put "${beside[0]}" under mailrace too, or leave it out`)
  const read = ofMailrace(mailrace)
  return { ...read, keepsConnections: read.keepsConnections || options.pool === true }
}

/** A relay from nodemailer's options, with Mailrace's own taking precedence. */
const readBothUnsafe = (
  options: TransportOptions,
  mailrace: Partial<SmtpOptions.Options>,
  tokens: AccessTokens
): ReadRelay => {
  const port = Number(options.port) || undefined
  const isImplicit = options.secure === undefined ? port === 465 : Boolean(options.secure)
  const auth = mailrace.auth ?? credentials(options, tokens)
  const relay: SmtpOptions.Options = {
    host: options.host || "localhost",
    port: port ?? (isImplicit ? 465 : 587),
    // nodemailer logs in in clear when it was told to do without TLS.
    allowInsecureAuth: isClear(options, isImplicit),
    name: options.name,
    localAddress: options.localAddress,
    maxConnections: options.maxConnections || (options.pool === true ? poolConnections : undefined),
    maxMessages: options.maxMessages,
    // In nodemailer, 0 means no limit.
    idleTimeToLive: options.idleTimeout === 0 ? Duration.infinity : options.idleTimeout
  }
  const timeouts: SmtpOptions.Timeouts = {
    dns: options.dnsTimeout,
    connect: options.connectionTimeout,
    tls: options.connectionTimeout,
    greeting: options.greetingTimeout,
    command: options.socketTimeout,
    content: options.socketTimeout,
    finalReply: options.socketTimeout
  }
  const tls = { ...tlsUnsafe(options), ...stated(mailrace.tls) }
  const joined = { ...relay, ...stated(mailrace), auth }
  const whole: SmtpOptions.Options = {
    ...joined,
    tls: { ...tls, mode: tls.mode ?? modeUnsafe(options, isImplicit, tls, needsTls(joined)) },
    timeouts: { ...timeouts, ...stated(mailrace.timeouts) }
  }
  return {
    relay: whole,
    keepsConnections: options.pool === true || ofMailrace({ ...mailrace, host: "" }).keepsConnections
  }
}

/** nodemailer's default for a pool. */
const poolConnections = 5

/** The options that are given; `undefined` leaves one open. */
const stated = <A extends object>(options: A | undefined): Partial<A> =>
  Object.fromEntries(Object.entries(options ?? {}).filter(([, value]) => value !== undefined)) as Partial<A>

/** True if there is a password or token that must not go in clear. */
const needsTls = ({ allowInsecureAuth, auth }: Pick<SmtpOptions.Options, "allowInsecureAuth" | "auth">): boolean =>
  auth !== undefined && hasSecret(auth) && allowInsecureAuth !== true

/** True if nodemailer would do without TLS. `requireTLS` wins, because a contradiction must not end in clear text. */
const isClear = (options: TransportOptions, isImplicit: boolean): boolean =>
  Boolean(options.ignoreTLS) && !options.requireTLS && !isImplicit

/**
 * The TLS mode. nodemailer goes on in clear where STARTTLS is not offered, even with options about the certificate. An app that
 * sets those does not mean that, and an attacker would strip the offer.
 */
const modeUnsafe = (
  options: TransportOptions,
  isImplicit: boolean,
  tls: SmtpTls.Options,
  loginNeedsTls: boolean
): SmtpTls.Mode => {
  if (isImplicit) return "implicit"
  const demand = SmtpTls.demandOf(tls)
  if (!isClear(options, isImplicit))
    return options.requireTLS || loginNeedsTls || demand !== undefined ? "required" : "offered"
  if (demand !== undefined)
    throw new Error(`"${demandNames[demand]}" demands TLS, and "ignoreTLS" sends in clear; leave one of them out`)
  return "off"
}

/** The options of nodemailer that demand TLS. */
const demandNames: { readonly [demand in SmtpTls.Demand]: string } = {
  verify: "tls.rejectUnauthorized",
  pins: "mailrace.tls.pins",
  ca: "tls.ca",
  serverName: "tls.servername",
  policy: "tls.minVersion"
}

const credentials = (
  { auth, authMethod, forceAuth, pool }: TransportOptions,
  tokens: AccessTokens
): SmtpAuth.Credentials | undefined => {
  if (!auth || isNoLogin(auth, pool === true)) return undefined
  const username = auth.user ?? ""
  const whenNotOffered = forceAuth === true ? "try" : "skip"
  if (!/^oauth2$/i.test(auth.type ?? "")) {
    const mechanism = mechanismUnsafe(auth.method?.trim() || authMethod)
    // A login without a password fails before it is sent, and only where the relay offers one.
    const password = Redacted.make(auth.pass ?? "", { label: "relay password" })
    return { username, password, mechanism, whenNotOffered }
  }
  return { username, token: tokens.get(auth), whenNotOffered }
}

/**
 * True if nodemailer would not log in: its pool if user and password are empty, its plain transport if `auth` is. With a
 * user and a password that are `undefined`, as an environment without them gives, the latter fails where a login is offered.
 */
const isNoLogin = (auth: Auth, isPool: boolean): boolean => {
  const isOAuth2 = /^oauth2$/i.test(auth.type ?? "")
  if (isPool) return !isOAuth2 && !auth.user && !auth.pass
  return isOAuth2 ? !auth.user && !auth.serviceClient : Object.keys(auth).length === 0
}

/** False for an empty password, which is never sent. */
const hasSecret = (auth: SmtpAuth.Credentials): boolean => "token" in auth || Redacted.value(auth.password) !== ""

const mechanismUnsafe = (name: string | undefined): SmtpAuth.Mechanism | undefined => {
  // nodemailer takes XOAUTH2 without a token for no choice.
  if (!name || /^xoauth2$/i.test(name)) return undefined
  const mechanism = SmtpAuth.mechanisms.find((known) => known === name.toUpperCase() && !SmtpAuth.usesToken(known))
  if (mechanism !== undefined) return mechanism
  const known = SmtpAuth.mechanisms.filter((one) => !SmtpAuth.usesToken(one))
  throw new Error(`the option "authMethod" is one of ${known.join(", ")}, not "${name}"`)
}

const tlsUnsafe = (options: TransportOptions): SmtpTls.Options => {
  const { ca, minVersion, rejectUnauthorized, servername, ...others }: tls.ConnectionOptions = options.tls ?? {}
  const [unknown] = Object.keys(others)
  if (unknown !== undefined)
    throw new Error(
      unknown in ownTls
        ? `the option "tls.${unknown}" is Mailrace's own; write it as mailrace: { tls: { ${unknown}: … } }`
        : `the option "tls.${unknown}" of nodemailer has no counterpart; leave it out`
    )
  return {
    serverName: servername || options.servername || undefined,
    // An empty one is a demand, which fails by name.
    ca: ca === undefined || ca === null ? undefined : [ca].flat().map(String),
    // By default every mode from nodemailer's options verifies.
    verify: typeof rejectUnauthorized === "boolean" ? rejectUnauthorized : undefined,
    policy: minVersion === "TLSv1.3" ? "strict" : undefined
  }
}

/** The options that are read here. */
const effective: { readonly [name in keyof TransportOptions]-?: true } = {
  url: true,
  service: true,
  host: true,
  port: true,
  secure: true,
  auth: true,
  authMethod: true,
  forceAuth: true,
  tls: true,
  servername: true,
  ignoreTLS: true,
  requireTLS: true,
  opportunisticTLS: true,
  name: true,
  localAddress: true,
  pool: true,
  maxConnections: true,
  maxMessages: true,
  idleTimeout: true,
  rateLimit: true,
  rateDelta: true,
  connectionTimeout: true,
  greetingTimeout: true,
  socketTimeout: true,
  dnsTimeout: true,
  dkim: true,
  attachDataUrls: true,
  disableFileAccess: true,
  disableUrlAccess: true,
  maxRecipients: true,
  normalizeHeaderKey: true,
  logger: true,
  debug: true,
  transactionLog: true,
  component: true,
  mailrace: true
}

/** Those, and options about nodemailer's own internals, which mean nothing here. */
const handled = new Set([
  ...Object.keys(effective),
  "allowInternalNetworkInterfaces",
  "description",
  "dnsTtl",
  "maxRequeues",
  "maxResponseSize",
  "socketCloseTimeout"
])

/** Mailrace's own options, all of them. */
const own: { readonly [name in keyof SmtpOptions.Options]-?: true } = {
  host: true,
  port: true,
  auth: true,
  allowInsecureAuth: true,
  tls: true,
  name: true,
  localAddress: true,
  pipelining: true,
  depth: true,
  maxSpeculativeSize: true,
  minConnections: true,
  maxConnections: true,
  connectionRate: true,
  idleTimeToLive: true,
  maxMessages: true,
  maxLifetime: true,
  interruptGrace: true,
  timeouts: true,
  transcript: true
}

/** Mailrace's own options for TLS, all of them. */
const ownTls: { readonly [name in keyof SmtpTls.Options]-?: true } = {
  mode: true,
  policy: true,
  ca: true,
  serverName: true,
  pins: true,
  verify: true
}

/** The options that may accompany a relay from Mailrace's own options. */
const besideMailrace = new Set<string>([
  ...ofMailer,
  "component",
  "debug",
  "dkim",
  "logger",
  "mailrace",
  "pool",
  "rateDelta",
  "rateLimit",
  "transactionLog"
])
