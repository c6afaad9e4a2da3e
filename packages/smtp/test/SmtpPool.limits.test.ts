import { assert, describe, it } from "@effect/vitest"
import type * as Fault from "@mailrace/testing/Fault"
import * as TestServer from "@mailrace/testing/TestServer"
import * as Mailer from "mailrace/Mailer"
import { MailTransport } from "mailrace/MailTransport"
import * as RetryPolicy from "mailrace/RetryPolicy"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as SmtpOptions from "../src/SmtpOptions.ts"
import * as Relay from "./support/relay.ts"
import { assertAllTaken } from "./support/taken.ts"

const count = 120

/** A relay that takes so many connections at a time and tells the others at a phase; content takes it 10 ms. */
const limitedAt = (phase: Fault.Phase, refusal: Fault.Action, allowed = 3) => {
  const within = new Set<number>()
  let server: TestServer.TestServerService | undefined
  const isOpen = (connection: number): boolean => server?.connections[connection - 1]?.open ?? true
  const decide: TestServer.Options["decide"] = (event) => {
    if (event.phase === "greeting") {
      for (const connection of within) if (!isOpen(connection)) within.delete(connection)
      if (within.size < allowed) within.add(event.connection)
    }
    if (event.phase === phase && !within.has(event.connection)) return refusal
    return event.phase === "final" ? { type: "delay", ms: 10 } : undefined
  }
  return Effect.map(TestServer.make({ decide, users: { user: "secret" } }), (made) => (server = made))
}

/** Sends by one attempt each, and gives the ends that are not accepted at the first. */
const sendAll = (server: TestServer.TestServerService, options: Partial<SmtpOptions.Options>) =>
  Effect.gen(function* () {
    const relay = yield* Relay.open(server, options)
    const deliveries = yield* Stream.range(0, count - 1).pipe(
      Stream.map((n) => Relay.message(n)),
      Mailer.sendAll({ retry: RetryPolicy.none }),
      Stream.runCollect,
      Effect.provideService(MailTransport, relay.transport)
    )
    const failed = deliveries.filter(({ _tag, attempts }) => _tag !== "Accepted" || attempts !== 1)
    assert.deepEqual(
      failed.map((delivery) => ("error" in delivery ? delivery.error.message : delivery._tag)),
      []
    )
    assertAllTaken(server, count)
    return yield* relay.smtp.stats
  })

const refuse = (code: number, text: string): Fault.Action => ({ type: "reply", code, text })
const login = { auth: Relay.password("user", "secret"), allowInsecureAuth: true }

describe("SmtpPool: a limit of connections costs no mail and no attempt", () => {
  for (const pipelining of ["auto", "overlap", "off"] as const) {
    for (const [phase, code, text] of [
      ["greeting", 421, "4.7.0 too many connections from your host"],
      ["greeting", 554, "5.7.1 too many connections"],
      ["auth", 421, "4.7.0 Too many concurrent connections for this user"],
      ["auth", 454, "4.7.0 Temporary authentication failure, too many sessions"],
      ["mail", 432, "4.3.2 Concurrent connections limit exceeded"],
      ["final", 432, "4.3.2 Concurrent connections limit exceeded"],
      ["mail", 451, "4.7.0 Too many concurrent sessions for this account"],
      ["mail", 550, "5.7.1 Too many concurrent connections from your address"]
    ] as const) {
      it.live(`told by ${code} at ${phase} (${pipelining})`, () =>
        Effect.gen(function* () {
          const server = yield* limitedAt(phase, refuse(code, text))
          const { failed, opened } = yield* sendAll(server, { pipelining, ...(phase === "auth" ? login : {}) })
          // The others were asked for once, and not again and again.
          assert.isAtMost(failed + opened, 20)
        })
      )
    }
  }

  it.live("refuses each message where no session is open, nor was", () =>
    Effect.gen(function* () {
      const server = yield* limitedAt("greeting", refuse(554, "5.7.1 go away"), 0)
      const { send } = yield* Relay.open(server)
      assert.strictEqual((yield* Effect.flip(send(Relay.message(1)))).reason._tag, "ConnectFailed")
    })
  )
})

describe("SmtpPool: the end of a session's allowance costs no mail and no attempt", () => {
  for (const pipelining of ["auto", "speculative", "overlap", "envelope", "off"] as const) {
    for (const [phase, code, text] of [
      ["data", 452, "4.4.5 Maximum number of messages per session exceeded"],
      ["mail", 452, "4.4.5 Insufficient resources"],
      ["mail", 421, "4.4.5 closing, too many messages"]
    ] as const) {
      it.live(`told by ${code} at ${phase}: ${text} (${pipelining})`, () =>
        Effect.gen(function* () {
          const carried = new Map<number, number>()
          const server = yield* TestServer.make({
            decide: ({ connection, phase: at }) => {
              const isOver = (carried.get(connection) ?? 0) >= 5
              if ((at === phase || (phase === "data" && at === "bdat")) && isOver) return refuse(code, text)
              if (at === "final") carried.set(connection, (carried.get(connection) ?? 0) + 1)
              return undefined
            }
          })
          yield* sendAll(server, { pipelining })
        })
      )
    }
  }
})
