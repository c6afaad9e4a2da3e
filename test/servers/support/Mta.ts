/**
 * Real mail servers for tests: what Postfix.ts, Exim.ts, Haraka.ts and their neighbours have in common.
 *
 * A fake server proves that the client talks to the fake. So the tests that matter most also run against servers that
 * others wrote. Each test starts its own: private folders, a free port, a certificate made on the spot where it is
 * wanted, and processes that end with the scope. A machine without the program skips those tests by name.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import type { TestContext } from "vitest"

/** A message as the server took it. */
export interface Arrived {
  /** The envelope's sender; empty for the null sender. */
  readonly from: string
  /** The envelope's recipients, in the server's order. */
  readonly to: ReadonlyArray<string>
  /**
   * The server's own Received field, unfolded: it names the protocol (`ESMTP`, `ESMTPS`, `UTF8SMTPS`, …). Empty where the
   * server adds none.
   */
  readonly received: string
  /** The message as it was before the server put its Received field on top, with CRLF line ends. */
  readonly content: Buffer
}

/** A running server. */
export interface RealServer {
  readonly name: string
  /** The name in its greeting. */
  readonly hostname: string
  readonly host: "127.0.0.1"
  readonly port: number
  /** The login without which it takes no mail, in clear. */
  readonly login?: { readonly username: string; readonly password: string } | undefined
  /** Every message it took so far. Waits until nothing is under way, so that a surplus message is seen as well. */
  readonly arrived: Effect.Effect<ReadonlyArray<Arrived>, MtaFailed>
  /** Its log until now. */
  readonly log: Effect.Effect<string>
}

/** A running server that offers STARTTLS. */
export interface Mta extends RealServer {
  /** Its self-signed certificate as PEM, good for `localhost` and `127.0.0.1`. */
  readonly certificate: string
}

/** How a server is set up. */
export interface Options {
  /** The largest message in bytes, advertised with SIZE (RFC 1870). Defaults to 50 MB. */
  readonly messageSizeLimit?: number | undefined
  /** More of the server's own settings; they replace those of the harness. */
  readonly settings?: { readonly [name: string]: string } | undefined
}

/** The program is not here, or this user may not run it. Tests turn it into a skip. */
export class MtaMissing extends Data.TaggedError("MtaMissing")<{ readonly program: string; readonly reason: string }> {
  override get message() {
    return `${this.program} cannot be used: ${this.reason}`
  }
}

/** The program is here and did not do what it should. */
export class MtaFailed extends Data.TaggedError("MtaFailed")<{ readonly program: string; readonly problem: string }> {
  override get message() {
    return `${this.program}: ${this.problem}`
  }
}

/**
 * Skips the running test, saying why, when the program is missing. Where the programs are known to be installed,
 * `MAILRACE_REQUIRE_MTA=1` makes that a failure, so that no one takes a skip for a pass; in place of 1 it may name the
 * programs that are, as `postfix,exim`.
 */
export const orSkip =
  (context: TestContext) =>
  <A, E, R>(effect: Effect.Effect<A, E | MtaMissing, R>) =>
    Effect.catchIf(
      effect,
      (error): error is Extract<E | MtaMissing, MtaMissing> => error instanceof MtaMissing,
      // Skipping once the test is over keeps the skip, which is thrown, out of the log of failures.
      (missing) =>
        isRequired(missing.program)
          ? Effect.die(missing)
          : Effect.sync(() => context.onTestFinished(() => context.skip(missing.message)))
    )

const isRequired = (program: string): boolean =>
  ["1", program].some((name) => (process.env.MAILRACE_REQUIRE_MTA ?? "").split(",").includes(name))

/** Where servers are kept that a machine's own mail server would not have beside it, a folder for each. */
export const unpacked = "/opt/mailrace-test"

/** A program's full name from PATH or from the folders where servers live, which a user's PATH often leaves out. */
export const findProgram = (...names: ReadonlyArray<string>): string | undefined =>
  [...(process.env.PATH ?? "").split(Path.delimiter), "/usr/sbin", "/usr/local/sbin"]
    .filter((folder) => folder !== "")
    .flatMap((folder) => names.map((name) => Path.join(folder, name)))
    .find((file) => Fs.existsSync(file))

/** Runs a program to its end and gives its standard output. */
export const run = (program: string, ...args: ReadonlyArray<string>): Effect.Effect<string, MtaFailed> =>
  Effect.callback((resume) => {
    const child = ChildProcess.execFile(program, args, (error, stdout, stderr) =>
      resume(error ? Effect.fail(new MtaFailed({ program, problem: stderr || error.message })) : Effect.succeed(stdout))
    )
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/** A private folder that the server's own user may enter; it goes with the scope. */
export const makeFolder = (program: string): Effect.Effect<string, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const folder = Fs.mkdtempSync(Path.join(base(), `mailrace-${program}-`))
      Fs.chmodSync(folder, 0o755)
      return folder
    }),
    (folder) => Effect.sync(() => Fs.rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))
  )

/** Servers wait for the disk at each message, so a queue in memory makes them several times as fast. */
const base = (): string => {
  const memory = "/dev/shm"
  if (!Fs.existsSync(memory)) return Os.tmpdir()
  const { bavail, bsize } = Fs.statfsSync(memory)
  return bavail * bsize >= 256 * 2 ** 20 ? memory : Os.tmpdir()
}

