/**
 * Merge fields: `{{name}}` in a subject, a text or an HTML body is replaced by the recipient's own value.
 *
 * A value can be put in three places, and each is kept safe from it: in HTML it is escaped, in a header it must not
 * hold a line break, in plain text it stands as it is. A field that a line lacks is an error, because nobody wants to
 * be greeted as "Dear ,". Braces that hold no field name stand for themselves.
 */
import * as Result from "effect/Result"

/** Where a value is put. */
export type Place = "header" | "text" | "html"

/** A value that cannot be merged. */
export interface MergeFault {
  readonly field: string
  readonly problem: string
}

/** Finds the value of a field, `undefined` when there is none. */
export type Lookup = (field: string) => unknown

/** A text with merge fields, parsed once. */
export interface Template {
  /** The fields that it names, each once. */
  readonly fields: ReadonlyArray<string>
  readonly render: (lookup: Lookup) => Result.Result<string, MergeFault>
}

/** Parses a text with merge fields. */
export const compile = (source: string, place: Place): Template => {
  // Splitting on a pattern with one group puts the fields at the odd places.
  const parts = source.split(fieldPattern)
  const fields = [...new Set(parts.filter((_, index) => index % 2 === 1))]
  const render = (lookup: Lookup): Result.Result<string, MergeFault> => {
    let merged = parts[0]!
    for (let index = 1; index < parts.length; index += 2) {
      const value = fill(parts[index]!, lookup, place)
      if (Result.isFailure(value)) return value
      merged += value.success + parts[index + 1]!
    }
    return Result.succeed(merged)
  }
  return { fields, render }
}

/** What a line need not say itself, because the command's flags say it for all. */
export interface Defaults {
  readonly from?: string | undefined
  readonly to?: ReadonlyArray<string> | undefined
  readonly subject?: Template | undefined
  readonly text?: Template | undefined
  readonly html?: Template | undefined
}

/** The fields that all templates together name. */
export const fieldsOf = (defaults: Defaults): ReadonlyArray<string> => [
  ...new Set([defaults.subject, defaults.text, defaults.html].flatMap((template) => template?.fields ?? []))
]

/** Adds to a line what it does not say itself. */
export const complete = (
  line: { readonly [field: string]: unknown },
  defaults: Defaults,
  lookup: Lookup
): Result.Result<{ readonly [field: string]: unknown }, MergeFault> => {
  const completed: Record<string, unknown> = { ...line }
  if (defaults.from !== undefined) completed["from"] ??= defaults.from
  if (defaults.to !== undefined) completed["to"] ??= defaults.to
  for (const place of ["subject", "text", "html"] as const) {
    const template = defaults[place]
    if (template === undefined || completed[place] !== undefined) continue
    // A line that brings a body of its own does not want half of the command's.
    if (place !== "subject" && (line["text"] !== undefined || line["html"] !== undefined)) continue
    const value = template.render(lookup)
    if (Result.isFailure(value)) return Result.fail(value.failure)
    completed[place] = value.success
  }
  return Result.succeed(completed)
}

/** The one of `known` that a misspelt name most likely means: at most one slip in three letters away. */
export const nearest = (name: string, known: Iterable<string>): string | undefined => {
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(name.length / 3)) + 1
  for (const candidate of known) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase())
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

const fieldPattern = /\{\{\s*([^{}\s](?:[^{}]*[^{}\s])?)\s*\}\}/

const fill = (field: string, lookup: Lookup, place: Place): Result.Result<string, MergeFault> => {
  const value = lookup(field)
  if (value === undefined || value === null)
    return Result.fail({ field, problem: "the template needs it, it is missing" })
  if (typeof value !== "string" && typeof value !== "number" && typeof value !== "boolean") {
    return Result.fail({ field, problem: "the template needs a text or a number, it is a list or an object" })
  }
  const text = String(value)
  if (place === "html") return Result.succeed(escapeHtml(text))
  if (place === "header" && /[\r\n\0]/.test(text)) {
    return Result.fail({ field, problem: "it holds a line break and would be put into the subject" })
  }
  return Result.succeed(text)
}

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;"
}

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (char) => escapes[char]!)

/** Letters added, left out, replaced, or swapped with their neighbour. */
const editDistance = (a: string, b: string): number => {
  const rows = [Array.from({ length: b.length + 1 }, (_, index) => index)]
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      const swapped = isSwapped ? rows[i - 2]![j - 2]! + 1 : replaced
      row.push(Math.min(replaced, swapped, rows[i - 1]![j]! + 1, row[j - 1]! + 1))
    }
    rows.push(row)
  }
  return rows[a.length]![b.length]!
}
