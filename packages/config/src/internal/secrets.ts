/**
 * Reads secrets from where a configuration says that they are.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import * as Redacted from "effect/Redacted"
import type { ConfigError } from "../ConfigError.ts"
import type { Secret, Settings } from "../ConfigSchema.ts"
import type { Path as SettingPath } from "./source.ts"

/** A configuration as its parts need it. */
export interface Configured {
  readonly settings: Settings
  /** Where relative paths begin. */
  readonly folder: string
  /** The error of a setting, with its place. */
  readonly faultAt: (path: SettingPath, problem: string, remedy: string) => ConfigError
}

/** Reads a secret; `path` is the setting that names it. */
export const readSecret = (
  config: Configured,
  path: SettingPath,
  secret: Secret
): Effect.Effect<Redacted.Redacted<string>, ConfigError, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    if ("env" in secret) {
      const found = yield* Effect.option(Config.Redacted(secret.env))
      if (Option.isNone(found) || Redacted.value(found.value) === "")
        return yield* config.faultAt(
          [...path, "env"],
          `the environment has no variable ${secret.env}`,
          `set ${secret.env}, or say { file = "…" }`
        )
      return found.value
    }
    const fs = yield* FileSystem.FileSystem
    const paths = yield* Path.Path
    const text = yield* Effect.mapError(fs.readFileString(paths.resolve(config.folder, secret.file)), ({ reason }) =>
      config.faultAt(
        [...path, "file"],
        `${secret.file} cannot be read (${reason._tag})`,
        "check the path, which begins at the configuration's folder, and who may read the file"
      )
    )
    return Redacted.make(text.replace(/\r?\n$/, ""), { label: secret.file })
  })
