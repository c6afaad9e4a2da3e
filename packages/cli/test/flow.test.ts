/**
 * Limits in the command: what they hold back, and what is said of them.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { mail } from "./support/command.ts"
import { mailrace } from "./support/inProcess.ts"

const urlOf = ({ port }: TestServer.TestServerService): string => `smtp://127.0.0.1:${port}?tls=off`

describe("a limit on new connections", () => {
  it.live("is one of --rate, and messages go over the connections that may be opened", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["final:delay=5ms"] })
      const args = ["--rate", "1 connections/h", "--rate", "1000/s", "--pipelining", "envelope", "--json"]
      const { status, stdout } = yield* mailrace(["send", ...args, "-r", urlOf(server), "-i", "-"], {
        stdin: mail("ann@x.example").repeat(30)
      })
      assert.strictEqual(status, 0)
      const { accepted, connections } = JSON.parse(stdout)
      assert.deepStrictEqual([accepted, connections.opened, server.stats.connections], [30, 1, 1])
    })
  )
})
