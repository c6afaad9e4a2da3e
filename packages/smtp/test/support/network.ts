/** Names and handshakes as a test wants them, over real sockets of this machine. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import Dns from "node:dns"
import { syncBuiltinESMExports } from "node:module"
import Net from "node:net"

/** Addresses, an error code, or `undefined` for no answer. */
export type Answer = ReadonlyArray<string> | string | undefined

/** Answers what is asked about a name, by family (0 for both); an answer may come so many milliseconds late. */
export const names = (
  answer: (family: number) => Answer | { readonly lateMs: number; readonly answer: Answer }
): Effect.Effect<{ readonly asked: ReadonlyArray<number> }, never, Scope.Scope> => {
  const asked: Array<number> = []
  const lookup = (_: string, options: Dns.LookupAllOptions, done: (...args: ReadonlyArray<unknown>) => void): void => {
    const family = Number(options.family ?? 0)
    asked.push(family)
    const given = answer(family)
    const { answer: found, lateMs } =
      typeof given === "object" && "lateMs" in given ? given : { answer: given, lateMs: undefined }
    const reply = (): void => {
      if (typeof found === "string") done(Object.assign(new Error(found), { code: found }))
      else if (found !== undefined)
        done(
          null,
          found.map((address) => ({ address, family: Net.isIP(address) }))
        )
    }
    if (lateMs === undefined) setImmediate(reply)
    else setTimeout(reply, lateMs)
  }
  return Effect.as(patched(Dns, "lookup", lookup as unknown as typeof Dns.lookup), { asked })
}

/** How an address answers a handshake: so many milliseconds late, never, or with an error at once. */
export type Handshake = number | "never" | "ENETUNREACH"

/** Lets addresses answer so; all others answer as they do. Tells which were tried, in order, and which sockets are open. */
export const handshakes = (
  answers: Readonly<Record<string, Handshake>>
): Effect.Effect<
  { readonly tried: ReadonlyArray<string>; readonly sockets: ReadonlyArray<Net.Socket> },
  never,
  Scope.Scope
> => {
  const tried: Array<string> = []
  const sockets: Array<Net.Socket> = []
  const real = Net.connect
  const connect = (options: Net.TcpNetConnectOpts): Net.Socket => {
    const address = String(options.host)
    tried.push(address)
    const answer = answers[address]
    if (answer === undefined) {
      const socket = real(options)
      sockets.push(socket)
      return socket
    }
    const socket = new Net.Socket(options as Net.SocketConstructorOpts)
    sockets.push(socket)
    if (answer === "ENETUNREACH")
      setImmediate(() => socket.destroy(Object.assign(new Error(answer), { code: answer, syscall: "connect" })))
    else if (answer !== "never") setTimeout(() => !socket.destroyed && socket.connect(options), answer)
    return socket
  }
  return Effect.as(patched(Net, "connect", connect as typeof Net.connect), { tried, sockets })
}

const patched = <M extends object, K extends keyof M>(
  module: M,
  name: K,
  replacement: M[K]
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const real = module[name]
      module[name] = replacement
      syncBuiltinESMExports()
      return real
    }),
    (real) =>
      Effect.sync(() => {
        module[name] = real
        syncBuiltinESMExports()
      })
  )
