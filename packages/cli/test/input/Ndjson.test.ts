import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import { describe as inWords, type Entry } from "../../src/input/Entry.ts"
import * as Merge from "../../src/input/Merge.ts"
import * as Ndjson from "../../src/input/Ndjson.ts"
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

  it.effect("tells once of a field that no mail has", () =>
    Effect.gen(function* () {
      const told: Array<readonly [number, string]> = []
      const mail = `{"from":"a","to":"b","subject":"s","attachment":[]}\n`
      yield* read(Ndjson.entries({ onUnknownField: (line, field) => told.push([line, field]) }), mail + mail)
      assert.deepStrictEqual(told, [[1, "attachment"]])
      assert.strictEqual(Ndjson.nearestField("attachment"), "attachments")
    })
  )

  it.effect("completes lines from flags and their data, and leaves what they say themselves", () =>
    Effect.gen(function* () {
      const defaults: Merge.Defaults = {
        from: "news@x.org",
        subject: Merge.compile("Hello {{name}}", "header"),
        text: Merge.compile("Dear {{name}}, {{count}} new", "text")
      }
      const entries = yield* read(
        Ndjson.entries({ defaults, resolvePath: (path) => `/folder/${path}` }),
        [
          `{"to":"a@x.org","data":{"name":"Ann","count":3}}`,
          `{"to":"b@x.org","subject":"own","html":"<p>own</p>","attachments":[{"path":"a.pdf"}]}`,
          `{"to":"c@x.org","data":{"count":3}}`
        ].join("\n")
      )
      assert.deepStrictEqual(mailsOf(entries) as unknown, [
        {
          from: "news@x.org",
          to: "a@x.org",
          subject: "Hello Ann",
          text: "Dear Ann, 3 new",
          data: { name: "Ann", count: 3 }
        },
        {
          from: "news@x.org",
          to: "b@x.org",
          subject: "own",
          html: "<p>own</p>",
          attachments: [{ path: "/folder/a.pdf" }]
        },
        entries[2]
      ])
      assert.deepInclude(entries[2], { _tag: "BadEntry", line: 3, field: "name", malformed: false })
    })
  )
})
