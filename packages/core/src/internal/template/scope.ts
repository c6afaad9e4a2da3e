/**
 * Where names are looked up: in the data, and inside lists first in the element, then outwards.
 *
 * Only an object's own properties count, so that a name reaches neither `constructor` nor anything else outside the data.
 */
import * as AddressSyntax from "../address/addressSyntax.ts"
import type { Path } from "./syntax.ts"

/** The data, or an element of a list in it. */
export interface Scope {
  readonly value: unknown
  /** The scope around the list; `undefined` for the data itself. */
  readonly outer: Scope | undefined
  /** The list that it is an element of. */
  readonly list: Path | undefined
  readonly index: number
  readonly length: number
}

/** The scope of the data as a whole. */
export const make = (data: unknown): Scope => ({ value: data, outer: undefined, list: undefined, index: 0, length: 1 })

/** Finds a value, `undefined` when there is none. */
export const lookup = (path: Path, scope: Scope): unknown => {
  switch (path.base) {
    case "data": {
      const [first] = path.segments
      let owner: Scope | undefined = scope
      while (owner !== undefined && !has(owner.value, first!)) owner = owner.outer
      return owner === undefined ? undefined : descend(owner.value, path.segments)
    }
    case "this":
      return descend(scope.value, path.segments)
    case "@index":
      return scope.index
    case "@first":
      return scope.index === 0
    case "@last":
      return scope.index === scope.length - 1
  }
}

/** A value's name for a message, as in `data.items[2].price`. */
export const nameOf = (path: Path, scope: Scope): string => {
  if (path.base === "this") return [prefix(scope), ...path.segments].join(".")
  const [first] = path.segments
  let owner: Scope | undefined = scope
  while (owner !== undefined && !has(owner.value, first!)) owner = owner.outer
  // A name that is missing everywhere is reported in the element, if there is one.
  return [prefix(owner ?? scope), ...path.segments].join(".")
}

const prefix = (scope: Scope): string =>
  scope.outer === undefined || scope.list === undefined ? "data" : `${nameOf(scope.list, scope.outer)}[${scope.index}]`

const has = (value: unknown, name: string): value is { readonly [name: string]: unknown } =>
  keyIn(value, name) !== undefined

/** The key of a name, which the data may hold with its accents apart (Unicode's NFD; names of templates are in NFC). */
const keyIn = (value: unknown, name: string): string | undefined => {
  if (typeof value !== "object" || value === null) return undefined
  if (Object.hasOwn(value, name)) return name
  if (AddressSyntax.isAscii(name)) return undefined
  const apart = name.normalize("NFD")
  return Object.hasOwn(value, apart) ? apart : undefined
}

const descend = (value: unknown, segments: ReadonlyArray<string>): unknown => {
  for (const segment of segments) {
    const key = keyIn(value, segment)
    if (key === undefined) return undefined
    value = (value as { readonly [name: string]: unknown })[key]
  }
  return value
}
