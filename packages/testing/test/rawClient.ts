/** A client that says exactly what a test wants, and reads replies as text: nothing of the server's code is in it. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as net from "node:net"
import * as tls from "node:tls"

export interface RawClient {
  readonly write: (data: string | Uint8Array) => void
  /** Waits for so many further replies and gives each with its lines joined by a line feed. */
  readonly replies: (count: number) => Effect.Effect<ReadonlyArray<string>>
  /** Writes, then waits for one reply a line written. */
  readonly ask: (...lines: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<string>>
  /** Waits for the end: `end` in order, else the error's code, with everything received so far. */
  readonly closed: Effect.Effect<{ readonly how: string; readonly received: string }>
  /** Closes its own side. */
  readonly end: () => void
  readonly pause: () => void
  readonly resume: () => void
  /** The pieces in which replies arrived. */
  readonly pieces: () => ReadonlyArray<string>
  /** Takes the connection through a handshake. */
  readonly secure: (options: tls.ConnectionOptions) => Effect.Effect<RawClient, Error, Scope.Scope>
  readonly socket: net.Socket
}

export const wrap = (socket: net.Socket): RawClient => {
  const pieces: Array<string> = []
  let consumed = 0
  let how: string | undefined
  const watchers = new Set<() => void>()
  const changed = () => watchers.forEach((watcher) => watcher())
  socket.on("data", (data) => {
    pieces.push(data.toString("latin1"))
    changed()
  })
  socket.on("error", (error: NodeJS.ErrnoException) => {
    how ??= error.code ?? error.message
    changed()
  })
  socket.on("end", () => {
    how ??= "end"
    changed()
  })
  const until = <A>(attempt: () => A | undefined) =>
    Effect.callback<A>((resume) => {
      const watcher = () => {
        const value = attempt()
        if (value === undefined) return
        watchers.delete(watcher)
        resume(Effect.succeed(value))
      }
      watchers.add(watcher)
      watcher()
      return Effect.sync(() => watchers.delete(watcher))
    })
  const replies = (count: number) =>
    until(() => {
      const text = pieces.join("").slice(consumed)
      const found = [...text.matchAll(/(?:\d{3}-.*\r\n)*\d{3}(?: .*)?\r\n/gy)].slice(0, count)
      if (found.length < count) return undefined
      const last = found.at(-1)
      consumed += last === undefined ? 0 : last.index + last[0].length
      return found.map(([reply]) => reply.slice(0, -2).replaceAll("\r\n", "\n"))
    })
  return {
    write: (data) => void socket.write(data),
    replies,
    ask: (...lines) =>
      Effect.suspend(() => {
        socket.write(lines.map((line) => `${line}\r\n`).join(""))
        return replies(lines.length)
      }),
    closed: until(() => (how === undefined ? undefined : { how, received: pieces.join("").slice(consumed) })),
    end: () => socket.end(),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    pieces: () => pieces,
    secure: (options) => {
      socket.removeAllListeners("data")
      return fromTls(tls.connect({ socket, ...options }))
    },
    socket
  }
}

export const fromTls = (socket: tls.TLSSocket): Effect.Effect<RawClient, Error, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<RawClient, Error>((resume) => {
      socket.once("error", (error) => resume(Effect.fail(error)))
      const client = wrap(socket)
      socket.once("secureConnect", () => resume(Effect.succeed(client)))
    }),
    () => Effect.sync(() => socket.destroy())
  )

/** Connects and closes with the scope. */
export const connect = (port: number): Effect.Effect<RawClient, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => net.connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true })),
      (socket) => Effect.sync(() => socket.destroy())
    ),
    wrap
  )

/** Connects and gets past the greeting and EHLO. */
export const greeted = (port: number): Effect.Effect<RawClient, never, Scope.Scope> =>
  Effect.gen(function* () {
    const client = yield* connect(port)
    yield* client.replies(1)
    yield* client.ask("EHLO client.example")
    return client
  })
