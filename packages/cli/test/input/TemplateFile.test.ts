import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TemplateFile from "../../src/input/TemplateFile.ts"
import { folder } from "../support/command.ts"

const said = { from: "News <news@x.example>", subject: "Hello {{name}}" }

describe("TemplateFile", () => {
  it.effect("reads each kind, and lets the flags go before the file", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const sourceOf = (name: string, text: string, options: TemplateFile.Options = {}) =>
        Effect.map(TemplateFile.open({ ...options, template: dir.write(name, text) }), (filling) => {
          const { from, html, subject, text } = filling!.template.source
          return { from, subject, text, html }
        })
      const text = "Hi {{name}}"
      const html = "<p>{{name}}</p>"
      assert.deepStrictEqual(yield* sourceOf("a.HTM", `\uFEFF${html}`, said), { ...said, html, text: undefined })
      assert.deepStrictEqual(yield* sourceOf("a.txt", text, said), { ...said, html: undefined, text })
      const both = { ...said, textFile: dir.write("plain.txt", text) }
      assert.deepStrictEqual(yield* sourceOf("b.html", html, both), { ...said, html, text })
      const json = JSON.stringify({ from: "own@x.example", subject: "own", html })
      const own = { from: "own@x.example", subject: "own", html, text: undefined }
      assert.deepStrictEqual(yield* sourceOf("a.json", json), own)
      assert.deepStrictEqual(yield* sourceOf("b.json", json, { subject: "flag" }), { ...own, subject: "flag" })
      const eml = yield* sourceOf("a.eml", `From: own@x.example\nSubject: own\n\n${text}\n`, { from: said.from })
      assert.deepInclude(eml, { from: said.from, subject: "own" })
      assert.match(eml.text ?? "", /^Hi \{\{name\}\}\s*$/)
    }).pipe(Effect.provide(NodeServices.layer))
  )

  it.effect("reports a field's place", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const html = dir.write("a.html", "<p>\n {{a}}")
      const filling = (yield* TemplateFile.open({ ...said, template: html }))!
      assert.strictEqual(filling.placeOf("a"), `${html}, line 2, column 2`)
      assert.strictEqual(filling.placeOf("name"), "--subject, line 1, column 7")
      const json = dir.write(
        "a.json",
        JSON.stringify({ from: said.from, subject: "{{a}}", headers: { "X-B": "{{b}}" } })
      )
      const parts = (yield* TemplateFile.open({ template: json, textFile: dir.write("p.txt", "{{c}}") }))!
      assert.deepStrictEqual(
        ["a", "b", "c"].map((field) => parts.placeOf(field)),
        [
          `${json}, subject, line 1, column 1`,
          `${json}, headers.X-B, line 1, column 1`,
          `${dir.path("p.txt")}, line 1, column 1`
        ]
      )
    }).pipe(Effect.provide(NodeServices.layer))
  )

  const json = (more: string): string => `{"from":"a@x.example",${more}}`
  const wrong: ReadonlyArray<readonly [file: string, text: string | Uint8Array, TemplateFile.Options, RegExp]> = [
    ["a.html", "<p>\n{{#if name}}x</p>", said, /a\.html, line 2, column 1: .* is never closed; add/],
    ["b.html", "<p {{name}}>", said, /b\.html, line 1, column 4: .*; write the attribute out/],
    ["c.html", "<p>x", {}, /c\.html does not say who sends \(--from\) nor the subject \(--subject\); add --from/],
    ["d.json", json('\n"subject" "s"'), {}, /d\.json, line 2, column 11: a colon .*; correct the JSON/],
    [
      "e.json",
      '{"from":"a@x.example",\n',
      {},
      /e\.json, line 2, column 1: .* expected, the file ends; correct the JSON/
    ],
    ["f.json", json('"subjct":"s"'), {}, /f\.json: .*"subjct"; write "subject" if that is meant/],
    [
      "g.json",
      '{"from":7,"subject":"s"}',
      {},
      /g\.json, field "from": it must be text or an object, it is a number; write/
    ],
    ["h.json", json('"subject":"{{a","text":""'), {}, /h\.json, subject, line 1, column 1: .*; close it/],
    [
      "i.json",
      json('"subject":"s","attachments":[{"path":"none.pdf"}]'),
      {},
      /i\.json, attachments\[0\]\.path: there is no such file/
    ],
    ["j.json", "[]", {}, /j\.json: a template is one JSON object, this is a list; write/],
    ["k.eml", "Subject: s\n\nHi", {}, /k\.eml, from: the message names no sender; say who sends with --from/],
    ["l.txt", Buffer.of(0x61, 0x0a, 0xe4), said, /l\.txt, line 2, column 1: the text is not UTF-8/],
    ["m.mjml", "<mjml>", said, /the kind of the template .*m\.mjml cannot be told from its name; name it .*HTML/],
    ["n.json", json('"subject":"s"'), { from: "nobody" }, /^--from: there is no address .*; correct --from/],
    ["o.txt", "Hi", { ...said, textFile: "other.txt" }, /other\.txt does not exist; check the path/]
  ]
  for (const [file, text, options, expected] of wrong) {
    it.effect(`says where ${file} is wrong, and what to do`, () =>
      Effect.gen(function* () {
        const dir = yield* folder
        const error = yield* Effect.flip(TemplateFile.open({ ...options, template: dir.write(file, text) }))
        assert.match(error.message, expected)
      }).pipe(Effect.provide(NodeServices.layer))
    )
  }

  it.effect("refuses a part that is given twice, and a policy for fields without a template", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const html = dir.write("a.html", "<p>")
      const twice = yield* Effect.flip(TemplateFile.open({ ...said, template: html, htmlFile: html }))
      assert.match(twice.message, /a\.html and --html-file say the same part; leave one of them out/)
      const nothing = yield* Effect.flip(TemplateFile.open({ from: said.from, missing: "empty" }))
      assert.match(nothing.message, /there is no template; give one with --template/)
      assert.isUndefined(yield* TemplateFile.open({ from: said.from }))
    }).pipe(Effect.provide(NodeServices.layer))
  )
})
