/**
 * Lists as programs export them: whose column is called otherwise, with empty rows, in UTF-16, with slips in them.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { folder } from "./support/command.ts"
import { mailrace } from "./support/inProcess.ts"

const texts = ["--from", "n@x.example", "--subject", "s"]

/** Sends a list to a server of its own; gives the status, what was said, and the recipients of each message. */
const send = (name: string, content: string | Uint8Array, flags: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const server = yield* TestServer.make()
    const dir = yield* folder
    const input = dir.write(name, content)
    const body = dir.write("body.txt", "Hello\n")
    const relay = ["--relay", `smtp://127.0.0.1:${server.port}`, "--progress", "none"]
    const log = dir.path("log.ndjson")
    const ended = yield* mailrace([
      "send",
      ...relay,
      "--deliveries",
      log,
      "-i",
      input,
      ...flags.map((flag) => (flag === "BODY" ? body : flag))
    ])
    return {
      ...ended,
      recipients: server.messages.map(({ to }) => to.map(({ address }) => address).join(" ")).sort(),
      messages: server.messages,
      log: ended.status === 2 ? [] : dir.lines("log.ndjson")
    }
  })

const campaign = [...texts, "--text-file", "BODY"]

describe("the recipients' column", () => {
  it.live.each([
    ["Mailchimp", "Email Address,First Name,Last Name,MEMBER_RATING\na@x.example,Ann,Lee,2\n"],
    ["HubSpot", "Record ID,First Name,Email,Lead Status\n17,Ann,a@x.example,New\n"],
    [
      "Google Contacts",
      "Name,Given Name,E-mail 1 - Type,E-mail 1 - Value,E-mail 2 - Value\nAnn,Ann,* Work,a@x.example,b@x.example\n"
    ],
    ["Outlook", "First Name,E-mail Address,E-mail Type,E-mail 2 Address\nAnn,a@x.example,SMTP,b@x.example\n"],
    ["Outlook in German", "Vorname;E-Mail-Adresse;E-Mail-Typ;E-Mail 2: Adresse\nAnn;a@x.example;SMTP;b@x.example\n"],
    ["Excel in French", "Nom;Adresse e-mail\nAnn;a@x.example\n"],
    ["Spanish", "Nombre;Correo electrónico\nAnn;a@x.example\n"],
    ["Russian", "Имя;Электронная почта\nAnn;a@x.example\n"],
    ["Japanese", "名前,メールアドレス\nAnn,a@x.example\n"],
    ["Brevo", "EMAIL,FIRSTNAME\na@x.example,Ann\n"],
    ["LDAP", "uid,mail\nann,a@x.example\n"],
    ["a programmer", "id,email_address\n1,a@x.example\n"]
  ] as const)("is found as %s calls it", ([, content]) =>
    Effect.gen(function* () {
      const { recipients, status, stderr } = yield* send("in.csv", content, campaign)
      assert.deepStrictEqual([status, recipients], [0, ["a@x.example"]], stderr)
    })
  )

  it.live("is the one that --to-column names, whatever other columns are called", () =>
    Effect.gen(function* () {
      const content = "email,Work Email\nprivate@x.example,work@x.example\n"
      const { recipients, stderr } = yield* send("in.csv", content, [...campaign, "--to-column", "work email"])
      assert.deepStrictEqual(recipients, ["work@x.example"], stderr)
    })
  )

  it.live("is an error that names the candidates if several fit, and if the named one is missing", () =>
    Effect.gen(function* () {
      const two = yield* send("in.csv", "E-Mail,Email Address,Name\na@x.example,b@x.example,Ann\n", campaign)
      assert.deepStrictEqual([two.status, two.recipients], [2, []])
      assert.include(two.stderr, 'more than one column that may hold the recipients: "E-Mail" and "Email Address"')
      assert.include(two.stderr, '  try: name the one that does: --to-column "E-Mail"\n')
      const none = yield* send("in.csv", "Name,Telefon\nAnn,1\n", campaign)
      assert.strictEqual(none.status, 2)
      assert.include(none.stderr, 'has no column "to" or "email"; it names "Name", "Telefon"')
      assert.include(none.stderr, "--to-column")
      const wrong = yield* send("in.csv", "Name,Kontakt\nAnn,a@x.example\n", [...campaign, "--to-column", "Kontkat"])
      assert.strictEqual(wrong.status, 2)
      assert.include(wrong.stderr, 'has no column "Kontkat", which --to-column names; it names "Name", "Kontakt"')
      assert.include(wrong.stderr, '--to-column "Kontakt"')
    })
  )

  it.live("does not override a template or --to", () =>
    Effect.gen(function* () {
      const content = "Email Address,Kontakt\nwrong@x.example,right@x.example\n"
      const { recipients, stderr } = yield* send("in.csv", content, [...campaign, "--to", "{{Kontakt}}"])
      assert.deepStrictEqual(recipients, ["right@x.example"], stderr)
    })
  )
})

