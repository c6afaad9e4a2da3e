/**
 * `--suppress-add`: whose mailbox is gone is left out by the next run, and nobody else.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync } from "node:child_process"
import { chmodSync, existsSync, statSync } from "node:fs"
import { folder, mail, mailrace as process_ } from "./support/command.ts"
import { mailrace } from "./support/inProcess.ts"

/** What relays say at RCPT, and whether the address is gone. */
const replies = [
  ["unknown", "550 5.1.1 <x>: Recipient address rejected: User unknown in relay recipient table", true],
  ["gmail", "550 5.1.1 The email account that you tried to reach does not exist", true],
  ["nullmx", "556 5.1.10 Recipient address has null MX", true],
  ["nodomain", "550 5.1.2 Recipient address rejected: Domain not found", true],
  ["syntax", "553 5.1.3 bad recipient address syntax", true],
  ["moved", "551 5.1.6 mailbox has moved", true],
  ["disabled", "550 5.2.1 The email account that you tried to reach is disabled", true],
  ["pace", "550 5.2.1 The user you are trying to contact is receiving mail at a rate that prevents delivery", false],
  ["full", "552 5.2.2 mailbox full", false],
  ["plain", "550 no such user", false],
  ["policy", "550 5.7.1 message refused", false],
  ["relaying", "554 5.7.1 Relay access denied", false],
  ["relaying2", "550 5.1.1 relaying denied", false],
  ["helo", "550 5.1.1 Helo command rejected: Host not found", false],
  ["rbl", "550 5.1.1 Client host blocked using zen.spamhaus.org", false],
  ["sender", "550 5.1.8 Sender address rejected: Domain not found", false],
  ["sender2", "550 5.1.1 Sender rejected", false],
  ["helo2", "504 5.5.2 <vm>: Helo command rejected: need fully-qualified hostname", false],
  ["rbl2", "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", false],
  ["relaying3", "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain", false],
  ["blocklist", "550 5.1.1 rejected, your IP is on our blocklist", false],
  ["later", "450 4.1.1 User unknown", false],
  ["other", "550 5.0.0 no", false]
] as const

const faults = replies.map(([name, reply]) => `rcpt:${reply.replaceAll(":", " ")}:to=${name}@*`)

const gone = replies.filter(([, , isGone]) => isGone).map(([name]) => `${name}@x.example`)

const setUp = Effect.gen(function* () {
  const server = yield* TestServer.make({ faults })
  const dir = yield* folder
  const relay = ["--relay", `smtp://127.0.0.1:${server.port}`, "--progress", "none", "--retries", "0"]
  const input = dir.write(
    "in.ndjson",
    [...replies.map(([name]) => `${name}@x.example`), "ok@x.example"].map((to) => mail(to)).join("")
  )
  return { server, dir, relay, input, list: dir.path("gone.txt") }
})

const linesOf = (text: string): ReadonlyArray<string> =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .sort()

