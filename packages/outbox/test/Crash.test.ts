/**
 * Kill -9 of the real process at random instants, while it enqueues and sends over SMTP to a server that keeps every
 * message. `MAILRACE_LONG=1` kills it thirty times.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { DatabaseSync } from "node:sqlite"
import * as TestServer from "@mailrace/testing/TestServer"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as Outbox from "../src/Outbox.ts"
import { mail } from "./support/fixtures.ts"
import * as Children from "./support/children.ts"
import { counted } from "./support/messageIds.ts"
import { tempFolder } from "./support/tempFolder.ts"

const rounds = process.env["MAILRACE_LONG"] === "1" ? 30 : 5

/** What was claimed when the process died: on its way, waiting to be, or answered and not yet recorded. */
const claimed = (path: string): ReadonlyArray<string> => {
  const database = new DatabaseSync(path)
  try {
    const rows = database.prepare("SELECT message_id FROM outbox WHERE state = 1").all()
    return (rows as Array<{ message_id: string }>).map((row) => row.message_id)
  } finally {
    database.close()
  }
}

describe("a process that is killed", () => {
  it.live(
    "loses nothing that was accepted, and sends twice only what it had claimed",
    () =>
      Effect.gen(function* () {
        const folder = yield* tempFolder
        const path = `${folder}/outbox.db`
        // Thirty rounds of a fast machine enqueue more than a test server keeps by default.
        const server = yield* TestServer.make({
          checkContent: false,
          mailbox: { type: "keep", maxMessages: 1_000_000 }
        })
        const log = `${folder}/accepted`
        const atRisk = new Set<string>()
        for (let round = 0; round < rounds; round++) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const before = server.stats.messages
              const child = yield* Children.start({
                store: { _tag: "Sqlite", path },
                smtpPort: server.port,
                name: `r${round}`,
                mails: null,
                dispatch: true,
                log
              })
              yield* child.during(server.until(({ messages }) => messages > before))
              yield* Effect.sleep(Math.random() * 300)
              yield* child.kill
              for (const id of claimed(path)) atRisk.add(id)
            })
          )
        }
        const outbox = Context.get(yield* Layer.build(Outbox.layerSqlite(path)), Outbox.Outbox)
        const accepted = new Set(Children.accepted(log))
        yield* Outbox.run({
          until: "empty",
          // A mail that was there at three kills would wait up to a minute, apart from its neighbours.
          onStart: () => Effect.orDie(Stream.runDrain(outbox.retry({ states: ["due"] })))
        }).pipe(
          Effect.provideService(Outbox.Outbox, outbox),
          Effect.provide(SmtpTransport.layer({ host: "127.0.0.1", port: server.port }))
        )
        const arrived = counted(server.messages)
        const missing = [...accepted].filter((id) => !arrived.has(id))
        const twice = [...arrived].filter(([, count]) => count > 1)
        yield* Console.log(
          `${rounds} × kill -9: ${accepted.size} accepted, ${missing.length} missing, ${twice.length} sent twice ` +
            `of ${atRisk.size} claimed at a kill`
        )
        assert.isAbove(accepted.size, rounds)
        assert.deepStrictEqual(missing, [])
        assert.deepStrictEqual(
          twice.filter(([id]) => !atRisk.has(id)),
          []
        )
        assert.deepStrictEqual(server.protocolErrors, [])
      }),
    { timeout: 30_000 + rounds * 5000 }
  )

  it.live("repeatedly loses no message that only waited in it, and gives up those that it started", () =>
    Effect.gen(function* () {
      const folder = yield* tempFolder
      const path = `${folder}/outbox.db`
      const server = yield* TestServer.make({ checkContent: false, faults: ["final:hang"] })
      const outbox = Context.get(yield* Layer.build(Outbox.layerSqlite(path)), Outbox.Outbox)
      const count = 200
      yield* Stream.runDrain(outbox.enqueueAll(Stream.map(Stream.range(1, count), (i) => mail(`m${i}@a.test`))))
      for (let round = 1; round <= 3; round++) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            const begun = server.stats.unanswered
            const child = yield* Children.start({
              store: { _tag: "Sqlite", path },
              smtpPort: server.port,
              name: "r",
              mails: 0,
              dispatch: true,
              maxCrashes: 1,
              log: `${folder}/accepted`
            })
            yield* child.during(server.until(({ unanswered }) => unanswered > begun))
            yield* child.kill
          })
        )
        assert.deepInclude((yield* outbox.stats).states, { accepted: 0, rejected: 0, expired: 0 })
      }
      yield* server.setFaults([])
      const told = yield* Effect.forkChild(
        Stream.runHead(Stream.filter(outbox.events, ({ _tag }) => _tag === "Dead")),
        { startImmediately: true }
      )
      yield* outbox
        .run({ until: "idle", maxCrashes: 1 })
        .pipe(Effect.provide(SmtpTransport.layer({ host: "127.0.0.1", port: server.port })))
      const { accepted, dead, due } = (yield* outbox.stats).states
      assert.isTrue(Option.isSome(yield* Fiber.join(told)))
      // Twenty are on their way at once; the first time it is not known which.
      assert.isAtLeast(dead, 1)
      assert.isAtMost(dead, 2 * 20)
      assert.deepStrictEqual([accepted, due], [count - dead, 0])
      const entries = yield* Stream.runCollect(outbox.list())
      for (const { attempts, crashes, state } of entries)
        assert.deepStrictEqual([attempts, crashes], state === "dead" ? [0, 1] : [1, 0])
    })
  )
})
