/**
 * Why a template cannot be compiled. It is found once, before the first mail, and says where and what to do.
 */

import * as Schema from "effect/Schema"

/** Where something stands in a template. */
export interface Place {
  /** The part of the template, as in `html`, `subject` or `headers.X-Campaign`. */
  readonly field: string
  /** The line in that part, from 1. */
  readonly line: number
  /** The character in that line, from 1. */
  readonly column: number
}

/** A template that cannot be compiled: the place, the cause and what to try. */
export class TemplateError extends Schema.TaggedError<TemplateError>("mailrace/TemplateError")("TemplateError", {
  /** The part of the template at fault, as in `html`, `subject` or `headers.X-Campaign`. */
  field: Schema.String,
  /** The line in that part, from 1; absent when all of it is meant. */
  line: Schema.optional(Schema.Int),
  /** The character in that line, from 1; absent when all of it is meant. */
  column: Schema.optional(Schema.Int),
  /** What is wrong there, in words. */
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

/** An error about all of a part. */
export const make = (field: string, problem: string, remedy: string): TemplateError =>
  new TemplateError({ field, problem, remedy })

/** An error at a place in a part's source; `offset` counts UTF-16 units from 0. */
export const at = (field: string, source: string, offset: number, problem: string, remedy: string): TemplateError =>
  new TemplateError({ field, ...position(source, offset), problem, remedy })

/** A place in words, as in `html, line 3, column 14`. */
export const placeName = ({ column, field, line }: Place): string => `${field}, line ${line}, column ${column}`

/** Line and column of a place, both from 1. */
export const position = (source: string, offset: number): Pick<Place, "line" | "column"> => {
  const isFurther = offset >= last.offset && source === last.source && source[last.offset] !== "\n"
  const { line, lineStart, offset: from } = isFurther ? last : { line: 1, lineStart: 0, offset: 0 }
  const lines = source.slice(from, offset).split(/\r\n|\r|\n/)
  last = {
    source,
    offset,
    line: line + lines.length - 1,
    lineStart: lines.length === 1 ? lineStart : offset - lines.at(-1)!.length
  }
  return { line: last.line, column: offset - last.lineStart + 1 }
}

/** Places are asked for from first to last, so that the way to each begins at the one before. */
let last = { source: "", offset: 0, line: 1, lineStart: 0 }
