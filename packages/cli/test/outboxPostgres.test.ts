/**
 * `mailrace outbox --postgres`: the same commands on a real PostgreSQL server.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as PostgresServer from "../../outbox/test/support/postgresServer.ts"
import { mail, mailrace } from "./support/command.ts"
import { mailrace as mailraceWithin } from "./support/inProcess.ts"

describe("mailrace outbox --postgres", () => {
  it.live("puts in, sends by two at once, and looks; the password stays out of sight", () =>
    Effect.gen(function* () {
      const postgres = yield* PostgresServer.make
      const server = yield* TestServer.make()
      const url = `postgres://postgres:geheim@${encodeURIComponent(postgres.host)}:${postgres.port}/postgres`
      const outbox = (...args: ReadonlyArray<string>) => mailrace(["outbox", ...args, "--postgres", url])
      const count = 500
      const stdin = Array.from({ length: count }, (_, n) => mail(`r${n}@d${n % 40}.example`)).join("")
      const env = { MAILRACE_OUTBOX_POSTGRES: url }
      const enqueued = yield* mailrace(["outbox", "enqueue", "-i", "-"], { stdin, env })
      assert.deepStrictEqual([enqueued.status, enqueued.stderr], [0, ""])
      assert.match(enqueued.stdout, /^500 messages put into postgres:\/\//)

      const args = ["--drain", "--progress", "none", "--relay", `smtp://127.0.0.1:${server.port}`]
      const runs = yield* Effect.all([outbox("run", ...args), outbox("run", ...args)], { concurrency: 2 })
      const stats = yield* outbox("stats", "--json")
      assert.deepInclude(JSON.parse(stats.stdout).states, { due: 0, claimed: 0, accepted: count })
      assert.strictEqual(new Set(server.messages.map(({ to }) => to[0]!.address)).size, count)
      assert.strictEqual(server.messages.length, count)
      const watched = yield* mailraceWithin(["top", "--postgres", url])
      assert.match(watched.stdout, /^states +accepted 500$/m)
      for (const { status, stderr, stdout } of [enqueued, ...runs, stats, watched]) {
        assert.strictEqual(status, 0)
        assert.notInclude(stdout + stderr, "geheim")
      }
    })
  )
})