describe("--to beside a column of recipients", () => {
  it.live("counts where the column is empty, which a warning tells who meant to try the list on himself", () =>
    Effect.gen(function* () {
      const people = "email,name\na@x.example,Ann\n,Bob\n"
      const sent = yield* send("in.csv", people, [...campaign, "--to", "me@x.example"])
      assert.deepStrictEqual([sent.status, sent.recipients], [0, ["a@x.example", "me@x.example"]])
      assert.strictEqual(
        sent.stderr,
        'the column "email" says who receives each message; --to counts only where it is empty\n'
      )
      const without = yield* send("in.csv", "name\nAnn\n", [...campaign, "--to", "me@x.example"])
      assert.deepStrictEqual([without.status, without.recipients, without.stderr], [0, ["me@x.example"], ""])
    })
  )
})

describe("--to with merge fields", () => {
  it.live("is filled in for each line, also where a line says all else itself", () =>
    Effect.gen(function* () {
      const csv = yield* send("in.csv", "kontakt,name\na@x.example,Ann\nb@x.example,Bob\n", [
        ...campaign,
        "--to",
        "{{name}} <{{kontakt}}>"
      ])
      assert.deepStrictEqual([csv.status, csv.recipients], [0, ["a@x.example", "b@x.example"]], csv.stderr)
      const own = yield* send(
        "in.ndjson",
        '{"from":"n@x.example","subject":"s","text":"t","data":{"kontakt":"c@x.example"}}\n',
        ["--to", "{{kontakt}}", "--to", "office@x.example"]
      )
      assert.deepStrictEqual([own.status, own.recipients], [0, ["c@x.example office@x.example"]], own.stderr)
    })
  )

  it.live("names the place of a field that no column has, and takes no list from a value", () =>
    Effect.gen(function* () {
      const missing = yield* send("in.csv", "kontakt\na@x.example\n", [...campaign, "--to", "{{Kontackt}}"])
      assert.strictEqual(missing.status, 2)
      assert.match(missing.stderr, /--to, line 1, column 1: the template names \{\{Kontackt\}\}.*"kontakt"/)
      const list = yield* send("in.csv", 'kontakt,n\n"a@x.example, b@x.example",1\n', [
        ...campaign,
        "--to",
        "{{kontakt}}"
      ])
      assert.deepStrictEqual([list.status, list.recipients], [1, []])
    })
  )
})

