/**
 * Reads a relay from a URL, for configuration and the command line.
 *
 * `smtp://user:password@host:587?tls=required`. The scheme `smtps` means implicit TLS. User and password are
 * percent-encoded. Parameters: `tls` (`implicit`, `required`, `opportunistic`, `off`), `tlsPolicy` (`strict`,
 * `balanced`, `constrained`), `tlsName`, `tlsPin` (may be repeated), `tlsVerify` (`true`, `false`), `pipelining`
 * (`auto`, `off`, `envelope`, `overlap`, `speculative`), `connections`, `maxMessages`, `name`, `localAddress`, `auth` (the mechanisms to log
 * in by, in order, as `plain` or `scram-sha-256,plain`; with `xoauth2` or `oauthbearer` the password is an access token),
 * `allowInsecureAuth` (`true`, `false`), and the timeouts of `SmtpOptions.Timeouts` as `timeoutConnect=20s` or
 * `timeoutFinalReply=10m` (`ms`, `s`, `m`, `h`).
 *
 * `tlsVerify=true`, `tlsPin`, `tlsName` and `tlsPolicy=strict` demand TLS: the default of `tls` is then
 * `required`, and `off` and `opportunistic` are errors.
 *
 * @example
 * ```ts
 * import * as RelayUrl from "@mailrace/smtp/RelayUrl"
 *
 * // Result.succeed with the options of `SmtpTransport.layer`
 * export const relay = RelayUrl.parse("smtp://user:password@mail.example.com:587?tls=required&connections=4")
 * ```
 *
 * @since 0.1.0
 */

import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { isIP, isIPv6 } from "node:net"
import { domainToASCII } from "node:url"
import * as ClientName from "./internal/protocol/clientName.ts"
import * as Pipelining from "./Pipelining.ts"
import * as SmtpAuth from "./SmtpAuth.ts"
import type { Options, Timeouts } from "./SmtpOptions.ts"
import * as SmtpTls from "./SmtpTls.ts"

/**
 * A relay's URL that cannot be used; the message never holds the password.
 *
 * @since 0.1.0
 */
export class RelayUrlError extends Schema.TaggedError<RelayUrlError>("mailrace/RelayUrlError")("RelayUrlError", {
  problem: Schema.String,
  /** What to try, where the URL's form is not at fault. */
  hint: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    return `the relay's URL cannot be used: ${this.problem}`
  }
  /** What to try, as an imperative. */
  get remedy() {
    return (
      this.hint ??
      "write it like smtp://user:password@host:587?tls=required or smtps://user:password@host, with special characters percent-encoded"
    )
  }
}

/** The modes that a URL may ask for. */
const tlsModes: ReadonlyArray<SmtpTls.Mode> = ["implicit", "required", "opportunistic", "off"]

/** The parameters that demand TLS, in their spelling. */
const demands: { readonly [demand in SmtpTls.Demand]: string } = {
  verify: "tlsVerify=true",
  pins: "tlsPin",
  ca: "the authority's certificate",
  serverName: "tlsName",
  policy: "tlsPolicy=strict"
}

const choices: ReadonlyArray<Pipelining.Choice> = ["auto", ...Pipelining.modes]
const booleans = ["true", "false"] as const

/** The parameters of the timeouts. */
const timeouts: { readonly [step in keyof Timeouts]-?: string } = {
  dns: "timeoutDns",
  connect: "timeoutConnect",
  tls: "timeoutTls",
  greeting: "timeoutGreeting",
  command: "timeoutCommand",
  content: "timeoutContent",
  finalReply: "timeoutFinalReply",
  session: "timeoutSession",
  quit: "timeoutQuit"
}

const known = new Set([
  "tls",
  "tlsPolicy",
  "tlsName",
  "tlsPin",
  "tlsVerify",
  "pipelining",
  "connections",
  "maxMessages",
  "name",
  "localAddress",
  "auth",
  "allowInsecureAuth",
  ...Object.values(timeouts)
])

/**
 * Reads a relay's URL.
 *
 * @since 0.1.0
 */
