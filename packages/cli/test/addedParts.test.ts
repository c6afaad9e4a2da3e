/**
 * What the flags add to all mails: `--header`, `--reply-to`, `--attach`, `--list-unsubscribe`, `--body-field`.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { simpleParser } from "mailparser"
import { folder } from "./support/command.ts"
import { mailrace } from "./support/inProcess.ts"

const added = [
  "--header",
  "X-Campaign: spring {{name}}",
  "--header",
  "X-Tag: one",
  "--header",
  "X-Tag: two",
  "--reply-to",
  "Help {{name}} <help@x.example>",
  "--list-unsubscribe",
  "https://x.example/leave?who={{id}}",
  "--list-unsubscribe",
  "mailto:leave@x.example?subject={{id}}"
]

/** The header's lines, unfolded. */
const headerOf = (content: Uint8Array): ReadonlyArray<string> => {
  const text = Buffer.from(content).toString()
  return text
    .slice(0, text.indexOf("\r\n\r\n"))
    .replaceAll(/\r\n(?=[ \t])/g, "")
    .split("\r\n")
}

const setUp = Effect.gen(function* () {
  const server = yield* TestServer.make()
  const dir = yield* folder
  const relay = ["--relay", `smtp://127.0.0.1:${server.port}`, "--progress", "none"]
  const people = dir.write("people.csv", "email,name,id\na@x.example,Ann,a b&c\n")
  const text = dir.write("text.txt", "Hello {{name}}\n")
  const file = dir.write("terms & conditions.pdf", Buffer.from([0, 1, 2, 255]))
  return { server, dir, relay, people, text, file }
})

const texts = ["--from", "n@x.example", "--subject", "s"]