/** Makes a self-signed certificate in the folder: `cert.pem` and `key.pem`. */
export const makeCertificate = Effect.fnUntraced(function* (folder: string) {
  const openssl = findProgram("openssl") ?? "/usr/bin/openssl"
  if (!Fs.existsSync(openssl)) return yield* new MtaMissing({ program: "openssl", reason: "it is not installed" })
  const [cert, key] = [Path.join(folder, "cert.pem"), Path.join(folder, "key.pem")]
  const kind = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost".split(
    " "
  )
  yield* run(openssl, ...kind, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", cert)
  // The server reads it under its own user; it protects nothing but this test.
  Fs.chmodSync(key, 0o644)
  return { cert, key, pem: Fs.readFileSync(cert, "utf8") }
})

/** A port that was free a moment ago. */
export const freePort: Effect.Effect<number> = Effect.callback((resume) => {
  const server = Net.createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address() as Net.AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

/** Starts a server on a free port, and on another when somebody took that meanwhile; gives the port. */
export const onFreePort = <A, E, R>(start: (port: number) => Effect.Effect<A, E, R>): Effect.Effect<number, E, R> =>
  Effect.retry(
    Effect.flatMap(freePort, (port) => Effect.as(start(port), port)),
    { times: 2 }
  )

/** Starts a server in the foreground and waits until it greets by its own name on the port. */
export const startDaemon = Effect.fnUntraced(function* (options: {
  readonly program: string
  readonly args: ReadonlyArray<string>
  readonly logFile: string
  readonly hostname: string
  readonly port: number
  /** What its environment has beside this process's own. */
  readonly env?: { readonly [name: string]: string } | undefined
}) {
  const { hostname, logFile, port, program } = options
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => spawnGuarded(program, options.args, logFile, { ...process.env, ...options.env })),
    stop
  )
  const failure = (problem: string) => new MtaFailed({ program, problem: `${problem}\n${readLog(logFile)}` })
  yield* readGreeting(port).pipe(
    Effect.retry({ schedule: Schedule.spaced("20 millis"), while: () => child.server.exitCode === null }),
    Effect.mapError(() => failure(`it ended before it answered on port ${port}`)),
    Effect.timeoutOrElse({
      duration: "20 seconds",
      orElse: () => Effect.fail(failure(`it did not answer on port ${port} within 20 s`))
    }),
    Effect.filterOrFail(
      (greeting) => greeting.startsWith(`220 ${hostname}`),
      (greeting) => failure(`somebody else answers on port ${port}: ${greeting}`)
    )
  )
})

/** The log so far; empty when there is none yet. */
export const readLog = (file: string): string => (Fs.existsSync(file) ? Fs.readFileSync(file, "utf8") : "")

/** Splits the topmost Received field, which the server added, from the message that it took. */
export const splitReceived = (bytes: Buffer): Pick<Arrived, "received" | "content"> => {
  let end = bytes.indexOf("\r\n")
  while (end >= 0 && (bytes[end + 2] === 0x20 || bytes[end + 2] === 0x09)) end = bytes.indexOf("\r\n", end + 2)
  const received = bytes.toString("latin1", 0, Math.max(end, 0))
  if (!received.startsWith("Received:")) throw new Error(`no Received field on top of: ${received}`)
  return { received: received.replace(/\r\n[ \t]+/g, " "), content: bytes.subarray(end + 2) }
}

interface Guarded {
  readonly server: ChildProcess.ChildProcess
  readonly guard: ChildProcess.ChildProcess
}

/** The guard ends the server's process group when this process dies without closing its scopes. */
const spawnGuarded = (
  program: string,
  args: ReadonlyArray<string>,
  logFile: string,
  env: NodeJS.ProcessEnv
): Guarded => {
  const log = Fs.openSync(logFile, "a")
  const server = ChildProcess.spawn(program, args, { stdio: ["ignore", log, log], detached: true, env })
  Fs.closeSync(log)
  const guard = ChildProcess.spawn("sh", ["-c", `cat >/dev/null; kill -TERM -${server.pid}`], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true
  })
  return { server, guard }
}

const stop = ({ guard, server }: Guarded): Effect.Effect<void> =>
  Effect.callback((resume) => {
    guard.kill("SIGKILL")
    if (server.exitCode !== null || server.signalCode !== null) return resume(Effect.void)
    const insist = setTimeout(() => signalGroup(server, "SIGKILL"), 5_000)
    server.once("exit", () => {
      clearTimeout(insist)
      resume(Effect.void)
    })
    signalGroup(server, "SIGTERM")
  })

const signalGroup = (server: ChildProcess.ChildProcess, signal: NodeJS.Signals) => {
  try {
    process.kill(-server.pid!, signal)
  } catch {
    // Already gone.
  }
}

const readGreeting = (port: number): Effect.Effect<string, Error> =>
  Effect.callback((resume) => {
    const socket = Net.connect(port, "127.0.0.1")
    socket.once("data", (data) => resume(Effect.succeed(data.toString("latin1"))))
    socket.once("error", (error) => resume(Effect.fail(error)))
    socket.once("close", () => resume(Effect.fail(new Error("closed without a greeting"))))
    socket.once("data", () => socket.end("QUIT\r\n"))
    return Effect.sync(() => socket.destroy())
  })
