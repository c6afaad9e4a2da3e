/**
 * The contract of `mailrace send`, shown on the real command against a server on a real socket.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mkdirSync } from "node:fs"
import * as Collector from "./support/collector.ts"
import { folder, mail, mailrace } from "./support/command.ts"

const quiet = ["--progress", "none"]
const urlOf = (server: TestServer.TestServerService): string => `smtp://127.0.0.1:${server.port}`
const fields = (...names: ReadonlyArray<string>): Array<string> => names.join(" ").split(" ")
const receivedBy = (server: TestServer.TestServerService): ReadonlyArray<string> =>
  server.messages.map((message) => message.to.map((path) => path.address).join()).sort()
const textOf = (message: { readonly content: Uint8Array } | undefined): string =>
  Buffer.from(message?.content ?? []).toString()

describe("mailrace send", () => {
  it.live("sends a file with matching summary, report and deliveries", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const input = dir.write("people.ndjson", mail("ann@x.example", { id: "a" }) + mail("bob@x.example"))
      const args = ["--report", dir.path("run.json"), "--deliveries", dir.path("out.ndjson")]
      const { status, stderr, stdout } = yield* mailrace([
        "send",
        ...quiet,
        ...args,
        "--relay",
        urlOf(server),
        "-i",
        input
      ])
      assert.deepStrictEqual([status, stderr], [0, ""])
      assert.match(stdout, /^2 of 2 messages accepted in /)
      assert.deepStrictEqual(receivedBy(server), ["ann@x.example", "bob@x.example"])
      assert.deepStrictEqual(server.protocolErrors, [])

      const report = JSON.parse(dir.read("run.json"))
      assert.deepStrictEqual(
        Object.keys(report),
        fields(
          "total accepted rejected deferred unknown invalid expired unrecorded recipients dropped suppressed duplicates roles roleWarnings",
          "durationMs ratePerSecond bytes retries latencyMs connections pipelining steppedDown tlsFailure waits cpuMicrosPerMessage rssPeakBytes errors"
        )
      )
      assert.deepStrictEqual(Object.keys(report.latencyMs), ["p50", "p90", "p99", "max"])
      assert.deepStrictEqual(Object.keys(report.connections), ["opened", "reused", "peak", "failed"])
      assert.deepInclude(report, { total: 2, accepted: 2, rejected: 0, invalid: 0, retries: 0, errors: [] })
      assert.strictEqual(
        report.bytes,
        server.messages.reduce((sum, message) => sum + message.content.length, 0)
      )

      const lines = dir.lines("out.ndjson").sort((a, b) => Number(a["index"]) - Number(b["index"]))
      assert.deepStrictEqual(
        lines.map((line) => [line["index"], line["id"], line["outcome"], line["relay"], line["attempts"]]),
        [
          [0, "a", "accepted", `127.0.0.1:${server.port}`, 1],
          [1, "1", "accepted", `127.0.0.1:${server.port}`, 1]
        ]
      )
      assert.deepStrictEqual(
        Object.keys(lines[0]!),
        fields("index id outcome recipients relay attempts messageId durationMs")
      )
      assert.deepStrictEqual(lines[0]!["recipients"], [
        { address: "ann@x.example", outcome: "accepted", code: 250, enhanced: "2.1.5", reply: "recipient OK" }
      ])
      const ids = server.messages.map((message) => /^message-id: (.*?)\r$/im.exec(textOf(message))?.[1]).sort()
      assert.deepStrictEqual(ids, lines.map((line) => line["messageId"]).sort())
    })
  )

  it.live("exits with 1 when some are rejected, deferred or unknown, and groups the errors with remedies", () =>
    Effect.gen(function* () {
      const faults = ["rcpt:550:to=gone@*", "rcpt:450:to=busy@*", "final:drop:to=lost@*"]
      const server = yield* TestServer.make({ faults })
      const dir = yield* folder
      const input = dir.write(
        "people.ndjson",
        ["ok@x.example", "gone@x.example", "gone@y.example", "busy@x.example", "lost@x.example"]
          .map((to) => mail(to))
          .join("")
      )
      const args = ["--report", dir.path("run.json"), "--deliveries", dir.path("out.ndjson"), "--retries", "1"]
      // One connection and one message at a time, so that a lost connection takes no other message with it.
      const alone = ["--connections", "1", "--concurrency", "1"]
      const { status, stdout } = yield* mailrace([
        "send",
        ...quiet,
        ...args,
        ...alone,
        "-r",
        urlOf(server),
        "-i",
        input
      ])
      assert.strictEqual(status, 1)
      const report = JSON.parse(dir.read("run.json"))
      assert.deepInclude(report, {
        total: 5,
        accepted: 1,
        rejected: 2,
        deferred: 1,
        unknown: 1,
        invalid: 0,
        retries: 1
      })
      assert.deepStrictEqual(
        report.errors.map((error: Record<string, unknown>) => [
          error["reason"],
          error["code"],
          error["enhanced"],
          error["count"]
        ]),
        [
          ["RecipientsRejected", 550, "5.1.1", 2],
          ["RecipientsRejected", 450, "4.2.1", 1],
          ["OutcomeUnknown", null, null, 1]
        ]
      )
      const outcomes = dir.lines("out.ndjson").map((line) => [line["index"], line["outcome"], line["attempts"]])
      assert.sameDeepMembers(outcomes, [
        [0, "accepted", 1],
        [1, "rejected", 1],
        [2, "rejected", 1],
        [3, "deferred", 2],
        [4, "unknown", 1]
      ])
      assert.match(stdout, /2 {2}RecipientsRejected {2}550 5\.1\.1\n.*no such user.*\n +try: take the address off/)
    })
  )

  it.live("with --json prints the report and nothing else, progress goes to stderr", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const { status, stderr, stdout } = yield* mailrace(
        ["send", "--json", "-r", urlOf(server), "--input", "-", "--from", "b@x.example", "--subject", "Hi {{name}}"],
        { stdin: `{"to":"ann@x.example","data":{"name":"Ann"},"typo":1}\n` }
      )
      assert.deepInclude(JSON.parse(stdout), { total: 1, accepted: 1 })
      assert.strictEqual(status, 0)
      assert.strictEqual(stderr, 'line 1: the field "typo" is not known and is ignored\n')
      assert.match(textOf(server.messages[0]), /^Subject: Hi Ann\r$/m)
    })
  )

  describe("at a bad line", () => {
    const good = mail("ann@x.example")
    const send = (text: string, args: ReadonlyArray<string> = []) =>
      Effect.gen(function* () {
        const server = yield* TestServer.make()
        const dir = yield* folder
        const input = dir.write("in.ndjson", text)
        const files = ["--deliveries", dir.path("out.ndjson"), "--report", dir.path("run.json")]
        const ended = yield* mailrace(["send", ...quiet, ...files, "-r", urlOf(server), "-i", input, ...args])
        return { ...ended, server, lines: dir.lines("out.ndjson"), report: JSON.parse(dir.read("run.json")) }
      })

    it.live("stops before anything is sent when the first line cannot be read", () =>
      Effect.gen(function* () {
        const { server, status, stderr, stdout } = yield* send(`to,name\n${good}`)
        assert.deepStrictEqual([status, stdout, server.messages.length], [2, "", 0])
        assert.match(stderr, /^mailrace: line 1, column 1: "t" cannot begin a value\n {2}try: .*--format/)
      })
    )

    it.live("skips it on request and counts it as invalid", () =>
      Effect.gen(function* () {
        const { lines, report, server, status, stderr } = yield* send(`oops\n${good}`, ["--on-bad-line", "skip"])
        assert.deepStrictEqual([status, server.messages.length], [1, 1])
        assert.deepInclude(report, { total: 2, accepted: 1, invalid: 1 })
        assert.match(stderr, /^skipped line 1, column 1: /)
        assert.deepInclude(
          lines.find((line) => line["index"] === 0)!,
          { outcome: "invalid", attempts: 0 }
        )
      })
    )

    it.live("skips a later one by default", () =>
      Effect.gen(function* () {
        const { report, server, status, stderr } = yield* send(`${good}{"to":1}\n${good}`)
        assert.deepStrictEqual([status, server.messages.length, report.invalid], [1, 2, 1])
        assert.match(stderr, /^skipped line 2, field "from": it is missing\n$/)
      })
    )

    it.live("sends nothing after it with --on-bad-line abort", () =>
      Effect.gen(function* () {
        const { report, server, status, stderr } = yield* send(`${good}oops\n${good}${good}`, [
          "--on-bad-line",
          "abort"
        ])
        assert.deepStrictEqual([status, server.messages.length, report.total], [2, 1, 1])
        assert.match(stderr, /^mailrace: line 2, column 1: /)
      })
    )

    it.live("never puts a mail on the wire that is wrong, and names line and field", () =>
      Effect.gen(function* () {
        const text = [
          mail("ann@x.example"),
          mail("ann@x.example\r\nRCPT TO:<eve@x.example>"),
          mail("ann@x.example", { subject: "Hi\r\nBcc: eve@x.example" }),
          mail("ann@x.example", { headers: { "X-A\r\nBcc": "eve@x.example" } }),
          mail("ann@x.example", { headers: { "X-A": "b\0c" } }),
          mail(`${"a".repeat(64)}@${"b".repeat(60)}.${"c".repeat(60)}.${"d".repeat(60)}.${"e".repeat(60)}.example`),
          mail("ann@x.example", { to: [] }),
          mail("ann@x.example", { attachments: [{ path: "no-such-file" }] }),
          mail("ann@x.example", { attachments: [{ path: "." }] })
        ]
        const { report, server, status, stderr } = yield* send(text.join(""))
        assert.deepStrictEqual([status, server.messages.length], [1, 1])
        assert.deepInclude(report, { total: 9, accepted: 1, invalid: 8, rejected: 0 })
        assert.deepStrictEqual(server.protocolErrors, [])
        const faults = stderr.trimEnd().split("\n").sort()
        const places = [
          /^skipped line 2, field to(\[0\])?:/,
          /^skipped line 3, field subject:/,
          /^skipped line 4, field headers/,
          /^skipped line 5, field headers\.X-A/,
          /^skipped line 6, field to(\[0\])?:/,
          /^skipped line 7, field to:/,
          /^skipped line 8, field attachments\[0\]\.path:/,
          /^skipped line 9, field attachments\[0\]\.path:/
        ]
        assert.strictEqual(faults.length, places.length, stderr)
        places.forEach((place, index) => assert.match(faults[index]!, place))
      })
    )
  })

  it.live("merges a CSV into subject, text and HTML", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const input = dir.write("people.csv", 'email;name;plan\nann@x.example;"Ann <3";gold\nbob@x.example;Bob\n')
      const text = dir.write("hello.txt", "Dear {{name}}, you have {{plan}}.")
      const html = dir.write("hello.html", "<p>Dear {{name}}</p>")
      const templates = ["--subject", "For {{name}}", "--text-file", text, "--html-file", html]
      const { status, stderr } = yield* mailrace(
        ["send", ...quiet, "-i", input, "--from", "News <n@x.example>", ...templates],
        { env: { MAILRACE_RELAY: urlOf(server) } }
      )
      assert.strictEqual(status, 1)
      assert.match(stderr, /^skipped line 3, field "plan": it is missing/)
      assert.deepStrictEqual(receivedBy(server), ["ann@x.example"])
      const message = textOf(server.messages[0])
      assert.match(message, /^Subject: For Ann <3\r$/m)
      assert.include(message, "Dear Ann <3, you have gold.")
      assert.include(message, "<p>Dear Ann &lt;3</p>")
    })
  )

  it.live("sends .eml files as they are, but for Bcc and line ends", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      mkdirSync(dir.path("mails"))
      const header = "From: Ann <ann@x.example>\nTo: Bob <bob@x.example>,\n\tcid@x.example\nBcc: eve@x.example\n"
      dir.write("mails/1.eml", `${header}Message-ID: <1@x>\nSubject: s\n\n.\nbody\n`)
      dir.write("mails/2.eml", `no mail`)
      dir.write("mails/notes.txt", "not for sending")
      const args = ["--relay", urlOf(server), "--input", dir.path("mails"), "--deliveries", dir.path("out.ndjson")]
      const { status, stderr } = yield* mailrace(["send", ...quiet, ...args])
      assert.strictEqual(status, 1)
      assert.match(stderr, /^skipped file 2\.eml: line 1 of the file is no header field/)
      assert.deepStrictEqual(receivedBy(server), ["bob@x.example,cid@x.example,eve@x.example"])
      assert.strictEqual(
        textOf(server.messages[0]),
        `${header.replace("Bcc: eve@x.example\n", "")}Message-ID: <1@x>\nSubject: s\n\n.\nbody\n`.replaceAll(
          "\n",
          "\r\n"
        )
      )
      assert.sameDeepMembers(
        dir.lines("out.ndjson").map((line) => [line["id"], line["messageId"]]),
        [
          ["1.eml", "<1@x>"],
          ["1", null]
        ]
      )
    })
  )

  it.live("reads attachments from the folder of the input", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      dir.write("note.txt", "attached words")
      const input = dir.write("in.ndjson", mail("ann@x.example", { attachments: [{ path: "note.txt" }] }))
      const { status, stderr } = yield* mailrace(["send", ...quiet, "-r", urlOf(server), "-i", input])
      assert.deepStrictEqual([status, stderr], [0, ""])
      const message = textOf(server.messages[0])
      assert.isTrue(
        message.includes("attached words") || message.includes(Buffer.from("attached words").toString("base64"))
      )
    })
  )

  it.live("paces its messages with --rate", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const args = ["--rate", "40/s", "--json", "--relay", urlOf(server), "--input", "-"]
      const { stdout } = yield* mailrace(["send", ...quiet, ...args], { stdin: mail("ann@x.example").repeat(21) })
      const report = JSON.parse(stdout)
      assert.strictEqual(report.accepted, 21)
      // 21 messages have 20 waits of at least 25 ms between them.
      assert.isTrue(report.durationMs >= 495, `${report.durationMs} ms`)
    })
  )

  it.live("holds back one lane with --lane-rate, and reports what messages waited for", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const args = [
        "--lane-rate",
        "slow.example=6/s",
        "--tenant-rate",
        "t=9/s",
        "--json",
        "-r",
        urlOf(server),
        "-i",
        "-"
      ]
      const stdin = mail("ann@slow.example").repeat(12) + mail("bob@quick.example").repeat(4)
      const { stdout } = yield* mailrace(["send", ...quiet, ...args], { stdin })
      const { accepted, waits } = JSON.parse(stdout)
      assert.strictEqual(accepted, 16)
      assert.deepStrictEqual(
        waits.map((wait: { readonly for: string }) => wait.for),
        ["slow.example"]
      )
      assert.isAtLeast(waits[0].ms, 1000)
      const last = server.messages.slice(-8).flatMap(({ to }) => to.map(({ address }) => address))
      assert.isTrue(last.every((address) => address.endsWith("slow.example")))
    })
  )

  it.live("sends traces to a collector, of as many messages as asked for", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const collector = yield* Collector.make
      const send = (share: string) =>
        mailrace(["send", ...quiet, "-r", urlOf(server), "-i", "-", "--otlp", collector.url, "--trace-sample", share], {
          stdin: mail("secret-name@x.example").repeat(3)
        })
      assert.deepInclude(yield* send("1"), { status: 0, stderr: "" })
      const traced = collector.requests.splice(0).join("")
      assert.include(traced, "mailrace.send")
      assert.include(traced, "smtp.transaction")
      assert.notInclude(traced, "secret-name")
      assert.deepInclude(yield* send("0"), { status: 0, stderr: "" })
      assert.notInclude(collector.requests.join(""), "mailrace.send")
    })
  )
})
