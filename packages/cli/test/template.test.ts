/**
 * `mailrace send --template`: one file filled in for each line, whatever its kind, and nothing in a line can break it.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync } from "node:fs"
import { folder, mailrace, start } from "./support/command.ts"
import { mailrace as inProcess } from "./support/inProcess.ts"

const sendTo = (server: TestServer.TestServerService, ...args: ReadonlyArray<string>) =>
  mailrace(["send", "--progress", "none", "-r", `smtp://127.0.0.1:${server.port}`, ...args])

const dryRun = (...args: ReadonlyArray<string>) => mailrace(["send", "--dry-run", ...args])

/** What the server got, by recipient. */
const received = (server: TestServer.TestServerService): Map<string, string> =>
  new Map(
    server.messages.map(({ content, to }) => [
      to.map(({ address }) => address).join(),
      // Lines that quoted-printable broke are joined.
      Buffer.from(content).toString().replaceAll("=\r\n", "").replaceAll("=3D", "=")
    ])
  )

const said = ["--from", "News <news@x.example>", "--subject", "Hello {{name}}"]

describe.concurrent("mailrace send --template", () => {
  it.live("fills an HTML in with the columns of a CSV, which can inject nothing", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const template = dir.write(
        "hello.html",
        '<p title="{{Name}}">Dear {{Name}} of {{city|"your town"}}</p><a href="{{link}}">{{order.id}}</a>'
      )
      const input = dir.write(
        "people.csv",
        [
          "email,name,city,link,order.id",
          'ann@x.example,"<b>""Ann""</b>",,https://x.example/?a=1&b=2,17',
          'bob@x.example,"Bob\r\nBcc: eve@x.example",Ulm,https://x.example,18',
          "cid@x.example,Cid,Ulm,javascript:alert(1),19",
          'dan@x.example,Dan,"--b\r\n\r\n.\r\nMAIL FROM:<eve@x.example>",/,20'
        ].join("\r\n")
      )
      const files = ["--report", dir.path("run.json"), "--deliveries", dir.path("out.ndjson")]
      const { status, stderr } = yield* sendTo(server, "-t", template, ...said, "-i", input, ...files)
      assert.strictEqual(status, 1)
      const faults = stderr.trimEnd().split("\n").sort()
      assert.match(faults[0]!, /^skipped line 3, field to\.name: a carriage return is not allowed/)
      assert.match(
        faults[1]!,
        /^skipped line 5, field data\.link: an address that begins with "javascript:" is not allowed here \(html, line 1, /
      )
      assert.strictEqual(faults.length, 2)
      const mails = received(server)
      assert.deepStrictEqual([...mails.keys()].sort(), ["ann@x.example", "dan@x.example"])
      assert.deepStrictEqual(server.protocolErrors, [])
      const ann = mails.get("ann@x.example")!
      assert.match(ann, /^Subject: Hello <b>"Ann"<\/b>\r$/m)
      assert.include(ann, '<p title="&lt;b&gt;&quot;Ann&quot;&lt;/b&gt;">Dear &lt;b&gt;')
      assert.include(ann, 'of your town</p><a href="https://x.example/?a=1&amp;b=2">17</a>')
      assert.include(ann, 'Dear <b>"Ann"</b> of your town')
      assert.deepInclude(JSON.parse(dir.read("run.json")), { total: 4, accepted: 2, invalid: 2 })
      const bad = dir.lines("out.ndjson").find(({ index }) => index === 1)
      assert.deepInclude(bad!, { outcome: "invalid", attempts: 0 })
    })
  )

  it.live("takes the author's fields of an .eml, and the flags before those", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const template = dir.write(
        "draft.eml",
        "From: Me <me@x.example>\nTo: myself@x.example\nSubject: Draft {{n}}\nMessage-ID: <old@x>\nX-Campaign: may\n\nNo. {{n}}\n"
      )
      const input = dir.write("people.ndjson", `{"to":"ann@x.example","cc":"bob@x.example","data":{"n":7}}\n`)
      const { status, stderr } = yield* sendTo(server, "-t", template, "--from", "news@x.example", "-i", input)
      assert.deepStrictEqual([status, stderr], [0, ""])
      const mail = received(server).get("ann@x.example,bob@x.example")!
      for (const line of ["From: news@x.example", "To: ann@x.example", "Subject: Draft 7", "X-Campaign: may", "No. 7"])
        assert.include(mail, `${line}\r\n`)
      assert.notInclude(mail, "old@x")
    })
  )

  it.live("takes a .json with files from its folder, and a line's own files besides", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      dir.write("terms.txt", "the terms")
      dir.write("own.txt", "for Bob alone")
      const template = dir.write(
        "mail.json",
        JSON.stringify({
          from: "{{shop}} <news@x.example>",
          to: "{{email}}",
          subject: "{{#if paid}}Thank you{{else}}Please pay{{/if}}",
          text: "{{#each items}}- {{name}}\n{{/each}}",
          headers: { "X-Order": "{{order}}" },
          attachments: [{ path: "terms.txt" }]
        })
      )
      const line = (data: object, more: object = {}): string => `${JSON.stringify({ data, ...more })}\n`
      const input = dir.write(
        "people.ndjson",
        line({
          shop: "A, B",
          email: "ann@x.example",
          paid: true,
          items: [{ name: "tea" }, { name: "<pot>" }],
          order: 1
        }) +
          line({ shop: "S", items: [], order: 2 }, { to: "bob@x.example", attachments: [{ path: "own.txt" }] }) +
          line({ shop: "S", items: [], order: 3 })
      )
      const { status, stderr } = yield* sendTo(server, "--template", template, "-i", input)
      assert.strictEqual(status, 1)
      assert.match(
        stderr,
        /^skipped line 3: data\.email: the template needs it, it is missing \(to, line 1, column 1\)\n$/
      )
      const mails = received(server)
      const ann = mails.get("ann@x.example")!
      assert.match(ann, /^From: "A, B" <news@x\.example>\r$/m)
      assert.match(ann, /^Subject: Thank you\r$/m)
      assert.match(ann, /^X-Order: 1\r$/m)
      assert.include(ann, "- tea\r\n- <pot>\r\n")
      assert.include(ann, Buffer.from("the terms").toString("base64"))
      const bob = mails.get("bob@x.example")!
      assert.match(bob, /^Subject: Please pay\r$/m)
      assert.include(bob, Buffer.from("the terms").toString("base64"))
      assert.include(bob, Buffer.from("for Bob alone").toString("base64").slice(0, 16))
      assert.notInclude(ann, "own.txt")
    })
  )

  it.live("follows the policy for missing fields", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const template = dir.write("hi.txt", "Hi {{name}}, {{code}}.")
      const input = dir.write("people.csv", "to,name\nann@x.example,Ann\n")
      const args = ["-t", template, "--from", "n@x.example", "--subject", "s", "-i", input, "--preview", "1"]
      const preview = ["--preview-dir", dir.path("seen")]
      const refused = yield* dryRun(...args, ...preview)
      assert.deepStrictEqual([refused.status, refused.stdout], [2, ""])
      assert.match(
        refused.stderr,
        /^mailrace: .*hi\.txt, line 1, column 14: the template names \{\{code\}\}, the CSV header has no such column; it names "to", "name"\n {2}try: .*--missing empty/
      )
      for (const [missing, shown] of [
        ["empty", "Hi Ann, ."],
        ["keep", "Hi Ann, {{code}}."]
      ] as const) {
        const { status, stderr, stdout } = yield* dryRun(...args, ...preview, "--missing", missing)
        assert.deepStrictEqual([status, stderr], [0, ""])
        assert.include(stdout, shown)
      }
      const lines = dir.write("people.ndjson", `{"to":"ann@x.example","data":{"name":"Ann"}}\n`)
      const line = yield* dryRun("-t", template, "--from", "n@x.example", "--subject", "s", "-i", lines)
      assert.strictEqual(line.status, 1)
      assert.match(
        line.stderr,
        /^bad line 1, field data\.code: the template needs it, it is missing \(text, line 1, column 14\)/
      )
    })
  )

  it.live("stops before it connects when the template is wrong, and says where and what to do", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const input = ["-i", dir.write("people.csv", "to,name\nann@x.example,Ann\n")]
      const template = ["-t", dir.write("a.html", "<p>\n{{#if name}}x</p>"), ...said]
      const eml = dir.write("in.eml", "From: a@x.example\nTo: b@x.example\n\nHi\n")
      const broken = yield* sendTo(server, ...template, ...input)
      assert.deepStrictEqual([broken.status, broken.stdout], [2, ""])
      assert.match(broken.stderr, /^mailrace: .*a\.html, line 2, column 1: .* is never closed\n {2}try: add .*\n$/)
      const whole = yield* sendTo(server, ...template, "-i", eml)
      assert.strictEqual(whole.status, 2)
      assert.match(whole.stderr, /an \.eml file as --input is a whole message.*\n {2}try: .*give people as --input/)
      assert.deepStrictEqual([server.connections.length, server.messages.length], [0, 0])
    })
  )

  it.live("shows in a dry run what would be sent", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const template = dir.write("hello.html", "<h1>Dear {{name}}</h1><p>you owe {{sum}} €</p>")
      const input = dir.write(
        "people.csv",
        "to,name,sum\nann@x.example,Ann,1\nbob@x.example,Bob,2\ncid@x.example,Cid,3\n"
      )
      const preview = ["--preview", "2", "--preview-dir", dir.path("seen")]
      const { status, stderr, stdout } = yield* dryRun("-t", template, ...said, "-i", input, ...preview)
      assert.deepStrictEqual([status, stderr], [0, ""])
      assert.match(stdout, /To: +Ann <ann@x\.example>\nSubject: +Hello Ann\n[^]*Dear Ann[^]*you owe 1 €[^]*Hello Bob/)
      assert.notInclude(stdout, "Cid")
      assert.match(stdout, /\n3 of 3 messages composed, .*; nothing was sent\n/)
      assert.deepStrictEqual(readdirSync(dir.path("seen")).sort(), ["1.eml", "2.eml"])
    })
  )

  it.live("ends a dry run in good order at Ctrl-C", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const template = dir.write("hello.txt", "Dear {{name}}")
      const args = ["send", "--dry-run", "-t", template, "--from", "n@x.example", "--subject", "s", "-i", "-"]
      const preview = ["--preview", "1", "--preview-dir", dir.path("seen")]
      const stdin = `{"to":"ann@x.example","data":{"name":"Ann"}}\n`
      const running = yield* start([...args, ...preview], { stdin, keepStdin: true })
      yield* Effect.callback<void>((resume) => {
        running.process.stdout!.once("data", () => resume(Effect.void))
      })
      running.process.kill("SIGINT")
      const { status, stderr, stdout } = yield* running.ended
      assert.deepStrictEqual([status, stderr], [130, ""])
      assert.match(stdout, /Dear Ann[^]*\n1 of 1 messages composed, .*; nothing was sent\n/)
    })
  )

  it.live("finds a field of a link that an editor has percent-encoded, in every kind of template", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const link = "https://x.example/%7B%7Bid%7D%7D"
      const templates = [
        dir.write("t.html", `<a href="${link}">u</a>`),
        dir.write("t.txt", `see ${link}`),
        dir.write("t.eml", `From: n@x.example\r\nSubject: s\r\nContent-Type: text/html\r\n\r\n<a href="${link}">u</a>`),
        dir.write("t.json", JSON.stringify({ html: `<a href="${link}">u</a>` }))
      ]
      const without = dir.write("without.csv", "email,name\na@x.example,A\n")
      const withId = dir.write("with.csv", "email,name,id\na@x.example,A,7%\n")
      const flags = ["--from", "n@x.example", "--subject", "s"]
      for (const template of templates) {
        const missing = yield* inProcess(["send", "--dry-run", "-t", template, ...flags, "-i", without])
        assert.strictEqual(missing.status, 2, template)
        assert.include(missing.stderr, "the template names {{id}}, the CSV header has no such column", template)
        const preview = ["--preview", "1", "--preview-dir", dir.path("seen")]
        const sent = yield* inProcess(["send", "--dry-run", "-t", template, ...flags, "-i", withId, ...preview])
        assert.deepStrictEqual([sent.status, sent.stderr], [0, ""])
        assert.match(dir.read("seen/1.eml"), /https:\/\/x\.example\/7%/, template)
      }
    })
  )
})
