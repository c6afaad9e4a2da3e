import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import * as HtmlText from "../../../src/internal/template/plainText.ts"
import { links, type Shape, shapes } from "../../support/mailShapes.ts"

const address = (place: number): string => `https://shop.example/l${place}`

/** A comment in a comment ends both, which no program writes. */
const isCutShort = (outer: Shape, inner: Shape, link: string): boolean =>
  /Outlook/.test(outer.name + inner.name) && (link + inner.html("")).includes("<!--")

describe("the text of HTML messages", () => {
  it("has the address of each link that a person sees, and no other", () => {
    for (const outer of shapes)
      for (const inner of shapes)
        for (const link of links) {
          const html = outer.html(inner.html(link.html(address(1), "Go there")))
          const text = HtmlText.fromHtml(`${html}<p>End</p>`)
          const what = `${link.name} in ${inner.name} in ${outer.name}: ${html}`
          if (outer.seen && inner.seen) assert.include(text, address(1), what)
          else if (!isCutShort(outer, inner, link.html(address(1), ""))) assert.notInclude(text, address(1), what)
          assert.include(text, "End", what)
          assert.notInclude(text, "outlook.example", what)
        }
  })

  const place = Schema.Tuple([
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: shapes.length - 1 })),
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: links.length - 1 }))
  ]).check(
    Schema.makeFilter(
      ([shape, chosen]) =>
        shapes[shape]!.name !== "a drawing for Outlook" || !links[chosen]!.html("", "").includes("<!--")
    )
  )

  it.prop(
    "keeps the links of one shape after the other, in their order",
    [Arbitrary.array(Arbitrary.schema(place), { minLength: 1, maxLength: 12 })],
    ([places]) => {
      const html = places.map(([shape, chosen], index) =>
        shapes[shape]!.html(links[chosen]!.html(address(index), `Go ${index}`))
      )
      const expected = places.flatMap(([shape], index) => (shapes[shape]!.seen ? [address(index)] : []))
      const text = HtmlText.fromHtml(html.join("\n"))
      assert.deepStrictEqual(text.match(/https:\/\/shop\.example\/l\d+/g) ?? [], expected, html.join("\n"))
    },
    { arbitrary: { runs: 500 } }
  )
})
