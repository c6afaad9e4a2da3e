/**
 * What can be wrong with a file, its disk and its neighbours: each is told in words, and nothing accepted is lost.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { MailTransport } from "mailrace/MailTransport"
import * as TestServer from "@mailrace/testing/TestServer"
import * as Fs from "node:fs"
import * as Os from "node:os"
import { DatabaseSync } from "node:sqlite"
import * as Migrations from "../src/Migrations.ts"
import * as Outbox from "../src/Outbox.ts"
import type { OutboxError } from "../src/OutboxError.ts"
import type * as SqliteStore from "../src/SqliteStore.ts"
import { mail } from "./support/fixtures.ts"
import * as Children from "./support/children.ts"
import * as ScriptedTransport from "./support/scriptedTransport.ts"
import * as SmallDisk from "./support/smallDisk.ts"
import { tempFolder } from "./support/tempFolder.ts"

const open = (path: string, options?: Partial<SqliteStore.Options>) =>
  Effect.map(Layer.build(Outbox.layerSqlite({ path, ...options })), (context) => Context.get(context, Outbox.Outbox))

/** The reason's tag, and that there is a sentence and a remedy. */
const told = (error: OutboxError) => {
  assert.isAbove(error.reason.message.length, 10)
  assert.isAbove(error.remedy.length, 10)
  return error.reason._tag
}