describe("a spreadsheet's leftovers", () => {
  it.live.each([
    ["rows of delimiters only", "email,name,code\na@x.example,Ann,1\n,,\n , ,\nb@x.example,Bob,2\n,,,,\n,,\n"],
    ["blank lines before the header", "\r\n\r\nemail;name\r\na@x.example;Ann\r\nb@x.example;Bob\r\n"],
    ["a byte order mark and a blank line before the header", "\uFEFF\nemail,name\na@x.example,Ann\nb@x.example,Bob"],
    ["rows of delimiters before the header", ",,\n,,\nemail;name;x\na@x.example;Ann;1\nb@x.example;Bob;\n"],
    ["a comma at the end of the header alone", "email,name,\na@x.example,Ann\nb@x.example,Bob\n"],
    ["the line that tells Excel the delimiter", "sep=;\r\nemail;name\r\na@x.example;Ann\r\nb@x.example;B,o,b,,,\r\n"]
  ] as const)("are passed over: %s", ([, content]) =>
    Effect.gen(function* () {
      const { log, recipients, status, stderr } = yield* send("in.csv", content, [
        ...campaign,
        "--on-bad-line",
        "abort"
      ])
      assert.deepStrictEqual([status, recipients], [0, ["a@x.example", "b@x.example"]], stderr)
      assert.deepStrictEqual(log.map(({ index }) => index).sort(), [0, 1])
    })
  )

  it.live("do not hide a row that lacks cells, nor move the lines that are named", () =>
    Effect.gen(function* () {
      const content = "\n\nemail,name,code,\nb@x.example,Bob,2\n,,\na@x.example,Ann\n"
      const { recipients, status, stderr } = yield* send("in.csv", content, campaign)
      assert.deepStrictEqual([status, recipients], [1, ["b@x.example"]])
      assert.include(stderr, 'skipped line 6, field "code": it is missing: the line has 2 cells, the header 3')
    })
  )
})

/** A text in UTF-16. */
const utf16 = (text: string, { big = false, mark = true } = {}): Uint8Array => {
  const bytes = Buffer.from((mark ? "\uFEFF" : "") + text, "utf16le")
  return big ? bytes.swap16() : bytes
}

describe("UTF-16", () => {
  it.live.each([
    ["little-endian, with its mark", {}],
    ["big-endian, with its mark", { big: true }],
    ["little-endian, without a mark", { mark: false }],
    ["big-endian, without a mark", { big: true, mark: false }]
  ] as const)("is read: %s", ([, how]) =>
    Effect.gen(function* () {
      const dir = yield* folder
      const text = dir.write("text.txt", utf16("Grüße, {{name}} 😀\n", how))
      const list = dir.write("out.txt", utf16("gone@x.example\r\n", how))
      const csv = "email\tname\r\na@x.example\tJürgen\r\ngone@x.example\tEva\r\n"
      const { messages, recipients, status, stderr } = yield* send("in.csv", utf16(csv, how), [
        ...texts,
        "--text-file",
        text,
        "--suppress",
        list
      ])
      assert.deepStrictEqual([status, recipients], [0, ["a@x.example"]], stderr)
      assert.include(decoded(messages[0]!.content), "Grüße, Jürgen 😀")
      const line = '{"from":"n@x.example","to":"b@x.example","subject":"Grüße 😀","text":"t"}\n'
      const ndjson = yield* send("in.ndjson", utf16(line + line, how), [])
      assert.deepStrictEqual([ndjson.status, ndjson.recipients], [0, ["b@x.example", "b@x.example"]], ndjson.stderr)
    })
  )

  it.live("that is broken off is refused, and not mended", () =>
    Effect.gen(function* () {
      const { status, stderr } = yield* send("in.csv", utf16("email\na@x.example\n").subarray(0, -1), campaign)
      assert.strictEqual(status, 2)
      assert.include(stderr, "is not valid UTF-16")
    })
  )
})

/** The last part of a message in base64 or quoted-printable, as its reader sees it. */
const decoded = (content: Uint8Array): string => {
  const text = Buffer.from(content).toString("latin1")
  const body = text.slice(text.indexOf("\r\n\r\n") + 4)
  if (/^content-transfer-encoding: base64/im.test(text)) return Buffer.from(body, "base64").toString()
  return Buffer.from(
    body
      .replaceAll("=\r\n", "")
      .replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
    "latin1"
  ).toString()
}

