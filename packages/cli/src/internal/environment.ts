/**
 * Settings from the environment.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { CommandError } from "../CommandError.ts"

/** Reads a secret from the environment; `undefined` when the variable is missing or empty. */
export const readSecret = (name: string): Effect.Effect<Redacted.Redacted<string> | undefined, CommandError> =>
  Config.Redacted(name).pipe(
    Config.option,
    Effect.map((value) => Option.getOrUndefined(Option.filter(value, (secret) => Redacted.value(secret) !== ""))),
    Effect.mapError(() => new CommandError({ problem: `the environment variable ${name} cannot be read` }))
  )
