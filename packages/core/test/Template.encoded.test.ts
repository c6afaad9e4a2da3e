/**
 * Editors percent-encode the braces of a field in a link. It is a field all the same, or refused with its place.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Template from "../src/Template.ts"

const base = { from: "a@example.org", to: "b@example.org", subject: "s" }

const data = { id: "4 2&x", name: "Ann", user: { name: "Bo" }, "first name": "Cid", list: ["p", "q"] }

const htmlOf = Effect.fnUntraced(function* (html: string) {
  const template = yield* Template.compile({ ...base, text: "t", html })
  return { html: (yield* template.mail({ data })).html, fields: template.fields }
})

const refusal = (html: string) =>
  Effect.map(Effect.flip(Template.compile({ ...base, text: "t", html })), ({ column, line, problem, remedy }) => ({
    at: `${line}:${column}`,
    problem,
    remedy
  }))

describe("a field that is percent-encoded", () => {
  it.effect("is filled in as it would be in braces", () =>
    Effect.gen(function* () {
      for (const [written, meant] of [
        ["%7B%7Bid%7D%7D", "{{id}}"],
        ["%7b%7bid%7d%7d", "{{id}}"],
        ["%7B%7b%69d%7d%7D", "{{id}}"],
        ["{%7Bid}%7D", "{{id}}"],
        ["%7B{id%7D}", "{{id}}"],
        ["{{id%7D%7D", "{{id}}"],
        ["%7B%7Bid}}", "{{id}}"],
        ["%7B%7B%20id%20%7D%7D", "{{id}}"],
        ["%7B%7Buser.name%7D%7D", "{{user.name}}"],
        ["%7B%7Buser%2Ename%7D%7D", "{{user.name}}"],
        ["%7B%7Bfirst%20name%7D%7D", "{{first name}}"],
        ["%7B%7Bnone%7Cthere%7D%7D", "{{none|there}}"],
        ["%7B%7Bnone|there%7D%7D", "{{none|there}}"],
        ["%7B%7Bnone%7C%22a%20b%22%7D%7D", '{{none|"a b"}}'],
        ["%7B%7Bnone%7C&quot;a b&quot;%7D%7D", '{{none|"a b"}}'],
        ["%7B%7Bnone%7C%C3%BC%7D%7D", "{{none|ü}}"],
        ["%7B%7B%7Bid%7D%7D%7D", "{{{id}}}"],
        ["%7B%7B#if%20id%7D%7Dyes%7B%7Belse%7D%7Dno%7B%7B/if%7D%7D", "{{#if id}}yes{{else}}no{{/if}}"],
        ["%7B%7B%23each%20list%7D%7D%7B%7Bthis%7D%7D-%7B%7B%2Feach%7D%7D", "{{#each list}}{{this}}-{{/each}}"],
        ["%7B%7Bid%7D%7D&n=%7B%7Bname%7D%7D", "{{id}}&n={{name}}"]
      ] as const)
        for (const [before, after] of [
          ['<a href="https://x.example/', '">u</a>'],
          ["<a href='https://x.example/?a=", "'>u</a>"],
          ['<img srcset="https://x.example/', ' 2x, b.png 1x">'],
          ['<td background="https://x.example/', '">'],
          ['<p style="background:url(https://x.example/', ')">'],
          ['<a href="mailto:x@x.example?subject=', '">u</a>'],
          ["<p>https://x.example/", "</p>"],
          ['<!--[if mso]><v:rect href="https://x.example/', '"></v:rect><![endif]-->']
        ] as const) {
          const plain = yield* Effect.result(htmlOf(before + meant.replaceAll('"', "&quot;") + after))
          const encoded = yield* Effect.result(htmlOf(before + written + after))
          const got = (result: typeof plain) =>
            result._tag === "Success" ? result.success : result.failure.message.replace(/column \d+/, "column")
          assert.deepStrictEqual(got(encoded), got(plain), before + written + after)
        }
      assert.deepStrictEqual(yield* htmlOf('<a href="%7B%7Bid%7D%7D">'), {
        html: '<a href="4%202&amp;x">',
        fields: ["id"]
      })
      assert.strictEqual(
        (yield* htmlOf('<a href="https://x.example/%7B%7Bid%7D%7D">')).html,
        '<a href="https://x.example/4%202%26x">'
      )
    })
  )

  it.effect("is one in a text, in an address to unsubscribe at, and in an .eml", () =>
    Effect.gen(function* () {
      const template = yield* Template.compile({
        ...base,
        text: "https://x.example/%7B%7Bid%7D%7D",
        listUnsubscribe: { url: "https://x.example/%7B%7Bid%7D%7D", mailto: "u@x.example?subject=%7B%7Bname%7D%7D" }
      })
      const mail = yield* template.mail({ data })
      assert.deepInclude(mail, {
        text: "https://x.example/4 2&x",
        listUnsubscribe: { url: "https://x.example/4%202%26x", mailto: "u@x.example?subject=Ann", oneClick: undefined }
      })
      const eml = yield* Template.fromEml(
        Buffer.from(
          [
            "From: a@example.org",
            "Subject: s",
            "List-Unsubscribe: <https://x.example/%7B%7Bname%7D%7D>",
            "Content-Type: text/html",
            "Content-Transfer-Encoding: quoted-printable",
            "",
            '<a href=3D"https://x.example/%7B%7Bid%7D=',
            '%7D">u</a>'
          ].join("\r\n")
        )
      )
      assert.deepStrictEqual([...eml.fields].sort(), ["id", "name"])
    })
  )

  it.effect("is refused with its place where it cannot be read", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* refusal('<p>\n<a href="https://x.example/%7B%7Bid">u</a>'), {
        at: "2:28",
        problem: "{{, percent-encoded, is never closed",
        remedy: "close it with }}, or write \\{{ for braces that stand for themselves"
      })
      for (const twice of ["%257B%257Bid%257D%257D", "%25257b%25257bid%25257d%25257d"])
        assert.deepInclude(yield* refusal(`<a href="https://t.example/?u=${twice}">`), {
          problem: "the braces are percent-encoded twice, so that no field is read here"
        })
      for (const braces of ["&#123;&#123;id&#125;&#125;", "&#x7b;{id}&#x7D;", "&lbrace;&lbrace;id&rbrace;&rbrace;"])
        assert.deepInclude(yield* refusal(`<p>${braces}</p><a href="https://x.example/${braces}">`), {
          problem: "braces stand in an address as entities, so that no field is read there",
          remedy: "write {{name}}"
        })
      const at = '<a href="%7B%7B'
      assert.include((yield* refusal(`${at}a%E4%7D%7D">`)).problem, "not as UTF-8")
      assert.include((yield* refusal(`${at}a%2Bb%7D%7D">`)).problem, '"a+b" is no field name')
      assert.include((yield* refusal(`${at}%7Ba%7D%7D">`)).problem, "not closed alike")
      assert.include((yield* refusal("<a href=https://x.example/%7B%7Bid%7D%7D>u</a>")).problem, "without quotes")
      assert.include((yield* refusal('<a href="javascript:f(%7B%7Bid%7D%7D)">')).problem, "nothing is safe")
      assert.include((yield* refusal("<style>a{b:url(%7B%7Bid%7D%7D)}</style>")).problem, "nothing is safe")
    })
  )

  it.effect("is literal after a backslash, and no field if it has only an end or a single brace", () =>
    Effect.gen(function* () {
      for (const [written, sent] of [
        ["\\%7B%7Bid%7D%7D", "%7B%7Bid%7D%7D"],
        ["\\%257B%257Bid", "%257B%257Bid"],
        ["?q=%7B%22a%22:%7B%22b%22:1%7D%7D", "?q=%7B%22a%22:%7B%22b%22:1%7D%7D"],
        ["%7Bid%7D", "%7Bid%7D"],
        ["100%7B", "100%7B"]
      ])
        assert.deepStrictEqual(yield* htmlOf(`<a href="https://x.example/${written}">`), {
          html: `<a href="https://x.example/${sent}">`,
          fields: []
        })
    })
  )

  const AnyWritten = Arbitrary.schema(
    Schema.Struct({
      field: Schema.Literals(["id", "user.name", "first name", "none|there", 'none|"a } b"']),
      bits: Schema.Array(Schema.Boolean)
    })
  )

  it.effect.prop(
    "is the same field whichever of its characters are encoded beside a brace",
    [AnyWritten],
    ([{ bits, field }]) =>
      Effect.gen(function* () {
        const whole = `{{${field}}}`
        const written = [...whole]
          .map((char, index) =>
            index === 0 || char === '"' || bits[index % bits.length]
              ? `%${char.charCodeAt(0).toString(16).padStart(2, "0")}`
              : char
          )
          .join("")
          .replaceAll('"', "&quot;")
        const link = (text: string) => `<a href="https://x.example/${text}">`
        assert.deepStrictEqual(
          yield* htmlOf(link(written)),
          yield* htmlOf(link(whole.replaceAll('"', "&quot;"))),
          written
        )
      })
  )
})
