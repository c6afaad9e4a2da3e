/**
 * Where a real server relays to: npm's smtp-server, which shares no code with Mailrace. So a test sees each message after
 * the real server took it and sent it on, with the envelope that it understood.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Net from "node:net"
import { SMTPServer } from "smtp-server"
import * as Mta from "./Mta.ts"

/** A running server that keeps what it is given. */
export interface Capture {
  readonly port: number
  readonly messages: ReadonlyArray<Mta.Arrived>
}

/** Starts one that ends with the scope. */
export const make: Effect.Effect<Capture, never, Scope.Scope> = Effect.gen(function* () {
  const messages: Array<Mta.Arrived> = []
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["AUTH", "STARTTLS"],
    disableReverseLookup: true,
    logger: false,
    onData(stream, session, callback) {
      const chunks: Array<Buffer> = []
      stream.on("data", (chunk: Buffer) => chunks.push(chunk))
      stream.on("end", () => {
        const { mailFrom, rcptTo } = session.envelope
        messages.push({
          from: mailFrom ? mailFrom.address : "",
          to: rcptTo.map((recipient) => recipient.address),
          ...Mta.splitReceived(Buffer.concat(chunks))
        })
        callback()
      })
    }
  })
  // Postfix drops its idle connections as it likes.
  server.on("error", () => {})
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () => Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
  )
  return { port: (server.server.address() as Net.AddressInfo).port, messages }
})
