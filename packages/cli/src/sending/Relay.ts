/**
 * The relay that the options or the environment name.
 */
import type { Flow } from "@mailrace/flow/FlowTransport"
import type { ProviderRule } from "@mailrace/flow/ProviderRule"
import * as ProviderRules from "@mailrace/flow/ProviderRules"
import * as RelayUrl from "@mailrace/smtp/RelayUrl"
import * as SmtpAuth from "@mailrace/smtp/SmtpAuth"
import type * as SmtpOptions from "@mailrace/smtp/SmtpOptions"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { MailTransport } from "mailrace/MailTransport"
import { X509Certificate } from "node:crypto"
import { CommandError } from "../CommandError.ts"
import * as Remedy from "../Remedy.ts"
import { readSecret } from "../internal/environment.ts"
import { readText } from "../internal/files.ts"
import type { RelayNow } from "../results/RunStatus.ts"
import type { ConnectionStats } from "./Meter.ts"

/** The options for naming the relay and connecting to it. */
export interface Options {
  /** Its URL. Defaults to MAILRACE_RELAY in the environment. */
  readonly relay?: Redacted.Redacted<string> | undefined
  /** Its password. Defaults to the one in `relay`, then to MAILRACE_PASSWORD in the environment. */
  readonly password?: Redacted.Redacted<string> | undefined
  /** A file with the certificates of authorities to trust, as PEM. */
  readonly tlsCa?: string | undefined
  /** The most connections. Defaults to 10. */
  readonly connections?: number | undefined
  /** Limits on new connections. Defaults to none. */
  readonly connectionRate?: SmtpOptions.ConnectionGate | undefined
  readonly pipelining?: SmtpOptions.Options["pipelining"]
  /** The address of this machine that connections come from. Defaults to what the system chooses. */
  readonly localAddress?: string | undefined
  /** A file that takes the conversation with the relay. */
  readonly transcript?: string | undefined
}

/**
 * Reads the relay from the options, then from MAILRACE_RELAY and MAILRACE_PASSWORD in the environment. The password there may
 * be another relay's, so it does not replace one that stands in the option.
 */
export const resolve = Effect.fnUntraced(function* (settings: Options) {
  const url = settings.relay ?? (yield* readSecret("MAILRACE_RELAY"))
  if (url === undefined) {
    return yield* new CommandError({
      problem: "no relay is named",
      remedy: "pass --relay smtp://host:port, or set MAILRACE_RELAY; mailrace sink runs a relay for experiments"
    })
  }
  const parsed = RelayUrl.parse(withScheme(Redacted.value(url)))
  if (Result.isFailure(parsed)) {
    return yield* new CommandError({ problem: parsed.failure.message, remedy: parsed.failure.remedy })
  }
  const options = parsed.success
  const hasOwn = settings.relay !== undefined && hasPassword(Redacted.value(url))
  const password = settings.password ?? (hasOwn ? undefined : yield* readSecret("MAILRACE_PASSWORD"))
  if (settings.password !== undefined && options.auth === undefined) {
    return yield* new CommandError({
      problem: "there is a password but no user",
      remedy: "name the user in the relay's URL: smtp://user@host:587"
    })
  }
  const mode = options.tls?.mode
  if (settings.tlsCa !== undefined && (mode === "off" || mode === "opportunistic")) {
    return yield* new CommandError({
      problem: `--tls-ca demands TLS, but tls=${mode} in the relay's URL lets mail go in clear`,
      remedy: `remove tls=${mode} from the URL or use tls=required; or leave out --tls-ca`
    })
  }
  const ca = settings.tlsCa === undefined ? undefined : yield* readAuthority(settings.tlsCa)
  const relay: SmtpOptions.Options = {
    ...options,
    tls: ca === undefined ? options.tls : { ...options.tls, ca },
    auth:
      options.auth === undefined || password === undefined ? options.auth : SmtpAuth.withSecret(options.auth, password),
    maxConnections: settings.connections ?? options.maxConnections,
    connectionRate: settings.connectionRate,
    pipelining: settings.pipelining ?? options.pipelining,
    localAddress: settings.localAddress ?? options.localAddress
  }
  return relay
})

/** Reads certificates. TLS would ignore anything else and then report that the relay's certificate is not trusted. */
const readAuthority = Effect.fnUntraced(function* (path: string) {
  const pem = yield* readText(path)
  yield* Effect.try({
    try: () => new X509Certificate(pem),
    catch: () =>
      new CommandError({
        problem: `${path} holds no certificate`,
        remedy: `give the authority's as PEM, the text that begins with "-----BEGIN CERTIFICATE-----"`
      })
  })
  return pem
})

/** Makes the transport, whose errors are read by rules. */
export const open = (relay: SmtpOptions.Options, rules: ReadonlyArray<ProviderRule> = ProviderRules.defaults) =>
  SmtpTransport.make(relay).pipe(
    Effect.map((services) =>
      Context.add(
        services,
        MailTransport,
        ProviderRules.transport(
          Context.get(services, MailTransport),
          relay.host,
          rules,
          Context.get(services, SmtpTransport.SmtpTransport).limit
        )
      )
    ),
    Effect.mapError(({ message, remedy }) => new CommandError({ problem: message, remedy: Remedy.inFlags(remedy) }))
  )

/** Makes the transport and opens a first connection, so that a fault of the relay shows before any message. */
export const connect = Effect.fnUntraced(function* (relay: SmtpOptions.Options, rules?: ReadonlyArray<ProviderRule>) {
  const transport = yield* open(relay, rules)
  const smtp = Context.get(transport, SmtpTransport.SmtpTransport)
  yield* Effect.mapError(smtp.verify, (error) => {
    const { message } = error.reason
    const problem = message.includes(relay.host) ? message : `no connection to ${smtp.relay}: ${message}`
    return new CommandError({ problem, remedy: Remedy.of(error) })
  })
  return transport
})

/** The connections of a transport, as a run shows them. */
export const connectionsOf = (
  { relay, stats }: SmtpTransport.SmtpTransport["Service"],
  /** The router's knowledge of it. */
  routed?: Effect.Effect<Pick<RelayNow, "name" | "health"> | undefined>,
  /** Its limits, where a configuration gives it some of its own, and its name there. */
  limited?: { readonly name: string; readonly flow: Flow["Service"] | undefined }
): ConnectionStats => ({
  limits: Effect.zipWith(stats, limited?.flow?.status ?? Effect.undefined, ({ connectionsHeld }, status) => ({
    waits: [
      ...(status?.waits ?? []).map((wait) => ({ ...wait, key: limited?.name })),
      ...(connectionsHeld === undefined
        ? []
        : [{ gate: "connections" as const, key: limited?.name, ...connectionsHeld }])
    ],
    held: (status?.held ?? []).map((one) => ({ ...one, key: limited?.name }))
  })),
  reconsider: limited?.flow?.reconsider ?? Effect.void,
  stats: Effect.map(stats, (stats) => ({ ...stats, open: stats.idle + stats.busy })),
  relays: Effect.zipWith(stats, routed ?? Effect.undefined, ({ busy, idle, pipelining, waiting }, known) => [
    { name: known?.name ?? relay, open: idle + busy, busy, waiting, pipelining, health: known?.health }
  ])
})

const hasPassword = (url: string): boolean => (URL.parse(withScheme(url))?.password ?? "") !== ""

/** `host:port` without a scheme means plain SMTP. */
const withScheme = (url: string): string => (url.includes("://") ? url : `smtp://${url}`)
