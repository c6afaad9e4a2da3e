/**
 * Outbox files of older versions: their marks are read, and `send --durable` goes on where that version was.
 *
 * `fixtures/durable-8094cdc.db.gz` was written by commit 8094cdc, by three runs of `send --durable --retries 0` on one
 * file: `piped` on standard input (the second recipient refused, the third put off), `people.csv` with `hello.json`, and
 * `whole.eml`. Afterwards the times of expiry and of ends were moved to the year 2100, so that it does not age.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import { gunzipSync } from "node:zlib"
import { folder } from "./support/command.ts"
import { mailrace } from "./support/inProcess.ts"
import * as OutboxFile from "./support/outboxFile.ts"

const fixture = gunzipSync(readFileSync(new URL("fixtures/durable-8094cdc.db.gz", import.meta.url)))

const piped = ["r0", "gone", "busy"]
  .map((to) => `{"from":"news@x.example","to":"${to}@x.example","subject":"s","text":"Hello"}\n`)
  .join("")
const people = "email,name\nann@x.example,Ann\nbob@x.example,Bob\n"
const hello = `{"from":"News <news@x.example>","subject":"For {{name}}","text":"Dear {{name}}","attachments":[{"filename":"a.txt","content":"words"}]}`
const whole = "From: a@x.example\r\nTo: whole@x.example\r\nSubject: s\r\n\r\nwritten before\r\n"

describe("an outbox of 8094cdc and mailrace send --durable", () => {
  it.live("continues where that version stopped, by the same path and by another; a changed input is refused", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const dir = yield* folder
      const db = dir.path("q.db")
      dir.write("q.db", fixture)
      const send = (args: ReadonlyArray<string>, stdin = "") =>
        mailrace(
          ["send", "--durable", db, "--progress", "none", "--relay", `smtp://127.0.0.1:${server.port}`, ...args],
          {
            stdin
          }
        )
      const template = ["--template", dir.write("hello.json", hello)]

      const csv = yield* send(["--input", dir.write("elsewhere.csv", people), ...template])
      assert.match(
        csv.stderr,
        /^.*q\.db holds these messages already, from another path: 2 accepted; .*elsewhere\.csv continues there/
      )
      const eml = yield* send(["--input", dir.write("renamed.eml", whole)])
      assert.match(eml.stderr, /holds these messages already, from another path: 1 accepted; /)
      // The one that was put off is due since, and is sent by the first of these runs, whatever its input.
      const stdin = yield* send(["--input", "-"], piped)
      assert.match(stdin.stderr, /^3 messages of standard input are in .*q\.db already: 2 accepted, 1 rejected\n/)
      assert.deepStrictEqual(
        server.messages.map(({ to }) => to[0]!.address),
        ["busy@x.example"]
      )

      dir.write("elsewhere.csv", `${people}cid@x.example,Cid\n`)
      const longer = yield* send(["--input", dir.path("elsewhere.csv"), ...template])
      assert.match(longer.stdout, /^1 of 1 messages accepted/)
      const changed = yield* send(["--input", "-"], piped.replace("Hello", "Hallo"))
      assert.strictEqual(changed.status, 2)
      assert.match(changed.stderr, /mailrace: line 1 of standard input makes a different message from the one in/)
      assert.strictEqual(server.messages.length, 2)
      assert.deepInclude(yield* OutboxFile.states(db), { accepted: 6, rejected: 1, due: 0 })
    })
  )
})
