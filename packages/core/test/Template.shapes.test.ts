/**
 * Whole templates as frameworks and mail programs write them: 500 documents of the constructs in `mailShapes`, with fields,
 * conditions and loops. Each compiles, and its text has every link that a reader of the HTML sees, in the same order.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { simpleParser } from "mailparser"
import * as Template from "../src/Template.ts"
import { links, type Shape, shapes } from "./support/mailShapes.ts"

const templates = 500

/** Numbers from 0 up to 1 that are the same in every run (mulberry32). */
const seeded = (seed: number) => (): number => {
  seed = (seed + 0x6d2b79f5) | 0
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
}

const heads = [
  (body: string) => body,
  (body: string) => `<!DOCTYPE html><html lang="en"><head><title>News</title></head><body>${body}</body></html>`,
  (body: string) =>
    `<!doctype html><html xmlns:v="urn:schemas-microsoft-com:vml"><head><meta charset="utf-8"><!--[if mso]><xml><o:OfficeDocumentSettings></o:OfficeDocumentSettings></xml><![endif]--><style>@media (max-width:600px){.column{width:100%!important}} a:hover{color:red}</style></head><body style="margin:0"><center>${body}</center></body></html>`,
  (body: string) =>
    `<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd"><html><head><meta http-equiv="Content-Type" content="text/html; charset=UTF-8" /></head><body><table width="100%"><tr><td align="center">${body}</td></tr></table></body></html>`
]

/** Ways to repeat a part, or to show it to some. `times` is how often a reader of the data below sees it. */
const blocks: ReadonlyArray<{ readonly times: number; readonly html: (inner: string) => string }> = [
  { times: 1, html: (inner) => inner },
  { times: 1, html: (inner) => `{{#if yes}}${inner}{{/if}}` },
  { times: 1, html: (inner) => `{{#if no}}<p>Nothing</p>{{else}}${inner}{{/if}}` },
  { times: 0, html: (inner) => `{{#if no}}${inner}{{/if}}` },
  { times: 2, html: (inner) => `{{#each items}}${inner}{{/each}}` },
  { times: 1, html: (inner) => `{{#each none}}<p>{{this}}</p>{{else}}${inner}{{/each}}` },
  { times: 2, html: (inner) => `<ul>{{#each items}}<li>{{this.name}}<li>${inner}</li>{{/each}}</ul>` }
]

const data = {
  yes: true,
  no: false,
  none: [],
  id: "a b",
  name: "Ann",
  items: [{ name: "one" }, { name: "two" }]
}

/** A shape that is a cell ends the cell around it, unless it has a table of its own. */
const wrap = (html: string, shape: Shape): string => {
  const wrapped = shape.html(html)
  return wrapped.startsWith("<td") ? `<table><tr>${wrapped}</tr></table>` : wrapped
}

/** A comment in a comment ends both, which no program writes. */
const isCutShort = (around: ReadonlyArray<Shape>, inner: string): boolean =>
  around.some(({ name }, depth) => {
    const within = around.slice(0, depth).reduce(wrap, inner)
    return name === "a drawing for Outlook" && within.includes("<!--")
  })

interface Made {
  readonly html: string
  /** The addresses that a reader sees, in their order. */
  readonly expected: ReadonlyArray<string>
}

const make = (random: () => number): Made => {
  const pick = <A>(list: ReadonlyArray<A>): A => list[Math.floor(random() * list.length)]!
  const parts: Array<string> = []
  const expected: Array<string> = []
  for (let part = 3 + Math.floor(random() * 8); part > 0; part--) {
    const link = pick(links)
    const around = Array.from({ length: 1 + Math.floor(random() * 3) }, () => pick(shapes))
    const place = expected.length + parts.length * 100
    // An address without quotes takes no field.
    const hasField = random() < 0.5 && !link.html("", "").includes("href=>")
    const inner = link.html(`https://shop.example/l${place}${hasField ? "?u={{id}}" : ""}`, "Go to {{name}}")
    if (isCutShort(around, inner)) continue
    const block = pick(blocks)
    parts.push(block.html(around.reduce(wrap, inner)))
    const shown = around.every(({ seen }) => seen) ? block.times : 0
    for (let time = 0; time < shown; time++)
      expected.push(`https://shop.example/l${place}${hasField ? "?u=a%20b" : ""}`)
  }
  return { html: pick(heads)(parts.join("\n")), expected }
}

describe("templates of what messages are built of", () => {
  it.effect(`${templates} compile, and lose no link in their text`, () =>
    Effect.gen(function* () {
      const random = seeded(13)
      const different = new Set<string>()
      let links = 0
      while (different.size < templates) {
        const { expected, html } = make(random)
        if (different.has(html)) continue
        different.add(html)
        links += expected.length
        const template = yield* Template.compile({ from: "a@shop.example", subject: "News", html })
        const { content } = yield* template.render({ to: "ann@example.org", data })
        const mail = yield* Effect.promise(() => simpleParser(Buffer.from(content as Uint8Array)))
        const found = (mail.text ?? "").match(/https:\/\/shop\.example\/l\d+(?:\?u=a%20b)?/g) ?? []
        assert.deepStrictEqual(found, [...expected], html)
        for (const address of expected) assert.include(mail.html || "", address)
      }
      assert.isAbove(links, templates * 2)
    })
  )
})
