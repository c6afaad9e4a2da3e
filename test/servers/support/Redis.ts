/**
 * A real Redis on a socket in a private folder, which keeps nothing on disk.
 *
 * `REDIS_SERVER` names the program; otherwise it is Debian's, installed or unpacked beside the mail servers.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Mta from "./Mta.ts"

/** A running server. */
export interface RedisServer {
  readonly socket: string
  /** Ends it, and with it all that it holds. */
  readonly stop: Effect.Effect<void>
  /** Starts it again, and waits until it answers. */
  readonly start: Effect.Effect<void, Mta.MtaFailed>
}

const folder = `${Mta.unpacked}/redis/usr`

const programs = [process.env.REDIS_SERVER, "/usr/bin/redis-server", `${folder}/bin/redis-server`]

/** Its libraries, where it was unpacked: in a folder named after the machine's kind. */
const libraries = (): string =>
  Fs.existsSync(`${folder}/lib`)
    ? Fs.readdirSync(`${folder}/lib`)
        .map((kind) => `${folder}/lib/${kind}`)
        .join(":")
    : ""

const name = "redis"

/** Starts a server that ends with the scope. */
export const make: Effect.Effect<RedisServer, Mta.MtaMissing | Mta.MtaFailed, Scope.Scope> = Effect.gen(function* () {
  const program = programs.find((file) => file !== undefined && Fs.existsSync(file))
  if (program === undefined)
    return yield* new Mta.MtaMissing({ program: name, reason: "there is no redis-server; `REDIS_SERVER` names one" })
  const socket = Path.join(yield* Mta.makeFolder(name), "socket")
  let child: ChildProcess.ChildProcess | undefined
  const start = Effect.callback<void, Mta.MtaFailed>((resume) => {
    let said = ""
    const args = [
      "--port",
      "0",
      "--unixsocket",
      socket,
      "--save",
      "",
      "--appendonly",
      "no",
      "--dir",
      Path.dirname(socket)
    ]
    child = ChildProcess.spawn(program, args, {
      env: { LD_LIBRARY_PATH: libraries() },
      stdio: ["ignore", "pipe", "pipe"]
    })
    const fail = (problem: string) => resume(Effect.fail(new Mta.MtaFailed({ program: name, problem })))
    const hear = (text: Buffer) => {
      said += text
      if (said.includes("eady to accept connections")) resume(Effect.void)
    }
    child.stdout!.on("data", hear)
    child.stderr!.on("data", hear)
    child.once("error", (error) => fail(error.message))
    child.once("exit", () => fail(`it ended: ${said}`))
  })
  const stop = Effect.callback<void>((resume) => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
    child.kill("SIGKILL")
  })
  yield* Effect.acquireRelease(start, () => stop)
  return { socket, start, stop }
})
