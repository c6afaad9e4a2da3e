/** Relays that are wrong about what comes before the reply to the end of DATA, or to a chunk, in every mode. */
import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import type * as Composed from "mailrace/Composed"
import type * as Delivery from "mailrace/Delivery"
import * as Mailer from "mailrace/Mailer"
import { MailTransport } from "mailrace/MailTransport"
import * as RetryPolicy from "mailrace/RetryPolicy"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import * as Pipelining from "../src/Pipelining.ts"
import type * as SmtpOptions from "../src/SmtpOptions.ts"
import * as RawRelay from "./support/rawRelay.ts"
import * as Relay from "./support/relay.ts"

/** The n-th body: of 1 KB, of 300 KB, and every third streamed in pieces. */
const bodyOf = (n: number): string => {
  const line = `this is ${n}, and what follows is no command: MAIL FROM:<> .\r\n`
  return `Subject: ${n}\r\n\r\n${line.repeat(n % 3 === 1 ? 5_000 : 16)}`
}

const messageOf = (n: number): Composed.Composed => {
  const content = bodyOf(n)
  if (n % 3 !== 2) return Relay.message(n, { content })
  const bytes = Buffer.from(content)
  return Relay.streamed(n, [bytes.subarray(0, 100), bytes.subarray(100, 101), bytes.subarray(101)])
}

/** Sends so many messages, with retries; gives their ends, what is told of the relay, and what was logged of it. */
const sendAll = (server: RawRelay.RawRelay, count: number, options: Partial<SmtpOptions.Options>, make = messageOf) =>
  Effect.gen(function* () {
    const logged: Array<string> = []
    const logger = Logger.make<unknown, void>(({ message }) => void logged.push(String(message)))
    const sent = Effect.gen(function* () {
      const { smtp, transport } = yield* Relay.open(server, { maxConnections: 2, ...options })
      const deliveries = yield* Stream.range(0, count - 1).pipe(
        Stream.map(make),
        Mailer.sendAll({ retry: RetryPolicy.make({ base: 1, times: 6 }) }),
        Stream.runCollect,
        Effect.provideService(MailTransport, transport)
      )
      return { deliveries, stats: yield* smtp.stats }
    })
    const { deliveries, stats } = yield* Effect.provide(Effect.scoped(sent), Logger.layer([logger]))
    return { deliveries, stats, logged: logged.filter((line) => line.includes("in mode envelope from now on")) }
  })

const named = (deliveries: ReadonlyArray<Delivery.Delivery>, tag: Delivery.Delivery["_tag"]) =>
  deliveries.filter(({ _tag }) => _tag === tag)

/** Each mail that the server has is one that was sent, byte for byte, under its own envelope, and there once. */
const assertOwnBytes = (server: TestServer.TestServerService, body = bodyOf): void => {
  const all = [...server.messages, ...server.unanswered]
  for (const { content, from, to } of all) {
    const text = Buffer.from(content).toString("latin1")
    const n = Number(/^Subject: (\d+)/.exec(text)?.[1])
    assert.strictEqual(from.address, `from-${n}@test.example`)
    assert.deepStrictEqual(
      to.map(({ address }) => address),
      [`to-${n}@test.example`]
    )
    assert.isTrue(text === body(n), `mail ${n} is not what was sent`)
  }
  assert.strictEqual(new Set(all.map(({ from }) => from.address)).size, all.length)
}

const choices: ReadonlyArray<Pipelining.Choice> = ["auto", ...Pipelining.modes]
const count = 45

