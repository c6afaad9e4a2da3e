import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import * as Escape from "../../../src/internal/template/escape.ts"
import * as TemplatePlaces from "../../../src/internal/template/places.ts"
import * as Scope from "../../../src/internal/template/scope.ts"
import * as TemplateSteps from "../../../src/internal/template/steps.ts"
import * as TemplateSyntax from "../../../src/internal/template/syntax.ts"
import { TemplateError } from "../../../src/TemplateError.ts"

const render = (text: string, data: unknown = {}, missing: TemplateSteps.Missing = "error"): string =>
  TemplateSteps.textUnsafe(TemplatePlaces.plainUnsafe("text", text, Escape.text), Scope.make(data), missing)

const parseError = (text: string, isHtml = false): TemplateError => {
  try {
    TemplateSyntax.parseUnsafe({ field: "text", text, isHtml })
  } catch (error) {
    assert.instanceOf(error, TemplateError)
    return error as TemplateError
  }
  throw new Error(`no error for ${text}`)
}

const people = { people: [{ name: "Ann" }, { name: "Bob" }], name: "Eve", none: [] }

describe("template syntax", () => {
  it("takes blocks in blocks and chains of choices, and says where they are too many", () => {
    const nested = (depth: number) => `${"{{#if a}}".repeat(depth)}x${"{{/if}}".repeat(depth)}`
    const chain = (length: number) => `{{#if b}}y${"{{else if b}}y".repeat(length - 2)}{{else if a}}x{{/if}}`
    for (const text of [nested(300), chain(300)]) assert.strictEqual(render(text, { a: 1 }), "x")
    for (const text of [nested(100_000), chain(100_000)])
      assert.strictEqual(parseError(text).problem, "more than 300 blocks stand in each other")
  })

  it.for([
    ["", "", {}],
    ["plain { } }} text", "plain { } }} text", {}],
    ["a {{name}} b", "a Ann b", { name: "Ann" }],
    ["{{ name }}{{name}}", "AnnAnn", { name: "Ann" }],
    ["{{user.name}}", "Ann", { user: { name: "Ann" } }],
    ["{{xs.1}}", "b", { xs: ["a", "b"] }],
    ["{{First name}}, {{größe_2-$}}", "Ann, 4", { "First name": "Ann", "größe_2-$": 4 }],
    ["{{n}} {{b}} {{i}}", "1.5 false 12", { n: 1.5, b: false, i: 12n }],
    ["{{{raw}}}}", "<b>}", { raw: "<b>" }],
    ["{{name}}}", "Ann}", { name: "Ann" }],
    ["\\{{name}} \\{{{", "{{name}} {{{", {}],
    ["{{name|there}}", "there", {}],
    ["{{name | some words }}", "some words", { name: null }],
    ['{{name|"some }} words"}}', "some }} words", {}],
    ['{{name|"a \\"b\\" \\\\"}}', 'a "b" \\', {}],
    ["{{name|}}!", "!", {}],
    ["{{name|there}}", "there", { name: "" }],
    ["{{name|there}}", "0", { name: 0 }],
    ["{{#if a}}yes{{/if}}", "yes", { a: "x" }],
    ["{{#if a}}yes{{else}}no{{/if}}", "no", {}],
    ["{{#if a}}1{{else if b.c}}2{{else}}3{{/if}}", "2", { b: { c: 1 } }],
    ["{{#if a}}1{{else if b}}2{{else if c}}3{{/if}}!", "3!", { c: 1 }],
    ["{{#if a}}1{{else if b}}2{{else if c}}3{{/if}}!", "!", {}],
    ["{{#each people}}{{name}}{{/each}}", "AnnBob", people],
    ["{{#each people}}{{this.name}}{{#if @last}}.{{else}}, {{/if}}{{/each}}", "Ann, Bob.", people],
    ["{{#each people}}{{#if @first}}first {{/if}}{{@index}}{{/each}}", "first 01", people],
    ["{{#each xs}}{{this}}{{/each}}", "12", { xs: [1, 2] }],
    ["{{#each xs}}{{#each this}}{{this}}{{@index}}{{/each}};{{/each}}", "a0b1;c0;", { xs: [["a", "b"], ["c"]] }],
    ["{{#each xs}}{{this}}{{other}}{{/each}}", "1x2x", { xs: [1, 2], other: "x" }],
    ["{{#each none}}x{{else}}nobody{{/each}}", "nobody", people],
    ["{{#each gone}}x{{else}}nobody{{/each}}", "nobody", {}],
    ["{{#each people}}{{#if name}}{{name}}{{else}}?{{/if}}{{/each}}", "AnnBob", people],
    ["{{ #if a }}x{{ / if }}", "x", { a: 1 }],
    ["{{else_if}}{{elsewhere}}", "12", { else_if: 1, elsewhere: 2 }],
    ["{{a\nb}}", "x", { "a b": "x" }]
  ] as const)("reads %j as %j", ([text, expected, data]) => {
    assert.strictEqual(render(text, data), expected)
  })

  it.for([
    ["0", 0],
    ["false", false],
    ["empty", ""],
    ["null", null],
    ["NaN", NaN],
    ["an empty list", []]
  ] as const)("%s is no", ([, value]) => {
    assert.strictEqual(render("{{#if x}}yes{{else}}no{{/if}}", { x: value }), "no")
  })

  it("a block's tag alone on its line takes the line with it", () => {
    const text =
      "Dear Ann,\n{{#each xs}}\n- {{this}}\n  {{#if @last}}\nlast\n  {{/if}}\t\n{{else}}\r\nnone\r\n{{/each}}\nBye"
    assert.strictEqual(render(text, { xs: [1, 2] }), "Dear Ann,\n- 1\n- 2\nlast\nBye")
    assert.strictEqual(render(text, { xs: [] }), "Dear Ann,\nnone\r\nBye")
    assert.strictEqual(render("{{#if a}}\nx\n{{/if}}", { a: 1 }), "x\n")
    assert.strictEqual(render(" {{#if a}}x\n{{/if}} y", { a: 1 }), " x\n y")
    assert.strictEqual(render("a\n{{b}}\nc", { b: "b" }), "a\nb\nc")
  })

  it("entities between braces are read in HTML", () => {
    const [node] = TemplateSyntax.parseUnsafe({
      field: "html",
      text: "{{a|&quot;b &amp; c}}&#39;&quot;}}",
      isHtml: true
    })
    assert.deepInclude(node, { _tag: "Field", fallback: "b & c}}'", source: "{{a|&quot;b &amp; c}}&#39;&quot;}}" })
  })

  it.for([
    ["a\nb {{name", 2, 3, "{{ is never closed", "close it with }}, or write \\{{ for braces that stand for themselves"],
    [
      "{{name} and {{other}}",
      1,
      1,
      "{{ is never closed",
      "close it with }}, or write \\{{ for braces that stand for themselves"
    ],
    ["{{{name}} x", 1, 1, "{{{ is closed by }}", "close it with }}}, or open it with {{"],
    [
      '{{name|"x}}',
      1,
      1,
      "the quote of a default is never closed",
      'end it with ", and write a quote inside it as \\"'
    ],
    ['{{name|"x" y}}', 1, 1, "something follows the quote of a default", 'write {{name|"some words"}}'],
    ["x {{}}", 1, 3, "there is no field name between the braces", "write {{name}}"],
    [
      "{{a..b}}",
      1,
      1,
      '"a..b" is no field name',
      "use letters, digits, _ and -, with dots between levels as in user.name"
    ],
    [
      "{{f(x)}}",
      1,
      1,
      '"f(x)" is no field name',
      "use letters, digits, _ and -, with dots between levels as in user.name"
    ],
    [
      "{{@odd}}",
      1,
      1,
      '"@odd" is no field name',
      "use letters, digits, _ and -, with dots between levels as in user.name"
    ],
    ["{{this}}", 1, 1, "{{this}} stands outside of a list", "put it between {{#each …}} and {{/each}}"],
    ["{{@index}}", 1, 1, "{{@index}} stands outside of a list", "put it between {{#each …}} and {{/each}}"],
    [
      "{{#each a}}{{else}}{{this}}{{/each}}",
      1,
      20,
      "{{this}} stands outside of a list",
      "put it between {{#each …}} and {{/each}}"
    ],
    ["{{#each a}}{{this.b!}}{{/each}}", 1, 12, '"this.b!" is no field name', "write it as this.name"],
    ["{{#if a}}\nx", 1, 1, "{{#if a}} is never closed", "add {{/if}} where the block ends"],
    ["{{#each a.b}}", 1, 1, "{{#each a.b}} is never closed", "add {{/each}} where the block ends"],
    ["{{#if a}}{{else if b}}x", 1, 10, "{{#if b}} is never closed", "add {{/if}} where the block ends"],
    ["{{#unless a}}{{/unless}}", 1, 1, "there is no block {{#unless}}", "use {{#if …}}{{else}}…{{/if}}"],
    ["{{#with a}}{{/with}}", 1, 1, "there is no block {{#with}}", "use {{#if …}} or {{#each …}}"],
    ["{{#if}}x{{/if}}", 1, 1, "{{#if}} names no field", "write {{#if name}}"],
    ["{{#if a}}{{else if}}{{/if}}", 1, 10, "{{else if}} names no field", "write {{else if name}}"],
    ["{{{#if a}}}{{/if}}", 1, 1, "a block's tag has three braces", "write {{#if a}}"],
    ["{{else}}", 1, 1, "{{else}} stands outside of a block", "put it between {{#if …}} and {{/if}}"],
    [
      "{{#each a}}{{else if b}}{{/each}}",
      1,
      12,
      "{{else if}} stands outside of an {{#if}}",
      "put it between {{#if …}} and {{/if}}"
    ],
    ["{{#if a}}{{else}}{{else}}{{/if}}", 1, 18, "the block has an {{else}} already", "take one of the two out"],
    ["a{{/if}}", 1, 2, "{{/if}} closes a block that was never opened", "add {{#if …}}, or take it out"],
    [
      "\r\n{{#if a}}\r\n{{/each}}",
      3,
      1,
      "{{/each}} stands where {{#if a}} of line 2 must be closed first",
      "write {{/if}} before it"
    ],
    ["{{! note }}", 1, 1, "{{! note}} is no field", "take the comment out"],
    ["{{> part}}", 1, 1, "{{> part}} is no field", "there are no partials: put the text in its place"],
    ["{{&a}}", 1, 1, "{{&a}} is no field", "write three braces for a value that goes in as it is"],
    ["{{^a}}", 1, 1, "{{^a}} is no field", "use {{#if …}}{{else}}…{{/if}}"]
  ] as const)("refuses %j", ([text, line, column, problem, remedy]) => {
    const error = parseError(text)
    assert.deepStrictEqual(
      { line: error.line, column: error.column, problem: error.problem, remedy: error.remedy },
      { line, column, problem, remedy }
    )
    assert.strictEqual(error.message, `text, line ${line}, column ${column}: ${problem}; ${remedy}`)
  })

  it("reads only the data's own properties", () => {
    class Person {
      readonly name = "Ann"
      get age() {
        return 7
      }
    }
    for (const name of ["constructor", "__proto__", "toString", "constructor.name", "age", "name.length"])
      assert.strictEqual(render(`{{${name}|none}}`, new Person()), "none")
    assert.strictEqual(render("{{__proto__.a}}", JSON.parse('{"__proto__":{"a":"own"}}')), "own")
    assert.strictEqual(render("{{a.b|none}}", { a: null }), "none")
  })

  const tokens = [
    "{{",
    "}}",
    "{{{",
    "}}}",
    "#if a",
    "#each b",
    "/if",
    "/each",
    "else",
    "else if c",
    "a",
    "|",
    '"',
    "\\",
    "\n",
    " ",
    "x.y",
    "this",
    "<b>",
    "&quot;"
  ] as const

  it.prop(
    "any text is read or refused with a place inside of it",
    [Arbitrary.array(Arbitrary.schema(Schema.Union([Schema.Literals(tokens), Schema.String])), { maxLength: 12 })],
    ([parts]) => {
      const text = parts.join("")
      for (const isHtml of [false, true])
        try {
          TemplateSyntax.parseUnsafe({ field: "text", text, isHtml })
        } catch (error) {
          assert.instanceOf(error, TemplateError)
          const { column, line } = error as TemplateError
          const found = text.split(/\r\n|\r|\n/)[line! - 1]!
          assert.isAtLeast(column!, 1)
          assert.isTrue(found.slice(column! - 1).startsWith("{{"))
        }
    },
    { arbitrary: { runs: 300 } }
  )
})