describe("a day that is not in the calendar", () => {
  it.live.each(["2027-02-30T09:00", "2027-04-31", "2027-02-29", "2027-13-01", "2027-06-00", "2100-02-29T00:00Z"])(
    "is not a time: %s",
    (day) =>
      Effect.gen(function* () {
        const dir = yield* folder
        const db = ["--db", dir.path("o.db")]
        const input = dir.write("in.ndjson", '{"from":"n@x.example","to":"a@x.example","subject":"s","text":"t"}\n')
        const later = yield* mailrace(["outbox", "enqueue", ...db, "-i", input, "--send-at", day])
        assert.deepStrictEqual([later.status, later.stdout], [2, ""])
        assert.include(later.stderr, `--send-at: "${day}" is not a time: there is no ${day.slice(0, 10)}`)
        yield* mailrace(["outbox", "enqueue", ...db, "-i", input])
        for (const flag of ["--since", "--until"]) {
          const listed = yield* mailrace(["outbox", "list", ...db, flag, day])
          assert.deepStrictEqual([listed.status, listed.stdout], [2, ""], listed.stderr)
        }
      })
  )

  it.live("is distinguished from a valid one, such as 29 February of a leap year", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const input = dir.write("in.ndjson", '{"from":"n@x.example","to":"a@x.example","subject":"s","text":"t"}\n')
      const db = ["--db", dir.path("o.db")]
      const { status, stderr } = yield* mailrace(["outbox", "enqueue", ...db, "-i", input, "--send-at", "2028-02-29"])
      assert.strictEqual(status, 0, stderr)
    })
  )
})

describe("a line of JSON", () => {
  it.live.each(["body", "message", "content", "bodyText", "html_body"])("whose body is called %s is bad", (name) =>
    Effect.gen(function* () {
      const line = `{"from":"n@x.example","to":"a@x.example","subject":"s","${name}":"words"}\n`
      const good = '{"from":"n@x.example","to":"b@x.example","subject":"s","text":"t"}\n'
      const { recipients, status, stderr } = yield* send("in.ndjson", line + good, [])
      assert.deepStrictEqual([status, recipients], [1, ["b@x.example"]])
      assert.include(stderr, `skipped line 1, field "${name}": a mail has no such field`)
      assert.include(stderr, `write ${name.startsWith("html") ? "html" : "text"} instead`)
    })
  )

  it.live("may have such a field beside its text, or where the body comes from elsewhere", () =>
    Effect.gen(function* () {
      const line = '{"from":"n@x.example","to":"a@x.example","subject":"s","body":"words"'
      const beside = yield* send("in.ndjson", `${line},"text":"t"}\n`, [])
      assert.deepStrictEqual([beside.status, beside.recipients], [0, ["a@x.example"]])
      const flag = yield* send("in.ndjson", `${line}}\n`, ["--text-file", "BODY"])
      assert.deepStrictEqual([flag.status, flag.recipients], [0, ["a@x.example"]])
    })
  )

  it.live("may ask for the null sender, or is bad", () =>
    Effect.gen(function* () {
      const mail = (more: string) => `{"from":"n@x.example","to":"a@x.example","subject":"s","text":"t",${more}}\n`
      const content =
        mail('"envelope":{"from":""}') +
        mail('"envelope":{"from":"bounce@x.example","to":["b@x.example"]}') +
        mail('"envelope":{"from":null}') +
        mail('"envelope":{"from":"<>"}') +
        mail('"envelope":""')
      const { messages, recipients, status, stderr } = yield* send("in.ndjson", content, [])
      assert.strictEqual(status, 1)
      assert.deepStrictEqual(recipients, ["a@x.example", "b@x.example"])
      assert.deepStrictEqual(messages.map(({ from }) => from.address).sort(), ["", "bounce@x.example"])
      assert.match(stderr, /line 3, field "envelope\.from"/)
      assert.match(stderr, /line 4, field envelope\.from/)
      assert.match(stderr, /line 5, field "envelope"/)
    })
  )

  it.live("keeps its null sender on the way through an outbox, and with a template", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const line = '{"from":"n@x.example","to":"a@x.example","envelope":{"from":""},"subject":"s","text":"t"}\n'
      const relay = ["--relay", `smtp://127.0.0.1:${server.port}`, "--progress", "none"]
      const input = dir.write("in.ndjson", line)
      const durable = yield* mailrace(["send", ...relay, "-i", input, "--durable", dir.path("o.db")])
      assert.strictEqual(durable.status, 0, durable.stderr)
      const template = dir.write("t.json", '{"from":"n@x.example","subject":"s","text":"t"}')
      const filled = yield* mailrace(["send", ...relay, "-i", input, "-t", template, "--durable", dir.path("p.db")])
      assert.strictEqual(filled.status, 0, filled.stderr)
      assert.deepStrictEqual(
        server.messages.map(({ from }) => from.address),
        ["", ""]
      )
    })
  )
})

