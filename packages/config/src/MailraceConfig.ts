/**
 * `mailrace.toml`: the relays of a program, their limits and routes, in a file that can be read and changed without code.
 *
 * The command reads it with `--config`; a program builds the same layers with `layer`. TOML and JSON say the same. Secrets
 * stand elsewhere, in a variable of the environment or in a file of their own.
 *
 * ```toml
 * sticky_lanes = false
 *
 * [relay.ses]
 * url = "smtps://user@email-smtp.example:465"
 * password = { env = "SES_PASSWORD" }
 * rate = ["14/s", "50000/d"]
 * connections = 20
 *
 * [relay.spare]
 * url = "smtp://10.0.0.5"
 * class = "backup"
 *
 * [lane."gmail.com"]
 * rate = "20/s"
 *
 * [[route]]
 * tenant = "acme"
 * relay = ["ses", "spare"]
 * ```
 *
 * @since 0.1.0
 */

import type * as FlowOptions from "@mailrace/flow/FlowOptions"
import type { ProviderRule } from "@mailrace/flow/ProviderRule"
import * as FlowTransport from "@mailrace/flow/FlowTransport"
import type { Router } from "@mailrace/router/Router"
import type * as SmtpOptions from "@mailrace/smtp/SmtpOptions"
import type { SmtpTransport } from "@mailrace/smtp/SmtpTransport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { Composer, type ComposerService } from "mailrace/Composer"
import { MailTransport } from "mailrace/MailTransport"
import * as Suppression from "mailrace/Suppression"
import { ConfigError, Fault } from "./ConfigError.ts"
import type { Settings } from "./ConfigSchema.ts"
import { faultsIn } from "./internal/checks.ts"
import { decode, type SettingFault } from "./internal/decode.ts"
import * as Explanation from "./internal/explanation.ts"
import * as Files from "./internal/files.ts"
import { listOf } from "./internal/oneOrMore.ts"
import * as OpenRelays from "./internal/relays.ts"
import { rulesOf } from "./internal/rules.ts"
import * as Signing from "./internal/signing.ts"
import { type Path as SettingPath, readJson, readToml } from "./internal/source.ts"

/**
 * A configuration that was read and checked.
 *
 * @since 0.1.0
 */
export interface MailraceConfig {
  readonly settings: Settings
  /** The file's name, for errors. */
  readonly file: string
  /** Where relative paths in it begin. */
  readonly folder: string
  /** The error of a setting, with its place: `["relay", "ses", "password"]`. */
  readonly faultAt: (path: SettingPath, problem: string, remedy: string) => ConfigError
}

/**
 * The name and kind of a configuration's text.
 *
 * @since 0.1.0
 */
export interface Origin {
  /** The file's name, for errors. */
  readonly file: string
  /** Where relative paths begin. Defaults to the working directory. */
  readonly folder?: string | undefined
  /** Defaults to `json` for a name that ends in `.json`, else to `toml`. */
  readonly format?: "toml" | "json" | undefined
}

/**
 * Reads the text of a configuration. Fails with all its faults and their places.
 *
 * @since 0.1.0
 */
export const parse = (text: string, origin: Origin): Result.Result<MailraceConfig, ConfigError> => {
  const { file, folder = ".", format = file.endsWith(".json") ? "json" : "toml" } = origin
  // A byte order mark is no part of the text.
  const source = (format === "json" ? readJson : readToml)(text.replace(/^\uFEFF/, ""))
  if (Result.isFailure(source))
    return Result.fail(new ConfigError({ faults: [new Fault({ file, ...source.failure })] }))
  const { placeOf, value } = source.success
  const errorOf = (faults: ReadonlyArray<SettingFault>): ConfigError =>
    new ConfigError({
      faults: faults
        .map(
          ({ path, problem, remedy }) =>
            new Fault({ file, ...placeOf(path), problem: withoutPasswords(problem), remedy: withoutPasswords(remedy) })
        )
        .sort((left, right) => left.line - right.line || left.column - right.column)
    })
  const decoded = decode(value)
  if (Result.isFailure(decoded)) return Result.fail(errorOf(decoded.failure))
  const settings = decoded.success
  const faults = faultsIn(settings)
  if (faults.length > 0) return Result.fail(errorOf(faults))
  return Result.succeed({
    settings,
    file,
    folder,
    faultAt: (path, problem, remedy) => errorOf([{ path, problem, remedy }])
  })
}

