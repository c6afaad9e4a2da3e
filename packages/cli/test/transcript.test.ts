/**
 * `--transcript FILE`: what was said, without secrets and content, readable by its owner alone.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { statSync } from "node:fs"
import { folder, mail } from "./support/command.ts"
import { mailrace } from "./support/inProcess.ts"

const secret = "s3cr3t-w0rd"

describe("--transcript", () => {
  it.live("of send holds the conversation from greeting to goodbye, and begins anew with each run", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ users: { joe: secret } })
      const dir = yield* folder
      const input = dir.write("in.ndjson", mail("ann@x.example"))
      const url = `smtp://joe@127.0.0.1:${server.port}?tls=off&allowInsecureAuth=true&auth=plain`
      for (const _ of [1, 2]) {
        const ended = yield* mailrace(
          ["send", "--progress", "none", "--relay", url, "-i", input, "--transcript", dir.path("t.txt")],
          { env: { MAILRACE_PASSWORD: secret } }
        )
        assert.strictEqual(ended.status, 0, ended.stderr)
      }
      const text = dir.read("t.txt")
      assert.strictEqual((statSync(dir.path("t.txt")).mode & 0o777).toString(8), "600")
      assert.match(
        text,
        /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z 127\.0\.0\.1:\d+ 1 \* connected to 127\.0\.0\.1 port \d+ from 127\.0\.0\.1\n/
      )
      assert.match(text, / 1 C: AUTH PLAIN <credentials>\n\S+ \S+ 1 S: 235 2\.7\.0\n/)
      assert.match(text, / 1 C: RCPT TO:<ann@x\.example>/)
      assert.match(text, / 1 C: <[\d,]+ octets>\n/)
      assert.match(text, / 1 C: QUIT\n/)
      assert.strictEqual(text.match(/ C: AUTH/g)?.length, 1)
      assert.notInclude(text, secret)
      assert.notInclude(text, Buffer.from(`\0joe\0${secret}`).toString("base64"))
      assert.notInclude(text, "Subject")
    })
  )

  it.live("of send --durable and outbox run adds to that of the run before", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const input = dir.write("in.ndjson", mail("ann@x.example"))
      const relay = ["--progress", "none", "--relay", `smtp://127.0.0.1:${server.port}`]
      const transcript = ["--transcript", dir.path("t.txt")]
      const run = (...args: ReadonlyArray<string>) =>
        Effect.map(mailrace(args), ({ status, stderr }) => assert.strictEqual(status, 0, stderr))
      yield* run("send", ...relay, "-i", input, "--durable", dir.path("o.db"), ...transcript)
      yield* run("outbox", "enqueue", "--db", dir.path("o.db"), "-i", input)
      yield* run("outbox", "run", "--drain", ...relay, "--db", dir.path("o.db"), ...transcript)
      assert.strictEqual(dir.read("t.txt").match(/ C: EHLO /g)?.length, 2)
    })
  )

  it.live("that cannot be written ends the command before any message; one that fills the disk does not", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const input = dir.write("in.ndjson", mail("ann@x.example"))
      const send = ["send", "--progress", "none", "--relay", `smtp://127.0.0.1:${server.port}`, "-i", input]
      const refused = yield* mailrace([...send, "--transcript", dir.path("no/t.txt")])
      assert.strictEqual(refused.status, 2)
      assert.include(refused.stderr, "there is no such folder")
      const same = yield* mailrace([...send, "--transcript", input])
      assert.strictEqual(same.status, 2)
      assert.include(same.stderr, "--transcript would overwrite")
      assert.lengthOf(server.messages, 0)
      const full = yield* mailrace([...send, "--transcript", "/dev/full"])
      assert.strictEqual(full.status, 0)
      assert.match(full.stderr, /the transcript \/dev\/full is not complete: ENOSPC/)
      assert.lengthOf(server.messages, 1)
    })
  )
})
