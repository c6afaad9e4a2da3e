/**
 * A `Filter` as a condition in SQL, in the words of either database.
 */
import { states, type Filter } from "../OutboxEntry.ts"

/** A condition with its values in the order of their places. */
export interface Condition {
  readonly sql: string
  readonly values: ReadonlyArray<string | number>
}

/** The condition of a filter but for its ids; `place` writes the place of the next value. */
export const condition = (filter: Filter, place: (index: number) => string): Condition => {
  const values: Array<string | number> = []
  const next = (value: string | number): string => {
    values.push(value)
    return place(values.length)
  }
  const terms: Array<string> = []
  if (filter.states !== undefined) terms.push(`state IN (${stateNumbers(filter.states).join(", ") || "-1"})`)
  if (filter.tenant !== undefined) terms.push(`tenant = ${next(filter.tenant)}`)
  if (filter.lane !== undefined) terms.push(`lane = ${next(filter.lane)}`)
  if (filter.recipient !== undefined) terms.push(`recipient = ${next(filter.recipient)}`)
  if (filter.since !== undefined) terms.push(`created_at >= ${next(filter.since.getTime())}`)
  if (filter.until !== undefined) terms.push(`created_at < ${next(filter.until.getTime())}`)
  return { sql: terms.length === 0 ? "true" : terms.join(" AND "), values }
}

/** The settled states of a filter when it asks for nothing else; they have an index of their own. */
export const settledOnly = (filter: Filter): ReadonlyArray<number> | undefined => {
  if (filter.states === undefined) return undefined
  const numbers = stateNumbers(filter.states)
  return numbers.every((number) => number > 1) ? numbers : undefined
}

const stateNumbers = (names: Filter["states"] & {}): ReadonlyArray<number> =>
  [...new Set(names)].map((name) => states.indexOf(name)).sort((a, b) => a - b)
