/**
 * Translates a `Filter` into a condition in the SQL of either database.
 */
import type { Filter } from "../../OutboxEntry.ts"
import { stateNumbers } from "./filterPaths.ts"

/** A condition with its values in the order of their placeholders. */
export interface Condition {
  readonly sql: string
  readonly values: ReadonlyArray<string | number>
}

/** The condition of a filter without its ids; `placeholder` writes the placeholder of a value. */
export const condition = (filter: Filter, placeholder: (index: number) => string): Condition => {
  const values: Array<string | number> = []
  const next = (value: string | number): string => {
    values.push(value)
    return placeholder(values.length)
  }
  const terms: Array<string> = []
  if (filter.states !== undefined) terms.push(`state IN (${stateNumbers(filter.states).join(", ") || "-1"})`)
  if (filter.tenant !== undefined) terms.push(`tenant = ${next(filter.tenant)}`)
  if (filter.lane !== undefined) terms.push(`lane = ${next(filter.lane)}`)
  if (filter.recipient !== undefined) terms.push(`recipient = ${next(filter.recipient)}`)
  if (filter.attempted !== undefined) terms.push(`attempts + crashes ${filter.attempted ? "> 0" : "= 0"}`)
  if (filter.dueSince !== undefined) terms.push(`due_at >= ${next(filter.dueSince.getTime())}`)
  if (filter.dueUntil !== undefined) terms.push(`due_at < ${next(filter.dueUntil.getTime())}`)
  if (filter.since !== undefined) terms.push(`created_at >= ${next(filter.since.getTime())}`)
  if (filter.until !== undefined) terms.push(`created_at < ${next(filter.until.getTime())}`)
  return { sql: terms.length === 0 ? "true" : terms.join(" AND "), values }
}
