/**
 * Why a template cannot be compiled. It is found once, before the first message, and says where and what to do.
 *
 * @since 0.1.0
 */

import * as Schema from "effect/Schema"

/**
 * A place in a template.
 *
 * @since 0.1.0
 */
export interface Place {
  /** The part of the template, as in `html`, `subject` or `headers.X-Campaign`. */
  readonly field: string
  /** The line in that part, from 1. */
  readonly line: number
  /** The character in that line, from 1. */
  readonly column: number
}

/**
 * A template that cannot be compiled: the place, the cause and what to try.
 *
 * @since 0.1.0
 */
export class TemplateError extends Schema.TaggedError<TemplateError>("mailrace/TemplateError")("TemplateError", {
  /** The part of the template at fault, as in `html`, `subject` or `headers.X-Campaign`. */
  field: Schema.String,
  /** The line in that part, from 1; absent when all of it is meant. */
  line: Schema.optional(Schema.Int),
  /** The character in that line, from 1; absent when all of it is meant. */
  column: Schema.optional(Schema.Int),
  /** The fault, in words. */
  problem: Schema.String,
  /** What to try, as an imperative without a full stop. */
  remedy: Schema.String
}) {
  override get message(): string {
    const { column, field, line } = this
    const place = line === undefined || column === undefined ? field : placeName({ field, line, column })
    return `${place}: ${this.problem}; ${this.remedy}`
  }
}

/**
 * An error about all of a part.
 *
 * @since 0.1.0
 */
export const make = (field: string, problem: string, remedy: string): TemplateError =>
  new TemplateError({ field, problem, remedy })

/**
 * An error at a place in a part's source; `offset` counts UTF-16 units from 0.
 *
 * @since 0.1.0
 */
export const at = (field: string, source: string, offset: number, problem: string, remedy: string): TemplateError =>
  new TemplateError({ field, ...position(source, offset), problem, remedy })

/**
 * A place in words, as in `html, line 3, column 14`.
 *
 * @since 0.1.0
 */
export const placeName = ({ column, field, line }: Place): string => `${field}, line ${line}, column ${column}`

/**
 * Line and column of a place, both from 1.
 *
 * @since 0.1.0
 */
export const position = (source: string, offset: number): Pick<Place, "line" | "column"> => {
  const { starts } = lines.source === source ? lines : (lines = { source, starts: lineStarts(source) })
  let low = 0
  for (let high = starts.length - 1; low < high;) {
    const middle = Math.ceil((low + high) / 2)
    if (starts[middle]! <= offset) low = middle
    else high = middle - 1
  }
  // Between the two characters of a line break one is on the next line already.
  if (source[offset - 1] === "\r" && source[offset] === "\n") return { line: low + 2, column: 1 }
  return { line: low + 1, column: offset - starts[low]! + 1 }
}

/** Each field of a template asks for its place, so the lines of the last source are kept. */
let lines: { readonly source: string; readonly starts: ReadonlyArray<number> } = { source: "", starts: [0] }

const lineStarts = (source: string): ReadonlyArray<number> => {
  const starts = [0]
  for (const match of source.matchAll(/\r\n|\r|\n/g)) starts.push(match.index + match[0].length)
  return starts
}
