/**
 * Templates of every shape, with data for them and what the two give, put together without the template engine.
 */
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { AnyLine, AnyText } from "./mails.ts"

/** A template, its data, and the text that they give. */
export interface Case {
  readonly source: string
  readonly data: { readonly [name: string]: unknown }
  readonly expected: string
}

/** One line break is as good as another, but each value and each text is read by itself. */
const normal = (text: string): string => text.replace(/\r\n?/g, "\n")

/** Braces belong to the template language, and so does a backslash before them; a CR waits for its LF. */
const literal = (text: string): string => text.replace(/[{}\\]|\r$/g, "(")

/** A part of a template, whose fields have names of their own. */
type Part = (index: string) => Case

const fixed =
  (text: string): Part =>
  () => ({ source: literal(text), data: {}, expected: normal(literal(text)) })

const field =
  (value: string): Part =>
  (index) => ({ source: `{{v${index}}}`, data: { [`v${index}`]: value }, expected: normal(value) })

const withDefault =
  (value: string): Part =>
  (index) => ({
    source: `{{ v${index} | "${value.replace(/["\\]/g, "\\$&")}" }}`,
    data: {},
    expected: normal(value)
  })

const nested =
  (value: string): Part =>
  (index) => ({ source: `{{v${index}.a.b}}`, data: { [`v${index}`]: { a: { b: value } } }, expected: normal(value) })

// The letters around keep a block's tags from standing alone on their line.
const choice =
  (text: string, value: string, isTrue: boolean): Part =>
  (index) => ({
    source: `x{{#if c${index}}}y${literal(text)}z{{else}}{{v${index}}}{{/if}}x`,
    data: { [`c${index}`]: isTrue, [`v${index}`]: value },
    expected: `x${isTrue ? `y${normal(literal(text))}z` : normal(value)}x`
  })

const loop =
  (text: string, values: ReadonlyArray<string>): Part =>
  (index) => ({
    source: `x{{#each l${index}}}y${literal(text)}z{{this}}{{@index}}{{else}}none{{/each}}x`,
    data: { [`l${index}`]: values },
    expected: `x${values.length === 0 ? "none" : values.map((value, i) => `y${normal(literal(text))}z${normal(value)}${i}`).join("")}x`
  })

const join = (prefix: string, parts: ReadonlyArray<Part>): Case => {
  const cases = parts.map((part, index) => part(`${prefix}${index}`))
  return {
    source: cases.map(({ source }) => source).join(""),
    data: Object.assign({}, ...cases.map(({ data }) => data)),
    expected: cases.map(({ expected }) => expected).join("")
  }
}

const hostile = [
  "{{v0}}",
  "{{{v0}}}",
  "}}",
  "\\",
  "--=_a_0123456789abcdef0123456789abcdef",
  "\r\n--=_a_\r\nContent-Type: text/html\r\n\r\n",
  "\r\n.\r\n",
  "=\r\n",
  "=3D",
  " ",
  "\t",
  "\n",
  "From ",
  "<script>",
  "&amp;"
] as const

/** A value as data may hold it: any text, also such as looks like MIME or like a template. */
export const AnyValue = Arbitrary.map(
  Arbitrary.all([AnyText, Arbitrary.schema(Schema.Literals(["", ...hostile])), Arbitrary.schema(Schema.Boolean)]),
  ([text, end, isShort]) => (isShort ? text.slice(0, 20).toWellFormed() : text) + end
)

const oneOf = (text: Arbitrary.Arbitrary<string>): Arbitrary.Arbitrary<Part> =>
  Arbitrary.map(
    Arbitrary.all([
      Arbitrary.schema(Schema.Literals([0, 1, 2, 3, 4, 5, 6])),
      text,
      text,
      Arbitrary.array(text, { maxLength: 3 }),
      Arbitrary.schema(Schema.Boolean)
    ]),
    ([which, one, other, list, isTrue]) => {
      switch (which) {
        case 0:
        case 1:
          return fixed(one)
        case 2:
          return withDefault(one)
        case 3:
          return nested(one)
        case 4:
          return choice(one, other, isTrue)
        case 5:
          return loop(one, list)
        case 6:
          return field(one)
      }
    }
  )

/** A template for a text of many lines; its fields' names end in the prefix and a digit. */
export const AnyTextCase = (prefix: string) =>
  Arbitrary.map(Arbitrary.array(oneOf(AnyValue), { maxLength: 7 }), (parts) => join(prefix, parts))

/** A template for one line, as a subject. */
export const AnyLineCase = (prefix: string) =>
  Arbitrary.map(Arbitrary.array(oneOf(AnyLine), { maxLength: 3 }), (parts) => join(prefix, parts))
