/**
 * What a value becomes in each place of an HTML document, as a reader of HTML sees it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Template from "../src/Template.ts"
import { type Item, readHtml } from "./support/html.ts"
import { AnyText } from "./support/mails.ts"

const compile = (html: string, options?: Template.Options) =>
  Template.compile({ from: "a@example.org", to: "b@example.org", subject: "", text: "t", html }, options)

const render = Effect.fnUntraced(function* (html: string, data: object, options?: Template.Options) {
  const template = yield* compile(html, options)
  const mail = yield* template.mail({ data: data as Template.Fields })
  return mail.html!
})

/** Renders and reads. */
const read = (html: string, data: object, options?: Template.Options) =>
  Effect.map(render(html, data, options), readHtml)

const attack = [
  "<script>alert(1)</script>",
  '"><img src=x onerror=alert(1)>',
  "' onmouseover='alert(1)",
  "-->",
  "--!><b>",
  "</title><script>",
  "&lt;b&gt;",
  "&#x3c;",
  "javascript:alert(1)",
  "<!--",
  "`",
  "]]>",
  "\u2028",
  "{{name}}",
  "a&b=c",
  "\t\n",
  "<",
  "ünï 👍"
] as const

const AnyValue = Arbitrary.map(
  Arbitrary.array(Arbitrary.schema(Schema.Union([Schema.Literals(attack), Schema.String])), { maxLength: 4 }),
  (parts) => parts.join("").replaceAll("\0", "").toWellFormed()
)

/** Documents with fields in every kind of place, and what a reader finds in each, given the value. */
const places: ReadonlyArray<readonly [html: string, items: (value: string) => ReadonlyArray<Item>]> = [
  ["<p>{{v}}</p>", (v) => [open("p"), ...text(v), { end: "p" }]],
  ["a{{v}}b", (v) => [{ text: `a${v}b` }]],
  ["<title>{{v}}</title>", (v) => [open("title"), ...text(v), { end: "title" }]],
  ['<p title="{{v}}">', (title) => [open("p", { title }), { end: "p" }]],
  ["<p title='{{v}}' lang=en>", (title) => [open("p", { title, lang: "en" }), { end: "p" }]],
  ['<p title = "a{{v}}b{{v}}">', (v) => [open("p", { title: `a${v}b${v}` }), { end: "p" }]],
  ['<a href="/x?q={{v}}#{{v}}">', (v) => [open("a", { href: `/x?q=${part(v)}#${part(v)}` }), { end: "a" }]],
  ["<a href='https://e.org/{{v}}/b'>", (v) => [open("a", { href: `https://e.org/${part(v)}/b` }), { end: "a" }]],
  [
    "<p style=\"background:url('/i/{{v}}')\">",
    (v) => [open("p", { style: `background:url('/i/${part(v)}')` }), { end: "p" }]
  ],
  ["<!--x--><b>{{v}}</b>", (v) => [{ comment: "x" }, open("b"), ...text(v), { end: "b" }]],
  ["<p {{#if v}}title='{{v}}'{{/if}}>{{v}}", (v) => [open("p", v === "" ? {} : { title: v }), ...text(v), { end: "p" }]]
]

const open = (tag: string, attributes: { readonly [name: string]: string } = {}): Item => ({ tag, attributes })
const text = (value: string): ReadonlyArray<Item> => (value === "" ? [] : [{ text: value }])

/** Nothing but letters, digits and four signs is left of a piece of an address; and it is the value again, decoded. */
const part = (value: string): string => {
  const encoded = encodeURIComponent(value).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
  assert.strictEqual(decodeURIComponent(encoded), value)
  return encoded
}

