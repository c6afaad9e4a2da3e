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

/** Hands a connection on to another server; of the first so many bytes it reads a piece every 2 ms only. */
export const handOn = (socket: Net.Socket, to: RawRelay, slowBytes = 0): void => {
  const upstream = Net.connect(to.port, to.host)
  upstream.on("error", () => socket.destroy())
  upstream.on("data", (bytes) => socket.write(bytes))
  upstream.on("close", () => socket.end())
  socket.on("close", () => upstream.destroy())
  socket.on("data", (bytes) => {
    upstream.write(bytes)
    if (socket.bytesRead > slowBytes) return
    socket.pause()
    setTimeout(() => socket.resume(), 2)
  })
}
