import { assert, describe, it } from "@effect/vitest"
import * as Fault from "@mailrace/testing/Fault"
import * as TestServer from "@mailrace/testing/TestServer"
import type * as MailError from "mailrace/MailError"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Pipelining from "../src/Pipelining.ts"
import { int, pick } from "./support/arbitraries.ts"
import { leavingNothing } from "./support/leaks.ts"
import * as Relay from "./support/relay.ts"

describe("SmtpTransport: loss at any byte", () => {
  /** Each message ended once, and its end is what the server knows of it. */
  const assertHonest = (
    server: TestServer.TestServerService,
    results: ReadonlyArray<Result.Result<unknown, MailError.MailError>>
  ): void => {
    for (const [n, result] of results.entries()) {
      const times = [...server.messages, ...server.unanswered].filter(
        ({ from }) => from.address === `from-${n}@test.example`
      )
      if (Result.isSuccess(result)) assert.lengthOf(times, 1, `message ${n}`)
      else if (result.failure.reason._tag === "OutcomeUnknown") assert.isAtMost(times.length, 1, `message ${n}`)
      else assert.isEmpty(times, `message ${n}: ${result.failure.message}`)
      for (const { content, to } of times) {
        assert.deepStrictEqual(
          to.map(({ address }) => address),
          [`to-${n}@test.example`]
        )
        assert.deepStrictEqual(Buffer.from(content), Buffer.from(Relay.message(n).content as Uint8Array))
      }
    }
    assert.isEmpty(server.protocolErrors.filter(({ problem }) => problem.includes("unknown")))
  }

  const sendMany = (server: TestServer.TestServerService, pipelining: Pipelining.Mode) =>
    Effect.scoped(
      Effect.flatMap(
        Relay.open(server, { pipelining, maxConnections: 2, timeouts: { command: 500, finalReply: 500 } }),
        (relay) =>
          Effect.forEach(
            Array.from({ length: 12 }, (_, n) => Relay.message(n)),
            (message) => Effect.result(relay.send(message)),
            { concurrency: 12 }
          )
      )
    )

  for (const [what, cut] of [
    ["replies", "cutAfterSent"],
    ["commands and contents", "cutAfterReceived"]
  ] as const) {
    it.live.prop(
      `of ${what} leaves no doubt but where there is one`,
      [int(1, 3000), pick(["off", "envelope", "overlap", "speculative"])],
      ([bytes, mode]) =>
        leavingNothing(
          Effect.gen(function* () {
            const server = yield* TestServer.make({ quirks: { [cut]: bytes }, faults: ["rcpt:550:20%"] })
            assertHonest(server, yield* sendMany(server, mode))
          })
        ),
      { arbitrary: { runs: 60 } }
    )
  }

  for (const mode of Pipelining.modes) {
    for (const doubleReply of ["rset", "mail", "rcpt", "data", "bdat", "final"] as const) {
      it.live(`${mode}: a relay that answers ${doubleReply} twice costs no message silently`, () =>
        Effect.gen(function* () {
          const server = yield* TestServer.make({ quirks: { doubleReply }, faults: ["final:554:30%", "rcpt:550:20%"] })
          assertHonest(server, yield* sendMany(server, mode))
        })
      )
    }
  }

  it.live("a relay that goes in the middle of a deep pipeline costs each message once", () =>
    Effect.gen(function* () {
      let answered = 0
      const server = yield* TestServer.make({
        decide: ({ phase }) => (phase === "final" && ++answered % 7 === 0 ? Fault.reply(421) : undefined)
      })
      assertHonest(server, yield* sendMany(server, "speculative"))
    })
  )
})