describe("parts that flags add", () => {
  it.live(
    "is in each mail with its fields filled in, of a template of any kind and of flags, sent at once or later",
    () =>
      Effect.gen(function* () {
        const { dir, file, people, relay, server, text } = yield* setUp
        const eml = "From: n@x.example\r\nSubject: s\r\nX-Own: 1\r\nX-Campaign: old\r\n\r\nHello {{name}}\r\n"
        const json = { from: "n@x.example", subject: "s", text: "Hello {{name}}", headers: { "X-Own": "1" } }
        const ways = [
          [...texts, "--text-file", text],
          [...texts, "-t", dir.write("t.html", "<p>Hello {{name}}</p>")],
          ["-t", dir.write("t.eml", eml)],
          ["-t", dir.write("t.json", JSON.stringify(json))]
        ]
        let number = 0
        for (const way of ways) {
          const args = ["-i", people, ...way, ...added, "--attach", file, "--attach", text]
          const db = dir.path(`${number++}.db`)
          for (const steps of [
            [["send", ...relay, ...args]],
            [["send", ...relay, ...args, "--durable", `${db}.durable`]],
            [
              ["outbox", "enqueue", "--db", db, ...args],
              ["outbox", "run", "--drain", "--db", db, ...relay]
            ]
          ]) {
            for (const step of steps) {
              const { status, stderr } = yield* mailrace(step)
              assert.strictEqual(status, 0, stderr)
            }
            const { content } = server.messages.at(-1)!
            const header = headerOf(content)
            assert.includeMembers(header as Array<string>, [
              "X-Campaign: spring Ann",
              "X-Tag: one",
              "X-Tag: two",
              "Reply-To: Help Ann <help@x.example>",
              "List-Unsubscribe: <mailto:leave@x.example?subject=a%20b%26c>, <https://x.example/leave?who=a%20b%26c>",
              "List-Unsubscribe-Post: List-Unsubscribe=One-Click"
            ])
            if (number > 2) assert.include(header, "X-Own: 1")
            assert.lengthOf(
              header.filter((line) => line.startsWith("X-Campaign:")),
              1
            )
            const { attachments, text: body } = yield* Effect.promise(() => simpleParser(Buffer.from(content)))
            assert.deepStrictEqual(
              attachments.map(({ content, filename }) => [filename, [...content].slice(0, 4)] as const),
              [
                ["terms & conditions.pdf", [0, 1, 2, 255]],
                ["text.txt", [...Buffer.from("Hell")]]
              ]
            )
            assert.include(body, "Hello Ann")
          }
        }
      })
  )

  it.live("gives way to a line's own field, and is added to lines without it", () =>
    Effect.gen(function* () {
      const { dir, file, relay, server } = yield* setUp
      const line = {
        from: "n@x.example",
        to: "a@x.example",
        subject: "own",
        text: "own text",
        replyTo: "own@x.example",
        headers: { "x-campaign": "own" },
        attachments: [{ filename: "own.txt", content: "own" }],
        data: { name: "Ann", id: 7 }
      }
      const input = dir.write("in.ndjson", `${JSON.stringify(line)}\n`)
      const { status, stderr } = yield* mailrace(["send", ...relay, "-i", input, ...added, "--attach", file])
      assert.strictEqual(status, 0, stderr)
      const { content } = server.messages[0]!
      const header = headerOf(content)
      assert.includeMembers(header as Array<string>, ["x-campaign: own", "X-Tag: one", "Reply-To: own@x.example"])
      assert.notInclude(header, "X-Campaign: spring Ann")
      const { attachments, text } = yield* Effect.promise(() => simpleParser(Buffer.from(content)))
      assert.deepStrictEqual(attachments.map(({ filename }) => filename).sort(), ["own.txt", "terms & conditions.pdf"])
      assert.include(text, "own text")
    })
  )

  it.live("is in no mail where its value would break the header", () =>
    Effect.gen(function* () {
      const { dir, relay, server, text } = yield* setUp
      const people = dir.write("bad.csv", 'email,name,id\na@x.example,"Ann\nBcc: eve@x.example",1\nb@x.example,Bob,2\n')
      const { status } = yield* mailrace(["send", ...relay, "-i", people, ...texts, "--text-file", text, ...added])
      assert.strictEqual(status, 1)
      assert.deepStrictEqual(
        server.messages.map(({ to }) => to[0]!.address),
        ["b@x.example"]
      )
    })
  )

  it.live("stops the command where a flag is wrong, before anything is sent", () =>
    Effect.gen(function* () {
      const { dir, people, relay, server, text } = yield* setUp
      const eml = dir.write("a.eml", "From: n@x.example\nTo: a@x.example\nSubject: s\n\nHi\n")
      const campaign = ["-i", people, ...texts, "--text-file", text]
      const cases: ReadonlyArray<readonly [ReadonlyArray<string>, RegExp]> = [
        [[...campaign, "--header", "no colon"], /--header "no colon" has no name before a colon\n {2}try: write it /],
        [[...campaign, "--header", "Bcc: eve@x.example"], /--header Bcc/],
        [
          [...campaign, "--header", "Reply-To: a@x.example"],
          /--header cannot give Reply-To.*\n {2}try: use --reply-to\n/
        ],
        [[...campaign, "--header", "X-A: {{nme}}"], /--header X-A, line 1, column 1: the template names \{\{nme\}\}/],
        [[...campaign, "--reply-to", "nobody"], /--reply-to: /],
        [
          [...campaign, "--list-unsubscribe", "x.example/leave"],
          /--list-unsubscribe x\.example\/leave is neither a web address/
        ],
        [[...campaign, "--list-unsubscribe", "https://x y"], /--list-unsubscribe: it is no URL/],
        [[...campaign, "--attach", dir.path("none.pdf")], /--attach: there is no such file: .*none\.pdf; check/],
        [[...campaign, "--attach", dir.path(".")], /--attach: .* is a folder/],
        [[...campaign, "--attach", "/dev/null"], /--attach: \/dev\/null is not a regular file/],
        [[...campaign, "--attach", "/proc/self/status"], /--attach: \/proc\/self\/status is not a regular file/],
        [
          ["-i", eml, "--header", "X-A: 1"],
          /an \.eml file as --input is a whole message, and --header cannot change it/
        ],
        [["-i", eml, "--attach", text], /--attach cannot change it/],
        [["-i", eml, "--to-column", "x"], /--to-column cannot change it/]
      ]
      for (const [args, said] of cases) {
        const { status, stderr } = yield* mailrace(["send", ...relay, ...args])
        assert.strictEqual(status, 2, args.join(" "))
        assert.match(stderr, said)
      }
      assert.deepStrictEqual(server.messages, [])
    })
  )
})

describe("--body-field", () => {
  it.live("names the column, or the field of a line or of its data, that holds the text", () =>
    Effect.gen(function* () {
      const { dir, relay, server } = yield* setUp
      const mail = '"from":"n@x.example","to":"a@x.example","subject":"s"'
      const inputs = [
        [dir.write("in.csv", "email,Message\na@x.example,words\n"), "message", ...texts],
        [dir.write("a.ndjson", `{${mail},"body":"words"}\n`), "body"],
        [dir.write("b.ndjson", `{${mail},"data":{"body":"words"}}\n`), "body"]
      ] as const
      for (const [input, field, ...flags] of inputs) {
        const { status, stderr } = yield* mailrace(["send", ...relay, "-i", input, "--body-field", field, ...flags])
        assert.deepStrictEqual([status, stderr], [0, ""])
        assert.match(Buffer.from(server.messages.at(-1)!.content).toString(), /\r\n\r\nwords\r\n/)
      }
      const wrong = yield* mailrace(["send", ...relay, "-i", inputs[0][0], "--body-field", "Masage", ...texts])
      assert.strictEqual(wrong.status, 2)
      assert.match(
        wrong.stderr,
        /has no column "Masage", which --body-field names.*\n {2}try: write --body-field "Message"/
      )
    })
  )
})
