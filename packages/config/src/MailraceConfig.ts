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

import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import * as Result from "effect/Result"
import type { MailTransport } from "mailrace/MailTransport"
import type { Router } from "@mailrace/router/Router"
import { ConfigError, Fault } from "./ConfigError.ts"
import type { Settings } from "./ConfigSchema.ts"
import { faultsIn } from "./internal/checks.ts"
import { decode, type SettingFault } from "./internal/decode.ts"
import * as Explanation from "./internal/explanation.ts"
import * as Relays from "./internal/relays.ts"
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
        .map(({ path, problem, remedy }) => new Fault({ file, ...placeOf(path), problem, remedy }))
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

/**
 * Reads a file.
 *
 * @since 0.1.0
 */
export const load = (file: string): Effect.Effect<MailraceConfig, ConfigError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const text = yield* Effect.mapError(fs.readFileString(file), ({ reason }) => {
      const problem = reason._tag === "NotFound" ? "there is no such file" : `it cannot be read (${reason._tag})`
      return new ConfigError({
        faults: [new Fault({ file, line: 0, column: 0, problem, remedy: "check the path of the configuration" })]
      })
    })
    return yield* Effect.fromResult(parse(text, { file, folder: path.dirname(path.resolve(file)) }))
  })

/**
 * What a configuration does, in sentences.
 *
 * @since 0.1.0
 */
export const describe = ({ settings }: MailraceConfig): ReadonlyArray<string> => Explanation.of(settings)

/**
 * The transport of a configuration: its relays with their limits, behind a router, behind the limits of lanes and tenants.
 * Reads the secrets. Fails if there is no relay, or a secret is not where it should be.
 *
 * @since 0.1.0
 */
export const layer = (
  config: MailraceConfig
): Layer.Layer<MailTransport | Router, ConfigError, FileSystem.FileSystem | Path.Path> =>
  Layer.effectContext(Effect.map(Relays.open(config), ({ context }) => context))
