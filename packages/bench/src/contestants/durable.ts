/**
 * Runs the command `mailrace send --durable` on an input that its outbox already holds, except for one new line each time.
 * It measures the time from the start of the process until the relay has the new message.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { spawn } from "node:child_process"
import { appendFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import type { Batch, MakeContestant } from "../Contestant.ts"
import { tempFolder } from "../internal/tempFolder.ts"
import { timed } from "../internal/timed.ts"

const bin = fileURLToPath(new URL("../../../cli/bin/mailrace.js", import.meta.url))

export const make: MakeContestant = async ({ backlog = 1000 }) => {
  const folder = tempFolder()
  const input = `${folder.path}/input.ndjson`
  const scope = Scope.makeUnsafe()
  const server = await Effect.runPromise(
    Scope.provide(
      TestServer.start({
        mailbox: { type: "discard", digest: true },
        checkContent: false,
        transcript: false,
        maxMessageSize: 0
      }),
      scope
    )
  )
  let lines = 0
  const append = (count: number): void => {
    const added: Array<string> = []
    for (; added.length < count; lines++) added.push(`${JSON.stringify(mailOf(lines))}\n`)
    appendFileSync(input, added.join(""))
  }
  const run = (): Promise<number | null> =>
    new Promise((resolve) =>
      spawn(
        process.execPath,
        [
          "--max-semi-space-size=16",
          "--max-old-space-size=512",
          bin,
          "send",
          "--relay",
          `smtp://127.0.0.1:${server.port}`
        ].concat(["--input", input, "--durable", `${folder.path}/outbox.db`, "--progress", "none"]),
        { stdio: "ignore" }
      ).once("exit", resolve)
    )
  append(backlog)
  if ((await run()) !== 0) throw new Error("the first run of the command failed")
  return {
    concurrency: 1,
    leastBatch: 1,
    warmsUp: false,
    send: (batch: Batch) =>
      timed(batch, (clock) =>
        Effect.promise(async () => {
          append(1)
          const before = server.digest.messages
          const begin = clock.begin()
          const ended = run()
          while (server.digest.messages === before) await new Promise((resolve) => setTimeout(resolve, 2))
          clock.end(begin)
          await ended
        })
      ),
    close: async () => {
      await Effect.runPromise(Scope.close(scope, Exit.void))
      folder.remove()
    }
  }
}

const mailOf = (index: number) => ({
  from: "news@sender.example",
  to: `r${index}@lane${index % 100}.example`,
  subject: "Hello",
  text: `Number ${index}. ${"The quick brown fox jumps over the lazy dog. ".repeat(8)}`
})