/** A URL may stand where a name belongs. */
const withoutPasswords = (text: string): string =>
  text.replace(/(:\/\/[^\s/:@"]*):[^\s"]*@/g, (_, user) => `${user}:<redacted>@`)

/**
 * Reads a file.
 *
 * @since 0.1.0
 */
export const load = (file: string): Effect.Effect<MailraceConfig, ConfigError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const text = yield* Effect.mapError(
      Files.readText(file),
      ({ problem, remedy }) =>
        new ConfigError({ faults: [new Fault({ file, line: 0, column: 0, problem: `it ${problem}`, remedy })] })
    )
    return yield* Effect.fromResult(parse(text, { file, folder: path.dirname(path.resolve(file)) }))
  })

/**
 * Explains a configuration in sentences.
 *
 * @since 0.1.0
 */
export const describe = ({ settings }: MailraceConfig): ReadonlyArray<string> => Explanation.of(settings)

/**
 * The relays of a configuration, open.
 *
 * @since 0.1.0
 */
export interface Relays {
  /** The transport over all relays, with the limits of each relay and without those of lanes and tenants. */
  readonly context: Context.Context<MailTransport | Router>
  /** The connections of each relay, and its limits if it has any, in the order of the file. */
  readonly relays: ReadonlyArray<{
    readonly name: string
    readonly smtp: SmtpTransport["Service"]
    readonly flow: FlowTransport.Flow["Service"] | undefined
  }>
}

/**
 * Opens the relays for as long as the scope lasts; `extra` and `flow` override the file's settings for each. Reads their secrets.
 * Fails if there is no relay, or a secret is not where it should be.
 *
 * @since 0.1.0
 */
export const openRelays = (
  config: MailraceConfig,
  extra?: Partial<SmtpOptions.Options>,
  flow?: Pick<FlowOptions.Options, "adaptive">
): Effect.Effect<Relays, ConfigError, FileSystem.FileSystem | Path.Path | Scope.Scope> =>
  OpenRelays.open(config, extra, flow)

/**
 * The limits of lanes and tenants, for `FlowTransport`; `undefined` if there are none.
 *
 * @since 0.1.0
 */
export const limits = ({ settings }: MailraceConfig): FlowOptions.Options | undefined => OpenRelays.limitsOf(settings)

/**
 * The rules for what replies mean: the configuration's own ones, and those for the big providers.
 *
 * @since 0.1.0
 */
export const rules = ({ settings }: MailraceConfig): ReadonlyArray<ProviderRule> => rulesOf(settings)

/**
 * The files with addresses that get no mail, as paths that do not depend on the working directory.
 *
 * @since 0.1.0
 */
export const suppressionFiles = ({
  folder,
  settings
}: MailraceConfig): Effect.Effect<ReadonlyArray<string>, never, Path.Path> =>
  Effect.map(Path.Path, (path) => listOf(settings.suppress).map((file) => path.resolve(folder, file)))

/**
 * A file with addresses that get no mail, read.
 *
 * @since 0.1.0
 */
export interface SuppressionList {
  /** The path, which does not depend on the working directory. */
  readonly file: string
  readonly list: Suppression.Suppression["Service"]
}

/**
 * Reads the files with addresses that get no mail. Fails, with the place in the configuration of each that is missing or has a
 * line that is neither an address nor a domain.
 *
 * @since 0.1.0
 */
