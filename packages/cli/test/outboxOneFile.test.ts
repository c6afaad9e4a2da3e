/**
 * One file, one dispatcher, by whatever name the file goes: real processes.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fs from "node:fs"
import { folder, mail, mailrace, start } from "./support/command.ts"

describe("an outbox's file with several names", () => {
  it.live(
    "is sent from by one process; a second one by another name is refused, with the first one's name",
    () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ latency: "200 millis" })
        const dir = yield* folder
        const relay = ["--progress", "none", "--relay", `smtp://127.0.0.1:${server.port}?pipelining=off`]
        const stdin = Array.from({ length: 60 }, (_, n) => mail(`r${n}@d.example`)).join("")
        Fs.mkdirSync(dir.path("real"))
        const db = dir.path("real/t.db")
        Fs.symlinkSync("real/t.db", dir.path("s.db"))
        Fs.symlinkSync("real", dir.path("folder"))
        // The file is not there yet: the first to open it makes it, where the link points to.
        const enqueued = yield* mailrace(["outbox", "enqueue", "--db", dir.path("s.db"), "-i", "-"], { stdin })
        assert.deepStrictEqual([enqueued.status, enqueued.stderr], [0, ""])
        assert.isTrue(Fs.existsSync(db))

        const first = yield* start(["outbox", "run", "--db", db, ...relay])
        yield* server.until(({ commands }) => commands > 0)
        for (const name of [dir.path("s.db"), dir.path("folder/t.db")]) {
          const second = yield* mailrace(["outbox", "run", "--drain", "--db", name, ...relay])
          assert.strictEqual(second.status, 2, second.stderr)
          assert.match(second.stderr, new RegExp(`process ${first.process.pid} on .* already sends from ${name}`))
        }
        const durable = yield* mailrace(["send", "--durable", dir.path("s.db"), "--input", "-", ...relay], {
          stdin: mail("late@d.example")
        })
        assert.strictEqual(durable.status, 2)
        assert.include(durable.stderr, "already sends from")
        const list = yield* mailrace(["outbox", "list", "--db", dir.path("folder/t.db"), "--json"])
        assert.strictEqual(list.stdout.trim().split("\n").length, 60)
        yield* server.awaitMessages(60)
        first.process.kill("SIGINT")
        assert.strictEqual((yield* first.ended).status, 0)
        assert.strictEqual(server.messages.length, 60)
        assert.strictEqual(new Set(server.messages.map(({ to }) => to[0]!.address)).size, 60)

        Fs.linkSync(db, dir.path("hard.db"))
        const refused = yield* mailrace(["outbox", "stats", "--db", dir.path("hard.db")])
        assert.strictEqual(refused.status, 2)
        assert.match(refused.stderr, /it has 2 names \(hard links\)[^]*try: keep one name/)
      }),
    // Seven processes, one after the other.
    90_000
  )
})
