/**
 * Reads secrets from where a configuration says that they are.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Redacted from "effect/Redacted"
import type { ConfigError } from "../ConfigError.ts"
import type { Secret, Settings } from "../ConfigSchema.ts"
import { textOf } from "./decode.ts"
import * as Files from "./files.ts"
import type { Path as SettingPath } from "./source.ts"

/** A configuration as its parts need it. */
export interface Configured {
  readonly settings: Settings
  /** Where relative paths begin. */
  readonly folder: string
  /** The error of a setting, with its place. */
  readonly faultAt: (path: SettingPath, problem: string, remedy: string) => ConfigError
}

/**
 * Reads a secret; `path` is the setting that names it. Errors have no text of a setting that may be the secret itself, written
 * where its name belongs.
 */
export const readSecret = (
  config: Configured,
  path: SettingPath,
  secret: Secret
): Effect.Effect<Redacted.Redacted<string>, ConfigError, FileSystem.FileSystem | Path.Path> =>
  "env" in secret
    ? readVariable(config, [...path, "env"], secret.env)
    : readFile(config, [...path, "file"], secret.file)

const readVariable = (config: Configured, path: SettingPath, name: string) =>
  Effect.gen(function* () {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
      return yield* config.faultAt(
        path,
        `${textOf(path)} is not the name of a variable of the environment`,
        'write the name alone, as { env = "RELAY_PASSWORD" }, and set that variable to the secret'
      )
    const found = yield* Effect.option(Config.Redacted(name))
    if (Option.isSome(found) && Redacted.value(found.value) !== "") return found.value
    // A password may look like a name, but hardly like this.
    const shown = /^[A-Z][A-Z0-9_]*$/.test(name) && name.length <= longestName ? name : undefined
    return yield* config.faultAt(
      path,
      `the environment has no variable ${shown ?? `as ${textOf(path)} names it`}`,
      `set ${shown ?? "that variable"}, or say { file = "…" }`
    )
  })

const longestName = 40

const readFile = (config: Configured, path: SettingPath, file: string) =>
  Effect.gen(function* () {
    const paths = yield* Path.Path
    const text = yield* Effect.mapError(Files.readText(paths.resolve(config.folder, file)), ({ problem, remedy }) =>
      config.faultAt(
        path,
        `the file that ${textOf(path)} names ${problem}`,
        `${remedy}; a relative path begins at ${config.folder}`
      )
    )
    const value = text.replace(/\r?\n$/, "")
    if (value === "")
      return yield* config.faultAt(path, `the file that ${textOf(path)} names is empty`, "write the secret into it")
    return Redacted.make(value)
  })