describe("--suppress-add", () => {
  it.live("records non-existent recipients once, in a file for its owner alone, and the next run drops them", () =>
    Effect.gen(function* () {
      const { dir, input, list, relay, server } = yield* setUp
      const args = ["send", ...relay, "-i", input, "--suppress", list, "--suppress-add", list]
      const first = yield* process_(args)
      assert.strictEqual(first.status, 1, first.stderr)
      assert.notInclude(first.stderr, "holds nobody")
      assert.deepStrictEqual(linesOf(dir.read("gone.txt")), [...gone].sort())
      assert.strictEqual(statSync(list).mode & 0o777, 0o600)
      assert.include(first.stdout, `${gone.length} addresses added to ${list}: the relay calls them non-existent\n`)
      yield* server.setFaults([])
      const second = yield* mailrace(args)
      assert.deepStrictEqual([second.status, dir.read("gone.txt").split("\n").length - 1], [0, gone.length])
      assert.notInclude(second.stdout, "added to")
      assert.deepStrictEqual(
        server.messages.filter(({ to }) => gone.includes(to[0]!.address)),
        []
      )
    })
  )

  it.live("does the same by way of an outbox, and says it beside the report", () =>
    Effect.gen(function* () {
      const { dir, input, list, relay } = yield* setUp
      const durable = yield* mailrace([
        "send",
        ...relay,
        "-i",
        input,
        "--durable",
        dir.path("o.db"),
        "--suppress-add",
        list
      ])
      assert.strictEqual(durable.status, 1)
      assert.deepStrictEqual(linesOf(dir.read("gone.txt")), [...gone].sort())
      assert.include(durable.stdout, `${gone.length} addresses added to`)
      const other = dir.path("other.txt")
      yield* mailrace(["outbox", "enqueue", "--db", dir.path("p.db"), "-i", input])
      const run = ["outbox", "run", "--drain", "--db", dir.path("p.db"), ...relay, "--suppress-add", other, "--json"]
      const drained = yield* mailrace(run)
      assert.deepStrictEqual(linesOf(dir.read("other.txt")), [...gone].sort())
      assert.doesNotThrow(() => JSON.parse(drained.stdout))
      assert.include(drained.stderr, `${gone.length} addresses added to`)
    })
  )

  it.live(
    "notes one of several recipients that others' mail went to, and one whose mailbox the content's reply is about",
    () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({
          faults: ["rcpt:550 5.1.1 gone:to=gone@*", "final:550 5.1.1 no such user:from=late@*"]
        })
        const dir = yield* folder
        const lines = [
          { to: ["ok@x.example", "gone@x.example"] },
          { from: "late@x.example", to: "late1@x.example" },
          { from: "late@x.example", to: ["either@x.example", "or@x.example"] }
        ]
        const input = dir.write("in.ndjson", lines.map((line) => mail("", line)).join(""))
        const list = dir.path("gone.txt")
        const relay = ["--relay", `smtp://127.0.0.1:${server.port}`, "--progress", "none"]
        yield* mailrace(["send", ...relay, "-i", input, "--suppress-add", list])
        assert.deepStrictEqual(linesOf(dir.read("gone.txt")), ["gone@x.example", "late1@x.example"])
      })
  )

  it.live("appends to a list, and skips entries that differ only in case", () =>
    Effect.gen(function* () {
      const { dir, input, list, relay } = yield* setUp
      const domain = dir.write("gone.txt", "# since May\nUNKNOWN@x.example; last@y.example")
      chmodSync(domain, 0o640)
      yield* mailrace(["send", ...relay, "-i", input, "--suppress-add", list])
      const text = dir.read("gone.txt")
      assert.isTrue(text.startsWith("# since May\nUNKNOWN@x.example; last@y.example\n"))
      assert.deepStrictEqual(linesOf(text).slice(2), gone.filter((one) => one !== "unknown@x.example").sort())
      assert.strictEqual(statSync(list).mode & 0o777, 0o640)
    })
  )

  it.live("writes an address so that it means itself, and neither a remark nor its whole domain", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["rcpt:550 5.1.1 User unknown:from=gone@*"] })
      const dir = yield* folder
      const odd = ["*@x.example", "#ann@x.example", "news-*@x.example", '"a, b"@x.example', '"#"@x.example']
      const gone = dir.write("gone.ndjson", odd.map((to) => mail(to, { from: "gone@x.example" })).join(""))
      const list = dir.path("gone.txt")
      const relay = ["--relay", `smtp://127.0.0.1:${server.port}`, "--progress", "none"]
      yield* mailrace(["send", ...relay, "-i", gone, "--suppress-add", list])
      const next = dir.write("next.ndjson", [...odd, "ok@x.example"].map((to) => mail(to)).join(""))
      const { status, stderr } = yield* mailrace(["send", ...relay, "-i", next, "--suppress", list])
      assert.strictEqual(status, 0, stderr)
      assert.deepStrictEqual(
        server.messages.map(({ to }) => to[0]?.address),
        ["ok@x.example"]
      )
    })
  )

  it.live("refuses a file that it cannot append to before anything is sent", () =>
    Effect.gen(function* () {
      const { dir, input, relay, server } = yield* setUp
      execFileSync("mkfifo", [dir.path("pipe")])
      const cases: ReadonlyArray<readonly [string, RegExp]> = [
        [dir.write("table.csv", "name,email\nAnn,a@x.example\n"), /not a list of one address a line/],
        [dir.write("wide.txt", Buffer.from("\uFEFFa@x.example\n", "utf16le")), /not a list of one address a line/],
        [dir.path("."), /is a folder/],
        [dir.path("pipe"), /is not a regular file/],
        [dir.path("none/gone.txt"), /no such folder/],
        [input, /would overwrite/],
        ["-", /needs a file/]
      ]
      for (const [file, said] of cases) {
        const before = existsSync(file) && statSync(file).isFile() ? statSync(file).size : undefined
        const { status, stderr } = yield* mailrace(["send", ...relay, "-i", input, "--suppress-add", file])
        assert.strictEqual(status, 2, stderr)
        assert.match(stderr, said)
        if (before !== undefined) assert.strictEqual(statSync(file).size, before)
      }
      assert.deepStrictEqual(server.messages, [])
    })
  )
})
