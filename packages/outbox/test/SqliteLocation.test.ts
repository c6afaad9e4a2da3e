/**
 * One file is one outbox, by whatever name it is opened, and is refused where that cannot be.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { MailTransport } from "mailrace/MailTransport"
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import type * as Dispatcher from "../src/Dispatcher.ts"
import * as DurableTransport from "../src/DurableTransport.ts"
import * as Outbox from "../src/Outbox.ts"
import { faultOf, realPath } from "../src/internal/sqlite/file/location.ts"
import { mail } from "./support/fixtures.ts"
import * as ScriptedTransport from "./support/scriptedTransport.ts"
import * as SmallDisk from "./support/smallDisk.ts"
import { tempFolder } from "./support/tempFolder.ts"

const open = (path: string) =>
  Effect.map(Layer.build(Outbox.layerSqlite(path)), (context) => Context.get(context, Outbox.Outbox))

/** A folder with an outbox in `real/t.db` and other names for it. */
const linked = Effect.gen(function* () {
  const folder = Fs.realpathSync(yield* tempFolder)
  Fs.mkdirSync(`${folder}/real/deep`, { recursive: true })
  yield* Effect.scoped(Effect.flatMap(open(`${folder}/real/t.db`), (outbox) => outbox.enqueue(mail())))
  Fs.symlinkSync(`${folder}/real/t.db`, `${folder}/file.db`)
  Fs.symlinkSync("file.db", `${folder}/again.db`)
  Fs.symlinkSync("real", `${folder}/folder`)
  Fs.symlinkSync("real/deep", `${folder}/deep`)
  return {
    folder,
    names: [
      `${folder}/file.db`,
      `${folder}/again.db`,
      `${folder}/folder/t.db`,
      // To the system this is real/t.db, and by its letters it would be t.db.
      `${folder}/deep/../t.db`,
      Path.relative(process.cwd(), `${folder}/real/t.db`),
      `${folder}/real/../real/./t.db`,
      `file://${folder}/folder/t.db`
    ]
  }
})

