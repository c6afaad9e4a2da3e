import { assert, describe, it } from "@effect/vitest"
import * as Fault from "@mailrace/testing/Fault"
import * as TestServer from "@mailrace/testing/TestServer"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as RawRelay from "../../support/rawRelay.ts"
import * as Relay from "../../support/relay.ts"
import * as Stopped from "../../support/stopped.ts"
import { assertAllTaken } from "../../support/taken.ts"

/** A body that would do harm as commands. */
const evil = (n: number): string =>
  `Subject: ${n}\r\n\r\n` +
  ["RSET", "MAIL FROM:<evil@evil.example>", "RCPT TO:<victim@evil.example>", "DATA", ".", "EVIL", "QUIT", ""].join(
    "\r\n"
  )

/** Sends messages with such bodies, some of them to nobody, and says what became of each. */
const sendEvil = (relay: Relay.Relay, count: number) =>
  Effect.forEach(
    Array.from({ length: count }, (_, n) => n),
    (n) => {
      const to = n % 5 === 1 ? ["refused@test.example"] : [`to-${n}@test.example`]
      return Effect.map(
        Effect.result(relay.send(Relay.message(n, { content: evil(n), to }))),
        ({ _tag }) => [n, _tag] as const
      )
    },
    { concurrency: 16 }
  )

const make = (options: TestServer.Options) =>
  TestServer.make({ ...options, faults: ["rcpt:550:to=refused@*", ...(options.faults ?? [])] })

/** Nobody's body was run as commands: nothing of it was said, and each message has its own envelope and bytes. */
const assertNoHarm = (server: TestServer.TestServerService): void => {
  const said = server.transcript.filter(({ by }) => by === "client").map(({ line }) => line)
  assert.isEmpty(said.filter((line) => /evil/i.test(line)))
  for (const { content, from, to } of server.messages) {
    const n = /^Subject: (\d+)/.exec(Buffer.from(content).toString())?.[1]
    assert.strictEqual(from.address, `from-${n}@test.example`)
    assert.deepStrictEqual(
      to.map(({ address }) => address),
      [`to-${n}@test.example`]
    )
    assert.strictEqual(Buffer.from(content).toString(), evil(Number(n)))
  }
}

/** Tears the first two connections down at the RSET that ends the self-test. */
const resetAtSecondRset = (): TestServer.Options["decide"] => {
  const seen = [0, 0, 0]
  return ({ connection, phase }) =>
    phase === "rset" && connection <= 2 && ++seen[connection]! === 2 ? { type: "reset" } : undefined
}

/** Each message was taken once; what the self-test does wrong it does on purpose. */
const assertNothingElse = (server: TestServer.TestServerService, count: number): void => {
  assert.strictEqual(new Set(server.messages.map(({ from }) => from.address)).size, count)
  assert.lengthOf(server.messages, count)
}

