/**
 * From code that throws to an Effect or a Result, for what is composed in one synchronous go.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as MailError from "../../MailError.ts"

/** Runs what throws `MailError` and nothing else on purpose. */
export const attempt = <A>(run: () => A): Effect.Effect<A, MailError.MailError> => {
  try {
    return Effect.succeed(run())
  } catch (error) {
    if (MailError.isMailError(error)) return Effect.fail(error)
    throw error
  }
}

/** The same as a Result. */
export const attemptResult = <A>(run: () => A): Result.Result<A, MailError.MailError> =>
  Result.try({
    try: run,
    catch: (error) => {
      if (MailError.isMailError(error)) return error
      throw error
    }
  })
