/**
 * Each example, run as its comment says, against a server on a real socket.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Outbox from "@mailrace/outbox/Outbox"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const main = (name: string): string => fileURLToPath(new URL(`../examples/${name}/main.ts`, import.meta.url))

const start = (name: string, relay: string, args: ReadonlyArray<string> = [], env: Record<string, string> = {}) =>
  Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [main(name), ...args], {
        env: { ...process.env, ...env, MAILRACE_RELAY: relay },
        stdio: ["ignore", "pipe", "pipe"]
      })
    ),
    (child) => Effect.sync(() => child.exitCode === null && child.kill("SIGKILL"))
  )

const output = (child: ChildProcess) =>
  Effect.callback<{ readonly status: number | null; readonly text: string }>((resume) => {
    let text = ""
    child.stdout!.setEncoding("utf8").on("data", (piece: string) => (text += piece))
    child.stderr!.setEncoding("utf8").on("data", (piece: string) => (text += piece))
    child.on("close", (status) => resume(Effect.succeed({ status, text })))
  })

const run = (name: string, server: TestServer.TestServerService, args?: ReadonlyArray<string>) =>
  Effect.scoped(Effect.flatMap(start(name, urlOf(server), args), output))

const urlOf = (server: TestServer.TestServerService): string => `smtp://127.0.0.1:${server.port}`

const recipientsOf = (server: TestServer.TestServerService): ReadonlyArray<string> =>
  server.messages.flatMap((message) => message.to.map((path) => path.address)).sort()

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "mailrace-example-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

/** Examples are processes of their own; a busy machine needs a while for them. */
describe("examples", { timeout: 30_000 }, () => {
  it.live("minimal sends its messages", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const { status, text } = yield* run("minimal", server)
      assert.strictEqual(status, 0)
      assert.deepStrictEqual(
        text.trimEnd().split("\n").sort(),
        [0, 1, 2, 3, 4].map((id) => `message ${id}: Accepted`)
      )
      assert.strictEqual(server.messages.length, 5)
    })
  )

  it.live("campaign writes to each subscriber and records each outcome", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["rcpt:550:to=dan@*"] })
      const folder = yield* temporaryFolder
      const outcomes = join(folder, "outcomes.csv")
      const people = fileURLToPath(new URL("../examples/campaign/people.csv", import.meta.url))
      const { status, text } = yield* run("campaign", server, [people, outcomes])
      assert.strictEqual(status, 0)
      assert.include(text, "left out: 1 unsubscribed, 1 twice in the file, 0 no addresses")
      assert.deepStrictEqual(recipientsOf(server), ["ann@example.org", "bob@example.org", "cid@example.org"])
      const bob = server.messages.find((message) => message.to[0]?.address === "bob@example.org")
      assert.include(Buffer.from(bob!.content).toString(), "<p>Dear Bob &lt;3,</p>")
      assert.include(Buffer.from(bob!.content).toString(), "List-Unsubscribe-Post: List-Unsubscribe=One-Click")
      const lines = readFileSync(outcomes, "utf8").trimEnd().split("\r\n")
      assert.strictEqual(lines.shift(), "email,outcome,attempts,reason")
      assert.match(lines.sort().at(-1)!, /^dan@example\.org,Rejected,1,".*550 5\.1\.1/)
      assert.strictEqual(lines.length, 4)
    })
  )

  it.live("service sends digests and suspends unreachable subscribers", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["rcpt:550:to=*@gone.example"] })
      const { status, text } = yield* run("service", server)
      assert.deepStrictEqual(
        [status, text],
        [
          0,
          "36 sent, 4 refused, 0 to be sent again\n" +
            "suspended: subscriber-19, subscriber-29, subscriber-39, subscriber-9\n"
        ]
      )
      assert.strictEqual(server.messages.length, 36)
    })
  )

  it.live("service with an outbox sends each digest once, however often it is run", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["rcpt:550:to=*@gone.example", "rcpt:450:to=reader3@*"] })
      const folder = yield* temporaryFolder
      const file = join(folder, "digests.db")
      const job = Effect.scoped(Effect.flatMap(start("service", urlOf(server), [], { MAILRACE_OUTBOX: file }), output))
      assert.match((yield* job).text, /^35 sent, 4 refused, 1 to be sent again\n/)
      assert.strictEqual(server.messages.length, 35)
      yield* server.setFaults([])
      yield* Effect.provide(Stream.runDrain(Outbox.retry({ states: ["due"] })), Outbox.layerSqlite(file))
      assert.match((yield* job).text, /^36 sent, 4 refused, 0 to be sent again\n/)
      assert.strictEqual(new Set(recipientsOf(server)).size, 36)
      assert.strictEqual(server.messages.length, 36)
    })
  )

  it.live("service stops when the list is bad", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["rcpt:550"] })
      const { text } = yield* run("service", server)
      assert.match(text, /^stopped: 11 refused and only 0 sent/)
    })
  )

  it.live("signup answers with the relay's verdict", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["rcpt:550:to=gone@*", "rcpt:450:to=busy@*"] })
      const child = yield* start("signup", urlOf(server), [], { PORT: "0" })
      const port = yield* Effect.callback<string>((resume) => {
        child.stdout.setEncoding("utf8").on("data", (text: string) => {
          const found = /:(\d+)/.exec(/http:\/\/\S+/.exec(text)?.[0] ?? "")
          if (found !== null) resume(Effect.succeed(found[1]!))
        })
      })
      const post = (body: string) =>
        Effect.promise(async () => {
          const headers = { "content-type": "application/json" }
          const response = await fetch(`http://127.0.0.1:${port}/signup`, { method: "POST", headers, body })
          return response.status
        })
      const signUp = (email: string) => post(JSON.stringify({ name: "Ann", email }))
      assert.strictEqual(yield* signUp("ann@example.org"), 202)
      assert.strictEqual(yield* signUp("gone@example.org"), 422)
      assert.strictEqual(yield* signUp("busy@example.org"), 503)
      assert.strictEqual(yield* signUp("no address"), 400)
      assert.strictEqual(yield* post("{"), 400)
      assert.deepStrictEqual(recipientsOf(server), ["ann@example.org"])
      assert.match(Buffer.from(server.messages[0]!.content).toString(), /^To: Ann <ann@example\.org>\r$/m)
    })
  )
})
