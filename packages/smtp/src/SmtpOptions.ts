/**
 * The options of a relay and of the conversation with it, with their defaults.
 *
 * @since 0.1.0
 */

import * as Duration from "effect/Duration"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { isIP } from "node:net"
import { hostname } from "node:os"
import * as ClientName from "./internal/protocol/clientName.ts"
import type * as Pipelining from "./Pipelining.ts"
import * as SmtpAuth from "./SmtpAuth.ts"
import * as SmtpTls from "./SmtpTls.ts"
import type * as Transcript from "./Transcript.ts"

/**
 * How long each step may take. RFC 5321 §4.5.3.2 asks for longer; these suit a relay that is alive.
 *
 * @since 0.1.0
 */
export interface Timeouts {
  /** Resolving the host's name. Defaults to 5 seconds. */
  readonly dns?: Duration.Input | undefined
  /** Connecting to one of its addresses. Defaults to 10 seconds. */
  readonly connect?: Duration.Input | undefined
  /** The TLS handshake. Defaults to 10 seconds. */
  readonly tls?: Duration.Input | undefined
  /** The greeting. Defaults to 30 seconds: relays make unknown clients wait on purpose. */
  readonly greeting?: Duration.Input | undefined
  /** The reply to a command. Defaults to 60 seconds. */
  readonly command?: Duration.Input | undefined
  /** Progress while content is sent. Defaults to 120 seconds. */
  readonly content?: Duration.Input | undefined
  /** The reply to the content. Defaults to 300 seconds. */
  readonly finalReply?: Duration.Input | undefined
  /**
   * How long messages wait while no session takes any. A queue that moves is waited in, however long it is; to bound a whole
   * send, use `Effect.timeout`. Defaults to 10 minutes, or twice `finalReply` if that is longer.
   */
  readonly session?: Duration.Input | undefined
  /** The reply to QUIT, when the transport closes or a connection is given up. Defaults to 2 seconds. */
  readonly quit?: Duration.Input | undefined
}

/**
 * Decides when the next connection to a relay may be opened. `ConnectionRate` of `@mailrace/flow` makes one from limits such
 * as `5/s`. Transports that share one share its limit. Times are in milliseconds, on a scale that does not jump.
 *
 * @since 0.1.0
 */
export interface ConnectionGate {
  /** The earliest time, from `now` on, at which the next connection may be opened. */
  readonly availableAt: (now: number) => number
  /** Counts a connection that is being opened. */
  readonly opened: (now: number) => void
}

/**
 * A relay and how to talk to it.
 *
 * @since 0.1.0
 */
