import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Csv from "../../src/input/Csv.ts"
import { describe as inWords, type Entry } from "../../src/input/Entry.ts"
import * as Merge from "../../src/input/Merge.ts"
import { read, sizes } from "../support/chunks.ts"
import { nastyText } from "../support/text.ts"

const campaign: Merge.Defaults = {
  from: "news@x.org",
  subject: Merge.compile("For {{name}}", "header"),
  text: Merge.compile("Dear {{ name }} of {{City}}", "text"),
  html: Merge.compile("<p>Dear {{name}}</p>", "html")
}

const mailsOf = (entries: ReadonlyArray<Entry>) =>
  entries.map((entry) => (entry._tag === "MailEntry" ? entry.mail : inWords(entry)))
const failure = (text: string, defaults?: Merge.Defaults) =>
  Effect.map(Effect.flip(read(Csv.entries({ defaults }), text)), (error) => error.message)

describe("Csv", () => {
  it.effect("makes a mail of each line and merges its cells", () =>
    Effect.gen(function* () {
      const text = 'email,name,city,cc\nann@x.org,Ann <3,"Bern, CH",\nbob@x.org,Bob,Ulm,eve@x.org\n'
      const entries = yield* read(Csv.entries({ defaults: campaign }), text, [3])
      assert.deepStrictEqual(mailsOf(entries) as unknown, [
        {
          from: "news@x.org",
          to: { name: "Ann <3", address: "ann@x.org" },
          subject: "For Ann <3",
          text: "Dear Ann <3 of Bern, CH",
          html: "<p>Dear Ann &lt;3</p>"
        },
        {
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

  it.effect("prefers what the line says to what the flags say", () =>
    Effect.gen(function* () {
      const defaults: Merge.Defaults = { from: "news@x.org", subject: Merge.compile("all", "header") }
      const [mail] = mailsOf(yield* read(Csv.entries({ defaults }), "to,From,subject\na@x.org,own@x.org,own\n"))
      assert.deepInclude(mail as object, { from: "own@x.org", subject: "own" })
    })
  )

  it.effect("never lets a cell break the subject's line", () =>
    Effect.gen(function* () {
      const text = 'to,name,city\na@x.org,"Ann\nBcc: eve@x.org",Ulm\nb@x.org,Bob,Ulm\n'
      const [bad, good] = mailsOf(yield* read(Csv.entries({ defaults: campaign }), text))
      assert.strictEqual(bad, 'line 2, field "name": it holds a line break and would be put into the subject')
      assert.deepInclude(good as object, { subject: "For Bob" })
    })
  )

  it.effect("names the line and the field of what is missing", () =>
    Effect.gen(function* () {
      const text = "to,name,city\na@x.org,Ann\n,Bob,Ulm\nc@x.org,Cid,Ulm,more\nd@x.org,Dan,Ulm,,\n"
      const entries = mailsOf(yield* read(Csv.entries({ defaults: campaign }), text))
      assert.deepStrictEqual(entries.slice(0, 3) as unknown, [
        'line 2, field "city": it is missing: the line has 2 cells, the header 3',
        'line 3, field "to": it is missing',
        "line 4: the line has 4 cells, the header 3; a delimiter inside a value needs double quotes around the value"
      ])
      assert.deepInclude(entries[3] as object, { subject: "For Dan" })
    })
  )

  it.effect("refuses a header that cannot give what is to be sent", () =>
    Effect.gen(function* () {
      assert.match(yield* failure("mail,name\n", campaign), /has no column "to" or "email"; it names "mail", "name"/)
      assert.match(yield* failure("to\n"), /no column "from"; say who sends with --from/)
      assert.match(yield* failure("to,from\n"), /no column "subject"/)
      assert.match(yield* failure("to,nmae,city\n", campaign), /\{\{name\}\}.*write \{\{nmae\}\} if that is meant/)
      assert.match(yield* failure("to,city,CITY\n", campaign), /names the column "city" twice/)
    })
  )

  it.effect("stops at a quote that swallows the rest of the file", () =>
    Effect.gen(function* () {
      const text = `to,name,city\na@x.org,"Ann,Ulm\n${"b@x.org,Bob,Ulm\n".repeat(100)}`
      const entries = Csv.entries({ defaults: campaign, maxRecordBytes: 200 })
      const error = yield* Effect.flip(read(entries, text, [30]))
      assert.match(error.message, /^line 2, column 9: the double quote is never closed/)
    })
  )

  it.effect.prop(
    "merges any values as they are into text, and none as markup into HTML",
    { value: nastyText, sizes },
    Effect.fnUntraced(function* ({ value, sizes }) {
      const defaults: Merge.Defaults = {
        from: "n@x.org",
        subject: Merge.compile("s", "header"),
        text: Merge.compile("[{{city}}]", "text"),
        html: Merge.compile("[{{city}}]", "html")
      }
      const text = `to,city\na@x.org,"${value.replaceAll('"', '""')}"\n`
      const [entry] = yield* read(Csv.entries({ defaults }), text, sizes)
      assert.strictEqual(entry?._tag, "MailEntry")
      const mail = entry?._tag === "MailEntry" ? (entry.mail as { text?: string; html?: string }) : {}
      assert.strictEqual(mail.text, `[${value}]`)
      assert.notMatch(mail.html ?? "<", /[<>"']|&(?!amp;|lt;|gt;|quot;|#39;)/)
    })
  )
})
