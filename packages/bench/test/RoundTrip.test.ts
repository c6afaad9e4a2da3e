import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { once } from "node:events"
import * as Net from "node:net"
import * as RoundTrip from "../src/RoundTrip.ts"

const listening = (onConnection: (socket: Net.Socket) => void) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = Net.createServer({ allowHalfOpen: true }, onConnection)
      server.listen(0, "127.0.0.1")
      await once(server, "listening")
      return server
    }),
    (server) => Effect.sync(() => server.close())
  )

const relayed = (server: Net.Server, options: { readonly rttMs: number }) =>
  Effect.acquireRelease(
    Effect.promise(() => RoundTrip.start({ targetPort: (server.address() as Net.AddressInfo).port, ...options })),
    (relay) => Effect.promise(relay.close)
  )

/** Writes, ends its side, and reads to the end. */
const exchange = async (port: number, chunks: ReadonlyArray<Buffer>): Promise<Buffer> => {
  const socket = Net.connect({ port, host: "127.0.0.1", allowHalfOpen: true })
  const received: Array<Buffer> = []
  socket.on("data", (chunk) => received.push(chunk))
  for (const chunk of chunks) socket.write(chunk)
  socket.end()
  await once(socket, "end")
  return Buffer.concat(received)
}

describe("RoundTrip", () => {
  for (const rttMs of [0, 3]) {
    it.live(`hands on every byte in order in both directions, to the end of each side, at ${rttMs} ms`, () =>
      Effect.gen(function* () {
        const server = yield* listening((socket) => socket.pipe(socket))
        const relay = yield* relayed(server, { rttMs })
        const chunks = Array.from({ length: 300 }, (_, at) => Buffer.alloc(1 + ((at * 7919) % 30_000), at))
        const back = yield* Effect.promise(() =>
          Promise.all([exchange(relay.port, chunks), exchange(relay.port, chunks.toReversed())])
        )
        const hash = (data: Buffer) => createHash("sha256").update(data).digest("hex")
        assert.strictEqual(hash(back[0]), hash(Buffer.concat(chunks)))
        assert.strictEqual(hash(back[1]), hash(Buffer.concat(chunks.toReversed())))
      })
    )
  }

  it.live("keeps what a client says before the server is reached, as when TLS lets it speak first", () =>
    Effect.gen(function* () {
      const server = yield* listening((socket) => socket.pipe(socket))
      const relay = yield* relayed(server, { rttMs: 10 })
      const back = yield* Effect.promise(() => exchange(relay.port, [Buffer.from("hello")]))
      assert.strictEqual(back.toString(), "hello")
      assert.isAbove(relay.measuredRttMs(), 0)
    })
  )

  it.live("closes the client when there is no server", () =>
    Effect.gen(function* () {
      const server = yield* listening(() => {})
      const relay = yield* relayed(server, { rttMs: 0 })
      yield* Effect.promise(async () => {
        server.close()
        await once(server, "close")
        const socket = Net.connect(relay.port, "127.0.0.1")
        socket.on("error", () => {})
        await once(socket, "close")
      })
    })
  )
})
