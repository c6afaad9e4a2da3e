/**
 * Settings that are one text or a list of them.
 */

/** The texts as a list. */
export const listOf = (values: string | ReadonlyArray<string> | undefined): ReadonlyArray<string> =>
  values === undefined ? [] : typeof values === "string" ? [values] : values
