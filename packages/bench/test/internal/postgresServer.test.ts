import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { existsSync, readFileSync } from "node:fs"
import { setTimeout as sleep } from "node:timers/promises"
import * as PostgresServer from "../../src/internal/postgresServer.ts"

const pidOf = (folder: string) => Number(readFileSync(`${folder}/data/postmaster.pid`, "utf8").split("\n")[0])

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Starts a process with a server of its own, ends it, and waits until the server and its files are gone. */
const goneAfter = (end: (child: ChildProcess) => void) =>
  Effect.promise(async () => {
    const child = fork(new URL("../support/postgresChild.ts", import.meta.url), { execArgv: ["--no-warnings"] })
    const [folder] = (await once(child, "message")) as [string]
    const pid = pidOf(folder)
    assert.isTrue(isAlive(pid))
    end(child)
    while (existsSync(folder) || isAlive(pid)) await sleep(20)
  })

describe("postgresServer", () => {
  it.live("takes sessions again when it was restarted, and is gone when it was closed", () =>
    Effect.promise(async () => {
      const server = await PostgresServer.start()
      const first = pidOf(server.host)
      await server.restart()
      const second = pidOf(server.host)
      assert.notStrictEqual(second, first)
      assert.isFalse(isAlive(first))
      assert.isTrue(isAlive(second))
      await server.close()
      assert.isFalse(isAlive(second))
      assert.isFalse(existsSync(server.host))
    })
  )

  it.live("is gone when its process exits", () => goneAfter((child) => child.send("end")))

  it.live("is gone when its process is killed", () => goneAfter((child) => child.kill("SIGKILL")))
})
