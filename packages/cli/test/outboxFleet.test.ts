/**
 * Dispatchers as the command shows them, and how closely they are told to watch each other.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Os from "node:os"
import * as PostgresServer from "../../outbox/test/support/postgresServer.ts"
import { folder, mail, mailrace, start } from "./support/command.ts"

interface Shown {
  readonly name: string
  readonly since: string
  readonly buckets: number
  readonly inFlight: number
  readonly lastBeatAt: string | null
}

/** The dispatchers of `stats --json`, once there are so many and they own all buckets in equal shares. */
const dispatchers = (place: ReadonlyArray<string>, count: number) =>
  mailrace(["outbox", "stats", "--json", ...place]).pipe(
    Effect.map(({ stdout }) => JSON.parse(stdout || "{}").dispatchers as ReadonlyArray<Shown> | undefined),
    Effect.filterOrFail(
      (found) => found?.length === count && found.every(({ buckets }) => buckets === 1024 / count),
      () => "not yet"
    ),
    Effect.retry(Schedule.spaced("100 millis")),
    Effect.map((found) => found!)
  )

describe("dispatchers, as the command shows them", () => {
  it.live("are in stats and in list --dispatchers, with their shares and their last beat", () =>
    Effect.gen(function* () {
      const postgres = yield* PostgresServer.make
      const relay = yield* TestServer.make()
      const url = `postgres://postgres@${encodeURIComponent(postgres.host)}:${postgres.port}/postgres`
      const place = ["--postgres", url]
      yield* mailrace(["outbox", "enqueue", "-i", "-", ...place], { stdin: mail("ann@a.example") })
      const none = yield* mailrace(["outbox", "stats", ...place])
      assert.include(none.stdout, "no dispatcher")

      const run = ["outbox", "run", "--relay", `smtp://127.0.0.1:${relay.port}`, "--progress", "none", ...place]
      const processes = [
        yield* start([...run, "--heartbeat", "200ms", "--lease", "5s"]),
        yield* start([...run, "--heartbeat", "200ms"])
      ]
      const found = yield* dispatchers(place, 2)
      for (const { buckets, inFlight, lastBeatAt, name, since } of found) {
        assert.include(
          processes.map(({ process }) => `${Os.hostname()}/${process.pid}`),
          name.replace(/\/\w+$/, "")
        )
        assert.deepStrictEqual([buckets, inFlight], [512, 0])
        assert.isAtLeast(Date.parse(lastBeatAt!), Date.parse(since))
      }
      const stats = yield* mailrace(["outbox", "stats", ...place])
      assert.match(stats.stdout, /DISPATCHER +SINCE +BUCKETS +IN FLIGHT +LAST BEAT/)
      for (const { name } of found) assert.include(stats.stdout, name)
      const table = yield* mailrace(["outbox", "list", "--dispatchers", ...place])
      for (const { name } of found) assert.include(table.stdout, name)
      const lines = yield* mailrace(["outbox", "list", "--dispatchers", "--json", ...place])
      assert.deepStrictEqual(
        lines.stdout
          .split("\n")
          .filter(Boolean)
          .map((line) => (JSON.parse(line) as Shown).name),
        found.map(({ name }) => name)
      )
      for (const { process } of processes) process.kill("SIGINT")
      for (const { ended } of processes) assert.strictEqual((yield* ended).status, 0)
      const gone = yield* mailrace(["outbox", "stats", "--json", ...place])
      assert.deepStrictEqual(JSON.parse(gone.stdout).dispatchers, [])
    })
  )

  it.live("is the process that sends from a file", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const relay = yield* TestServer.make()
      const place = ["--db", dir.path("outbox.db")]
      yield* mailrace(["outbox", "enqueue", "-i", "-", ...place], { stdin: mail("ann@a.example") })
      const none = yield* mailrace(["outbox", "stats", "--json", ...place])
      assert.deepStrictEqual(JSON.parse(none.stdout).dispatchers, [])
      const running = yield* start(["outbox", "run", "--relay", `smtp://127.0.0.1:${relay.port}`, ...place])
      const [found] = yield* dispatchers(place, 1)
      assert.deepInclude(found, { name: `${Os.hostname()}/${running.process.pid}`, buckets: 1024, lastBeatAt: null })
      running.process.kill("SIGKILL")
      yield* running.ended
      const gone = yield* mailrace(["outbox", "stats", "--json", ...place])
      assert.deepStrictEqual(JSON.parse(gone.stdout).dispatchers, [])
    })
  )

  it.live("take a heartbeat and a lease that fit each other and the outbox", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const run = (...args: ReadonlyArray<string>) =>
        mailrace(["outbox", "run", "--relay", "smtp://127.0.0.1:1", "--drain", ...args])
      const file = yield* run("--db", dir.path("outbox.db"), "--lease", "20s")
      assert.deepStrictEqual(file.status, 2)
      assert.include(file.stderr, "--lease is for an outbox in PostgreSQL")
      assert.include(file.stderr, "leave out --lease, or name a database with --postgres")
      const database = ["--postgres", "postgres://nobody@127.0.0.1:1/none"]
      const short = yield* run(...database, "--heartbeat", "2s", "--lease", "5s")
      assert.deepStrictEqual(short.status, 2)
      assert.include(short.stderr, "--lease 5s is shorter than three heartbeats, which are 6 s")
      assert.include(short.stderr, "give a longer --lease, or a shorter --heartbeat")
      const nonsense = yield* run(...database, "--heartbeat", "0s")
      assert.deepStrictEqual(nonsense.status, 2)
      assert.include(nonsense.stderr, '--heartbeat: "0s" is not a length of time')
    })
  )
})