export const suppressionLists = (
  config: MailraceConfig
): Effect.Effect<ReadonlyArray<SuppressionList>, ConfigError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const files = yield* suppressionFiles(config)
    const [lists, errors] = yield* Effect.partition(files, (file, index) =>
      Effect.mapBoth(Suppression.fromBytes(Files.read(file)), {
        onSuccess: (list) => ({ file, list }),
        onFailure: (error) => {
          const isUnusable = !("_tag" in error)
          const problem = isUnusable ? `${file} ${error.problem}` : Suppression.faultIn(file, error)
          const at = Array.isArray(config.settings.suppress) ? ["suppress", index] : ["suppress"]
          return config.faultAt(at, problem, error.remedy)
        }
      })
    )
    return errors.length === 0 ? lists : yield* new ConfigError({ faults: errors.flatMap(({ faults }) => faults) })
  })

/**
 * The composer that signs each message with the key of its From domain, over the one that is provided. Fails if a key is missing
 * or invalid.
 *
 * @since 0.1.0
 */
export const composer = (
  config: MailraceConfig
): Effect.Effect<ComposerService, ConfigError, FileSystem.FileSystem | Path.Path> => Signing.composer(config)

/**
 * All of a configuration for a program: the transport, behind a router and under all limits; signing; traces; and the addresses
 * that get no mail, for `Screening` with `Suppression.check`.
 *
 * @since 0.1.0
 */
export const layer = (
  config: MailraceConfig
): Layer.Layer<MailTransport | Router | Suppression.Suppression, ConfigError, FileSystem.FileSystem | Path.Path> =>
  Layer.mergeAll(
    Layer.effect(Composer, composer(config)),
    suppression(config),
    Layer.effectContext(
      Effect.gen(function* () {
        const { context } = yield* openRelays(config)
        const flow = limits(config)
        if (flow === undefined) return context
        const limited = yield* Effect.mapError(
          FlowTransport.make(Context.get(context, MailTransport), flow, "all relays"),
          ({ message }) => config.faultAt(["lane"], message, "correct the limit")
        )
        return Context.add(context, MailTransport, Context.get(limited, MailTransport))
      })
    )
    // Connections are traced too, so the transport is built over the telemetry.
  ).pipe(Layer.provideMerge(exported(config)))

/** Loads the collector's client, which is large, only if there is a collector. */
const exported = ({ faultAt, settings: { telemetry } }: MailraceConfig): Layer.Layer<never, ConfigError> =>
  telemetry?.otlp === undefined && telemetry?.otlp_metrics === undefined
    ? Layer.empty
    : Layer.unwrap(
        Effect.map(
          Effect.promise(() => import("@mailrace/telemetry/Telemetry")),
          (Telemetry) =>
            Layer.catch(
              telemetry.otlp === undefined
                ? Telemetry.layerMetrics({ url: telemetry.otlp_metrics })
                : Telemetry.layer({
                    url: telemetry.otlp,
                    sampleRatio: telemetry.sample,
                    recipientDomains: telemetry.recipient_domains,
                    metrics: telemetry.otlp_metrics !== undefined,
                    metricsUrl: telemetry.otlp_metrics
                  }),
              ({ problem }) =>
                Layer.effectDiscard(
                  Effect.fail(faultAt(["telemetry"], `telemetry: ${problem}`, "correct the setting that it names"))
                )
            )
        )
      )

const suppression = (
  config: MailraceConfig
): Layer.Layer<Suppression.Suppression, ConfigError, FileSystem.FileSystem | Path.Path> =>
  Layer.effect(
    Suppression.Suppression,
    Effect.map(suppressionLists(config), (lists) => either(lists.map(({ list }) => list)))
  )

/** Finds an address that is on any of the lists. */
const either = (lists: ReadonlyArray<Suppression.Suppression["Service"]>): Suppression.Suppression["Service"] =>
  Suppression.Suppression.of({
    find: (addresses) =>
      Effect.map(
        Effect.forEach(lists, (list) => list.find(addresses)),
        (found) => addresses.map((_, index) => found.map((one) => one[index]).find((match) => match !== undefined))
      ),
    size: lists.reduce((sum, { size = 0 }) => sum + size, 0)
  })
