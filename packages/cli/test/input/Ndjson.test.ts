import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Template from "mailrace/Template"
import { describe as inWords, type Entry } from "../../src/input/Entry.ts"
import * as Ndjson from "../../src/input/Ndjson.ts"
import { campaignOf, mailsOf as filledIn, templateOf } from "../support/campaign.ts"
import { read, sizes } from "../support/chunks.ts"
import { nastyText } from "../support/text.ts"

const mailsOf = (entries: ReadonlyArray<Entry>) =>
  entries.map((entry) => (entry._tag === "MailEntry" ? entry.mail : entry))
const problemOf = (line: string) =>
  Effect.map(read(Ndjson.entries(), `${line}\n`), ([entry]) =>
    entry?._tag === "BadEntry" ? inWords(entry) : "no problem"
  )

describe("Ndjson", () => {
  it.effect.prop(
    "reads any mails back, however the bytes are cut",
    { texts: Arbitrary.array(nastyText), sizes },
    Effect.fnUntraced(function* ({ texts, sizes }) {
      const mails = texts.map((text) => ({ from: text, to: [text], subject: text, data: { text } }))
      const lines = mails.map((mail) => `${JSON.stringify(mail)}\n`).join("")
      assert.deepStrictEqual(mailsOf(yield* read(Ndjson.entries(), lines, sizes)) as unknown, mails)
    })
  )

  it.effect("passes over empty lines and a byte order mark, and keeps the numbers of lines", () =>
    Effect.gen(function* () {
      const mail = `{"from":"a@x.org","to":"b@x.org","subject":""}`
      const entries = yield* read(Ndjson.entries(), `\uFEFF${mail}\n\n  \r\n${mail}`)
      assert.deepStrictEqual(
        entries.map((entry) => [entry._tag, entry.line]),
        [
          ["MailEntry", 1],
          ["MailEntry", 4]
        ]
      )
    })
  )

  it.effect("goes on after a bad line", () =>
    Effect.gen(function* () {
      const mail = `{"from":"a@x.org","to":"b@x.org","subject":"s"}`
      const entries = yield* read(Ndjson.entries(), `${mail}\n{oops\n${mail}\n`)
      assert.deepStrictEqual(
        entries.map((entry) => entry._tag),
        ["MailEntry", "BadEntry", "MailEntry"]
      )
    })
  )

  it.effect("refuses a line that is nested too deeply and reads the next", () =>
    Effect.gen(function* () {
      const line = (depth: number) =>
        `{"from":"a@x.org","to":"b@x.org","subject":"s","data":{"x":${"[".repeat(depth - 2)}${"]".repeat(depth - 2)}}}`
      const entries = yield* read(Ndjson.entries(), [1000, 1001, 100_000, 3].map(line).join("\n"))
      assert.deepStrictEqual(
        entries.map((entry) => (entry._tag === "BadEntry" ? inWords(entry) : entry._tag)),
        [
          "MailEntry",
          "line 2, column 1058: objects and lists are nested more than 1000 deep; lay its data out flatter",
          "line 3, column 1058: objects and lists are nested more than 1000 deep; lay its data out flatter",
          "MailEntry"
        ]
      )
    })
  )

  const cases: ReadonlyArray<readonly [string, string]> = [
    [`{"from":"a","to":"b","subject":}`, `line 1, column 32: "}" cannot begin a value`],
    [`{"from":"a","subject":"s"}`, `line 1, field "to": it is missing`],
    [`{"from":"a","to":"b","subject":7}`, `line 1, field "subject": it must be text, it is a number`],
    [`{"from":"a","to":[true],"subject":"s"}`, `line 1, field "to[0]": it must be text or an object, it is a boolean`],
    [
      `{"from":"a","to":"b","subject":"s","attachments":[{"path":1}]}`,
      `line 1, field "attachments[0].path": it must be text, it is a number`
    ],
    [
      "[",
      "line 1: each line must be one whole JSON object, here one begins that goes on below (jq -c . makes a line of it, jq -c '.[]' of each in a list)"
    ],
    [`"a"`, "line 1: each line must be one JSON object, this is text"],
    [`[{}]`, "line 1: each line must be one JSON object, this is a list (jq -c '.[]' turns a list into lines)"]
  ]
  for (const [line, expected] of cases) {
    it.effect(`says what is wrong with ${line}`, () =>
      Effect.map(problemOf(line), (problem) => assert.strictEqual(problem, expected))
    )
  }

  it.effect("says where bytes are not UTF-8", () =>
    Effect.gen(function* () {
      const bytes = Buffer.concat([Buffer.from(`{"from":"ä`), Buffer.of(0xe4), Buffer.from(`"}\n`)])
      const [entry] = yield* read(Ndjson.entries(), bytes)
      assert.deepInclude(entry, { _tag: "BadEntry", line: 1, column: 11 })
    })
  )

  it.effect("warns once about a field that no mail has, and about one that the template sets for all", () =>
    Effect.gen(function* () {
      const told: Array<readonly [number, string, Ndjson.Ignored]> = []
      const onIgnoredField = (line: number, field: string, why: Ndjson.Ignored) => told.push([line, field, why])
      const mail = `{"from":"a","to":"b","subject":"s","attachment":[]}\n`
      yield* read(Ndjson.entries({ onIgnoredField }), mail + mail)
      assert.deepStrictEqual(told.splice(0), [[1, "attachment", "unknown"]])
      assert.strictEqual(Ndjson.nearestField("attachment"), "attachments")
      const campaign = templateOf(yield* Template.compile({ from: "n@x.org", subject: "all" }))
      const [line] = yield* filledIn(yield* read(Ndjson.entries({ campaign, onIgnoredField }), mail))
      assert.deepStrictEqual(told, [
        [1, "subject", "template"],
        [1, "attachment", "unknown"]
      ])
      assert.deepInclude(line as object, { from: "a", subject: "all" })
    })
  )

  it.effect("completes lines from flags and their data, and keeps the lines' own fields", () =>
    Effect.gen(function* () {
      const campaign = yield* campaignOf({
        from: "news@x.org",
        subject: "Hello {{name}}",
        text: "Dear {{name}}, {{count}} new"
      })
      const entries = yield* read(
        Ndjson.entries({ campaign, resolvePath: (path) => `/folder/${path}` }),
        [
          `{"to":"a@x.org","data":{"name":"Ann","count":3}}`,
          `{"to":"b@x.org","subject":"own","html":"<p>own</p>","attachments":[{"path":"a.pdf"}]}`,
          `{"to":"c@x.org","data":{"count":3}}`,
          `{"to":"d@x.org","html":"<p>own</p>","headers":{"X-A":"b"},"data":{"name":"Dan"}}`
        ].join("\n")
      )
      const [ann, own, missing, mixed] = yield* filledIn(entries)
      assert.deepInclude(ann as object, {
        from: "news@x.org",
        to: "a@x.org",
        subject: "Hello Ann",
        text: "Dear Ann, 3 new"
      })
      assert.deepStrictEqual(own as unknown, {
        from: "news@x.org",
        to: "b@x.org",
        subject: "own",
        html: "<p>own</p>",
        attachments: [{ path: "/folder/a.pdf" }]
      })
      assert.strictEqual(
        missing as unknown,
        "line 3, data.name: the template needs it, it is missing (subject, line 1, column 7)"
      )
      assert.deepInclude(mixed as object, {
        subject: "Hello Dan",
        html: "<p>own</p>",
        text: undefined,
        headers: { "X-A": "b" }
      })
    })
  )

  it.effect("needs only the recipient from a line if the template is the whole mail", () =>
    Effect.gen(function* () {
      const campaign = templateOf(yield* Template.compile({ from: "n@x.org", to: "{{mail}}", subject: "{{n}}" }))
      const lines = [
        `{"data":{"mail":"a@x.org","n":1}}`,
        `{"to":"b@x.org","cc":"c@x.org","id":"7","tenant":"t","data":{"n":2}}`,
        `{"data":{"n":3}}`,
        `{"to":"d@x.org","data":[]}`
      ]
      const entries = yield* read(Ndjson.entries({ campaign }), lines.join("\n"))
      const [filled, own, nobody, noData] = yield* filledIn(entries)
      assert.deepInclude(filled as object, { to: { address: "a@x.org" }, subject: "1" })
      assert.deepInclude(own as object, { to: "b@x.org", cc: "c@x.org", id: "7", tenant: "t", subject: "2" })
      assert.match(String(nobody), /^line 3: data\.mail: the template needs it, it is missing \(to, /)
      assert.strictEqual(String(noData), 'line 4, field "data": it must be an object, it is a list')
    })
  )
})