export const parse = (text: string): Result.Result<Options, RelayUrlError> => {
  const url = URL.parse(text)
  if (url === null) return notUrl(text)
  if (url.protocol !== "smtp:" && url.protocol !== "smtps:")
    return problem(`the scheme is ${url.protocol}// and not smtp:// or smtps://`)
  if (url.hostname === "") return problem("it has no host")
  const host = hostOf(url.hostname)
  if (host === undefined) return problem("its host is neither a name nor an address")
  if (url.port === "0") return problem("there is no port 0")
  if (url.pathname !== "" && url.pathname !== "/") return problem("a relay has no path")
  // A password with "#" would end here, and the rest would name another host.
  if (url.hash !== "" || text.endsWith("#")) return problem('it contains a "#", which must be written as %23')
  if (url.username === "" && url.password !== "") return problem("it has a password but no user")
  const unknown = unknownParameter(url)
  if (unknown !== undefined) return unknown

  const parameters = new Parameters(url.searchParams)
  const username = percentDecoded(url.username)
  const password = percentDecoded(url.password)
  const isEncoded = username !== undefined && password !== undefined
  if (!isEncoded) parameters.failures.push("the user or the password is not correctly percent-encoded")
  const localAddress = localAddressOf(parameters, host)
  const tls = tlsOf(parameters, url.protocol === "smtps:")
  const auth = authOf(parameters, username ?? "", password ?? "")
  const times = Object.entries(timeouts).flatMap(([step, name]) => {
    const ms = parameters.time(name)
    return ms === undefined ? [] : [[step, ms] as const]
  })
  const options: Options = {
    host,
    port: url.port === "" ? undefined : Number(url.port),
    auth,
    tls,
    pipelining: parameters.oneOf("pipelining", choices),
    maxConnections: parameters.positive("connections"),
    maxMessages: parameters.positive("maxMessages"),
    name: parameters.checked("name", ClientName.parse),
    ...(localAddress === undefined ? {} : { localAddress }),
    allowInsecureAuth: parameters.boolean("allowInsecureAuth"),
    ...(times.length === 0 ? {} : { timeouts: Object.fromEntries(times) })
  }
  const { failures } = parameters
  return failures.length === 0
    ? Result.succeed(options)
    : problem(failures.join("; "), isEncoded ? "correct the parameter, or leave it out" : undefined)
}

/** Reads parameters, each by its form; what is wrong with them is gathered in `failures`. */
class Parameters {
  readonly failures: Array<string> = []
  private readonly search: URLSearchParams

  constructor(search: URLSearchParams) {
    this.search = search
    for (const name of known)
      if (name !== "tlsPin" && search.getAll(name).length > 1) this.failures.push(`${name} is given more than once`)
  }

  text(name: string): string | undefined {
    return this.search.get(name) ?? undefined
  }

  all(name: string): ReadonlyArray<string> {
    return this.search.getAll(name)
  }

  oneOf<A extends string>(name: string, values: ReadonlyArray<A>): A | undefined {
    const value = this.text(name)
    if (value === undefined) return undefined
    const found = values.find((candidate) => candidate === value)
    if (found === undefined) this.failures.push(`${name} is one of ${values.join(", ")}, not "${value}"`)
    return found
  }

  boolean(name: string): boolean | undefined {
    const value = this.oneOf(name, booleans)
    return value === undefined ? undefined : value === "true"
  }

  positive(name: string): number | undefined {
    const value = this.text(name)
    if (value === undefined) return undefined
    if (/^[1-9]\d{0,8}$/.test(value)) return Number(value)
    this.failures.push(`${name} is a whole number from 1, not "${value}"`)
    return undefined
  }

  /** A time in milliseconds. */
  time(name: string): number | undefined {
    const value = this.text(name)
    if (value === undefined) return undefined
    const [, amount, unit] = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h)$/.exec(value) ?? []
    const ms = Number(amount) * unitMs[unit as keyof typeof unitMs]
    if (ms > 0) return ms
    this.failures.push(`${name} is a time such as 500ms, 30s or 10m, not "${value}"`)
    return undefined
  }

  /** A text that `parse` accepts. */
  checked(name: string, parse: (value: string) => Result.Result<string, string>): string | undefined {
    const value = this.text(name)
    if (value === undefined) return undefined
    const read = parse(value)
    if (Result.isSuccess(read)) return value
    this.failures.push(`${name} "${value}" ${read.failure}`)
    return undefined
  }
}

