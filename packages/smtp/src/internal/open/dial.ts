/**
 * From a host's name to an open TCP connection, the first step of `SmtpOpening`; `SmtpHandshake` is the next.
 */
import * as MailError from "mailrace/MailError"
import * as Effect from "effect/Effect"
import * as Dns from "node:dns"
import * as Net from "node:net"
import { SmtpConnection } from "../connection/smtpConnection.ts"
import type { Settings } from "../../SmtpOptions.ts"
import type { TranscriptRecorder } from "../transcript/recorder.ts"

/** Resolves the name and connects to the first of its addresses that answers (RFC 8305). */
export const dial = (
  settings: Settings,
  recorder: TranscriptRecorder | undefined
): Effect.Effect<SmtpConnection, MailError.MailError> =>
  Effect.flatMap(Effect.withSpan(lookup(settings), "dns"), (addresses) =>
    Effect.withSpan(connect(settings, addresses, recorder), "tcp")
  )

const lookup = (settings: Settings): Effect.Effect<ReadonlyArray<Dns.LookupAddress>, MailError.MailError> => {
  const limitMs = settings.timeouts.dns
  return Effect.callback<ReadonlyArray<Dns.LookupAddress>, MailError.MailError>((resume) => {
    Dns.lookup(settings.host, { all: true, order: "verbatim" }, (error, addresses) =>
      resume(error === null ? Effect.succeed(addresses) : Effect.fail(connectError(settings, error)))
    )
  }).pipe(
    Effect.timeoutOrElse({
      duration: limitMs,
      orElse: () => Effect.fail(MailError.make(new MailError.Timeout({ phase: "dns", limitMs })))
    })
  )
}

const connect = (
  settings: Settings,
  addresses: ReadonlyArray<Dns.LookupAddress>,
  recorder: TranscriptRecorder | undefined
): Effect.Effect<SmtpConnection, MailError.MailError> =>
  Effect.callback((resume) => {
    const limitMs = settings.timeouts.connect
    let connection: SmtpConnection | undefined
    const socket = Net.connect({
      onread: {
        buffer: readBuffer,
        callback: (length) => {
          connection?.take(readBuffer.subarray(0, length))
          return true
        }
      },
      host: settings.host,
      port: settings.port,
      autoSelectFamily: addresses.length > 1,
      lookup: (_, options, callback) =>
        options.all === true
          ? callback(null, [...addresses])
          : callback(null, addresses[0]!.address, addresses[0]!.family)
    })
    const timer = setTimeout(() => {
      socket.destroy()
      resume(Effect.fail(MailError.make(new MailError.Timeout({ phase: "connect", limitMs }))))
    }, limitMs)
    socket.once("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      resume(Effect.fail(connectError(settings, error)))
    })
    socket.once("connect", () => {
      clearTimeout(timer)
      socket.removeAllListeners("error")
      recorder?.note(`connected to ${socket.remoteAddress} port ${socket.remotePort} from ${socket.localAddress}`)
      connection = new SmtpConnection(socket, recorder)
      resume(Effect.succeed(connection))
    })
    return Effect.sync(() => {
      clearTimeout(timer)
      socket.destroy()
    })
  })

/**
 * Where every connection's bytes arrive. One buffer serves them all, because what is read is decoded before the next read;
 * a buffer for each read is what Node would make otherwise.
 */
const readBuffer = Buffer.allocUnsafeSlow(65_536)

const connectError = (settings: Settings, error: NodeJS.ErrnoException): MailError.MailError => {
  const { host, port, relay } = settings
  // Several addresses that all failed come as one error without a code of its own.
  const first = error instanceof AggregateError ? (error.errors[0] as NodeJS.ErrnoException) : error
  const make = (kind: MailError.ConnectFailed["kind"], problem: string) =>
    MailError.make(new MailError.ConnectFailed({ kind, host, port, problem }))
  switch (first.code) {
    case "ENOTFOUND":
      return make("dns", `the name ${host} does not exist`)
    case "EAI_AGAIN":
      return make("unreachable", `the name ${host} could not be resolved just now`)
    case "ECONNREFUSED":
      return make("refused", `nothing listens at ${relay}`)
    default:
      return make("unreachable", `${relay} cannot be reached (${first.code ?? first.message})`)
  }
}