describe("SpeculationTest", () => {
  it.live("lets a relay that keeps count be sent to ahead of its replies", () =>
    Effect.gen(function* () {
      for (const openAfterRefusedChunk of [false, true]) {
        const server = yield* make({ quirks: { openAfterRefusedChunk } })
        const relay = yield* Relay.open(server, { maxConnections: 1 })
        const results = yield* sendEvil(relay, 100)
        for (const [n, tag] of results) assert.strictEqual(tag, n % 5 === 1 ? "Failure" : "Success", `message ${n}`)
        assert.deepInclude(yield* relay.smtp.stats, { pipelining: "speculative", speculationRefused: undefined })
        assert.isTrue(server.messages.some(({ chunked }) => chunked))
        assert.lengthOf(server.messages, 80)
        assertNoHarm(server)
        // What the self-test does wrong it does on purpose.
        assert.isEmpty(
          server.protocolErrors.filter(({ problem }) => !problem.startsWith("RCPT") && !problem.startsWith("BDAT"))
        )
      }
    })
  )

  for (const [name, options, why] of [
    ["runs a refused chunk as commands", { quirks: { unreadRefusedChunk: true } }, 'out of step at DATA: "250'],
    [
      "advertises CHUNKING and does not know BDAT",
      { quirks: { unknownBdat: true } },
      "BDAT after a refused RCPT was answered 500"
    ],
    ["lies about CHUNKING", { faults: ["ehlo:lie=CHUNKING"], extensions: { chunking: false } }, ""],
    ["answers RSET twice", { quirks: { doubleReply: "rset" } }, ""],
    ["answers MAIL twice", { quirks: { doubleReply: "mail" } }, ""],
    ["answers RCPT twice", { quirks: { doubleReply: "rcpt" } }, ""],
    ["answers BDAT twice", { quirks: { doubleReply: "bdat" } }, ""],
    ["answers MAIL out of its turn", { quirks: { lateReply: "mail" } }, ""],
    ["answers BDAT out of its turn", { quirks: { lateReply: "bdat" } }, ""],
    ["closes after a refused chunk", { quirks: { closeAfterChunk: "refused" } }, "closed"],
    ["closes after every chunk", { quirks: { closeAfterChunk: "every" } }, "closed"],
    ["tears the connection down behind the chunk", { decide: resetAtSecondRset() }, ""],
    ["refuses RSET", { faults: ["rset:500"] }, "RSET was answered 500"],
    [
      "accepts an invalid recipient",
      { decide: ({ phase, to }) => (phase === "rcpt" && to[0] === "" ? Fault.reply(250) : undefined) },
      "RCPT TO:<@@> was answered 250"
    ]
  ] as ReadonlyArray<readonly [string, TestServer.Options, string]>) {
    it.live(`finds out a relay that ${name}, and sends to it all the same`, () =>
      Effect.gen(function* () {
        const server = yield* make(options)
        // The replies of such a relay are late at other times too, so the limits are short.
        const relay = yield* Relay.open(server, { maxConnections: 2, timeouts: { command: 300, finalReply: 300 } })
        const results = yield* sendEvil(relay, 20)
        const { pipelining, speculationRefused } = yield* relay.smtp.stats
        assert.strictEqual(pipelining, "envelope")
        assert.include(speculationRefused, "it failed the self-test")
        assert.include(speculationRefused, why)
        assertNoHarm(server)
        assert.isTrue(server.messages.every(({ chunked }) => !chunked))
        const accepted = results.filter(([, tag]) => tag === "Success").map(([n]) => `from-${n}@test.example`)
        assert.deepStrictEqual(server.messages.map(({ from }) => from.address).toSorted(), accepted.toSorted())
      })
    )
  }

  it.live("is each connection's own, and one that fails it is enough for all", () =>
    Effect.gen(function* () {
      const tests = (server: TestServer.TestServerService) =>
        server.transcript.filter(({ line }) => line.startsWith("RCPT TO:<@@>")).length
      const good = yield* make({ faults: ["final:delay=2ms"] })
      const relay = yield* Relay.open(good, { maxConnections: 3, depth: 4 })
      yield* Relay.sendMany(relay, 60)
      assert.strictEqual(good.stats.connections, 3)
      assert.strictEqual(tests(good), 3)
      const bad = yield* make({ quirks: { unreadRefusedChunk: true } })
      const other = yield* Relay.open(bad, { maxConnections: 1, maxMessages: 10 })
      yield* Relay.sendMany(other, 50)
      assert.lengthOf(bad.messages, 50)
      assert.strictEqual(tests(bad), 1)
    })
  )

  it.live("goes out together with the first envelope, and with at most two commands that are refused", () =>
    Effect.gen(function* () {
      const server = yield* make({ latency: 20 })
      const relay = yield* Relay.open(server, { maxConnections: 1 })
      yield* Relay.sendMany(relay, 10)
      const lines = server.transcript.map(({ by, line }) => `${by} ${line}`)
      const begin = lines.findIndex((line) => line === "client RSET")
      const data = lines.indexOf("client DATA")
      // Nothing is answered before all of it has been read.
      assert.deepStrictEqual(
        lines.slice(begin, data + 1).flatMap((line) => /^client ([A-Z]{4})/.exec(line)?.[1] ?? []),
        ["RSET", "MAIL", "RCPT", "BDAT", "RSET", "MAIL", "RCPT", "DATA"]
      )
      assert.lengthOf(
        lines.filter((line) => /^server [45]/.test(line)),
        2
      )
      assert.strictEqual((yield* relay.smtp.stats).pipelining, "speculative")
    })
  )

  it.live("is left out where it is not wanted, or of no use", () =>
    Effect.gen(function* () {
      for (const [options, pipelining] of [
        [{ extensions: { chunking: false } }, "auto"],
        [{ extensions: { pipelining: false } }, "speculative"],
        [{ extensions: { limits: { mailMax: 3 } } }, "auto"],
        [{}, "off"],
        [{}, "envelope"],
        [{}, "overlap"]
      ] as const) {
        const server = yield* make(options)
        const relay = yield* Relay.open(server, { pipelining, maxConnections: 1 })
        yield* sendEvil(relay, 5)
        assertNoHarm(server)
        assert.lengthOf(server.messages, 4)
        assert.notInclude(server.transcript.map(({ line }) => line).join(), "@@")
        assert.deepStrictEqual(server.protocolErrors, [])
      }
    })
  )

  it.live("asks again when the connection broke once", () =>
    Effect.gen(function* () {
      const server = yield* make({ faults: ["rset:reset:nth=2"] })
      const relay = yield* Relay.open(server, { maxConnections: 1 })
      yield* Relay.sendMany(relay, 10)
      const { pipelining, speculationRefused } = yield* relay.smtp.stats
      assert.strictEqual(pipelining, "speculative")
      assert.isUndefined(speculationRefused)
    })
  )

  it.live("comes after the replies to EHLO, STARTTLS and AUTH, and nothing comes before them", () =>
    Effect.gen(function* () {
      const auth = Relay.password("joe", "secret")
      const server = yield* TestServer.make({ tls: true, users: { joe: "secret" }, latency: 10 })
      /** What came in pieces, in its order, with each reply as such. */
      const seen: Array<string> = []
      const relay = yield* RawRelay.make((socket) => {
        const upstream = RawRelay.handOn(socket, server)
        upstream.on("data", () => seen.push("reply"))
        socket.on("data", (bytes) => seen.push(bytes.toString("latin1")))
      })
      const clear = yield* Relay.open(relay, { maxConnections: 1, auth, allowInsecureAuth: true })
      yield* Relay.sendMany(clear, 5)
      const tls = { mode: "required", ca: server.tls!.ca, serverName: "localhost" } as const
      const secured = yield* Relay.open(relay, { maxConnections: 1, auth, tls })
      yield* Relay.sendMany(secured, 5)
      const places = seen.flatMap((text, i) => (/^(EHLO|STARTTLS|AUTH)/.test(text) ? [i] : []))
      assert.isAtLeast(places.length, 4)
      for (const i of places) {
        assert.match(seen[i]!, /^[^\r\n]*\r\n$/)
        assert.strictEqual(seen[i + 1], "reply")
      }
      const tests = server.transcript.filter(({ line }) => line === "RCPT TO:<@@>")
      assert.lengthOf(tests, 2)
    })
  )

  it.live("has the null sender, and where that is refused the message's", () =>
    Effect.gen(function* () {
      const server = yield* make({ faults: ["mail:550:from="] })
      const relay = yield* Relay.open(server, { maxConnections: 1, maxMessages: 20 })
      yield* Relay.sendMany(relay, 40)
      assertNothingElse(server, 40)
      const said = server.transcript.flatMap(({ by, line }) => (by === "client" ? [line] : []))
      const senders = said.flatMap((line, i) =>
        said[i + 1] === "RCPT TO:<@@>" ? [/^MAIL FROM:(<.*?>)/.exec(line)![1]] : []
      )
      assert.strictEqual(senders[0], "<>")
      assert.match(senders[1]!, /^<from-\d+@test\.example>$/)
      assert.strictEqual((yield* relay.smtp.stats).pipelining, "speculative")
    })
  )

  it.live("is not failed by a relay that ends the session before it", () =>
    Effect.gen(function* () {
      for (const fault of ["rset:421:first=3", "mail:421:first=3"]) {
        const server = yield* make({ faults: [fault] })
        const relay = yield* Relay.open(server, { maxConnections: 1 })
        // Three ends cost no attempt.
        yield* Relay.sendMany(relay, 20)
        assert.deepInclude(yield* relay.smtp.stats, { pipelining: "speculative", speculationRefused: undefined })
      }
    })
  )

  it.live("is failed by a relay that ends the session over it, twice", () =>
    Effect.gen(function* () {
      const decide: TestServer.Options["decide"] = ({ phase, to }) =>
        phase === "rcpt" && to[0] === "" ? Fault.reply(421, "4.7.0 too many errors") : undefined
      const server = yield* make({ decide })
      const relay = yield* Relay.open(server, { maxConnections: 1 })
      yield* Relay.sendMany(relay, 20)
      assertAllTaken(server, 20)
      assert.strictEqual(server.stats.connections, 3)
      assert.include((yield* relay.smtp.stats).speculationRefused, "4.7.0 too many errors")
    })
  )

  it.live("protects from one bad back end of three behind a balancer", () =>
    Effect.gen(function* () {
      const backEnds = yield* Effect.forEach([false, false, true], (unreadRefusedChunk) =>
        make({ quirks: { unreadRefusedChunk } })
      )
      const balancer = yield* RawRelay.make((socket, n) => RawRelay.handOn(socket, backEnds[(n - 1) % 3]!))
      const relay = yield* Relay.open(balancer, { maxConnections: 3, depth: 8 })
      // Lines that would send another mail, in mails to somebody who is refused, among mails to others.
      const inner = "MAIL FROM:<ceo@victim.example>\r\nRCPT TO:<victim@victim.example>\r\nBDAT 6 LAST\r\nhello\r\n"
      const text = (n: number): string => `Subject: ${n}\r\n\r\nRSET\r\n${inner}RSET\r\n${inner}`
      const count = 90
      const isRefused = (n: number): boolean => n % 3 === 1
      const ends = yield* Effect.forEach(
        Array.from({ length: count }, (_, n) => n),
        (n) => {
          const to = isRefused(n) ? ["refused@test.example"] : [`to-${n}@test.example`]
          return Effect.result(relay.send(Relay.message(n, { content: text(n), to })))
        },
        { concurrency: count }
      )
      for (const [n, end] of ends.entries()) {
        if (end._tag === "Success") assert.isFalse(isRefused(n))
        else assert.strictEqual(end.failure.reason._tag, isRefused(n) ? "RecipientsRejected" : "", `message ${n}`)
      }
      const taken = backEnds.flatMap(({ messages }) => messages)
      assert.lengthOf(taken, (count * 2) / 3)
      for (const { content, from } of taken) {
        const n = Number(/^Subject: (\d+)/.exec(Buffer.from(content).toString())?.[1])
        assert.strictEqual(from.address, `from-${n}@test.example`)
        assert.strictEqual(Buffer.from(content).toString(), text(n))
      }
      const said = backEnds.flatMap(({ transcript }) => transcript.map(({ by, line }) => `${by} ${line}`))
      assert.isEmpty(said.filter((line) => line.includes("victim.example")))
      // Three connections, and one more in place of the one that failed.
      const { opened, pipelining, speculationRefused } = yield* relay.smtp.stats
      assert.strictEqual(opened, 4)
      assert.strictEqual(pipelining, "envelope")
      assert.include(speculationRefused, "it failed the self-test")
    })
  )

  it.live("is not sent for a single message, nor for one now and then", () =>
    Effect.gen(function* () {
      const server = yield* make({})
      const relay = yield* Relay.open(server)
      for (let n = 0; n < 5; n++) yield* relay.send(Relay.message(n))
      assertAllTaken(server, 5)
      assert.notInclude(server.transcript.map(({ line }) => line).join(), "@@")
    })
  )

  it.live("waits for a silent relay only so long", () =>
    Effect.gen(function* () {
      const { pass } = yield* Stopped.clock
      const server = yield* make({ faults: ["rset:hang:first=2"] })
      const relay = yield* Relay.open(server, { maxConnections: 1, timeouts: { command: 50 } })
      const fiber = yield* Effect.forkChild(Relay.sendMany(relay, 2))
      for (const count of [1, 2]) {
        yield* server.until(({ faults }) => faults === count)
        yield* pass(50)
      }
      yield* Fiber.join(fiber)
      assert.include((yield* relay.smtp.stats).speculationRefused, "silent for 50 ms")
    })
  )
})
