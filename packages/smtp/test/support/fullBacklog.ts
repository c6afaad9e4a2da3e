/** A listener that accepts nothing, and whose queue is full: what connects to it hangs. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"
import { Worker } from "node:worker_threads"

/** Its thread stands still as soon as it listens. */
const thread = `
const { parentPort } = require("node:worker_threads")
const server = require("node:net").createServer().listen({ port: 0, host: "127.0.0.1", backlog: 1 }, () => {
  parentPort.postMessage(server.address().port)
  setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0))
})
`

/** More connections than the queue holds. */
const enough = 4

/** Its port. */
export const make: Effect.Effect<number, never, Scope.Scope> = Effect.gen(function* () {
  const worker = yield* Effect.acquireRelease(
    Effect.sync(() => new Worker(thread, { eval: true })),
    (worker) => Effect.promise(() => worker.terminate())
  )
  const port = yield* Effect.callback<number>((resume) => {
    worker.once("message", (port: number) => resume(Effect.succeed(port)))
  })
  const sockets = yield* Effect.acquireRelease(
    Effect.sync(() => Array.from({ length: enough }, () => Net.connect({ host: "127.0.0.1", port }))),
    (sockets) => Effect.sync(() => sockets.forEach((socket) => socket.destroy()))
  )
  // The queue is full when the first ones are in it: the kernel takes connections in the order in which they come.
  yield* Effect.callback<void>((resume) => {
    sockets[0]!.once("connect", () => resume(Effect.void))
    for (const socket of sockets) socket.on("error", () => {})
  })
  return port
})
