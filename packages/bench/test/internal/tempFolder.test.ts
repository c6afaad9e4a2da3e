import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { copyFileSync, existsSync, readdirSync, writeFileSync } from "node:fs"
import { tempFolder, withCopy } from "../../src/internal/tempFolder.ts"

const program = new URL("../support/folderChild.ts", import.meta.url)

/** Starts a process with a folder of its own, ends it, and waits until the folder is gone. */
const removedAfter = (end: (child: ChildProcess) => void) =>
  Effect.promise(async () => {
    const child = fork(program, { execArgv: ["--no-warnings"] })
    const [path] = (await once(child, "message")) as [string]
    assert.isTrue(existsSync(`${path}/outbox.db`))
    const ended = once(child, "exit")
    end(child)
    await ended
    while (existsSync(path)) await new Promise((resolve) => setTimeout(resolve, 10))
  })

describe("tempFolder", () => {
  it.live("is removed when its process exits", () => removedAfter((child) => child.send("end")))

  it.live("is removed when its process is killed", () => removedAfter((child) => child.kill("SIGKILL")))

  it.live("is removed when its process is interrupted", () => removedAfter((child) => child.kill("SIGINT")))
})

describe("withCopy", () => {
  it.live("removes the copy and the files that SQLite puts beside it, also when its user fails", () =>
    Effect.gen(function* () {
      const folder = tempFolder()
      const path = `${folder.path}/outbox.db`
      writeFileSync(path, "mails")
      for (let time = 0; time < 3; time++) {
        const seen = yield* Effect.flip(
          withCopy(path, (copy) => {
            for (const side of ["-wal", "-shm"]) copyFileSync(copy, `${copy}${side}`)
            return Effect.fail(readdirSync(folder.path).length)
          })
        )
        assert.strictEqual(seen, 2)
        assert.deepStrictEqual(readdirSync(folder.path), ["outbox.db"])
      }
      folder.remove()
      assert.isFalse(existsSync(folder.path))
    })
  )
})
