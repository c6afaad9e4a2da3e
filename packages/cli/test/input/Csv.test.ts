import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Template from "mailrace/Template"
import * as Csv from "../../src/input/Csv.ts"
import type { Campaign } from "../../src/input/Campaign.ts"
import { campaignOf, mailsOf, templateOf } from "../support/campaign.ts"
import { read, sizes } from "../support/chunks.ts"
import { nastyText } from "../support/text.ts"
import { CsvColumns } from "../../src/internal/csvColumns.ts"

const greeting = campaignOf({
  from: "news@x.org",
  subject: "For {{name}}",
  text: "Dear {{ name }} of {{City}}",
  html: "<p>Dear {{name}}</p>"
})

const failure = (text: string, campaign?: Campaign) =>
  Effect.map(Effect.flip(read(Csv.entries({ campaign }), text)), (error) => error.message)

/** What a filled-in mail has beside what is looked at here. */
const common = { attachments: [], headers: {}, listUnsubscribe: undefined, priority: undefined, replyTo: undefined }

describe("Csv", () => {
  it("finds a column whose accents are stored otherwise than in the template", () => {
    for (const [header, asked] of [
      ["NFD", "NFC"],
      ["NFC", "NFD"]
    ] as const) {
      const columns = new CsvColumns(["Prénom".normalize(header)], { values: new Set(), recipients: undefined })
      assert.isTrue(columns.has("prénom".normalize(asked)))
      assert.deepStrictEqual(columns.filler(["prénom".normalize(asked)])(["Élan"]), {
        ["prénom".normalize(asked)]: "Élan"
      })
    }
  })

  it.effect("makes a mail of each line and merges its cells", () =>
    Effect.gen(function* () {
      const text = 'email,name,city,cc\nann@x.org,Ann <3,"Bern, CH",\nbob@x.org,Bob,Ulm,eve@x.org\n'
      const entries = yield* read(Csv.entries({ campaign: yield* greeting }), text, [3])
      assert.deepStrictEqual((yield* mailsOf(entries)) as unknown, [
        {
          ...common,
          from: "news@x.org",
          to: { name: "Ann <3", address: "ann@x.org" },
          subject: "For Ann <3",
          text: "Dear Ann <3 of Bern, CH",
          html: "<p>Dear Ann &lt;3</p>"
        },
        {
          ...common,
          from: "news@x.org",
          to: { name: "Bob", address: "bob@x.org" },
          cc: "eve@x.org",
          subject: "For Bob",
          text: "Dear Bob of Ulm",
          html: "<p>Dear Bob</p>"
        }
      ])
    })
  )

  it.effect("prefers the line's own fields to the flags, and completes the missing ones", () =>
    Effect.gen(function* () {
      const campaign = yield* campaignOf({ from: "news@x.org", subject: "all {{n}}", html: "<p>{{n}}</p>" })
      const text = "to,from,subject,text,n\na@x.org,own@x.org,own,,1\nb@x.org,,,own text,2\nc@x.org,,own,own text,3\n"
      const [subject, body, both] = yield* mailsOf(yield* read(Csv.entries({ campaign }), text))
      assert.deepInclude(subject as object, { from: "own@x.org", subject: "own", html: "<p>1</p>" })
      assert.deepInclude(body as object, { from: "news@x.org", subject: "all 2", text: "own text", html: undefined })
      assert.deepStrictEqual(both as unknown, { from: "news@x.org", to: "c@x.org", subject: "own", text: "own text" })
    })
  )

  it.effect("takes every column as a value where the template is all of a mail, also those that a mail has", () =>
    Effect.gen(function* () {
      const template = yield* Template.compile({
        from: "news@x.org",
        to: "{{Name}} <{{e-mail}}>",
        subject: "{{subject}}: {{text}}",
        text: "{{#if order}}{{order.id}} of {{order.date.year}}{{/if}}"
      })
      const text = "E-Mail,name,SUBJECT,text,order.id,order,order.date.year\nann@x.org,Ann,own,words,17,x,2026\n"
      const [mail] = yield* mailsOf(yield* read(Csv.entries({ campaign: templateOf(template) }), text))
      assert.deepInclude(mail as object, {
        to: { name: "Ann", address: "ann@x.org" },
        subject: "own: words",
        text: "17 of 2026"
      })
    })
  )

  it.effect("keeps columns apart from Object's own properties", () =>
    Effect.gen(function* () {
      const template = yield* Template.compile({ from: "n@x.org", subject: "", text: "{{__proto__.x}}{{constructor}}" })
      const text = "to,__proto__.x,constructor\na@x.org,1,2\n"
      const [mail] = yield* mailsOf(yield* read(Csv.entries({ campaign: templateOf(template) }), text))
      assert.deepInclude(mail as object, { text: "12" })
      assert.isUndefined(({} as Record<string, unknown>)["x"])
    })
  )

  it.effect("never lets a cell break the subject's line", () =>
    Effect.gen(function* () {
      const text = 'to,name,city\na@x.org,"Ann\nBcc: eve@x.org",Ulm\nb@x.org,Bob,Ulm\n'
      const [bad, good] = yield* mailsOf(yield* read(Csv.entries({ campaign: yield* greeting }), text))
      assert.match(String(bad), /^line 2, data\.name: a line feed is not allowed in a header \(at character 4\)/)
      assert.deepInclude(good as object, { subject: "For Bob" })
    })
  )

  it.effect("names the line and the missing field", () =>
    Effect.gen(function* () {
      const text = "to,name,city\na@x.org,Ann\n,Bob,Ulm\nc@x.org,Cid,Ulm,more\nd@x.org,Dan,Ulm,,\n"
      const entries = yield* mailsOf(yield* read(Csv.entries({ campaign: yield* greeting }), text))
      assert.deepStrictEqual(entries.slice(0, 3) as unknown, [
        'line 2, field "city": it is missing: the line has 2 cells, the header 3',
        'line 3, field "to": it is missing',
        "line 4: the line has 4 cells, the header 3; a delimiter inside a value needs double quotes around the value"
      ])
      assert.deepInclude(entries[3] as object, { subject: "For Dan" })
    })
  )

  it.effect("refuses a header without the needed columns", () =>
    Effect.gen(function* () {
      const campaign = yield* greeting
      assert.match(yield* failure("phone,name\n", campaign), /has no column "to" or "email"; it names "phone", "name"/)
      assert.match(yield* failure("to\n"), /no column "from"; say who sends with --from/)
      assert.match(yield* failure("to,from\n"), /no column "subject"/)
      assert.match(
        yield* failure("to,nmae,city\n", campaign),
        /^--subject, line 1, column 5: the template names \{\{name\}\}.*write \{\{nmae\}\} if that is meant, or/
      )
      assert.match(yield* failure("to,city,CITY\n", campaign), /names the column "city" twice/)
    })
  )

  it.effect("stops at a quote that swallows the rest of the file", () =>
    Effect.gen(function* () {
      const text = `to,name,city\na@x.org,"Ann,Ulm\n${"b@x.org,Bob,Ulm\n".repeat(100)}`
      const entries = Csv.entries({ campaign: yield* greeting, maxRecordBytes: 200 })
      const error = yield* Effect.flip(read(entries, text, [30]))
      assert.match(error.message, /^line 2, column 9: the double quote is never closed/)
    })
  )

  it.effect.prop(
    "merges any value unchanged into text, and none as markup into HTML",
    { value: nastyText, sizes },
    Effect.fnUntraced(function* ({ value, sizes }) {
      const campaign = yield* campaignOf({ from: "n@x.org", subject: "s", text: "[{{city}}]", html: "[{{city}}]" })
      const text = `to,city\na@x.org,"${value.replaceAll('"', '""')}"\n`
      const [mail] = yield* mailsOf(yield* read(Csv.entries({ campaign }), text, sizes))
      if (value.includes("\0")) return assert.match(String(mail), /^line 2, data\.city: NUL is not allowed/)
      const { html, text: plain } = mail as { readonly text: string; readonly html: string }
      assert.strictEqual(plain, `[${value.replace(/\r\n?/g, "\n")}]`)
      assert.notMatch(html, /[<>"']|&(?!amp;|lt;|gt;|quot;|#39;)/)
    })
  )
})
