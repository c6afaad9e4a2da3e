import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Template from "../src/Template.ts"
import * as TemplateError from "../src/TemplateError.ts"

describe("TemplateError", () => {
  it("finds places in any order, whatever ends a line", () => {
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
})
