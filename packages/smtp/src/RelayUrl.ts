/**
 * A relay as a URL, for configuration and the command line.
 *
 * `smtp://user:password@host:587?tls=required`. The scheme `smtps` means implicit TLS. User and password are
 * percent-encoded. Parameters: `tls` (`implicit`, `required`, `opportunistic`, `off`), `tlsPolicy` (`strict`,
 * `balanced`, `constrained`), `tlsName`, `tlsPin` (may be repeated), `tlsVerify` (`true`, `false`), `pipelining`
 * (`auto`, `off`, `envelope`, `overlap`, `speculative`), `connections`, `maxMessages`, `name`, `allowInsecureAuth`
 * (`true`, `false`).
 */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Pipelining from "./Pipelining.ts"
import type { Options } from "./SmtpOptions.ts"
import type * as SmtpTls from "./SmtpTls.ts"

/** A relay's URL that cannot be used; the message never holds the password. */
export class RelayUrlError extends Schema.TaggedError<RelayUrlError>("mailrace/RelayUrlError")("RelayUrlError", {
  problem: Schema.String
}) {
  override get message() {
    return `the relay's URL cannot be used: ${this.problem}`
  }
  /** What to try, as an imperative. */
  get remedy() {
    return "write it like smtp://user:password@host:587?tls=required or smtps://user:password@host, with special characters percent-encoded"
  }
}

const tlsModes: ReadonlyArray<SmtpTls.Mode> = ["implicit", "required", "opportunistic", "off"]
const tlsPolicies: ReadonlyArray<SmtpTls.Policy> = ["strict", "balanced", "constrained"]
const choices: ReadonlyArray<Pipelining.Choice> = ["auto", ...Pipelining.modes]
const booleans = ["true", "false"] as const

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
  "allowInsecureAuth"
])

/** Reads a relay's URL. */
export const parse = (text: string): Result.Result<Options, RelayUrlError> => {
  const url = URL.parse(text)
  if (url === null) return problem("it is no URL")
  if (url.protocol !== "smtp:" && url.protocol !== "smtps:")
    return problem(`the scheme is ${url.protocol}// and not smtp:// or smtps://`)
  if (url.hostname === "") return problem("it names no host")
  if (url.pathname !== "" && url.pathname !== "/") return problem("a relay has no path")
  if (url.username === "" && url.password !== "") return problem("there is a password and no user")

  const parameters = url.searchParams
  for (const name of parameters.keys()) {
    if (!known.has(name)) return problem(`the parameter "${name}" is not known; known are ${[...known].join(", ")}`)
  }
  const failures: Array<string> = []
  const oneOf = <A extends string>(name: string, values: ReadonlyArray<A>): A | undefined => {
    const value = parameters.get(name)
    if (value === null) return undefined
    const found = values.find((candidate) => candidate === value)
    if (found === undefined) failures.push(`${name} is one of ${values.join(", ")}, not "${value}"`)
    return found
  }
  const positive = (name: string): number | undefined => {
    const value = parameters.get(name)
    if (value === null) return undefined
    if (/^[1-9]\d{0,8}$/.test(value)) return Number(value)
    failures.push(`${name} is a whole number from 1, not "${value}"`)
    return undefined
  }
  const boolean = (name: string): boolean | undefined => {
    const value = oneOf(name, booleans)
    return value === undefined ? undefined : value === "true"
  }

  const tlsMode = oneOf("tls", tlsModes)
  const isImplicit = url.protocol === "smtps:"
  if (isImplicit && tlsMode !== undefined && tlsMode !== "implicit")
    failures.push(`smtps:// is implicit TLS, not tls=${tlsMode}`)
  const username = percentDecoded(url.username)
  const password = percentDecoded(url.password)
  if (username === undefined || password === undefined) failures.push("user or password is not percent-encoded rightly")
  const pins = parameters.getAll("tlsPin")
  const options: Options = {
    host: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port === "" ? undefined : Number(url.port),
    auth:
      username === undefined || username === ""
        ? undefined
        : { username, password: Redacted.make(password ?? "", { label: "relay password" }) },
    tls: {
      mode: isImplicit ? "implicit" : tlsMode,
      policy: oneOf("tlsPolicy", tlsPolicies),
      serverName: parameters.get("tlsName") ?? undefined,
      pins: pins.length === 0 ? undefined : pins,
      verify: boolean("tlsVerify")
    },
    pipelining: oneOf("pipelining", choices),
    maxConnections: positive("connections"),
    maxMessages: positive("maxMessages"),
    name: parameters.get("name") ?? undefined,
    allowInsecureAuth: boolean("allowInsecureAuth")
  }
  return failures.length === 0 ? Result.succeed(options) : problem(failures.join("; "))
}

const problem = (text: string): Result.Result<never, RelayUrlError> => Result.fail(new RelayUrlError({ problem: text }))

const percentDecoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
