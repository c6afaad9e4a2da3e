/**
 * The relays of a run: one or several that flags name, those of a configuration, or the one of the environment.
 */
import * as FlowTransport from "@mailrace/flow/FlowTransport"
import type { ProviderRule } from "@mailrace/flow/ProviderRule"
import * as ProviderRules from "@mailrace/flow/ProviderRules"
import type * as MailraceConfig from "@mailrace/config/MailraceConfig"
import type * as SmtpOptions from "@mailrace/smtp/SmtpOptions"
import { SmtpTransport } from "@mailrace/smtp/SmtpTransport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { MailTransport } from "mailrace/MailTransport"
import { CommandError } from "../CommandError.ts"
import * as Printable from "../text/printable.ts"
import * as Terminal from "../output/Terminal.ts"
import * as Remedy from "../Remedy.ts"
import * as Configuration from "./Configuration.ts"
import type * as FlowFlags from "./FlowFlags.ts"
import { type ConnectionStats, sumOf } from "./Meter.ts"
import * as Relay from "./Relay.ts"

/** The options for naming relays and connecting to them. */
export interface Options extends Omit<Relay.Options, "relay" | "connectionRate"> {
  /** Their URLs; of several each takes an equal share. Defaults to the configuration's relays, else MAILRACE_RELAY. */
  readonly relay?: ReadonlyArray<Redacted.Redacted<string>> | undefined
  /** Whether relays are followed; see `FlowFlags`. Defaults to true, and for those of a configuration to what that says. */
  readonly adaptive?: boolean | undefined
}

/** Relays whose names are known to be valid. */
export type Relays =
  | {
      readonly _tag: "Named"
      readonly relays: ReadonlyArray<SmtpOptions.Options>
      readonly adaptive: boolean
      /** The meanings of their replies. */
      readonly rules: ReadonlyArray<ProviderRule>
    }
  | {
      readonly _tag: "Configured"
      readonly configuration: MailraceConfig.MailraceConfig
      readonly extra: Partial<SmtpOptions.Options>
      /** Whether all of them are followed; `undefined` for what the configuration says of each. */
      readonly adaptive: boolean | undefined
    }

/** Relays at work. */
export interface Connected {
  readonly services: Context.Context<MailTransport>
  readonly connections: ConnectionStats
}

/** True if one relay is named, so that the limits of the run are its own. */
export const isOne = (relays: Relays): boolean => relays._tag === "Named" && relays.relays.length === 1

/** True if all messages go to one relay, named or configured. */
export const isSingle = (relays: Relays): boolean =>
  isOne(relays) || (relays._tag === "Configured" && Object.keys(relays.configuration.settings.relay ?? {}).length === 1)

/** True if a rule may limit the one relay that is named. */
export const mayBeLimited = (relays: Relays): boolean =>
  relays._tag === "Named" &&
  relays.relays.length === 1 &&
  relays.rules.some((rule) => ProviderRules.limitsFlowOf(rule, relays.relays[0]!.host))

/** What the relays are called together, the same in each process that sends through them. */
export const nameOf = (relays: Relays): string =>
  (relays._tag === "Named"
    ? relays.relays.map(({ host, port }) => (port === undefined ? host : `${host}:${port}`))
    : Object.keys(relays.configuration.settings.relay ?? {})
  )
    .sort()
    .join(",")

/** Finds the relays of a run; `connectionRate` limits how many connections are opened to all of them together. */
export const resolve = Effect.fnUntraced(function* (
  { configuration, relay: urls = [], ...settings }: Configuration.Configured<Options>,
  { connections: connectionRate }: Pick<FlowFlags.RelayRates, "connections">
) {
  if (urls.length > 0 || configuration?.settings.relay === undefined) {
    const named = urls.length > 0 ? urls : [undefined]
    const relays = yield* Effect.forEach(named, (relay) => Relay.resolve({ ...settings, relay, connectionRate }))
    const rules = configuration === undefined ? ProviderRules.defaults : yield* Configuration.rules(configuration)
    return { _tag: "Named", relays, adaptive: settings.adaptive !== false, rules } satisfies Relays
  }
  for (const [flag, value] of [
    ["--password", settings.password],
    ["--tls-ca", settings.tlsCa]
  ] as const)
    if (value !== undefined)
      return yield* new CommandError({
        problem: `${flag} is for a relay that --relay names, and the relays are those of ${configuration.file}`,
        remedy:
          flag === "--password"
            ? 'say in the file where each password is: password = { env = "RELAY_PASSWORD" }'
            : "leave it out, or name the relay with --relay"
      })
  const { connections, localAddress, pipelining } = settings
  return {
    _tag: "Configured",
    configuration,
    adaptive: settings.adaptive === false ? false : undefined,
    extra: {
      ...(connections === undefined ? {} : { maxConnections: connections }),
      ...(connectionRate === undefined ? {} : { connectionRate }),
      ...(localAddress === undefined ? {} : { localAddress }),
      ...(pipelining === undefined ? {} : { pipelining })
    }
  } satisfies Relays
})