export interface Options {
  /** A name or an address. */
  readonly host: string
  /** Defaults to 465 with implicit TLS, 587 with a login, else 25. */
  readonly port?: number | undefined
  /** The credentials of the login (RFC 4954). Defaults to no login. */
  readonly auth?: SmtpAuth.Credentials | undefined
  /** True if the login may go over a connection that is not encrypted. Defaults to false. */
  readonly allowInsecureAuth?: boolean | undefined
  /**
   * Whether and how the connection is encrypted. Defaults to STARTTLS: required with a login or where an option demands
   * TLS (`SmtpTls.Options`), else where it is offered.
   */
  readonly tls?: SmtpTls.Options | undefined
  /**
   * The client's name in EHLO (RFC 5321 §4.1.1.1): a domain name, or an address, which is put into brackets. Defaults
   * to this machine's name if it is a full domain name and does not end in `.local`, `.localdomain` or `.internal`, else to the
   * connection's own address, as in `[192.0.2.1]`.
   */
  readonly name?: string | undefined
  /**
   * The address of this machine that connections come from. Only addresses of the relay of the same family are then tried.
   * Defaults to what the system chooses.
   */
  readonly localAddress?: string | undefined
  /**
   * How far a connection runs ahead of the replies (RFC 2920, RFC 3030). Defaults to `auto`: `speculative` where the relay
   * offers CHUNKING and the connection's self-test passes, else `envelope`. `overlap` puts the next envelope behind the end of
   * DATA; ask for it only of a relay that is known to take that, because one that does not may store it in the message.
   */
  readonly pipelining?: Pipelining.Choice | undefined
  /** Transactions on their way on one connection in `speculative`, from 1. Defaults to 32. */
  readonly depth?: number | undefined
  /**
   * The largest content that runs ahead of its envelope's replies in `speculative`, in bytes. A larger one goes by DATA, and
   * the next message waits for its reply. Defaults to 262,144.
   */
  readonly maxSpeculativeSize?: number | undefined
  /** Connections opened at once and kept, from 0. Defaults to 0. */
  readonly minConnections?: number | undefined
  /** The most connections, from 1. Defaults to 10. */
  readonly maxConnections?: number | undefined
  /** Limits how many connections are opened in a time; messages wait for those that are open. Defaults to no limit. */
  readonly connectionRate?: ConnectionGate | undefined
  /**
   * How long a connection above `minConnections` may be idle. Defaults to 60 seconds. A program that never closes the
   * transport's scope ends when its last connection has gone by this, so never with `minConnections` above 0.
   */
  readonly idleTimeToLive?: Duration.Input | undefined
  /** How many messages a connection carries before it is replaced, from 1. Defaults to no limit but the relay's. */
  readonly maxMessages?: number | undefined
  /** How long a connection is used before it is replaced. Defaults to no limit. */
  readonly maxLifetime?: Duration.Input | undefined
  /**
   * How long an interrupted send waits for the outcome of a message that was begun, whatever it waits for; a message without
   * an outcome by then ends as `OutcomeUnknown` if the relay may have it. By default the send waits for the final reply to
   * content that the relay has been handed, up to `timeouts.finalReply`, and 10 seconds for all else.
   */
  readonly interruptGrace?: Duration.Input | undefined
  /** How long each step may take; each has a default of its own. */
  readonly timeouts?: Timeouts | undefined
  /** Takes the conversation with the relay, line by line, without content and credentials. Defaults to no transcript. */
  readonly transcript?: Transcript.Sink | undefined
}

/**
 * Options with every default filled in, as `resolve` makes them: times in milliseconds, no limit as infinity or `undefined`.
 *
 * @since 0.1.0
 */
export interface Settings {
  readonly host: string
  readonly port: number
  /** The relay as `host:port`. */
  readonly relay: string
  readonly auth: SmtpAuth.Credentials | undefined
  readonly allowInsecureAuth: boolean
  readonly tls: SmtpTls.Options
  readonly tlsMode: SmtpTls.Mode
  /** `undefined` for the connection's own address. */
  readonly name: string | undefined
  readonly localAddress: string | undefined
  readonly pipelining: Pipelining.Choice
  readonly depth: number
  readonly maxSpeculativeSize: number
  readonly minConnections: number
  readonly maxConnections: number
  readonly connectionRate: ConnectionGate | undefined
  readonly idleTimeToLiveMs: number
  readonly maxMessages: number
  readonly maxLifetimeMs: number | undefined
  readonly interruptGraceMs: number | undefined
  readonly timeouts: { readonly [step in keyof Timeouts]-?: number }
  readonly transcript: Transcript.Sink | undefined
}

/**
 * The error for options that are invalid or contradict each other.
 *
 * @since 0.1.0
 */
export class SmtpOptionsError extends Schema.TaggedError<SmtpOptionsError>("mailrace/SmtpOptionsError")(
  "SmtpOptionsError",
  {
    /** The option at fault, as in `tls.pins`. */
    option: Schema.String,
    problem: Schema.String,
    /** What to try, as an imperative. */
    remedy: Schema.String
  }
) {
  override get message() {
    return `the relay's options cannot be used: ${this.problem}`
  }
}

/**
 * Fills in the defaults. Throws `SmtpOptionsError` for options that are invalid or contradict each other.
 *
 * @since 0.1.0
 */
