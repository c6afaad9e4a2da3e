import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import * as Arbitrary from "effect/Arbitrary"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { AddressInfo } from "node:net"
import { SMTPServer } from "smtp-server"
import * as LineEndings from "../src/LineEndings.ts"
import * as Arbitraries from "./support/arbitraries.ts"
import * as Relay from "./support/relay.ts"

/** What a receiver is to get: lines ended by CRLF, the last one too. */
const normalised = (content: Uint8Array): string => {
  const text = Buffer.from(content)
    .toString("latin1")
    .replaceAll(/\r\n|\r|\n/g, "\r\n")
  return text === "" || text.endsWith("\r\n") ? text : `${text}\r\n`
}

/** Reads DATA content as RFC 5321 §4.5.2 tells a receiver to: a line that is a lone dot ends it. */
const received = (wire: Uint8Array): { readonly content: string; readonly rest: string } => {
  let content = ""
  let rest = Buffer.from(wire).toString("latin1")
  for (;;) {
    const end = rest.indexOf("\r\n")
    if (end === -1) throw new Error("the content has no end")
    const line = rest.slice(0, end)
    rest = rest.slice(end + 2)
    if (line === ".") return { content, rest }
    content += `${line.startsWith(".") ? line.slice(1) : line}\r\n`
  }
}

const encodePieces = (pieces: ReadonlyArray<Uint8Array>, stuffDots: boolean): Buffer => {
  const encoder = new LineEndings.LineEncoder(stuffDots)
  // Each piece is written before the next is encoded, so none may share memory with it.
  return Buffer.concat([...pieces.map((piece) => encoder.push(piece)), encoder.end()])
}

const hasBareLineEnding = (wire: Uint8Array): boolean => /\r(?!\n)|(?<!\r)\n/.test(Buffer.from(wire).toString("latin1"))

describe("LineEndings", () => {
  it.prop(
    "the receiver reads exactly the DATA content and finds its end only at the end",
    [Arbitraries.content],
    ([content]) => {
      const wire = LineEndings.forData(content)
      assert.deepStrictEqual(received(Buffer.concat([wire, Buffer.from(`${LineEndings.endOfData}NEXT`)])), {
        content: normalised(content),
        rest: "NEXT"
      })
      assert.isFalse(hasBareLineEnding(wire))
    },
    { arbitrary: { runs: 500 } }
  )

  it.prop(
    "a scan does not depend on where in memory the content lies",
    [
      Arbitrary.array(Arbitraries.pick([0, 9, 10, 13, 13, 14, 46, 65, 127, 128, 138, 141, 255]), { maxLength: 40 }),
      Arbitraries.int(0, 7)
    ],
    ([bytes, offset]) => {
      const content = Buffer.from([...Buffer.alloc(offset, 10), ...bytes, 13]).subarray(offset, -1)
      const text = content.toString("latin1")
      assert.deepStrictEqual(LineEndings.scan(content), {
        hasBareLineEnding: hasBareLineEnding(content),
        dotLines: [...text.matchAll(/(?:^|\r\n)(?=\.)/g)].length,
        endsLine: text === "" || text.endsWith("\r\n")
      })
    },
    { arbitrary: { runs: 2000 } }
  )

  it.prop("BDAT content is the content with its line endings made right", [Arbitraries.content], ([content]) => {
    assert.strictEqual(Buffer.from(LineEndings.forBdat(content)).toString("latin1"), normalised(content))
  })

  it.prop(
    "pieces give the same as the whole, wherever it is cut",
    [Arbitraries.content, Arbitraries.cuts],
    ([content, sizes]) => {
      const pieces = Arbitraries.cut(content, sizes)
      assert.deepStrictEqual(encodePieces(pieces, true), Buffer.from(LineEndings.forData(content)))
      assert.deepStrictEqual(encodePieces(pieces, false), Buffer.from(LineEndings.forBdat(content)))
    },
    { arbitrary: { runs: 500 } }
  )

  it.prop("content that is right already is not copied", [Arbitraries.content], ([content]) => {
    const right = Buffer.from(normalised(content), "latin1")
    assert.strictEqual(LineEndings.forBdat(right), right)
    const dotless = Buffer.from(normalised(content).replaceAll(".", "-"), "latin1")
    assert.strictEqual(LineEndings.forData(dotless), dotless)
  })

  it.prop("a scan reports the content's features", [Arbitraries.content], ([content]) => {
    const text = Buffer.from(content).toString("latin1")
    assert.deepStrictEqual(LineEndings.scan(content), {
      hasBareLineEnding: hasBareLineEnding(content),
      dotLines: (text.match(/(^|\r\n)\./g) ?? []).length,
      endsLine: text === "" || text.endsWith("\r\n")
    })
  })
})

