/**
 * Settings as transports.
 */
import * as ConnectionRate from "@mailrace/flow/ConnectionRate"
import type * as FlowOptions from "@mailrace/flow/FlowOptions"
import * as FlowTransport from "@mailrace/flow/FlowTransport"
import * as Limit from "@mailrace/flow/Limit"
import * as ProviderRules from "@mailrace/flow/ProviderRules"
import * as Router from "@mailrace/router/Router"
import type * as RouterOptions from "@mailrace/router/RouterOptions"
import * as RelayUrl from "@mailrace/smtp/RelayUrl"
import * as SmtpAuth from "@mailrace/smtp/SmtpAuth"
import type * as SmtpOptions from "@mailrace/smtp/SmtpOptions"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { MailTransport } from "mailrace/MailTransport"
import type { ConfigError } from "../ConfigError.ts"
import type { Settings } from "../ConfigSchema.ts"
import { routeOf, warmUpText } from "./checks.ts"
import { listOf } from "./oneOrMore.ts"
import { rulesOf } from "./rules.ts"
import { type Configured, readSecret } from "./secrets.ts"

/** The relays of a configuration at work. */
export interface Opened {
  readonly context: Context.Context<MailTransport | Router.Router>
  /** The connections of each relay, and its limits if it has any. */
  readonly relays: ReadonlyArray<{
    readonly name: string
    readonly smtp: SmtpTransport.SmtpTransport["Service"]
    readonly flow: FlowTransport.Flow["Service"] | undefined
  }>
}

/** The limits of lanes and tenants, and those that rules may ask for of lanes; `undefined` if there are none. */
export const limitsOf = (settings: Settings): FlowOptions.Options | undefined => {
  const lanes = tableOf(settings.lane)
  const tenants = tableOf(settings.tenant)
  const mayLimitLanes = rulesOf(settings).some(({ limits }) => limits?.isOfRelay === false)
  return lanes === undefined && tenants === undefined && !mayLimitLanes
    ? undefined
    : { lanes, tenants, asked: "lanes", adaptive: false }
}

/** Opens the relays of a configuration with their own limits; `extra` and `flow` override its settings for each relay. */
export const open = (
  config: Configured,
  extra: Partial<SmtpOptions.Options> = {},
  flow: Pick<FlowOptions.Options, "adaptive"> = {}
): Effect.Effect<Opened, ConfigError, FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  Effect.gen(function* () {
    const { settings } = config
    const named = Object.entries(settings.relay ?? {})
    if (named.length === 0)
      return yield* config.faultAt(["relay"], "there is no relay", 'add one: [relay.main] with url = "smtp://…"')
    const relays = yield* Effect.forEach(named, ([name, relay]) =>
      openRelay(config, name, relay, extra, { ...flow, refusesPaused: named.length > 1 })
    )
    const { router, transport } = yield* Effect.mapError(
      Router.make({
        relays: relays.map(({ name, relay, transport }) => ({
          name,
          transport,
          weight: relay.weight,
          class: relay.class,
          capabilities: capabilitiesOf(relay)
        })),
        routes: (settings.route ?? []).map(routeOf),
        stickyLanes: settings.sticky_lanes
      }),
      ({ message, remedy }) => config.faultAt(["route"], message, remedy)
    )
    return {
      context: Context.make(Router.Router, router).pipe(Context.add(MailTransport, transport)),
      relays: relays.map(({ flow, name, smtp }) => ({ name, smtp, flow }))
    }
  })

/** Opens one relay: its transport, behind the rules for its replies and its own limits. */
const openRelay = (
  config: Configured,
  name: string,
  relay: Relay,
  extra: Partial<SmtpOptions.Options>,
  flow: Pick<FlowOptions.Options, "adaptive" | "refusesPaused">
) =>
  Effect.gen(function* () {
    const options = { ...(yield* optionsOf(config, name, relay)), ...extra }
    const opened = yield* Effect.mapError(SmtpTransport.make(options), ({ problem, remedy }) =>
      config.faultAt(["relay", name], `relay.${name}: ${problem}`, remedy)
    )
    const smtp = Context.get(opened, SmtpTransport.SmtpTransport)
    const rules = rulesOf(config.settings, name)
    const transport = ProviderRules.transport(Context.get(opened, MailTransport), options.host, rules, smtp.limit)
    const limits = flowOf(relay)
    const mayBeSlowed = rules.some((rule) => ProviderRules.limitsFlowOf(rule, options.host))
    const adaptive = flow.adaptive ?? relay.adaptive ?? true
    if (limits === undefined && !adaptive && !mayBeSlowed) return { name, relay, smtp, flow: undefined, transport }
    const limited = yield* Effect.mapError(
      FlowTransport.make(transport, { ...limits, ...flow, adaptive }, name),
      ({ message }) => config.faultAt(["relay", name], `relay.${name}: ${message}`, "correct the limit")
    )
    return {
      name,
      relay,
      smtp,
      flow: Context.get(limited, FlowTransport.Flow),
      transport: Context.get(limited, MailTransport)
    }
  })

const capabilitiesOf = ({ dsn, requiretls, size, smtputf8 }: Relay): RouterOptions.Capabilities => ({
  ...(size === undefined ? {} : { size }),
  ...(smtputf8 === undefined ? {} : { smtpUtf8: smtputf8 }),
  ...(requiretls === undefined ? {} : { requireTls: requiretls }),
  ...(dsn === undefined ? {} : { dsn })
})

type Relay = NonNullable<Settings["relay"]>[string]
type Rates = Pick<Relay, "rate" | "warmup"> & { readonly weight?: number | undefined }

const isOfConnections = (text: string): boolean => Result.getOrThrow(Limit.parse(text)).unit === "connections"

/** The limits of a relay, lane or tenant as flow control reads them; `undefined` if there are none. */
const flowOf = ({ rate, warmup }: Rates) => {
  const rates = listOf(rate).filter((text) => !isOfConnections(text))
  return rates.length === 0 && warmup === undefined
    ? undefined
    : { rate: rates, warmUp: warmup === undefined ? undefined : warmUpText(warmup) }
}

const tableOf = (table: { readonly [name: string]: Rates } | undefined) =>
  table === undefined
    ? undefined
    : Object.fromEntries(
        Object.entries(table).map(([name, rates]) => [name, { ...flowOf(rates), weight: rates.weight }])
      )

const connectionRateOf = ({ rate }: Rates): ConnectionRate.ConnectionRate | undefined => {
  const rates = listOf(rate).filter(isOfConnections)
  return rates.length === 0 ? undefined : Result.getOrThrow(ConnectionRate.parse(rates))
}

const optionsOf = (config: Configured, name: string, relay: Relay) =>
  Effect.gen(function* () {
    const parsed = Result.getOrThrow(RelayUrl.parse(relay.url))
    const secret =
      relay.password === undefined ? undefined : yield* readSecret(config, ["relay", name, "password"], relay.password)
    const options: SmtpOptions.Options = {
      ...parsed,
      auth: parsed.auth === undefined || secret === undefined ? parsed.auth : SmtpAuth.withSecret(parsed.auth, secret),
      maxConnections: relay.connections ?? parsed.maxConnections,
      connectionRate: connectionRateOf(relay)
    }
    return options
  })
