import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Template from "../src/Template.ts"
import * as TemplateError from "../src/TemplateError.ts"

describe("TemplateError", () => {
  it("finds places in any order, with any line ends", () => {
    const source = "a\nbc\r\nd\re\n\n\r\n\rfghi"
    const places = (text: string, offset: number) => {
      const lines = text.slice(0, offset).split(/\r\n|\r|\n/)
      return { line: lines.length, column: lines.at(-1)!.length + 1 }
    }
    for (let one = 0; one <= source.length; one++)
      for (let other = 0; other <= source.length; other++)
        for (const [text, offset] of [
          [source, one],
          [source, other],
          [`${source}!`, one]
        ] as const)
          assert.deepStrictEqual(TemplateError.position(text, offset), places(text, offset), `${one}, ${other}`)
  })

  it.effect("a template of many fields is compiled in a time that goes with their number", () =>
    Effect.gen(function* () {
      const html = `<p>{{a}}</p>\n${"<p>text</p>\n".repeat(20)}`.repeat(10_000)
      const { places } = yield* Template.compile({ from: "a@b.c", subject: "s", text: "", html: `${html}{{b}}` })
      assert.deepInclude(places.get("b"), { line: 21 * 10_000 + 1, column: 1 })
    })
  )

  it.effect.each([
    ["blocks on lines of their own", "{{#if a}}\nx\n{{/if}}\n"],
    ["blocks on one line", "{{#if a}}x{{/if}}"],
    ["chains", "{{#if a}}x{{else if b}}y{{else}}z{{/if}}"],
    ["lists", "{{#each a}}\r\nx\r\n{{/each}}\r\n"],
    ["lines ended by CR", "{{#if a}}\rx\r{{/if}}\r"],
    ["blanks around blocks", "  {{#if a}}          {{/if}}  "],
    ["fields", "<p>{{a}}</p>"],
    ["addresses", '<a href="https://e.org/{{a}}?b={{b}}">c</a>'],
    ["braces that stand for themselves", "\\{{ {{a}}"]
  ] as const)("a template of 20,000 %s is compiled in a time that goes with their number", ([, unit]) =>
    Effect.gen(function* () {
      const text = unit.repeat(20_000)
      const template = yield* Template.compile({ from: "a@b.c", subject: "s", text, html: text })
      assert.include(template.fields, "a")
      const broken = yield* Effect.flip(Template.compile({ from: "a@b.c", subject: "s", html: `${text}{{` }))
      assert.include(broken.message, "never closed")
    })
  )
})
