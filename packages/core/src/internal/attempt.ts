/**
 * From code that throws to an Effect, for what is composed in one synchronous go.
 */
import * as Effect from "effect/Effect"
import * as MailError from "../MailError.ts"

/** Runs what throws `MailError` and nothing else on purpose. */
export const attempt = <A>(run: () => A): Effect.Effect<A, MailError.MailError> => {
  try {
    return Effect.succeed(run())
  } catch (error) {
    if (MailError.isMailError(error)) return Effect.fail(error)
    throw error
  }
}