describe("Template in HTML", () => {
  for (const [html, items] of places)
    it.effect.prop(
      `a value stays a value in ${html}`,
      [AnyValue],
      Effect.fnUntraced(function* ([v]) {
        assert.deepStrictEqual(yield* read(html, { v }), items(v))
      }),
      { arbitrary: { runs: 60, size: 12 } }
    )

  it.effect.prop(
    "in Outlook's comments a value ends neither the comment nor an element in it",
    [AnyValue],
    Effect.fnUntraced(function* ([v]) {
      const html = `<!--[if (gte mso 9)|(IE)]><td title="{{v}}">{{v}}</td><![endif]--><b>{{v}}</b>`
      const [comment, ...rest] = yield* read(html, { v })
      assert.deepStrictEqual(rest, [open("b"), ...text(v), { end: "b" }])
      const inside = "comment" in comment! ? comment.comment : ""
      assert.deepStrictEqual(readHtml(inside.replace(/^\[if[^\]]*\]>/, "").replace(/<!\[endif\]$/, "")), [
        open("td", { title: v }),
        ...text(v),
        { end: "td" }
      ])
    }),
    { arbitrary: { runs: 60, size: 12 } }
  )

  it.effect.prop(
    "a whole address is one of a harmless scheme, or refused",
    [
      Arbitrary.all([
        Arbitrary.schema(
          Schema.Literals([
            "",
            " ",
            "\t",
            "java",
            "JavaScript:",
            "java\nscript:",
            "data:",
            "vbscript:",
            "https:",
            "//",
            "mailto:",
            "cid:",
            "\u0001javascript:",
            "x",
            ":",
            "%6aavascript:",
            "javascript&colon;"
          ])
        ),
        Arbitrary.schema(Schema.Literals(["", "script:", "script&#58;", "//e.org/a?b=c&d=%41%", "alert(1)"])),
        AnyValue
      ])
    ],
    Effect.fnUntraced(function* ([parts]) {
      const v = parts.join("")
      for (const html of [
        '<a href="{{v}}">',
        "<img src=' {{v}}'>",
        '<p style="background: url({{v}})">',
        '<a href="{{{v}}}">'
      ]) {
        const result = yield* Effect.result(read(html, { v }))
        if (result._tag === "Failure") {
          assert.match(
            result.failure.message,
            /^InvalidMessage: data\.v: an address that begins with "[^"]*:" is not allowed here/
          )
          continue
        }
        const items = result.success
        assert.lengthOf(
          items.filter((item) => "tag" in item),
          1
        )
        const [tag] = items
        if (!("tag" in tag!)) throw new Error("no tag")
        const { href, src, style } = tag.attributes
        const address = href ?? src ?? /url\((.*)\)$/s.exec(style!)![1]!
        assert.match(address, /^[\w\-.~:/?#[\]@!$&*+,;=% ]*$/)
        const url = URL.parse(address, "https://base.example/")
        assert.include(["https:", "http:", "mailto:", "tel:", "sms:", "cid:", undefined], url?.protocol)
      }
    }),
    { arbitrary: { runs: 200, size: 12 } }
  )

  it.effect("a value that is a whole address keeps its structure", () =>
    Effect.gen(function* () {
      const url = "https://e.org:8080/a/b%20c?d=e&f=ü ö#g"
      assert.strictEqual(
        yield* render('<a href="{{url}}">{{{url}}}</a>', { url }),
        `<a href="https://e.org:8080/a/b%20c?d=e&amp;f=%C3%BC%20%C3%B6#g">${url}</a>`
      )
      assert.strictEqual(yield* render('<a href=" {{url}} ">', { url: " /x \n" }), '<a href=" /x ">')
      assert.strictEqual(
        yield* render('<a href="https://e.org/{{{path}}}?x={{path}}">', { path: "a/b?c=d&e" }),
        '<a href="https://e.org/a/b?c=d&amp;e?x=a%2Fb%3Fc%3Dd%26e">'
      )
      assert.strictEqual(
        yield* render('<a href="mailto:{{to}}?subject={{to}}"><a href="TEL:{{tel}}">', {
          to: "ann+b@e.org,x?y",
          tel: "+41 44"
        }),
        '<a href="mailto:ann+b@e.org%2Cx%3Fy?subject=ann%2Bb%40e.org%2Cx%3Fy"><a href="TEL:+41%2044">'
      )
      assert.strictEqual(
        yield* render('<a href="https://{{to}}/">', { to: "a@e.org" }),
        '<a href="https://a%40e.org/">'
      )
      assert.strictEqual(yield* render('<a href="{{url}}">', { url: "100%" }), '<a href="100%25">')
      assert.strictEqual(
        yield* render('<a href="{{url}}">', { url: "App:open" }, { schemes: ["APP"] }),
        '<a href="App:open">'
      )
    })
  )

  it.effect("three braces insert HTML unchanged where HTML is allowed", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* render("<p>{{{v}}}</p>", { v: "<b>&amp;</b>" }), "<p><b>&amp;</b></p>")
    })
  )

  it.effect("an address with a long run of blanks takes no longer than any other", () =>
    Effect.gen(function* () {
      const blanks = 300_000
      const template = yield* Template.compile({ from: "a@b.c", subject: "s", html: '<a href="{{url}}">x</a>' })
      const { size } = yield* template.render({ to: "a@b.c", data: { url: `https://a${" ".repeat(blanks)}b  ` } })
      assert.isAbove(size, 3 * blanks)
    })
  )

  it.effect("a style takes numbers, colours and words", () =>
    Effect.gen(function* () {
      const html = '<p style="color:{{v}};width:10%">'
      for (const v of ["#fff", "rebeccapurple", "1.5", "-3", "50%", "Arial, Helvetica", "größe"])
        assert.strictEqual(yield* render(html, { v }), html.replace("{{v}}", v))
      for (const v of ["red;background:url(x)", 'a"b', "expression(1)", "a:b", "a\\b", "/*", "a\nb", "{", "</style>"]) {
        const error = yield* Effect.flip(render(html, { v }))
        assert.strictEqual(
          error.message,
          "InvalidMessage: data.v: in a style only letters, digits, spaces and # % . , + - _ are allowed (html, line 1, column 17)"
        )
      }
    })
  )

  it.effect.prop(
    "no accepted template has an unsafe field: no value changes what a reader finds elsewhere",
    [
      Arbitrary.array(
        Arbitrary.schema(
          Schema.Literals([
            "<p>",
            "</p>",
            "<a href=",
            "<a href='",
            '<a title="',
            "'",
            '"',
            ">",
            " ",
            "=",
            "{{v}}",
            "{{{u}}}",
            "<style>",
            "</style>",
            "<!--",
            "-->",
            "<!--[if mso]>",
            "<![endif]-->",
            "x",
            "<title>",
            "</title>",
            "/",
            "<",
            "javascript:",
            "https://e/",
            "{{#if v}}",
            "{{else}}",
            "{{/if}}",
            "<p style='",
            ":",
            "url("
          ])
        ),
        { maxLength: 10 }
      ),
      AnyValue
    ],
    Effect.fnUntraced(function* ([parts, v]) {
      const template = yield* Effect.result(compile(parts.join("").replaceAll("{{{u}}}", "")))
      if (template._tag === "Failure") return
      const shape = Effect.fnUntraced(function* (value: string) {
        const mail = yield* Effect.result(template.success.mail({ data: { v: value } }))
        if (mail._tag === "Failure") return undefined
        return readHtml(mail.success.html ?? "")
          .map((item) =>
            "tag" in item
              ? `<${item.tag} ${Object.keys(item.attributes).join()}>`
              : "end" in item
                ? `</${item.end}>`
                : ""
          )
          .join("")
      })
      const hostile = yield* shape(`v${v}`)
      if (hostile !== undefined) assert.strictEqual(hostile, yield* shape("v"))
    }),
    { arbitrary: { runs: 500 } }
  )

  it.effect.prop(
    "leaves the HTML of a template without fields unchanged",
    [AnyText],
    Effect.fnUntraced(function* ([given]) {
      const html = given.replaceAll("{", "(")
      if (html !== "") assert.strictEqual(yield* render(html, {}), html)
    })
  )
})
