/**
 * Kinds of flags that several commands have.
 */
import * as Flag from "effect/cli/Flag"
import * as Param from "effect/cli/Param"
import * as Primitive from "effect/cli/Primitive"
import * as Option from "effect/Option"

/** A flag that may be left out, as `undefined`. */
export const optional = <A>(flag: Flag.Flag<A>): Flag.Flag<A | undefined> =>
  Flag.map(Flag.optional(flag), Option.getOrUndefined)

/**
 * A path, taken as it is written; shells complete it with the names of files. `Flag.File` would make it absolute, and a
 * path shows up in messages as the user wrote it.
 */
export const path = (name: string, pathType: Primitive.PathType = "file"): Flag.Flag<string> =>
  Param.makeSingle({
    kind: Param.flagKind,
    name,
    primitiveType: Object.assign({}, Primitive.String, { _tag: "Path", pathType })
  })

/** A port to listen on; 0 is a free one. */
export const port = (name: string): Flag.Flag<number> =>
  Flag.Int(name).pipe(
    Flag.withMetavar("N"),
    Flag.filter(
      (value) => value >= 0 && value <= 65_535,
      () => "a port from 0 to 65535"
    )
  )

/** A whole number from `min`. */
export const atLeast = (name: string, min: number): Flag.Flag<number> =>
  Flag.Int(name).pipe(
    Flag.withMetavar("N"),
    Flag.filter(
      (value) => value >= min,
      () => `a whole number from ${min}`
    )
  )
