/** Relays in a few lines of their own, for what no orderly server does. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Net from "node:net"

/** Where it listens. */
export interface RawRelay {
  readonly host: string
  readonly port: number
}

/** Calls a function with each connection, counted from 1; all are broken off when the scope closes. */
export const make = (
  onConnection: (socket: Net.Socket, n: number) => void
): Effect.Effect<RawRelay, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<{ readonly server: Net.Server; readonly open: Set<Net.Socket> }>((resume) => {
      const open = new Set<Net.Socket>()
      let count = 0
      const server = Net.createServer((socket) => {
        open.add(socket)
        socket.on("error", () => {})
        socket.on("close", () => open.delete(socket))
        onConnection(socket, ++count)
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, open })))
    }),
    ({ open, server }) =>
      Effect.sync(() => {
        for (const socket of open) socket.destroy()
        server.close()
      })
  ).pipe(
    Effect.map(({ server }): RawRelay => ({ host: "127.0.0.1", port: (server.address() as Net.AddressInfo).port }))
  )

/** Hands a connection on to another server. */
export const handOn = (socket: Net.Socket, to: RawRelay): Net.Socket => {
  const upstream = Net.connect(to.port, to.host)
  upstream.on("error", () => socket.destroy())
  upstream.on("data", (bytes) => socket.write(bytes))
  upstream.on("close", () => socket.end())
  socket.on("close", () => upstream.destroy())
  socket.on("data", (bytes) => upstream.write(bytes))
  return upstream
}

/** A relay that reads only on demand. */
export interface Reluctant extends RawRelay {
  /** Reads so many bytes more, and then no more. */
  readonly read: (bytes: number) => Effect.Effect<void>
  /** Reads all that comes from now on. */
  readonly readOn: Effect.Effect<void>
}

/** Hands its one connection on to another server, at first no more of it than a session takes before any content. */
export const makeReluctant = (to: RawRelay): Effect.Effect<Reluctant, never, Scope.Scope> =>
  Effect.gen(function* () {
    let connection: Net.Socket | undefined
    let most = 4_000
    let onRead = (): void => {}
    const relay = yield* make((socket) => {
      connection = socket
      handOn(socket, to)
      socket.on("data", () => {
        if (socket.bytesRead < most) return
        socket.pause()
        onRead()
      })
    })
    return {
      ...relay,
      read: (bytes) =>
        Effect.callback<void>((resume) => {
          onRead = () => resume(Effect.void)
          most = connection!.bytesRead + bytes
          connection!.resume()
        }),
      readOn: Effect.sync(() => {
        most = Number.POSITIVE_INFINITY
        connection!.resume()
      })
    }
  })
