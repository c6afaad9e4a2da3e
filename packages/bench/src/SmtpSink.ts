/**
 * Postfix's smtp-sink as a sink: a server in C that offers PIPELINING but no CHUNKING, discards messages and counts them.
 */
import * as Digest from "@mailrace/testing/Digest"
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import * as Net from "node:net"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { BenchError } from "./BenchError.ts"
import { programs } from "./Programs.ts"
import type * as Protocol from "./Protocol.ts"

/** A running smtp-sink. */
export interface SmtpSink {
  readonly opened: Protocol.SinkOpened
  readonly reset: Effect.Effect<void, BenchError>
  /** Reads the count of messages, the only field of the digest that it fills in. */
  readonly read: Effect.Effect<Protocol.SinkReading, BenchError>
}

/** Starts an smtp-sink on a free port; it ends with the scope. Fails when it is not installed. */
export const open: Effect.Effect<SmtpSink, BenchError, Scope.Scope> = Effect.gen(function* () {
  const program = programs.smtpSink
  if (program === undefined) return yield* new BenchError({ problem: "smtp-sink is not installed" })
  const port = yield* Effect.promise(freePort)
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => {
      // It refuses to run as root.
      const user = process.getuid?.() === 0 ? ["-u", "nobody"] : []
      const args = [...user, "-4", "-c", "-m", "1000", `127.0.0.1:${port}`, "1000"]
      return spawn(program, args, { stdio: ["ignore", "pipe", "ignore"] })
    }),
    (started) => Effect.sync(() => started.kill("SIGKILL"))
  )
  let count = 0
  child.stdout.on("data", (chunk) => {
    const last = /mesg=(\d+)[^=]*$/.exec(String(chunk))
    if (last) count = Number(last[1])
  })
  let base = 0
  let cpuAtReset = 0
  yield* untilListening(port)
  return {
    opened: { port },
    reset: Effect.map(
      settled(() => count),
      () => {
        base = count
        cpuAtReset = cpuMicrosOf(child.pid!)
      }
    ),
    read: Effect.map(
      settled(() => count),
      () => ({
        digest: { ...Digest.empty, messages: count - base },
        cpuMicros: cpuMicrosOf(child.pid!) - cpuAtReset
      })
    )
  }
})

/** Waits for the counter, which comes through a pipe, a little after the reply that it counts. */
const settled = (count: () => number): Effect.Effect<void> =>
  Effect.gen(function* () {
    let before = -1
    while (before !== count()) {
      before = count()
      yield* Effect.sleep(30)
    }
  })

const untilListening = (port: number): Effect.Effect<void, BenchError> =>
  Effect.tryPromise({
    try: () =>
      new Promise<void>((resolve, reject) => {
        const socket = Net.connect(port, "127.0.0.1", () => {
          socket.destroy()
          resolve()
        })
        socket.on("error", reject)
      }),
    catch: (error) => new BenchError({ problem: `smtp-sink does not listen: ${String(error)}` })
  }).pipe(Effect.retry({ times: 50, schedule: Schedule.spaced("20 millis") }))

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = Net.createServer()
    server.on("error", reject)
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as Net.AddressInfo
      server.close(() => resolve(port))
    })
  })

/** User and system time in clock ticks of 10 ms, fields 14 and 15 of the process's stat. */
const cpuMicrosOf = (pid: number): number => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return (Number(fields[11]) + Number(fields[12])) * 10_000
  } catch {
    return Number.NaN
  }
}
