/**
 * A run within the test's process that serves its metrics, and a relay that keeps the messages to `stuck@…` waiting.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import { mailrace } from "./inProcess.ts"

/** Starts `send` or `outbox run` with these arguments. */
export const start = Effect.fnUntraced(function* (args: ReadonlyArray<string>, faults: ReadonlyArray<string> = []) {
  const relayScope = yield* Scope.make()
  yield* Effect.addFinalizer(() => Scope.close(relayScope, Exit.void))
  const server = yield* Scope.provide(TestServer.make({ faults: ["final:hang:to=stuck@*", ...faults] }), relayScope)
  const relay = ["--relay", `smtp://127.0.0.1:${server.port}?pipelining=off`, "--progress", "none"]
  const stopped = Deferred.makeUnsafe<void>()
  const served = Deferred.makeUnsafe<string>()
  const running = yield* Effect.forkChild(
    mailrace([...args, ...relay, "--metrics", "127.0.0.1:0"], {
      interrupted: Deferred.await(stopped),
      onStderr: (text) => {
        const url = /metrics are at (http:\S+)\/metrics/.exec(text)?.[1]
        if (url !== undefined) Deferred.doneUnsafe(served, Effect.succeed(url))
      }
    })
  )
  return {
    server,
    url: yield* Deferred.await(served),
    /** The first Ctrl-C. */
    stop: Effect.asVoid(Deferred.succeed(stopped, undefined)),
    /** The relay goes away, and with it what is in flight. */
    ended: Effect.andThen(Scope.close(relayScope, Exit.void), Fiber.join(running))
  }
})
