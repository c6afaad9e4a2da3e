/**
 * A template ready to run: its tree, with the escape of each field's place.
 */
import * as MailError from "../../MailError.ts"
import * as TemplateError from "../../TemplateError.ts"
import type { Escape } from "./escape.ts"
import * as Scope from "./scope.ts"
import type * as TemplateSyntax from "./syntax.ts"

/** One step of a run. */
export type Step = Static | Value | Choice | Loop

/** Static text, the same in all messages. */
export interface Static {
  readonly _tag: "Static"
  readonly text: string
  /** The text in transfer encoding, for a sink that has one. */
  chunk?: Chunk
}

/** Bytes of a part's encoding, ready to be copied. */
export interface Chunk {
  readonly bytes: Uint8Array
  /** How many columns the first line takes. */
  readonly firstLine: number
  /** True if a line ends in it, even by a soft break. */
  readonly hasBreak: boolean
  /** True if it begins with a line break of the text. */
  readonly beginsWithBreak: boolean
  /** The column after the last byte. */
  readonly endColumn: number
}

export interface Value {
  readonly _tag: "Value"
  readonly field: TemplateSyntax.Field
  readonly escape: Escape
  readonly place: TemplateError.Place
}

/** One of two branches. */
export interface Choice {
  readonly _tag: "Choice"
  readonly path: TemplateSyntax.Path
  readonly yes: Steps
  readonly no: Steps
  readonly place: TemplateError.Place
}

/** A branch for each element of a list. */
export interface Loop {
  readonly _tag: "Loop"
  readonly path: TemplateSyntax.Path
  readonly body: Steps
  readonly none: Steps
  readonly place: TemplateError.Place
}

/** Steps in their order. */
export type Steps = ReadonlyArray<Step>

/** The policy for a field that the data lack. */
export type Missing = "error" | "empty" | "keep"

/** The output of a run. */
export interface Sink {
  readonly static: (step: Static) => void
  readonly value: (text: string) => void
}

/** Runs steps on data. Throws `MailError`. */
export const runUnsafe = (steps: Steps, scope: Scope.Scope, missing: Missing, sink: Sink): void => {
  for (let i = 0; i < steps.length; i++) {
    const step = steps[i]!
    switch (step._tag) {
      case "Static":
        sink.static(step)
        break
      case "Value":
        sink.value(valueUnsafe(step, scope, missing))
        break
      case "Choice":
        runUnsafe(isTruthy(Scope.lookup(step.path, scope)) ? step.yes : step.no, scope, missing, sink)
        break
      case "Loop":
        loopUnsafe(step, scope, missing, sink)
    }
  }
}

/** Runs steps into a string. Throws `MailError`. */
export const textUnsafe = (steps: Steps, scope: Scope.Scope, missing: Missing): string => {
  let out = ""
  runUnsafe(steps, scope, missing, {
    static: (step) => {
      out += step.text
    },
    value: (text) => {
      // A value's CR must not join a line feed that follows it.
      out += text.includes("\r") ? text.replace(/\r\n?/g, "\n") : text
    }
  })
  return out
}

/** True if nothing in it depends on data. */
export const isStatic = (steps: Steps): boolean => steps.every((step) => step._tag === "Static")

/** Names that are looked up in the data, and where each stands first. */
export type Names = ReadonlyMap<string, TemplateError.Place>

/** The names that steps look up. */
export const names = (steps: Steps): Names =>
  firstOf(
    steps.flatMap((step) => {
      if (step._tag === "Static") return []
      const path = step._tag === "Value" ? step.field.path : step.path
      const own: Names = new Map(path.base === "data" ? [[path.name, step.place]] : [])
      // Inside a list, a name may mean a part of its elements.
      const inner = step._tag === "Choice" ? [...step.yes, ...step.no] : step._tag === "Loop" ? step.none : []
      return [own, names(inner)]
    })
  )

/** All names of several, each where it stands first. */
export const firstOf = (all: ReadonlyArray<Names>): Names => {
  const found = new Map<string, TemplateError.Place>()
  for (const one of all) for (const [name, place] of one) if (!found.has(name)) found.set(name, place)
  return found
}

const valueUnsafe = (step: Value, scope: Scope.Scope, missing: Missing): string => {
  const { field } = step
  const found = Scope.lookup(field.path, scope)
  let text: string
  if (typeof found === "string") text = found
  else if (typeof found === "number" || typeof found === "boolean" || typeof found === "bigint") text = String(found)
  else if (found === undefined || found === null) {
    if (field.fallback === undefined) {
      if (missing === "error") throw refused(step, scope, "the template needs it, it is missing")
      if (missing === "empty") return ""
      text = field.source
    } else text = ""
  } else {
    const kind = Array.isArray(found) ? "a list; go through it with {{#each}}" : "an object; name one of its fields"
    throw refused(step, scope, `the template needs a text or a number, it is ${kind}`)
  }
  if (text === "" && field.fallback !== undefined) text = field.fallback
  const escaped = step.escape(text)
  if (typeof escaped === "string") return escaped
  throw refused(step, scope, escaped.problem)
}

const refused = (step: Value, scope: Scope.Scope, problem: string): MailError.MailError =>
  MailError.invalid(Scope.nameOf(step.field.path, scope), `${problem} (${TemplateError.placeName(step.place)})`)

const loopUnsafe = (step: Loop, scope: Scope.Scope, missing: Missing, sink: Sink): void => {
  const list = Scope.lookup(step.path, scope)
  if (list === undefined || list === null) {
    // A branch for "none" is the list's default.
    if (missing === "error" && step.none.length === 0)
      throw MailError.invalid(
        Scope.nameOf(step.path, scope),
        `the template needs a list, it is missing (${TemplateError.placeName(step.place)})`
      )
    return runUnsafe(step.none, scope, missing, sink)
  }
  if (!Array.isArray(list))
    throw MailError.invalid(
      Scope.nameOf(step.path, scope),
      `the template needs a list, it is none (${TemplateError.placeName(step.place)})`
    )
  if (list.length === 0) return runUnsafe(step.none, scope, missing, sink)
  const { length } = list
  for (let index = 0; index < length; index++)
    runUnsafe(step.body, { value: list[index], outer: scope, list: step.path, index, length }, missing, sink)
}

/** An empty list counts as false. */
const isTruthy = (value: unknown): boolean => (Array.isArray(value) ? value.length > 0 : Boolean(value))
