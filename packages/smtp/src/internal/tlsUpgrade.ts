/**
 * TLS over a socket that is open already.
 */
import * as MailError from "mailrace/MailError"
import * as Result from "effect/Result"
import type * as Net from "node:net"
import * as Tls from "node:tls"
import * as SmtpTls from "../SmtpTls.ts"

/** How an upgrade ended. */
export type Upgraded = Result.Result<Tls.TLSSocket, MailError.MailError>

/**
 * Begins the handshake; `check` may object to what it led to. `onEnd` is called once, in the very turn in which the
 * handshake ends, so that nothing that follows it at once is missed. Gives back how to break it off.
 */
export const tlsUpgrade = (
  plain: Net.Socket,
  options: Tls.ConnectionOptions,
  limitMs: number,
  check: (socket: Tls.TLSSocket) => Error | undefined,
  onEnd: (upgraded: Upgraded) => void
): (() => void) => {
  const secured = Tls.connect({ ...options, socket: plain })
  const end = (upgraded: Upgraded): void => {
    clearTimeout(timer)
    secured.off("close", onClose)
    if (Result.isFailure(upgraded)) {
      secured.destroy()
      plain.destroy()
    } else {
      secured.off("error", onProblem)
    }
    onEnd(upgraded)
  }
  // Stays where it is after a failure, for problems that come later and interest nobody any more.
  let hasFailed = false
  const fail = (error: MailError.MailError): void => {
    if (hasFailed) return
    hasFailed = true
    end(Result.fail(error))
  }
  const onProblem = (problem: Error): void => fail(SmtpTls.handshakeError(problem))
  const onClose = (): void => onProblem(new Error("the relay closed the connection during the TLS handshake"))
  const timer = setTimeout(() => fail(MailError.make(new MailError.Timeout({ phase: "tls", limitMs }))), limitMs)
  secured.on("error", onProblem)
  secured.once("close", onClose)
  secured.once("secureConnect", () => {
    const objection = check(secured)
    if (objection === undefined) end(Result.succeed(secured))
    else onProblem(objection)
  })
  return () => {
    clearTimeout(timer)
    secured.destroy()
  }
}