for (const chunking of [false, true]) {
  const offer = { extensions: { chunking }, faults: ["final:delay=1ms"] }
  describe(`a relay ${chunking ? "with" : "without"} CHUNKING`, () => {
    for (const pipelining of choices) {
      const isAskedFor = pipelining === "overlap"

      it.live(`that stores bytes after the end of DATA gets none (${pipelining})`, () =>
        Effect.gen(function* () {
          const server = yield* TestServer.make({ ...offer, quirks: { behindDot: "store" } })
          const { deliveries, stats } = yield* sendAll(server, count, { pipelining })
          assert.lengthOf(named(deliveries, "Accepted"), count)
          assert.isUndefined(stats.speculationRefused)
          if (isAskedFor) {
            // No reply shows it, so `overlap` is for those who know their relay.
            const mixed = server.messages.filter(({ content }) => /\nRCPT TO:/.test(Buffer.from(content).toString()))
            assert.isNotEmpty(mixed)
          } else {
            assertOwnBytes(server)
            assert.lengthOf(server.messages, count)
            assert.isAtMost(stats.opened, 2)
          }
          if (chunking && (pipelining === "auto" || pipelining === "speculative")) {
            assert.strictEqual(stats.pipelining, "speculative")
            assert.isTrue(server.messages.some(({ chunked }) => chunked))
          }
        })
      )

      it.live(`that refuses commands before the final reply costs no mail (${pipelining})`, () =>
        Effect.gen(function* () {
          const server = yield* TestServer.make({ ...offer, quirks: { behindDot: "refuse" } })
          const { deliveries, logged, stats } = yield* sendAll(server, count, { pipelining })
          assert.deepStrictEqual(
            deliveries.filter(({ _tag, attempts }) => _tag !== "Accepted" || attempts !== 1),
            []
          )
          assertOwnBytes(server)
          assert.lengthOf(server.messages, count)
          assert.lengthOf(logged, isAskedFor ? 1 : 0)
          if (!isAskedFor) {
            assert.isAtMost(stats.opened, 2)
            return
          }
          // Each connection may have had one early envelope out.
          assert.isAtMost(stats.opened, 4)
          assert.strictEqual(stats.pipelining, "envelope")
          assert.include(stats.speculationRefused, "an envelope that came early")
          assert.include(stats.speculationRefused, "pipelined after end of DATA")
        })
      )

      it.live(`that closes on bytes after the end of DATA does so once a connection (${pipelining})`, () =>
        Effect.gen(function* () {
          const server = yield* TestServer.make({ ...offer, quirks: { behindDot: "close" } })
          const { deliveries, logged, stats } = yield* sendAll(server, count, { pipelining })
          const unknown = named(deliveries, "Unknown")
          assert.isAtMost(unknown.length, isAskedFor ? 2 : 0)
          assert.lengthOf(named(deliveries, "Accepted"), count - unknown.length)
          for (const { attempts } of deliveries) assert.strictEqual(attempts, 1)
          assertOwnBytes(server)
          assert.lengthOf(logged, isAskedFor ? 1 : 0)
          assert.strictEqual(stats.speculationRefused !== undefined, isAskedFor)
        })
      )
    }
  })
}

/**
 * A relay that takes one envelope after the other by DATA, and has its own way with commands that come before its reply to
 * the end of content: each gets the reply, or no reply, and then the connection may end.
 */
const makeImpatient = (answer: string | undefined, hangsUp: boolean) =>
  Effect.gen(function* () {
    const bodies: Array<string> = []
    const relay = yield* RawRelay.make((socket) => {
      let input = ""
      let isContent = false
      socket.write("220 hi\r\n")
      socket.on("data", (bytes) => {
        input += bytes.toString("latin1")
        for (;;) {
          const end = input.indexOf(isContent ? "\r\n.\r\n" : "\r\n")
          if (end === -1) return
          const line = input.slice(0, end)
          input = input.slice(end + (isContent ? 5 : 2))
          if (isContent) {
            isContent = false
            bodies.push(`${line}\r\n`)
            socket.write("250 taken\r\n")
            const early = input.split("\r\n").length - 1
            if (early === 0) continue
            input = ""
            if (answer !== undefined) socket.write(`${answer}\r\n`.repeat(hangsUp ? 1 : early))
            if (hangsUp) socket.end()
          } else if (line.startsWith("EHLO")) socket.write("250-hi\r\n250 PIPELINING\r\n")
          else if (line === "DATA") {
            isContent = true
            socket.write("354 go on\r\n")
          } else if (line === "QUIT") socket.end("221 bye\r\n")
          else socket.write("250 ok\r\n")
        }
      })
    })
    return { ...relay, bodies }
  })

