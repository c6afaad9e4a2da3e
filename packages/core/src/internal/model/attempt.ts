/**
 * Turns code that throws into an Effect or a Result, for composing in one synchronous step.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as MailError from "../../MailError.ts"

/** Runs code that throws `MailError`; any other throw is a defect. */
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
