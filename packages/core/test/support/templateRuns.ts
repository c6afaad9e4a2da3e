/**
 * One template and one recipient, and how what they give is read.
 */
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as Composed from "../../src/Composed.ts"
import * as Template from "../../src/Template.ts"
import { readWithPostalMime, wireProblem } from "./readers.ts"

/** A template that asks for a name and a code. */
export const source: Template.Source = {
  from: "Shop <shop@example.org>",
  subject: "Hello {{name}}",
  text: "Dear {{name}},\nyour code is {{code}}.\n"
}

/** A recipient who has both. */
export const ann = { to: "Ann <ann@example.org>", data: { name: "Ann", code: 4711 } }

/** All bytes of a message. */
export const bytesOf = ({ content }: Composed.Composed) =>
  content instanceof Uint8Array
    ? Effect.succeed(Buffer.from(content))
    : Effect.map(Stream.runCollect(content.stream), (chunks) => Buffer.concat(chunks))

/** Reads a message, having looked at its lines and its size. */
export const read = (composed: Composed.Composed) =>
  Effect.flatMap(bytesOf(composed), (raw) => {
    assert.strictEqual(wireProblem(raw), undefined)
    assert.strictEqual(raw.length, composed.size)
    return Effect.promise(() => readWithPostalMime(raw))
  })

/** The header of a message. */
export const header = (composed: Composed.Composed) =>
  Effect.map(bytesOf(composed), (raw) => raw.toString().split("\r\n\r\n")[0]!)

/** Compiles and renders, for one person. */
export const renderOne = (
  given: Partial<Template.Source>,
  data: Template.Fields = ann.data,
  options?: Template.Options
) => Effect.flatMap(Template.compile({ ...source, ...given }, options), (template) => template.render({ ...ann, data }))

/** What is said of a template that cannot be compiled. */
export const refusal = (given: Partial<Template.Source>, options?: Template.Options) =>
  Effect.map(Effect.flip(Template.compile({ ...source, ...given }, options)), (error) => error.message)
