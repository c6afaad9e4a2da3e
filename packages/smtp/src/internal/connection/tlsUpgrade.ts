/**
 * TLS over a socket that is open already.
 */
import * as MailError from "mailrace/MailError"
import * as Result from "effect/Result"
import type * as Net from "node:net"
import * as Tls from "node:tls"
import * as SmtpTls from "../../SmtpTls.ts"

/** How an upgrade ended. */
export type Upgraded = Result.Result<Tls.TLSSocket, MailError.MailError>

/**
 * Begins the handshake; `check` may reject its result. `onStart` is called before it begins, to listen to it. `onEnd` is
 * called once, in the same turn of the event loop in which the handshake ends, so that no bytes after it are missed. Returns
 * a function that aborts the handshake.
 */
export const tlsUpgrade = (
  plain: Net.Socket,
  options: Tls.ConnectionOptions,
  limitMs: number,
  check: (socket: Tls.TLSSocket) => Error | undefined,
  onEnd: (upgraded: Upgraded) => void,
  onStart?: (socket: Tls.TLSSocket) => void
): (() => void) => {
  const secured = Tls.connect({ ...options, socket: plain })
  onStart?.(secured)
  let hasEnded = false
  const end = (upgraded: Upgraded): void => {
    if (hasEnded) return
    hasEnded = true
    clearTimeout(timer)
    secured.off("close", onClose)
    if (Result.isSuccess(upgraded)) {
      secured.off("error", onProblem)
    } else {
      // A later error still needs a listener, but is ignored.
      secured.destroy()
      plain.destroy()
    }
    onEnd(upgraded)
  }
  const fail = (error: MailError.MailError): void => end(Result.fail(error))
  const onProblem = (problem: Error): void => fail(SmtpTls.handshakeError(problem))
  const onClose = (): void => onProblem(new Error("the relay closed the connection during the TLS handshake"))
  const timer = setTimeout(() => fail(MailError.make(new MailError.Timeout({ phase: "tls", limitMs }))), limitMs)
  secured.on("error", onProblem)
  secured.once("close", onClose)
  secured.once("secureConnect", () => {
    const objection = objectionOf(secured, check)
    if (objection === undefined) end(Result.succeed(secured))
    else onProblem(objection)
  })
  return () => {
    clearTimeout(timer)
    secured.destroy()
  }
}

/** A check that throws has not passed; uncaught, the exception would end the process. */
const objectionOf = (socket: Tls.TLSSocket, check: (socket: Tls.TLSSocket) => Error | undefined): Error | undefined => {
  try {
    return check(socket)
  } catch (thrown) {
    return Object.assign(new Error(`it could not be checked: ${MailError.describeThrown(thrown)}`), { code: "CHECK" })
  }
}
