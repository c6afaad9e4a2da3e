/**
 * Kinds of flags that several commands have.
 */
import * as Flag from "effect/cli/Flag"
import * as Option from "effect/Option"

/** A flag that may be left out, as `undefined`. */
export const optional = <A>(flag: Flag.Flag<A>): Flag.Flag<A | undefined> =>
  Flag.map(Flag.optional(flag), Option.getOrUndefined)

/** A whole number from `min`. */
export const atLeast = (name: string, min: number): Flag.Flag<number> =>
  Flag.Int(name).pipe(
    Flag.withMetavar("N"),
    Flag.filter(
      (value) => value >= min,
      () => `a whole number from ${min}`
    )
  )