describe("the place of an outbox's file", () => {
  it.live("is no empty path, which SQLite takes for a database that ends with the process", () =>
    Effect.gen(function* () {
      const { message, reason, remedy } = yield* Effect.flip(Effect.scoped(open("")))
      assert.strictEqual(reason._tag, "Misplaced")
      assert.include(message, "its path is empty")
      assert.include(remedy, "give the path of a file")
    })
  )

  it.live("does not exist for outboxes in memory: each has a dispatcher and leaves no file behind", () =>
    Effect.gen(function* () {
      const outboxes = [yield* open(":memory:"), yield* open(":memory:")]
      const relay = ScriptedTransport.make((message) => Effect.succeed(ScriptedTransport.taken(message)))
      for (const outbox of outboxes) {
        yield* outbox.enqueue(mail())
        yield* Effect.forkScoped(Effect.provideService(outbox.run(), MailTransport, relay.transport))
      }
      for (const outbox of outboxes)
        yield* Effect.repeat(outbox.count(), {
          until: ({ accepted }) => accepted === 1,
          schedule: Schedule.spaced("5 millis")
        })
      assert.deepStrictEqual(
        Fs.readdirSync(process.cwd()).filter((name) => name.startsWith(":memory:")),
        []
      )
    })
  )

  it.live("is the real path, by whatever name it is opened: one process dispatches it, all see the same messages", () =>
    Effect.gen(function* () {
      const { folder, names } = yield* linked
      const gate = yield* Latch.make()
      const begun = yield* Latch.make()
      const relay = ScriptedTransport.make((message) =>
        Effect.andThen(begun.open, Effect.as(gate.await, ScriptedTransport.taken(message)))
      )
      const first = yield* open(names[0]!)
      yield* Effect.forkScoped(Effect.provideService(first.run(), MailTransport, relay.transport))
      // So that a failure ends the test.
      yield* Effect.addFinalizer(() => gate.open)
      yield* begun.await
      for (const name of names) {
        const outbox = yield* open(name)
        const error = yield* Effect.flip(
          Effect.provideService(outbox.run({ until: "idle" }), MailTransport, relay.transport)
        )
        assert.deepInclude(error.reason, { _tag: "AlreadyDispatching", pid: process.pid }, name)
        assert.strictEqual((yield* Stream.runCollect(outbox.list())).length, 1, name)
      }
      const durable = DurableTransport.layer().pipe(
        Layer.provide([Outbox.layerSqlite(names[2]!), Layer.succeed(MailTransport, relay.transport)])
      )
      assert.strictEqual((yield* Effect.flip(Layer.build(durable))).reason._tag, "AlreadyDispatching")
      yield* gate.open
      assert.strictEqual(relay.counts.size, 1)
      assert.deepStrictEqual([...relay.counts.values()], [1])
      // What belongs to the file is beside it and nowhere else.
      assert.deepStrictEqual(Fs.readdirSync(folder).sort(), ["again.db", "deep", "file.db", "folder", "real"])
      const beside = Fs.readdirSync(`${folder}/real`)
      assert.includeMembers(beside, ["t.db-dispatcher", "t.db-shm", "t.db-wal"])
      assert.isTrue(beside.every((name) => name === "deep" || name.startsWith("t.db")))
    })
  )

  it.live("is the target of a link, even if the target does not exist yet", () =>
    Effect.gen(function* () {
      const folder = Fs.realpathSync(yield* tempFolder)
      Fs.mkdirSync(`${folder}/real`)
      Fs.symlinkSync("real", `${folder}/folder`)
      Fs.symlinkSync("folder/new.db", `${folder}/one.db`)
      Fs.symlinkSync("one.db", `${folder}/two.db`)
      assert.strictEqual(realPath(`${folder}/two.db`), `${folder}/real/new.db`)
      const outbox = yield* open(`${folder}/two.db`)
      yield* outbox.enqueue(mail())
      assert.includeMembers(Fs.readdirSync(`${folder}/real`), ["new.db", "new.db-wal"])
      assert.strictEqual((yield* (yield* open(`${folder}/real/new.db`)).stats).states.due, 1)

      Fs.symlinkSync(`${folder}/missing/x.db`, `${folder}/nowhere.db`)
      assert.include((yield* Effect.flip(open(`${folder}/nowhere.db`))).message, `there is no folder ${folder}/missing`)
      Fs.symlinkSync("round.db", `${folder}/round.db`)
      assert.strictEqual((yield* Effect.flip(open(`${folder}/round.db`))).reason._tag, "Unavailable")
    })
  )

  it.live("cannot have two names: opening and dispatching refuse hard links, with a remedy", () =>
    Effect.gen(function* () {
      const folder = yield* tempFolder
      const path = `${folder}/t.db`
      const outbox = yield* open(path)
      yield* outbox.enqueue(mail())
      Fs.linkSync(path, `${folder}/other.db`)
      const relay = ScriptedTransport.make()
      const dispatch = Effect.provideService(outbox.run({ until: "idle" }), MailTransport, relay.transport)
      for (const error of [
        yield* Effect.flip(open(path)),
        yield* Effect.flip(open(`${folder}/other.db`)),
        yield* Effect.flip(dispatch)
      ]) {
        assert.strictEqual(error.reason._tag, "Misplaced")
        assert.match(error.message, /cannot be used where it is: it has 2 names \(hard links\).*-wal/)
        assert.match(error.remedy, /find DIR -samefile .*VACUUM INTO/)
        assert.isFalse(error.isRetryable)
      }
      assert.isFalse(Fs.existsSync(`${folder}/other.db-wal`))
      Fs.rmSync(`${folder}/other.db`)
      yield* dispatch
      assert.strictEqual(relay.sent.length, 1)
    })
  )

  it.live("is checked at each write: a file that was moved, replaced or removed accepts none", () =>
    Effect.gen(function* () {
      const folder = yield* tempFolder
      const path = `${folder}/t.db`
      const outbox = yield* open(path)
      yield* outbox.enqueue(mail("a@a.test"))
      let renames = 1
      const relay = ScriptedTransport.make((message) =>
        Effect.sync(() => {
          if (renames-- > 0) Fs.renameSync(path, `${folder}/moved.db`)
          return ScriptedTransport.taken(message)
        })
      )
      // A second dispatcher, of the file by its new name, has another lock: so the first sends no more.
      let status: Dispatcher.Status | undefined
      const onStart = (_: number, given: Dispatcher.Status) => Effect.sync(() => void (status = given))
      const ended = yield* Effect.flip(
        Effect.provideService(outbox.run({ concurrency: 1, onStart }), MailTransport, relay.transport)
      )
      for (const error of [ended, yield* Effect.flip(outbox.enqueue(mail()))]) {
        assert.strictEqual(error.reason._tag, "Misplaced")
        assert.match(error.message, /moved, replaced or removed while it was open/)
        assert.match(error.remedy, /move it back/)
      }
      assert.strictEqual(status!.unrecorded, 1)
      Fs.writeFileSync(path, "another")
      assert.strictEqual((yield* Effect.flip(outbox.enqueue(mail()))).reason._tag, "Misplaced")
      Fs.rmSync(path)
      assert.strictEqual((yield* Effect.flip(outbox.enqueue(mail()))).reason._tag, "Misplaced")
      Fs.renameSync(`${folder}/moved.db`, path)
      yield* outbox.enqueue(mail())
    })
  )

  it.live.skipIf(!SmallDisk.isPossible)(
    "is refused if the file is mounted alone, and accepted if its folder is mounted",
    () =>
      Effect.gen(function* () {
        const folder = Fs.realpathSync(yield* tempFolder)
        for (const name of ["real", "bound"]) Fs.mkdirSync(`${folder}/${name}`)
        yield* Effect.scoped(Effect.flatMap(open(`${folder}/real/t.db`), (outbox) => outbox.enqueue(mail())))
        yield* bound(`${folder}/real`, `${folder}/bound`)
        const first = yield* open(`${folder}/real/t.db`)
        const gate = yield* Latch.make()
        const begun = yield* Latch.make()
        const relay = ScriptedTransport.make((message) =>
          Effect.andThen(begun.open, Effect.as(gate.await, ScriptedTransport.taken(message)))
        )
        yield* Effect.forkScoped(Effect.provideService(first.run(), MailTransport, relay.transport))
        // So that a failure ends the test.
        yield* Effect.addFinalizer(() => gate.open)
        yield* begun.await
        const second = yield* open(`${folder}/bound/t.db`)
        const error = yield* Effect.flip(Effect.provideService(second.run(), MailTransport, relay.transport))
        assert.strictEqual(error.reason._tag, "AlreadyDispatching")
        yield* gate.open

        Fs.writeFileSync(`${folder}/alone db`, "")
        yield* bound(`${folder}/real/t.db`, `${folder}/alone db`)
        const alone = yield* Effect.flip(open(`${folder}/alone db`))
        assert.strictEqual(alone.reason._tag, "Misplaced")
        assert.match(alone.message, /mounted alone/)
        assert.match(alone.remedy, /mount the folder/)
      })
  )

  it("is refused on network file systems, and on no others", () => {
    const mounts = (...lines: ReadonlyArray<string>) => lines.join("\n")
    const table = mounts(
      "27 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw",
      "30 27 0:25 / /mnt/nfs rw - nfs4 server:/export rw",
      "31 27 0:26 / /mnt/nfs/local rw - tmpfs tmpfs rw",
      "32 27 0:27 / /mnt/a\\040b rw - cifs //server/share rw",
      "33 27 0:28 / /mnt/ssh rw - fuse.sshfs me@host: rw",
      "34 27 0:29 / /mnt/desktop rw - fuse.virtiofs x rw",
      "35 27 0:30 / /mnt/over rw - nfs server:/a rw",
      "36 35 0:31 / /mnt/over rw - ext4 /dev/vdb rw",
      ""
    )
    const refused = (path: string) => faultOf(path, table) !== undefined
    assert.match(faultOf("/mnt/nfs/t.db", table)!.problem, /network file system \(nfs4\)/)
    assert.match(faultOf("/mnt/nfs/t.db", table)!.hint, /local disk.*PostgreSQL/)
    assert.deepStrictEqual(
      ["/t.db", "/mnt/nfs/local/t.db", "/mnt/nfsx/t.db", "/mnt/a b/t.db", "/mnt/ssh/d/t.db", "/mnt/desktop/t.db"].map(
        refused
      ),
      [false, false, false, true, true, false]
    )
    // What is mounted last is on top.
    assert.isFalse(refused("/mnt/over/t.db"))
  })
})

/** Mounts a file or a folder at another place, until the scope closes. */
const bound = (from: string, at: string) =>
  Effect.acquireRelease(
    Effect.sync(() => assert.strictEqual(spawnSync("mount", ["--bind", from, at]).status, 0)),
    () => Effect.sync(() => void spawnSync("umount", ["-l", at]))
  )