/** The error for a text that is no URL. */
const notUrl = (text: string): Result.Result<never, RelayUrlError> => {
  const port = /^smtps?:\/\/[^/?#]*:(\d{1,9})(?=[/?#]|$)/.exec(text)?.[1]
  return Number(port) > 65_535
    ? problem(`the port ${port} is above 65535`, "give the port that the relay listens on; 25, 465 and 587 are usual")
    : problem("it is not a URL")
}

/** The error for the first parameter that is not known, if there is one. */
const unknownParameter = ({ search, searchParams }: URL): Result.Result<never, RelayUrlError> | undefined => {
  const name = [...searchParams.keys()].find((name) => !known.has(name))
  if (name === undefined) return undefined
  // A name that is not a word may be the rest of a password with "?" in it.
  const which = /^[A-Za-z]+$/.test(name) && !search.includes("@") ? `the parameter "${name}"` : "a parameter"
  return problem(
    `${which} is not known; known are ${[...known].join(", ")}`,
    "correct the name, or leave the parameter out; in a password, special characters are percent-encoded (? as %3F)"
  )
}

const localAddressOf = (parameters: Parameters, host: string): string | undefined => {
  const localAddress = parameters.checked("localAddress", addressIn)?.replace(/^\[(.*)\]$/, "$1")
  const hostFamily = isIP(host)
  if (localAddress !== undefined && hostFamily !== 0 && isIP(localAddress) !== hostFamily)
    parameters.failures.push(`localAddress ${localAddress} and the relay's address ${host} are of different families`)
  return localAddress
}

const tlsOf = (parameters: Parameters, isImplicit: boolean): SmtpTls.Options => {
  const { failures } = parameters
  const mode = parameters.oneOf("tls", tlsModes)
  if (isImplicit && mode !== undefined && mode !== "implicit")
    failures.push(`smtps:// is implicit TLS, not tls=${mode}`)
  const pins = parameters.all("tlsPin")
  for (const name of ["tlsName", "tlsPin"]) if (parameters.all(name).includes("")) failures.push(`${name} is empty`)
  for (const pin of pins)
    if (pin !== "" && !SmtpTls.isFingerprint(pin))
      failures.push(`tlsPin is a SHA-256 fingerprint of 64 hexadecimal digits, not "${pin}"`)
  const tls: SmtpTls.Options = {
    mode: isImplicit ? "implicit" : mode,
    policy: parameters.oneOf("tlsPolicy", SmtpTls.policies),
    serverName: parameters.text("tlsName"),
    pins: pins.length === 0 ? undefined : pins,
    verify: parameters.boolean("tlsVerify")
  }
  const demand = SmtpTls.demandOf(tls)
  if (demand !== undefined && (tls.mode === "off" || tls.mode === "opportunistic"))
    failures.push(
      `${demands[demand]} demands TLS, and tls=${tls.mode} lets mail go in clear; leave one of them out, or use tls=required`
    )
  return tls
}

const authOf = (parameters: Parameters, username: string, password: string): SmtpAuth.Credentials | undefined => {
  const { failures } = parameters
  const auth = parameters.text("auth")
  const mechanisms = auth
    ?.toUpperCase()
    .split(",")
    .map((name) => name.trim() as SmtpAuth.Mechanism)
  const usesToken = mechanisms?.every(SmtpAuth.usesToken) === true
  if (mechanisms?.some((name) => !SmtpAuth.mechanisms.includes(name)) === true)
    failures.push(`auth is one or more of ${SmtpAuth.mechanisms.join(", ")}, not "${auth}"`)
  else if (!usesToken && mechanisms?.some(SmtpAuth.usesToken) === true)
    failures.push("auth names mechanisms for a password beside others for a token")
  if (mechanisms !== undefined && username === "") failures.push("it names a mechanism to log in by but no user")
  if (username === "") return undefined
  const secret = Redacted.make(password, { label: "relay password" })
  const chosen = mechanisms === undefined ? {} : { mechanism: mechanisms }
  return usesToken ? { username, token: Effect.succeed(secret), ...chosen } : { username, password: secret, ...chosen }
}

const problem = (text: string, hint?: string): Result.Result<never, RelayUrlError> =>
  Result.fail(new RelayUrlError({ problem: text, ...(hint === undefined ? {} : { hint }) }))

const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

/** An address, in brackets or not. */
const addressIn = (text: string): Result.Result<string, string> => {
  const address = text.replace(/^\[(.*)\]$/, "$1")
  return isIP(address) === 0 ? Result.fail("is not an address") : Result.succeed(address)
}

/** The host as a name in ASCII (RFC 5890) or an address; a URL of this scheme leaves it percent-encoded. */
const hostOf = (text: string): string | undefined => {
  const address = /^\[(.*)\]$/.exec(text)?.[1]
  if (address !== undefined) return isIPv6(address) ? address : undefined
  const name = percentDecoded(text)
  const ascii = name === undefined ? "" : domainToASCII(name)
  return /^[a-z0-9._-]+$/.test(ascii) ? ascii : undefined
}

const percentDecoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