const contents = Arbitrary.array(Arbitrary.all([Arbitraries.content, Arbitraries.cuts]), { maxLength: 12 })

/** Sends each content whole and in pieces; gives all contents in the order in which they were sent. */
const sendAll = (
  relay: Relay.Relay,
  inputs: ReadonlyArray<readonly [content: Uint8Array, sizes: ReadonlyArray<number>]>
) =>
  Effect.forEach(inputs, ([content, sizes], n) =>
    Effect.andThen(
      relay.send(Relay.message(n, { content })),
      relay.send(Relay.streamed(n, Arbitraries.cut(content, sizes)))
    )
  )

describe("LineEndings, on the wire", () => {
  it.live.prop(
    "a strict server accepts the content by DATA and by BDAT",
    [contents, Arbitraries.pick(["off", "overlap", "speculative"])],
    ([inputs, pipelining]) =>
      Effect.scoped(
        Effect.gen(function* () {
          const server = yield* TestServer.make()
          const relay = yield* Relay.open(server, { pipelining, maxConnections: 1 })
          yield* sendAll(relay, inputs)
          assert.deepStrictEqual(
            server.messages.map(({ content }) => Buffer.from(content).toString("latin1")),
            inputs.flatMap(([content]) => [normalised(content), normalised(content)])
          )
          assert.deepStrictEqual(server.protocolErrors, [])
          // Sent one after the other, two for each input, from the seventh on.
          if (pipelining === "speculative" && inputs.length > 3)
            assert.isTrue(server.messages.some(({ chunked }) => chunked))
        })
      ),
    { arbitrary: { runs: 25 } }
  )

  it.live.prop(
    "npm's smtp-server reads the content",
    [contents],
    ([inputs]) =>
      Effect.scoped(
        Effect.gen(function* () {
          const taken: Array<string> = []
          const server = yield* smtpServer(taken)
          const relay = yield* Relay.open({ host: "127.0.0.1", port: server }, { maxConnections: 1 })
          yield* sendAll(relay, inputs)
          assert.deepStrictEqual(
            taken,
            inputs.flatMap(([content]) => [normalised(content), normalised(content)])
          )
        })
      ),
    { arbitrary: { runs: 8 } }
  )
})

/** Starts npm's smtp-server, which notes what it takes, and gives its port. */
const smtpServer = (taken: Array<string>) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<SMTPServer>((resume) => {
        const server = new SMTPServer({
          authOptional: true,
          disabledCommands: ["AUTH", "STARTTLS"],
          disableReverseLookup: true,
          logger: false,
          onData: (stream, _, done) => {
            const pieces: Array<Buffer> = []
            stream.on("data", (piece: Buffer) => pieces.push(piece))
            stream.on("end", () => {
              taken.push(Buffer.concat(pieces).toString("latin1"))
              done()
            })
          }
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.gen(function* () {
          const closed = yield* Deferred.make<void>()
          server.close(() => Deferred.doneUnsafe(closed, Effect.void))
          yield* Deferred.await(closed)
        })
    ),
    (server) => (server.server.address() as AddressInfo).port
  )
