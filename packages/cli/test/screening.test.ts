/**
 * Dropped recipients are reported everywhere and are no failure.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { folder, mail, mailrace } from "./support/command.ts"
import { mailrace as inProcess } from "./support/inProcess.ts"

const sendTo = (server: TestServer.TestServerService, ...args: ReadonlyArray<string>) =>
  mailrace(["send", "--progress", "none", "-r", `smtp://127.0.0.1:${server.port}`, ...args])

const receivedBy = (server: TestServer.TestServerService): ReadonlyArray<string> =>
  server.messages.map(({ to }) => to.map(({ address }) => address).join()).sort()

const people = [
  mail("ann@x.example", { id: "a" }),
  mail("Gone <GONE@x.example>", { id: "g" }),
  mail("bob@left.example, bob@x.example", { cc: "Ann@X.example", id: "b" }),
  mail("ann@X.EXAMPLE"),
  mail("info@x.example"),
  mail("cid@x.example")
].join("")

describe.concurrent("mailrace send --suppress --dedupe --role-addresses", () => {
  it.live("drops recipients as asked, reports it in summary, report and deliveries, and exits with 0", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const lists = ["--suppress", dir.write("one.txt", "# unsubscribed\ngone@x.example\n")].concat(
        ["--suppress", dir.write("two.csv", "email,since\n@left.example,2026\n")],
        ["--dedupe", "--role-addresses", "drop"]
      )
      const files = ["--report", dir.path("run.json"), "--deliveries", dir.path("out.ndjson")]
      const input = dir.write("in.ndjson", people)
      const { status, stderr, stdout } = yield* sendTo(server, ...lists, ...files, "-i", input)
      assert.deepStrictEqual([status, stderr], [0, ""])
      assert.deepStrictEqual(receivedBy(server), ["ann@x.example", "bob@x.example", "cid@x.example"])
      // The other recipients do not see a dropped one either.
      for (const { content } of server.messages)
        assert.notMatch(Buffer.from(content).toString(), /^(?:To|Cc):.*left\.example/m)
      assert.match(stdout, /^3 of 3 messages accepted/)
      assert.match(stdout, /\n {2}dropped +3 messages\n {2}recipients +2 suppressed, 2 duplicates, 1 role address\n/)
      assert.deepInclude(JSON.parse(dir.read("run.json")), {
        total: 3,
        accepted: 3,
        invalid: 0,
        dropped: 3,
        suppressed: 2,
        duplicates: 2,
        roles: 1,
        roleWarnings: 0
      })
      const lines = dir.lines("out.ndjson")
      const told = lines.map(({ error, id, index, outcome, recipients }) => [
        index,
        id,
        outcome,
        (recipients as ReadonlyArray<Record<string, string>>).map(({ address, outcome }) => `${address} ${outcome}`),
        (error as { readonly reason: string } | undefined)?.reason
      ])
      assert.sameDeepMembers(told, [
        [0, "a", "accepted", ["ann@x.example accepted"], undefined],
        [1, "g", "dropped", ["GONE@x.example suppressed"], "Suppressed"],
        [2, "b", "dropped", ["bob@left.example suppressed", "Ann@X.example duplicate"], "Suppressed"],
        [2, "b", "accepted", ["bob@x.example accepted"], undefined],
        [3, "3", "dropped", ["ann@X.EXAMPLE duplicate"], "Duplicate"],
        [4, "4", "dropped", ["info@x.example role"], "RoleAddress"],
        [5, "5", "accepted", ["cid@x.example accepted"], undefined]
      ])
      assert.deepStrictEqual(Object.keys(lines[0]!).slice(0, 8), Object.keys(lines.at(-1)!).slice(0, 8))
    })
  )

  it.live("warns about role addresses that it sends to, and only if asked", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const input = dir.write("in.ndjson", people)
      const warned = yield* sendTo(server, "--role-addresses", "warn", "--json", "-i", input)
      assert.strictEqual(warned.status, 0)
      assert.match(
        warned.stderr,
        /^line 5, info@x\.example: the address is that of a role, not a person; sending to it anyway\n$/
      )
      assert.deepInclude(JSON.parse(warned.stdout), { total: 6, accepted: 6, dropped: 0, roles: 0, roleWarnings: 1 })
      const plain = yield* sendTo(server, "-i", input)
      assert.deepStrictEqual([plain.status, plain.stderr], [0, ""])
      assert.notMatch(plain.stdout, /dropped|role address/)
    })
  )

  it.live("counts in a dry run, and of a template's messages too", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const input = dir.write("in.csv", "email,name\nann@x.example,Ann\nANN@x.example,Ann\nroot@x.example,Root\n")
      const template = ["-t", dir.write("t.txt", "Hi {{name}}"), "--from", "n@x.example", "--subject", "s"]
      const args = ["send", "--dry-run", ...template, "-i", input, "--dedupe", "--role-addresses", "drop"]
      const { status, stderr, stdout } = yield* mailrace(args)
      assert.deepStrictEqual([status, stderr], [0, ""])
      assert.match(stdout, /^2 messages dropped; recipients: 1 duplicate, 1 role address\n1 of 1 messages composed/)
      const none = yield* mailrace([...args, "--suppress", dir.write("all.txt", "x.example\n")])
      assert.deepStrictEqual([none.status, none.stderr], [0, "every message of the input was dropped\n"])
    })
  )

  it.live("says no messages were sent where all were left out, and that is right", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const args = [
        "--suppress",
        dir.write("all.txt", "@x.example\n"),
        "-i",
        dir.write("in.ndjson", mail("a@x.example"))
      ]
      const { status, stderr, stdout } = yield* sendTo(server, ...args)
      assert.deepStrictEqual([status, stderr], [0, "every message of the input was dropped\n"])
      assert.match(stdout, /^No messages\n {2}dropped +1 message\n {2}recipients +1 suppressed\n$/)
    })
  )

  it.live("names the line of a list that cannot be read, before it connects", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const input = dir.write("in.ndjson", people)
      const list = dir.write("list.txt", "ann@x.example\nbob at x.example\n")
      const wrong = yield* sendTo(server, "--suppress", list, "-i", input)
      assert.deepStrictEqual([wrong.status, wrong.stdout], [2, ""])
      assert.match(
        wrong.stderr,
        /^mailrace: .*list\.txt, line 2: it is neither an address nor a domain: .*\n {2}try: write an address/
      )
      const absent = yield* sendTo(server, "--suppress", dir.path("none.txt"), "-i", input)
      assert.match(absent.stderr, /^mailrace: .*none\.txt does not exist/)
      assert.deepStrictEqual([absent.status, server.connections.length], [2, 0])
    })
  )

  it.live("writes to nobody on a list, and warns about an empty list", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const input = dir.write("in.ndjson", mail("a@x.example") + mail("b@x.example") + mail("c@y.example"))
      const list = (text: string | Uint8Array) => ["--suppress", dir.write("list", text)]
      const dry = (...flags: ReadonlyArray<string>) => inProcess(["send", "--dry-run", "-i", input, ...flags])
      const pasted = yield* dry(...list("b@x.example; a@x.example\n*@y.example\n"))
      assert.deepStrictEqual(
        [pasted.status, pasted.stdout.split("\n")[0]],
        [0, "3 messages dropped; recipients: 3 suppressed"]
      )
      for (const empty of ["", "\uFEFF", "email\n", "# none\n\n"]) {
        const { status, stderr } = yield* dry(...list(empty))
        assert.strictEqual(status, 0)
        assert.strictEqual(stderr, `the suppression list ${dir.path("list")} holds nobody\n`)
      }
      const enqueued = yield* inProcess(["outbox", "enqueue", "--db", dir.path("o.db"), "-i", input, ...list("")])
      assert.strictEqual(enqueued.stderr, `the suppression list ${dir.path("list")} holds nobody\n`)
      const latin1 = yield* dry(...list(Buffer.from("a@x.example\njürgen@x.example\n", "latin1")))
      assert.strictEqual(latin1.status, 2)
      assert.match(
        latin1.stderr,
        /list, line 2: it is not UTF-8, .*\n  try: save the list as UTF-8 \(iconv -f latin1 -t utf-8\)\n/
      )
    })
  )
})