describe("overlap, asked for, at a relay that takes no early envelope", () => {
  for (const [what, answer, hangsUp] of [
    ["answers 503 to it", "503 bad sequence", false],
    ["does not recognise it", "500 what?", false],
    ["answers 502 to it", "502 not implemented", false],
    ["calls it a loss of synchronization, and closes", "554 5.5.0 Error: SMTP protocol synchronization", true],
    ["calls it improper pipelining", "554 5.5.0 Improper use of SMTP command pipelining", false],
    ["closes without a word", undefined, true],
    ["does not answer it", undefined, false]
  ] as const) {
    it.live(`${what}: it is sent to in envelope from then on, and no mail pays for it`, () =>
      Effect.gen(function* () {
        const relay = yield* makeImpatient(answer, hangsUp)
        // Only silence takes as long as that, on a busy machine too.
        const options = { pipelining: "overlap", timeouts: { command: 1_000 } } as const
        const { deliveries, logged, stats } = yield* sendAll(relay, 60, options, small)
        assert.deepStrictEqual(
          deliveries.filter(({ _tag, attempts }) => _tag !== "Accepted" || attempts !== 1),
          []
        )
        assert.deepStrictEqual(relay.bodies.toSorted(), deliveries.map(({ index }) => smallBody(index)).toSorted())
        assert.lengthOf(logged, 1)
        assert.strictEqual(stats.pipelining, "envelope")
        assert.isAtMost(stats.opened, 4)
      })
    )
  }
})

const smallBody = (n: number): string => `Subject: ${n}\r\n\r\n${"y".repeat(1_000)}\r\n`
const small = (n: number): Composed.Composed => Relay.message(n, { content: smallBody(n) })
const largeBody = (n: number): string => `Subject: ${n}\r\n\r\n${`${"y".repeat(98)}\r\n`.repeat(80)}`
const large = (n: number): Composed.Composed => Relay.message(n, { content: largeBody(n) })

describe("a relay that passes the self-test", () => {
  it.live("and is silent at a larger chunk costs the outcome of one mail, and is then sent to in envelope", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ quirks: { largestAnsweredChunk: 4_096 } })
      const options = { maxConnections: 10, timeouts: { finalReply: 1_500 } }
      const { deliveries, logged, stats } = yield* sendAll(server, 200, options, large)
      assert.lengthOf(named(deliveries, "Unknown"), 1)
      assert.lengthOf(named(deliveries, "Accepted"), 199)
      assertOwnBytes(server, largeBody)
      assert.lengthOf(logged, 1)
      assert.deepInclude(stats, { pipelining: "envelope" })
      assert.include(stats.speculationRefused, "BDAT")
    })
  )

  it.live("and is silent at a larger chunk after many small ones costs no more", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ quirks: { largestAnsweredChunk: 4_096 } })
      const options = { maxConnections: 10, timeouts: { finalReply: 1_500 } }
      const isLarge = (n: number): boolean => n > 1_000 && n % 2 === 0
      const { deliveries, logged } = yield* sendAll(server, 1_500, options, (n) => (isLarge(n) ? large(n) : small(n)))
      // The one that is tried, and what was ahead on the same connection has been answered.
      assert.isAtMost(named(deliveries, "Unknown").length, 1)
      assert.lengthOf(deliveries, 1_500)
      assertOwnBytes(server, (n) => (isLarge(n) ? largeBody(n) : smallBody(n)))
      assert.lengthOf(logged, 1)
    })
  )

  for (const [what, quirks] of [
    ["closes after each message", { closeAfterMessages: 1 }],
    ["closes after three messages", { closeAfterMessages: 3 }]
  ] as const) {
    it.live(`and ${what} costs the outcome of a few messages`, () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make({ quirks })
        const { deliveries, logged } = yield* sendAll(server, 150, { maxConnections: 10 }, small)
        const unknown = named(deliveries, "Unknown").length
        assert.isAtMost(unknown, 10)
        assert.lengthOf(named(deliveries, "Accepted"), 150 - unknown)
        assertOwnBytes(server, smallBody)
        assert.lengthOf(logged, unknown === 0 ? 0 : 1)
      })
    )
  }

  it.live("and ends sessions by 421 costs no attempt and no trust", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({
        decide: (() => {
          const mails = new Map<number, number>()
          return ({ connection, phase }) => {
            if (phase !== "mail") return undefined
            const before = mails.get(connection) ?? 0
            mails.set(connection, before + 1)
            return before === 20 ? { type: "reply", code: 421, text: "4.4.5 enough for one session" } : undefined
          }
        })()
      })
      const { deliveries, logged, stats } = yield* sendAll(server, 300, { maxConnections: 2 }, small)
      assert.lengthOf(named(deliveries, "Accepted"), 300)
      assert.deepStrictEqual(
        deliveries.filter(({ attempts }) => attempts !== 1),
        []
      )
      assertOwnBytes(server, smallBody)
      assert.deepStrictEqual(logged, [])
      assert.strictEqual(stats.pipelining, "speculative")
    })
  )
})