export const resolve = (options: Options): Settings => {
  checkAddressUnsafe(options)
  checkLoginUnsafe(options.auth)
  const tlsMode = tlsModeUnsafe(options)
  const port = options.port ?? (tlsMode === "implicit" ? 465 : options.auth === undefined ? 25 : 587)
  const maxConnections = Math.max(1, options.maxConnections ?? 10)
  const maxMessages = Math.max(1, options.maxMessages ?? Number.POSITIVE_INFINITY)
  const timeouts = options.timeouts ?? {}
  const finalReplyMs = millis(timeouts.finalReply ?? "300 seconds")
  return {
    host: options.host,
    port,
    relay: `${options.host.includes(":") ? `[${options.host}]` : options.host}:${port}`,
    auth: options.auth,
    allowInsecureAuth: options.allowInsecureAuth ?? false,
    tls: options.tls ?? {},
    tlsMode,
    name: options.name === undefined ? ClientName.ofMachine(hostname()) : nameUnsafe(options.name),
    localAddress: localAddressUnsafe(options),
    pipelining: options.pipelining ?? "auto",
    depth: Math.max(1, Math.min(options.depth ?? 32, maxMessages)),
    maxSpeculativeSize: options.maxSpeculativeSize ?? 262_144,
    minConnections: Math.min(maxConnections, options.minConnections ?? 0),
    maxConnections,
    connectionRate: options.connectionRate,
    idleTimeToLiveMs: millis(options.idleTimeToLive ?? "60 seconds"),
    maxMessages,
    maxLifetimeMs: options.maxLifetime === undefined ? undefined : millis(options.maxLifetime),
    interruptGraceMs: options.interruptGrace === undefined ? undefined : millis(options.interruptGrace),
    timeouts: {
      dns: millis(timeouts.dns ?? "5 seconds"),
      connect: millis(timeouts.connect ?? "10 seconds"),
      tls: millis(timeouts.tls ?? "10 seconds"),
      greeting: millis(timeouts.greeting ?? "30 seconds"),
      command: millis(timeouts.command ?? "60 seconds"),
      content: millis(timeouts.content ?? "120 seconds"),
      finalReply: finalReplyMs,
      session: millis(timeouts.session ?? Math.max(600_000, 2 * finalReplyMs)),
      quit: millis(timeouts.quit ?? "2 seconds")
    },
    transcript: transcriptUnsafe(options.transcript)
  }
}

const transcriptUnsafe = (transcript: Transcript.Sink | undefined): Transcript.Sink | undefined => {
  if (transcript === undefined || typeof transcript === "function") return transcript
  throw new SmtpOptionsError({
    option: "transcript",
    problem: "transcript is not a function",
    remedy: "give a function that takes a line, as in transcript: (line) => console.error(Transcript.format(line))"
  })
}

const tlsOptions: { readonly [name in keyof SmtpTls.Options]-?: true } = {
  mode: true,
  policy: true,
  ca: true,
  serverName: true,
  pins: true,
  verify: true
}

const invalid = (option: string, problem: string, remedy: string): SmtpOptionsError =>
  new SmtpOptionsError({ option, problem: `${option} ${problem}`, remedy })

/** Fails on a missing host and an invalid port, as in a program without types; Node refuses a port that is too high. */
const checkAddressUnsafe = ({ host, port }: Options): void => {
  if (typeof host !== "string" || host === "")
    throw invalid("host", "names no relay", `give the relay's name or address, as in host: "mail.example.org"`)
  if (port !== undefined && !(Number.isInteger(port) && port >= 1))
    throw invalid("port", `"${port}" is not a port`, "give a whole number from 1 to 65535, or leave it out")
}

const nameUnsafe = (text: string): string => {
  const name = ClientName.parse(String(text))
  if (Result.isSuccess(name)) return name.success
  throw invalid(
    "name",
    `"${text}" ${name.failure}`,
    "use this machine's full host name, as mail.example.com, or its address"
  )
}

const localAddressUnsafe = ({ host, localAddress }: Options): string | undefined => {
  if (localAddress === undefined) return undefined
  const family = isIP(String(localAddress))
  if (family === 0)
    throw invalid("localAddress", `"${localAddress}" is not an address`, "give an IPv4 or IPv6 address of this machine")
  const hostFamily = isIP(host)
  if (hostFamily !== 0 && hostFamily !== family)
    throw invalid(
      "localAddress",
      `${localAddress} is IPv${family}, and the relay's address ${host} is IPv${hostFamily}`,
      `use an IPv${hostFamily} address of this machine, or leave it out`
    )
  return localAddress
}

const whenNotOffered: ReadonlyArray<unknown> = ["fail", "skip", "try"] satisfies ReadonlyArray<SmtpAuth.WhenNotOffered>