describe("a file", () => {
  it.live("of garbage, of another program, of a later version, in no folder, is refused and left as it is", () =>
    Effect.gen(function* () {
      const folder = yield* tempFolder
      const path = `${folder}/outbox.db`
      Fs.writeFileSync(path, "no database at all, but long enough to be read as one. ".repeat(100))
      const before = Fs.readFileSync(path)
      assert.strictEqual(told(yield* Effect.flip(open(path))), "Corrupt")
      assert.deepStrictEqual(Fs.readFileSync(path), before)

      const other = `${folder}/other.db`
      const database = new DatabaseSync(other)
      database.exec("CREATE TABLE outbox (id)")
      const error = yield* Effect.flip(open(other))
      assert.strictEqual(told(error), "Corrupt")
      assert.match(error.message, /another program/)
      assert.strictEqual(database.prepare("SELECT count(*) AS n FROM sqlite_schema").get()!["n"], 1)
      database.close()

      const later = `${folder}/later.db`
      yield* Effect.scoped(open(later))
      const newer = new DatabaseSync(later)
      newer.exec("PRAGMA user_version = 99")
      newer.close()
      assert.deepInclude((yield* Effect.flip(open(later))).reason, {
        _tag: "NewerSchema",
        found: 99,
        known: Migrations.latest(Migrations.sqlite)
      })

      const nowhere = yield* Effect.flip(open(`${folder}/missing/outbox.db`))
      assert.strictEqual(told(nowhere), "Unavailable")
      assert.include(nowhere.message, `there is no folder ${folder}/missing`)
      assert.match((yield* Effect.flip(open(folder))).message, /is not available: it is a folder/)
    })
  )

  it.live("of an earlier version is brought up to date with all that it holds", () =>
    Effect.gen(function* () {
      const path = `${yield* tempFolder}/outbox.db`
      const { messageId } = yield* Effect.scoped(Effect.flatMap(open(path), (outbox) => outbox.enqueue(mail())))
      const earlier = new DatabaseSync(path)
      earlier.exec(`UPDATE outbox SET stored_message_id = message_id; ALTER TABLE outbox DROP COLUMN message_id;
        ALTER TABLE outbox RENAME COLUMN stored_message_id TO message_id;
        ALTER TABLE outbox DROP COLUMN watched; ALTER TABLE outbox DROP COLUMN crashes;
        ALTER TABLE outbox DROP COLUMN room; DROP TABLE outbox_rate;
        UPDATE outbox SET state = 1, attempts = 1; PRAGMA user_version = 1`)
      earlier.close()
      const outbox = yield* open(path)
      const relay = ScriptedTransport.make()
      yield* Effect.provideService(outbox.run({ until: "idle" }), MailTransport, relay.transport)
      assert.deepInclude((yield* Stream.runCollect(outbox.list()))[0], {
        state: "accepted",
        attempts: 1,
        crashes: 0,
        messageId
      })
    })
  )

  it.live("that is damaged inside says so when it is used", () =>
    Effect.gen(function* () {
      const path = `${yield* tempFolder}/outbox.db`
      yield* Effect.scoped(
        Effect.flatMap(open(path), (outbox) =>
          Stream.runDrain(outbox.enqueueAll(Stream.map(Stream.range(1, 2000), () => mail())))
        )
      )
      const bytes = Fs.readFileSync(path)
      bytes.fill(0xa5, 8192, bytes.length - 4096)
      Fs.writeFileSync(path, bytes)
      const outbox = yield* Effect.result(open(path))
      const error =
        outbox._tag === "Failure" ? outbox.failure : yield* Effect.flip(Stream.runDrain(outbox.success.list()))
      assert.strictEqual(told(error), "Corrupt")
      assert.isFalse(error.isRetryable)
    })
  )

  it.live("that another process locks can be used again after the lock is released", () =>
    Effect.gen(function* () {
      const path = `${yield* tempFolder}/outbox.db`
      const outbox = yield* open(path, { busyTimeout: "50 millis" })
      const other = new DatabaseSync(path)
      other.exec("BEGIN IMMEDIATE")
      const error = yield* Effect.flip(outbox.enqueue(mail()))
      assert.strictEqual(told(error), "Locked")
      assert.isTrue(error.isRetryable)
      const relay = ScriptedTransport.make()
      const fiber = yield* Effect.forkChild(
        Effect.provideService(outbox.run({ until: "idle" }), MailTransport, relay.transport)
      )
      other.exec("COMMIT")
      other.close()
      yield* outbox.enqueue(mail())
      yield* Effect.ignore(Fiber.join(fiber))
      yield* Effect.provideService(outbox.run({ until: "idle" }), MailTransport, relay.transport)
      assert.strictEqual(relay.sent.length, 1)
    })
  )

  it.live("that another process locks makes a stream of messages and changes of many messages wait", () =>
    Effect.gen(function* () {
      const path = `${yield* tempFolder}/outbox.db`
      const outbox = yield* open(path, { busyTimeout: "20 millis" })
      const other = new DatabaseSync(path)
      const during = <A, E>(effect: Effect.Effect<A, E>, rejections: number) =>
        Effect.gen(function* () {
          other.exec("BEGIN IMMEDIATE")
          const fiber = yield* Effect.forkChild(effect)
          // As long as so many tries of a caller that gives up.
          for (let i = 0; i < rejections; i++) yield* Effect.flip(outbox.pause("a.example"))
          other.exec("COMMIT")
          return yield* Fiber.join(fiber)
        })
      const mails = Stream.map(Stream.range(1, 3), (i) => mail(`r${i}@a.example`))
      const receipts = yield* during(Stream.runCollect(outbox.enqueueAll(mails)), 6)
      assert.deepStrictEqual(
        receipts.map(({ _tag }) => _tag),
        ["Receipt", "Receipt", "Receipt"]
      )
      assert.strictEqual((yield* during(Stream.runCollect(outbox.cancel({})), 1)).length, 3)
      other.close()
    })
  )

  it.live("is dispatched by one process: a second one is told which, until the first is killed", () =>
    Effect.gen(function* () {
      const folder = yield* tempFolder
      const path = `${folder}/outbox.db`
      const smtp = yield* TestServer.make({ checkContent: false })
      const outbox = yield* open(path)
      const relay = ScriptedTransport.make()
      const dispatch = Effect.provideService(outbox.run({ until: "idle" }), MailTransport, relay.transport)
      const child = yield* Children.start({
        store: { _tag: "Sqlite", path },
        smtpPort: smtp.port,
        name: "c",
        mails: 10,
        dispatch: true,
        log: `${folder}/accepted`
      })
      yield* child.during(smtp.awaitMessages(10))
      // Enqueueing beside it is everybody's right.
      yield* outbox.enqueue(mail())
      const { reason } = yield* Effect.flip(dispatch)
      assert.deepInclude(reason, { _tag: "AlreadyDispatching", pid: child.pid, host: Os.hostname() })
      assert.match(reason.message, new RegExp(`process ${child.pid} on `))
      yield* child.during(smtp.awaitMessages(11))
      yield* child.kill
      yield* dispatch
      yield* outbox.enqueue(mail())
      yield* dispatch
      assert.strictEqual((yield* outbox.stats).states.accepted, 12)
    })
  )

  it.live.skipIf(!SmallDisk.isPossible)(
    "on a full disk takes nothing, keeps what it has, and goes on when there is room",
    () =>
      Effect.gen(function* () {
        const { fill, folder } = yield* SmallDisk.sized()
        const outbox = yield* open(`${folder}/outbox.db`)
        const gate = yield* Latch.make()
        const begun = yield* Latch.make()
        const relay = ScriptedTransport.make((message) =>
          Effect.andThen(begun.open, Effect.as(gate.await, ScriptedTransport.taken(message)))
        )
        const accepted: Array<string> = []
        const enqueue = (text: string) =>
          Effect.map(outbox.enqueue(mail(undefined, { text })), ({ messageId }) => void accepted.push(messageId))
        for (let i = 0; i < 20; i++) yield* enqueue("before")
        yield* Effect.forkScoped(Effect.provideService(outbox.run(), MailTransport, relay.transport))
        yield* begun.await
        const makeRoom = yield* fill
        const full = yield* Effect.flip(Effect.forever(enqueue("x".repeat(3000))))
        assert.strictEqual(told(full), "DiskFull")
        assert.isTrue(full.isRetryable)
        // What is sent now cannot be recorded until there is room.
        yield* gate.open
        yield* Effect.sleep("300 millis")
        yield* makeRoom
        yield* Effect.retry(enqueue("after"), { schedule: Schedule.spaced("20 millis"), times: 100 })
        yield* outbox.stats.pipe(
          Effect.filterOrFail(
            ({ states }) => states.accepted === accepted.length,
            () => "not yet"
          ),
          Effect.retry(Schedule.spaced("20 millis"))
        )
        assert.deepStrictEqual(relay.sent.map(({ messageId }) => messageId).sort(), accepted.sort())
      })
  )

  it.live.skipIf(!SmallDisk.isPossible)("that may not be written is refused", () =>
    Effect.gen(function* () {
      const { folder, remount } = yield* SmallDisk.sized()
      const path = `${folder}/outbox.db`
      yield* Effect.scoped(Effect.flatMap(open(path), (outbox) => outbox.enqueue(mail())))
      yield* remount("ro")
      const error = yield* Effect.scoped(Effect.flip(Effect.flatMap(open(path), (outbox) => outbox.enqueue(mail()))))
      assert.strictEqual(told(error), "ReadOnly")
      yield* remount("rw")
      const outbox = yield* open(path)
      assert.strictEqual((yield* outbox.stats).states.due, 1)
    })
  )
})
