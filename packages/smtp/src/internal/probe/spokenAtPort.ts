/**
 * Finds out what a port speaks that takes connections but does not greet: a second connection begins a TLS handshake and looks at
 * the answer, be it TLS or an answer in another protocol.
 */
import * as Effect from "effect/Effect"
import * as Net from "node:net"
import { Duplex } from "node:stream"
import * as Tls from "node:tls"
import type { Spoken } from "./sessionCauses.ts"

/** Tries the port for this many milliseconds at most. */
export const spokenAtPort = (host: string, port: number, limitMs: number): Effect.Effect<Spoken> =>
  Effect.callback((resume) => {
    const socket = Net.connect({ host, port })
    // Only the first message of the handshake is wanted: what comes back is read here and not by Node's TLS.
    const wire = new Duplex({
      read: () => {},
      write: (chunk, _, done) => socket.write(chunk, () => done())
    })
    const handshake = Tls.connect({ socket: wire, rejectUnauthorized: false })
    const end = (spoken: Spoken): void => {
      clearTimeout(timer)
      socket.destroy()
      handshake.destroy()
      resume(Effect.succeed(spoken))
    }
    const timer = setTimeout(() => end("nothing"), limitMs)
    socket.once("data", (bytes) => end(spokenIn(bytes)))
    socket.on("error", () => end("nothing"))
    socket.on("close", () => end("nothing"))
    handshake.on("error", () => {})
    return Effect.sync(() => end("nothing"))
  })

/** A record of a handshake or an alert is TLS (RFC 8446 §5.1). */
const spokenIn = (bytes: Uint8Array): Spoken => {
  if ((bytes[0] === 0x16 || bytes[0] === 0x15) && bytes[1] === 3) return "tls"
  return Buffer.from(bytes.subarray(0, 5)).toString("latin1") === "HTTP/" ? "http" : "nothing"
}
