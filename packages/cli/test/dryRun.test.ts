/**
 * `mailrace send --dry-run` finds what sending would find, shows what would be sent, and reaches no relay.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readdirSync } from "node:fs"
import { folder, mail, mailrace } from "./support/command.ts"

describe("mailrace send --dry-run", () => {
  it.live("composes all, shows and writes as many as asked for, and connects to nothing", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const input = dir.write(
        "in.ndjson",
        mail("ann@x.example", { subject: "Grüße an Ann" }) + mail("bob@x.example") + mail("cid@x.example")
      )
      const { status, stderr, stdout } = yield* mailrace(
        ["send", "--dry-run", "--preview", "2", "--preview-dir", dir.path("seen"), "-i", input],
        { env: { MAILRACE_RELAY: `smtp://127.0.0.1:${server.port}` } }
      )
      assert.deepStrictEqual([status, stderr], [0, ""])
      assert.match(stdout, /^── .*1\.eml\nFrom: +news@x\.example\nTo: +ann@x\.example\nSubject: +Grüße an Ann\n/)
      assert.match(stdout, /\n3 of 3 messages composed, .*; nothing was sent\n/)
      assert.deepStrictEqual(readdirSync(dir.path("seen")).sort(), ["1.eml", "2.eml"])
      assert.match(dir.read("seen/2.eml"), /^To: bob@x\.example\r$/m)
      assert.deepStrictEqual([server.messages.length, server.connections.length], [0, 0])
    })
  )

  it.live("exits with 1 when a message could not be sent, and names it", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const input = dir.write(
        "in.ndjson",
        mail("ann@x.example") + "oops\n" + mail("bob@x.example", { attachments: [{ path: "none.pdf" }] })
      )
      const { status, stderr, stdout } = yield* mailrace(["send", "--dry-run", "-i", input])
      assert.strictEqual(status, 1)
      assert.match(stderr, /^bad line 2, column 1: .*\nbad line 3, field attachments\[0\]\.path: there is no such file/)
      assert.match(stdout, /^1 of 3 messages composed/)
    })
  )

  it.live("writes no preview into the folder that it reads", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const draft = "From: a@x.example\nTo: b@x.example\nSubject: Hi\n\nHello\n"
      dir.write("1.eml", draft)
      const args = ["--preview", "1", "--preview-dir", dir.path("."), "-i", dir.path("")]
      const { status, stderr } = yield* mailrace(["send", "--dry-run", ...args])
      assert.strictEqual(status, 2)
      assert.match(stderr, /--preview-dir would overwrite .*, which --input names\n/)
      assert.strictEqual(dir.read("1.eml"), draft)
    })
  )

  it.live("does not take --preview for itself, nor a dry run with a report", () =>
    Effect.gen(function* () {
      const alone = yield* mailrace(["send", "--preview", "2", "-i", "-"])
      const reported = yield* mailrace(["send", "--dry-run", "--json", "-i", "-"])
      assert.deepStrictEqual([alone.status, reported.status], [2, 2])
      assert.match(alone.stderr, /add --dry-run/)
      assert.match(reported.stderr, /leave out --durable, --json/)
    })
  )

  it.live("ends with what receivers would hold against the messages", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const input = dir.write(
        "in.ndjson",
        mail("ann@x.example") + mail("bob@x.example", { from: "shop@gmail.com" }) + mail("cid@x.example")
      )
      const dryRun = ["send", "--dry-run", "-i", input]
      const plain = yield* mailrace(dryRun, { env: { COLUMNS: "200" } })
      assert.strictEqual(plain.status, 0)
      assert.match(
        plain.stdout,
        /nothing was sent\nwhat receivers may hold against the messages:\n(?:.*\n)*problem {2}unsubscribe: .* \(3 of 3 messages\)\n(?:.*\n)* +try: give --list-unsubscribe /
      )
      assert.match(
        plain.stdout,
        /problem {2}from: gmail\.com: .* \(1 of 3 messages, first line 2\)\n +required of all senders by Gmail/
      )
      const listed = yield* mailrace([...dryRun, "--list-unsubscribe", "https://x.example/leave"])
      assert.notInclude(listed.stdout, "problem  unsubscribe")
    })
  )
})
