/** `[[rule]]`: what a reply means, from the words of a file to what the relay sees of it. */
import { assert, describe, it } from "@effect/vitest"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as TestServer from "@mailrace/testing/TestServer"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Composed from "mailrace/Composed"
import { MailTransport } from "mailrace/MailTransport"
import * as MailraceConfig from "../src/MailraceConfig.ts"

const parsed = (text: string) => Result.getOrThrow(MailraceConfig.parse(text, { file: "m.toml" }))

const relay = '[relay.a]\nurl = "smtp://a.test"\n'

const rule = (...lines: ReadonlyArray<string>): string => ["[[rule]]", 'reply = "451 4.7.1"', ...lines, ""].join("\n")

describe("a rule in sentences", () => {
  for (const [lines, sentence] of [
    [['slow_to = "5/s"'], "the relay gets at most 5/s for 1h"],
    [['lane = "b.test"', 'slow_to = "300/m"', 'for = "2h"'], "the domain gets at most 300/m for 2h"],
    [["connections = 3"], "the relay gets at most 3 connections at once for 1h"],
    [['lane = "b.test"', "connections = 1"], "the domain gets at most 1 message at once for 1h"],
    [
      ['pause = "1m"', "connections = 2", "messages_per_connection = 20"],
      "the relay is left alone for 1m and the relay gets at most 2 connections at once and at most 20 messages a connection for 1h"
    ],
    [['lane = "b.test"', 'bounce_as = "5.7.1"'], "the message is refused for good with 5.7.1"],
    [['retry = "1h"'], "the message is left alone for 1h"]
  ] as const)
    it(sentence, () => {
      const about = lines.some((line) => line.startsWith("lane")) ? " about b.test" : ""
      assert.deepStrictEqual(MailraceConfig.describe(parsed(rule(...lines))), [
        `At a reply "451 4.7.1"${about}, ${sentence}.`
      ])
    })
})

describe("a rule for a refusal for good", () => {
  it("says that the message is not refused", () =>
    assert.deepStrictEqual(
      MailraceConfig.describe(parsed('[[rule]]\nreply = "550 5.7.1 too much today"\nretry = "1h"\n')),
      ['At a reply "550 5.7.1 too much today", the message is not refused but left alone for 1h.']
    ))

  for (const [setting, action] of [
    ["retry", 'retry = "1h"'],
    ["bounce_as", 'bounce_as = "5.7.8"']
  ] as const)
    it(`is refused where the reply is about the login and the rule has ${setting}`, () => {
      const text = `[[rule]]\nreply = "535 5.7.8"\n${action}\n`
      const { faults } = Result.getOrThrow(Result.flip(MailraceConfig.parse(text, { file: "m.toml" })))
      assert.deepStrictEqual(
        faults.map(({ column, line, problem, remedy }) => [line, column, problem, remedy]),
        [
          [
            3,
            1,
            `rule[1].${setting} is about one message, and 535 refuses the login and so says nothing of any`,
            'say pause = "10m" for the relay'
          ]
        ]
      )
    })
})

describe("a rule with a fault", () => {
  for (const [lines, fault] of [
    [
      [],
      '1:1 rule[1] does nothing; say pause = "10m" for the lane or relay, retry = "1h" for the message, slow_to = "5/s", connections = 3, messages_per_connection = 20, or bounce_as = "5.7.1"'
    ],
    [
      ['pause = "1m"', 'retry = "1m"'],
      '1:1 rule[1] has both pause and retry; say pause = "10m" for the lane or relay, or retry = "1h" for the message'
    ],
    [
      ['pause = "1m"', 'bounce_as = "5.7.1"'],
      "4:1 rule[1].bounce_as refuses the message for good, so pause has nothing to put off; keep one of the two; slow_to and the other limits can stand beside bounce_as"
    ],
    [
      ['bounce_as = "4.7.1"'],
      '3:1 rule[1].bounce_as is no enhanced status of a refusal for good: "4.7.1"; write it as "5.7.1"'
    ],
    [
      ['pause = "1m"', 'for = "1h"'],
      '4:1 rule[1].for says how long limits hold, and the rule has none; add slow_to = "5/s" or another limit, or take it out'
    ],
    [
      ['lane = "b.test"', "messages_per_connection = 5"],
      "4:1 rule[1].messages_per_connection is about connections to a relay, and the rule is about a lane; take out lane, or give slow_to or connections"
    ],
    [
      ['slow_to = "0/s"'],
      '3:1 rule[1].slow_to cannot be used: "0/s" would send nothing; the number must be more than 0'
    ],
    [
      ['slow_to = "5 connections/s"'],
      '3:1 rule[1].slow_to limits new connections; give messages, as "5/s", or limit the open ones by connections'
    ],
    [
      ['slow_to = "5/s"', 'for = "soon"'],
      '4:1 rule[1].for is no time: "soon"; write it as "30s", "10m", "4h" or "1d", at most "30d"'
    ],
    [["connections = 0"], "3:1 rule[1].connections is 0; give a whole number from 1, or leave it out"],
    [
      ["messages_per_connection = -1"],
      "3:1 rule[1].messages_per_connection is -1; give a whole number from 1, or leave it out"
    ],
    [['slow_too = "5/s"'], "3:1 rule[1].slow_too is not a setting; write slow_to if that is meant"]
  ] as const)
    it(fault, () => {
      const { faults } = Result.getOrThrow(
        Result.flip(MailraceConfig.parse(rule(...lines) + relay, { file: "m.toml" }))
      )
      assert.deepStrictEqual(
        faults.map(({ column, line, problem, remedy }) => `${line}:${column} ${problem}; ${remedy}`),
        [fault]
      )
    })
})

let number = 0