/**
 * Makes the transport and opens a first connection to each relay, so that a fault shows before any message. Of several relays
 * one must be there.
 */
export const connect = Effect.fnUntraced(function* (
  relays: Relays,
  transcript: SmtpOptions.Options["transcript"] | undefined
) {
  if (relays._tag === "Named" && relays.relays.length === 1) {
    const services = yield* Relay.connect({ ...relays.relays[0]!, transcript }, relays.rules)
    return connected(Context.get(services, MailTransport), Relay.connectionsOf(Context.get(services, SmtpTransport)))
  }
  const opened = yield* relays._tag === "Configured"
    ? openConfigured(relays, {
        ...relays.extra,
        ...(transcript === undefined ? {} : { transcript })
      })
    : openNamed(relays, transcript)
  const checks = yield* Effect.forEach(opened.relays, ({ smtp }) => Effect.result(smtp.verify), {
    concurrency: "unbounded"
  })
  const failures = checks.flatMap((check, index) =>
    Result.isFailure(check) ? [{ name: opened.relays[index]!.name, error: check.failure }] : []
  )
  const [first] = failures
  if (first !== undefined && failures.length === opened.relays.length) {
    const problem = `no connection to relay ${first.name}: ${first.error.reason.message}`
    const others =
      failures.length === 1
        ? ""
        : `; nor to the others: ${failures
            .slice(1)
            .map(({ name }) => name)
            .join(", ")}`
    return yield* new CommandError({ problem: problem + others, remedy: Remedy.of(first.error) })
  }
  for (const { error, name } of failures)
    yield* Terminal.log(Printable.line(`no connection to relay ${name}: ${error.reason.message}; ${Remedy.of(error)}`))
  return connected(
    Context.get(opened.context, MailTransport),
    sumOf(
      opened.relays.map(({ flow, name, smtp }) =>
        Relay.connectionsOf(
          smtp,
          Effect.map(opened.router.status, (all) => all.find((one) => one.name === name)),
          { name, flow }
        )
      )
    )
  )
})

const connected = (transport: MailTransport["Service"], connections: ConnectionStats): Connected => ({
  services: Context.make(MailTransport, transport),
  connections
})

const openConfigured = Effect.fnUntraced(function* (
  { adaptive, configuration }: Extract<Relays, { readonly _tag: "Configured" }>,
  extra: Partial<SmtpOptions.Options>
) {
  const opened = yield* Configuration.openRelays(configuration, extra, { adaptive })
  const { Router } = yield* router
  return { ...opened, router: Context.get(opened.context, Router) }
})

/** Loaded only for several relays. */
const router = Effect.promise(() => import("@mailrace/router/Router"))

const openNamed = Effect.fnUntraced(function* (
  { adaptive, relays: all, rules }: Extract<Relays, { readonly _tag: "Named" }>,
  transcript: SmtpOptions.Options["transcript"] | undefined
) {
  const relays = yield* Effect.forEach(all, (relay) =>
    Effect.gen(function* () {
      const services = yield* Relay.open({ ...relay, transcript }, rules)
      const smtp = Context.get(services, SmtpTransport)
      const transport = Context.get(services, MailTransport)
      const mayBeLimited = rules.some((rule) => ProviderRules.limitsFlowOf(rule, relay.host))
      if (!adaptive && !mayBeLimited) return { name: smtp.relay, smtp, flow: undefined, transport }
      // The router leaves a relay alone that fails, so that it needs no circuit.
      const followed = yield* Effect.orDie(FlowTransport.make(transport, { adaptive, refusesPaused: true }, smtp.relay))
      return {
        name: smtp.relay,
        smtp,
        flow: Context.get(followed, FlowTransport.Flow),
        transport: Context.get(followed, MailTransport)
      }
    })
  )
  const { make } = yield* router
  const routed = yield* Effect.mapError(
    make({ relays }),
    () =>
      new CommandError({
        problem: "--relay names the same relay twice",
        remedy: "name each relay once, or use --config"
      })
  )
  return { context: Context.make(MailTransport, routed.transport), router: routed.router, relays }
})
