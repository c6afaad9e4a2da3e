/**
 * The file that `--config` names: relays, limits, keys and lists. Flags override it.
 */
import type * as FlowOptions from "@mailrace/flow/FlowOptions"
import type * as SmtpOptions from "@mailrace/smtp/SmtpOptions"
import type { ConfigError } from "@mailrace/config/ConfigError"
import type * as MailraceConfig from "@mailrace/config/MailraceConfig"
import * as Effect from "effect/Effect"
import { CommandError } from "../CommandError.ts"

/** The flags that a configuration completes. */
export interface Options {
  readonly config?: string | undefined
  readonly suppress?: ReadonlyArray<string> | undefined
  readonly otlp?: string | undefined
  readonly otlpMetrics?: string | undefined
  readonly traceSample?: number | undefined
  /** Recipient domains that traces name. */
  readonly traceDomains?: ReadonlyArray<string> | undefined
}

/** Loads the readers of TOML and JSON, the router and flow control, which a run without a configuration does not need. */
const library = Effect.promise(() => import("@mailrace/config/MailraceConfig"))

/** Options with the configuration that they name. */
export type Configured<O> = O & { readonly configuration: MailraceConfig.MailraceConfig | undefined }

/** Reads the file, adds its suppression lists to those of the flags, and its collectors where no flag names one. */
export const read = Effect.fnUntraced(function* <O extends Options>(options: O) {
  if (options.config === undefined) return { ...options, configuration: undefined } satisfies Configured<O>
  const { load, suppressionFiles } = yield* library
  const configuration = yield* asCommandError(load(options.config))
  const lists = yield* suppressionFiles(configuration)
  const { telemetry } = configuration.settings
  return {
    ...options,
    configuration,
    suppress: [...(options.suppress ?? []), ...lists],
    onBadList: (file: string, error: CommandError) => {
      const index = lists.indexOf(file)
      if (index < 0) return error
      const at = Array.isArray(configuration.settings.suppress) ? ["suppress", index] : ["suppress"]
      return commandError(configuration.faultAt(at, error.problem, error.remedy ?? "correct the list"))
    },
    otlp: options.otlp ?? telemetry?.otlp,
    otlpMetrics: options.otlpMetrics ?? telemetry?.otlp_metrics,
    traceSample: options.traceSample ?? telemetry?.sample,
    traceDomains: telemetry?.recipient_domains
  } satisfies Configured<O>
})

/** The relays that the limits of a run are for. */
export interface LimitedRelays {
  /** True if one relay is named beside the configuration, and overrides its relays. */
  readonly isOneRelay: boolean
  /** True if a rule may limit that relay, although nothing else does. */
  readonly mayBeLimited: boolean
}

/** The limits of the configuration, overridden by those of the flags. */
export const limits = Effect.fnUntraced(function* (
  flags: FlowOptions.Options | undefined,
  configuration: MailraceConfig.MailraceConfig | undefined,
  { isOneRelay, mayBeLimited }: LimitedRelays
) {
  const file = configuration === undefined ? undefined : (yield* library).limits(configuration)
  if (flags === undefined && file === undefined) return mayBeLimited ? { adaptive: false } : undefined
  if (configuration === undefined && isOneRelay) return flags
  return {
    ...flags,
    adaptive: flags?.adaptive ?? false,
    lanes: { ...file?.lanes, ...flags?.lanes },
    tenants: { ...file?.tenants, ...flags?.tenants },
    // What a reply asks of one of several relays is left to that relay.
    asked: isOneRelay ? "all" : "lanes"
  } satisfies FlowOptions.Options
})

/** Opens the relays of a configuration; `extra` and `flow` override its settings for each. */
export const openRelays = (
  configuration: MailraceConfig.MailraceConfig,
  extra: Partial<SmtpOptions.Options>,
  flow: Pick<FlowOptions.Options, "adaptive">
) => Effect.flatMap(library, ({ openRelays }) => asCommandError(openRelays(configuration, extra, flow)))

/** The meanings of replies, by the configuration and the rules for the big providers. */
export const rules = (configuration: MailraceConfig.MailraceConfig) =>
  Effect.map(library, ({ rules }) => rules(configuration))

/** The composer that signs with the keys of a configuration. */
export const composer = (configuration: MailraceConfig.MailraceConfig) =>
  Effect.flatMap(library, ({ composer }) => asCommandError(composer(configuration)))

/** Faults of a configuration as the command reports them: all of them, each with its place and remedy. */
export const asCommandError = <A, R>(effect: Effect.Effect<A, ConfigError, R>): Effect.Effect<A, CommandError, R> =>
  Effect.mapError(effect, commandError)

const commandError = ({ faults }: ConfigError): CommandError => {
  const [first, ...others] = faults.map((fault) => ({ problem: String(fault), remedy: fault.remedy }))
  return new CommandError({ ...first!, others })
}
