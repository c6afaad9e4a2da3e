/**
 * The file that `--config` names: relays, limits, keys and lists. Flags go before it.
 */
import type * as FlowOptions from "@mailrace/flow/FlowOptions"
import type { ConfigError } from "@mailrace/config/ConfigError"
import * as MailraceConfig from "@mailrace/config/MailraceConfig"
import * as Effect from "effect/Effect"
import { CommandError } from "../CommandError.ts"

/** The flags that a configuration completes. */
export interface Options {
  /** The file. */
  readonly config?: string | undefined
  readonly suppress?: ReadonlyArray<string> | undefined
  readonly otlp?: string | undefined
  readonly traceSample?: number | undefined
  /** Recipient domains that traces name. */
  readonly traceDomains?: ReadonlyArray<string> | undefined
}

/** Options with the configuration that they name. */
export type Configured<O> = O & { readonly configuration: MailraceConfig.MailraceConfig | undefined }

/** Reads the file, adds its suppression lists to those of the flags, and its collector where no flag names one. */
export const read = Effect.fnUntraced(function* <O extends Options>(options: O) {
  if (options.config === undefined) return { ...options, configuration: undefined } satisfies Configured<O>
  const configuration = yield* asCommandError(MailraceConfig.load(options.config))
  const lists = yield* MailraceConfig.suppressionFiles(configuration)
  const { telemetry } = configuration.settings
  return {
    ...options,
    configuration,
    suppress: [...(options.suppress ?? []), ...lists],
    otlp: options.otlp ?? telemetry?.otlp,
    traceSample: options.traceSample ?? telemetry?.sample,
    traceDomains: telemetry?.recipient_domains
  } satisfies Configured<O>
})

/** The limits of the flags before those of the configuration. */
export const limits = (
  flags: FlowOptions.Options | undefined,
  configuration: MailraceConfig.MailraceConfig | undefined
): FlowOptions.Options | undefined => {
  const file = configuration === undefined ? undefined : MailraceConfig.limits(configuration)
  if (flags === undefined || file === undefined) return flags ?? file
  return {
    ...flags,
    lanes: { ...file.lanes, ...flags.lanes },
    tenants: { ...file.tenants, ...flags.tenants }
  }
}

/** Faults of a configuration as the command tells them: all of them, each with its place and remedy. */
export const asCommandError = <A, R>(effect: Effect.Effect<A, ConfigError, R>): Effect.Effect<A, CommandError, R> =>
  Effect.mapError(effect, ({ faults }) => {
    const [first, ...others] = faults.map((fault) => ({ problem: String(fault), remedy: fault.remedy }))
    return new CommandError({ ...first!, others })
  })