describe("an invalid address", () => {
  it.live("is reported with its column, value and line, in the deliveries too", () =>
    Effect.gen(function* () {
      const content = `Name,Email\nAnn,ann at x.example\nBob,b@x.example\nEve,"${"e".repeat(300)}\u001B[31m\n"\n`
      const { log, recipients, status, stderr } = yield* send("in.csv", content, campaign)
      assert.deepStrictEqual([status, recipients], [1, ["b@x.example"]])
      assert.match(stderr, /skipped line 2, field to\.address: .* \(column "Email", "ann at x\.example"\)\n/)
      assert.match(stderr, /skipped line 4, field to\.address: .* \(column "Email", "e{59}…"\)\n/)
      const bad = log.find(({ index }) => index === 0)
      assert.deepInclude(bad, { outcome: "invalid", place: "line 2" })
      assert.deepInclude((bad!["recipients"] as Array<object>)[0], { address: "ann at x.example", outcome: "invalid" })
    })
  )

  it.live("is reported in the same way by a dry run and by enqueue", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const input = dir.write("in.csv", "Email,name\nann at x.example,Ann\n")
      const flags = ["-i", input, ...texts, "--text-file", dir.write("b.txt", "Hi")]
      for (const args of [
        ["send", "--dry-run"],
        ["outbox", "enqueue", "--db", dir.path("o.db")],
        ["send", "--durable", dir.path("p.db"), "--relay", `smtp://127.0.0.1:${server.port}`]
      ]) {
        const { status, stderr } = yield* mailrace([...args, ...flags])
        assert.strictEqual(status, 1, stderr)
        assert.match(stderr, /line 2, field "?to\.address"?: .* \(column "Email", "ann at x\.example"\)/)
      }
      const json = dir.write("in.ndjson", '{"from":"n@x.example","to":"ann at x","subject":"s","text":"t"}\n')
      const { stderr } = yield* mailrace(["send", "--dry-run", "-i", json])
      assert.match(stderr, /line 1, field to: .* \("ann at x"\)/)
    })
  )
})

describe("--idempotency-key-field", () => {
  it.live("that no line has stops at the first", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const line = '{"from":"n@x.example","to":"a@x.example","subject":"s","text":"t","data":{"order":1}}\n'
      const csv = dir.write("in.csv", "email,name\na@x.example,Ann\nb@x.example,Bob\n")
      const inputs = [
        ["-i", dir.write("in.ndjson", line + line)],
        ["-i", csv, ...texts, "--text-file", csv]
      ]
      for (const input of inputs) {
        const args = ["outbox", "enqueue", "--db", dir.path("o.db"), ...input]
        const { status, stderr, stdout } = yield* mailrace([...args, "--idempotency-key-field", "id"])
        assert.deepStrictEqual([status, stdout], [2, ""])
        assert.match(
          stderr,
          /^mailrace: line [12] has no id, which --idempotency-key-field names\n {2}try: name a column/
        )
        const skipping = yield* mailrace([...args, "--idempotency-key-field", "id", "--on-bad-line", "skip"])
        assert.strictEqual(skipping.status, 1)
      }
    })
  )
})