/** Fails on a mechanism that is not known, or that the credentials do not fit. */
const checkLoginUnsafe = (auth: SmtpAuth.Credentials | undefined): void => {
  if (auth === undefined) return
  const fitting = SmtpAuth.mechanisms.filter((mechanism) => SmtpAuth.usesToken(mechanism) === "token" in auth)
  const remedy = `use ${fitting.join(", ")}, or leave it out`
  const names = SmtpAuth.named(auth)
  if (names?.length === 0) throw invalid("auth.mechanism", "names no mechanism", remedy)
  for (const name of names ?? []) {
    if (!SmtpAuth.mechanisms.includes(name)) throw invalid("auth.mechanism", `"${name}" is not known`, remedy)
    if (!fitting.includes(name)) {
      const [given, wanted] = "token" in auth ? ["token", "password"] : ["password", "token"]
      throw invalid("auth.mechanism", `"${name}" takes a ${wanted} and not a ${given}`, remedy)
    }
  }
  if (auth.whenNotOffered !== undefined && !whenNotOffered.includes(auth.whenNotOffered))
    throw invalid("auth.whenNotOffered", "is not one of fail, skip, try", 'use "fail", "skip" or "try"')
}

/** When TLS is used. An option that demands TLS is never weakened, not even by a misspelt value from JavaScript. */
const tlsModeUnsafe = ({ auth, port, tls = {} }: Options): SmtpTls.Mode => {
  if (typeof tls !== "object" || tls === null)
    throw invalid("tls", "is not an object", 'write it as tls: { mode: "required" }')
  const unknown = Object.keys(tls).find((name) => !(name in tlsOptions))
  if (unknown !== undefined)
    throw invalid(`tls.${unknown}`, "is not known", `use one of ${Object.keys(tlsOptions).join(", ")}`)
  const { ca, mode, pins, policy, serverName, verify } = tls
  const oneOf = (option: string, value: string | undefined, values: ReadonlyArray<string>): void => {
    if (value !== undefined && !values.includes(value))
      throw invalid(option, `is not one of ${values.join(", ")}`, `use one of ${values.join(", ")}, or leave it out`)
  }
  oneOf("tls.mode", mode, SmtpTls.modes)
  oneOf("tls.policy", policy, SmtpTls.policies)
  if (verify !== undefined && typeof verify !== "boolean")
    throw invalid("tls.verify", "is neither true nor false", "use true or false")
  if (serverName !== undefined && (typeof serverName !== "string" || serverName === ""))
    throw invalid("tls.serverName", "is not a name", "give the name that the relay's certificate carries")
  if (pins !== undefined && !(Array.isArray(pins) && pins.every((pin) => typeof pin === "string")))
    throw invalid("tls.pins", "is not a list of texts", "give SHA-256 fingerprints in hexadecimal, in a list")
  const malformed = pins?.find((pin) => !SmtpTls.isFingerprint(pin))
  if (malformed !== undefined)
    throw invalid(
      "tls.pins",
      `holds "${malformed}", which is not a SHA-256 fingerprint`,
      "give 64 hexadecimal digits, with or without colons"
    )
  const authorities = [ca].flat()
  if (
    ca !== undefined &&
    !(authorities.length > 0 && authorities.every((pem) => typeof pem === "string" && pem !== ""))
  )
    throw invalid("tls.ca", "holds no certificate", "give the authorities' certificates as PEM")
  const demand = SmtpTls.demandOf(tls)
  if (demand !== undefined && (mode === "off" || mode === "opportunistic" || mode === "offered"))
    throw invalid(
      `tls.${demand}`,
      `demands TLS, and tls.mode "${mode}" lets mail go in clear`,
      `leave tls.mode out or use "required" or "implicit"; or leave tls.${demand} out`
    )
  if (mode !== undefined) return mode
  if (demand === undefined && auth === undefined) return "opportunistic"
  return port === 465 ? "implicit" : "required"
}

/** The longest time that a timer can count; with a longer or an infinite one it would fire at once. */
const longestTimerMs = 2 ** 31 - 1

const millis = (duration: Duration.Input): number => Math.min(Duration.toMillis(duration), longestTimerMs)
