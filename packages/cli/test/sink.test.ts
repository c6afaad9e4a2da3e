import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { folder, mail, mailrace, start } from "./support/command.ts"
import { mailrace as mailraceWithin } from "./support/inProcess.ts"

describe("mailrace sink", () => {
  it.live("takes mail, stores it as files, fails as configured and ends at its count", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const switches = ["--no-chunking", "--fault", "rcpt:550:to=gone@*", "--mailbox", dir.path("inbox")]
      const sink = yield* start(["sink", "--port", "0", "--count", "2", ...switches])
      const url = yield* listening(sink.process)
      const { status, stdout } = yield* mailrace(["send", "--json", "-r", url, "-i", "-", "--progress", "none"], {
        stdin: mail("ann@x.example") + mail("gone@x.example") + mail("bob@x.example")
      })
      assert.strictEqual(status, 1)
      assert.deepInclude(JSON.parse(stdout), { accepted: 2, rejected: 1, pipelining: "envelope" })
      const ended = yield* sink.ended
      assert.strictEqual(ended.status, 0)
      assert.match(ended.stdout, /\naccepted 2 messages, /)
      assert.match(dir.read("inbox/00000002.eml"), /^Subject: For /m)
    })
  )

  it.live("prints a URL to send to, with a login too", () =>
    Effect.gen(function* () {
      const sink = yield* start(["sink", "--port", "0", "--count", "1", "--user", "ann@x.example:secret"])
      const url = yield* listening(sink.process)
      assert.notInclude(url, "secret")
      const { status, stderr } = yield* mailrace(["send", "-r", url, "-i", "-", "--progress", "none"], {
        stdin: mail("ann@x.example"),
        env: { MAILRACE_PASSWORD: "secret" }
      })
      assert.deepStrictEqual([status, stderr], [0, ""])
    })
  )

  it.live("ends with its count at Ctrl-C", () =>
    Effect.gen(function* () {
      const sink = yield* start(["sink", "--port", "0"])
      yield* listening(sink.process)
      sink.process.kill("SIGINT")
      const { status, stdout } = yield* sink.ended
      assert.strictEqual(status, 0)
      assert.match(stdout, /\naccepted 0 messages, /)
    })
  )

  it.live("explains a fault that it cannot read", () =>
    Effect.gen(function* () {
      const { status, stderr } = yield* mailraceWithin(["sink", "--fault", "rcpt:sleepy"])
      assert.strictEqual(status, 2)
      assert.match(
        stderr,
        /^mailrace: cannot read the fault "rcpt:sleepy": .*\n {2}try: write it by this grammar\nPHASE:ACTION\[:ODDS\.\.\.\]\n/
      )
      assert.match(stderr, /\n +ACTION {2}450 .*\n +delay=200ms /)
    })
  )
})

describe("an address that mailrace sink cannot listen on", () => {
  it.live.each([
    [["--port", "80000"], /^mailrace: Invalid value for flag --port: "80000"\. Expected: a port from 0 to 65535\n/],
    [
      ["--host", "192.0.2.1", "--port", "0"],
      /^mailrace: 192\.0\.2\.1 is not an address of this machine\n {2}try: choose another --host/
    ],
    [
      ["--host", "no such host", "--port", "0"],
      /^mailrace: the host "no such host" is not known\n {2}try: choose another --host/
    ]
  ] as const)("%j", ([args, expected]) =>
    Effect.gen(function* () {
      const { status, stderr } = yield* mailraceWithin(["sink", ...args])
      assert.strictEqual(status, 2)
      assert.match(stderr, expected)
    })
  )
})

describe("mailrace demo", () => {
  it.live("sends as announced and exits with 0, although some messages are refused by design", () =>
    Effect.gen(function* () {
      const { status, stderr, stdout } = yield* mailrace(["demo", "--messages", "800"])
      assert.deepStrictEqual([status, stderr], [0, ""])
      assert.match(stdout, /\n798 of 800 messages accepted in /)
    })
  )
})

/** Waits for the URL that a sink prints when it listens. */
const listening = (process: import("node:child_process").ChildProcess) =>
  Effect.callback<string>((resume) => {
    process.stdout!.once("data", (text: string) => resume(Effect.succeed(/smtp:\/\/\S+/.exec(text)![0])))
  })