const message = (...to: ReadonlyArray<string>): Composed.Composed =>
  Composed.make({
    messageId: `<${++number}@test>`,
    envelope: { from: "a@example.org" as never, to: to as never },
    content: new TextEncoder().encode("Subject: x\r\n\r\nx\r\n")
  })

/** A server that answers `asks@…` so, and the transport of a configuration over it. */
const opened = (lines: string, reply = "451 4.7.1") =>
  Effect.gen(function* () {
    const counts = new Map<number, number>()
    const server = yield* TestServer.make({
      decide: ({ connection, phase, to }) => {
        if (phase === "final") counts.set(connection, (counts.get(connection) ?? 0) + 1)
        return phase === "rcpt" && to[0]?.startsWith("asks@") === true
          ? { type: "reply", code: Number(reply.slice(0, 3)), text: `${reply.slice(4)} slow down` }
          : undefined
      }
    })
    const rules = rule(lines).replace("451 4.7.1", reply)
    const config = parsed(`[relay.a]\nurl = "smtp://127.0.0.1:${server.port}?tls=off"\n${rules}`)
    const { send } = Context.get(yield* Layer.build(MailraceConfig.layer(config)), MailTransport)
    return { counts, server, send: (...to: ReadonlyArray<string>) => send(message(...to)) }
  })

const test = <E>(what: string, body: Effect.Effect<void, E, Scope.Scope | Layer.Success<typeof NodeServices.layer>>) =>
  it.live(what, () => Effect.provide(body, NodeServices.layer))

describe("a rule at work", () => {
  test(
    "slows a domain down, and no other",
    Effect.gen(function* () {
      const { send, server } = yield* opened('lane = "b.test"\nslow_to = "1/h"')
      yield* Effect.flip(send("asks@b.test"))
      yield* send("x@b.test")
      const second = yield* Effect.forkChild(send("y@b.test"), { startImmediately: true })
      yield* Effect.forEach([1, 2, 3, 4], (n) => send(`z${n}@c.test`))
      assert.isUndefined(second.pollUnsafe())
      assert.strictEqual(server.stats.messages, 5)
      yield* Fiber.interrupt(second)
    })
  )

  test(
    "slows the relay down",
    Effect.gen(function* () {
      const { send, server } = yield* opened('slow_to = "2/h"')
      yield* Effect.flip(send("asks@b.test"))
      yield* Effect.forEach([1, 2], (n) => send(`z${n}@c.test`))
      const third = yield* Effect.forkChild(send("y@d.test"), { startImmediately: true })
      yield* Effect.sleep(50)
      assert.isUndefined(third.pollUnsafe())
      assert.strictEqual(server.stats.messages, 2)
      yield* Fiber.interrupt(third)
    })
  )

  test(
    "limits connections and the messages on each",
    Effect.gen(function* () {
      const { counts, send, server } = yield* opened("connections = 1\nmessages_per_connection = 2")
      yield* Effect.flip(send("asks@b.test"))
      yield* Effect.forEach(
        Array.from({ length: 9 }, (_, n) => n),
        (n) => send(`z${n}@c.test`),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(server.stats.messages, 9)
      assert.isAtMost(Math.max(...counts.values()), 2)
      assert.isAtLeast(counts.size, 5)
    })
  )

  test(
    "refuses a message for good",
    Effect.gen(function* () {
      const { send } = yield* opened('lane = "b.test"\nbounce_as = "5.7.1"')
      const error = yield* Effect.flip(send("asks@b.test"))
      assert.deepInclude(error, { isRetryable: false })
      assert.include(error.message, "550 5.7.1 451 4.7.1 slow down")
      assert.deepInclude(yield* Effect.flip(send("asks@c.test")), { isRetryable: true })
    })
  )

  test(
    "puts a message off that the relay refuses for good, and a recipient of one that it takes",
    Effect.gen(function* () {
      const { send } = yield* opened('lane = "b.test"\nretry = "1h"', "550 5.7.1")
      const error = yield* Effect.flip(send("asks@b.test"))
      assert.deepInclude(error, { isRetryable: true, retryAfter: 3_600_000 })
      assert.include(error.message, "450 4.7.1 550 5.7.1 slow down")
      assert.deepInclude(yield* Effect.flip(send("asks@c.test")), { isRetryable: false })
      const { recipients } = yield* send("x@b.test", "asks@b.test", "asks@c.test")
      assert.deepStrictEqual(
        recipients.map(({ outcome, retryAfter }) => [outcome, retryAfter]),
        [
          ["accepted", undefined],
          ["deferred", 3_600_000],
          ["rejected", undefined]
        ]
      )
    })
  )

  test(
    "reads the replies of the relay that it names, and not those of another account at the same host",
    Effect.gen(function* () {
      const server = yield* TestServer.make({
        decide: ({ phase }) => (phase === "rcpt" ? { type: "reply", code: 550, text: "5.7.1 not today" } : undefined)
      })
      const url = `url = "smtp://127.0.0.1:${server.port}?tls=off"`
      const config = parsed(
        `[relay.a]\n${url}\n[relay.b]\n${url}\n[[route]]\nlane = "b.test"\nrelay = "b"\n[[route]]\nrelay = "a"\n` +
          '[[rule]]\nreply = "550"\nrelay = "a"\nretry = "1h"\n[[rule]]\nreply = "550"\nrelay = "b"\nbounce_as = "5.9.9"\n'
      )
      const { send } = Context.get(yield* Layer.build(MailraceConfig.layer(config)), MailTransport)
      assert.deepInclude(yield* Effect.flip(send(message("x@a.test"))), { isRetryable: true, retryAfter: 3_600_000 })
      assert.strictEqual((yield* Effect.flip(send(message("x@b.test")))).reply?.enhanced, "5.9.9")
    })
  )
})
