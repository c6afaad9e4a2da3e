/**
 * Opening a session: name, TCP, TLS, greeting, EHLO, login.
 *
 * The relay's memory keeps what is learnt on the way, for the next session.
 *
 * @since 0.1.0
 */

import * as LogEvent from "mailrace/LogEvent"
import * as MailError from "mailrace/MailError"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Tracer from "effect/Tracer"
import * as ConnectionEnd from "./internal/connection/connectionEnd.ts"
import type { RelayMemory } from "./RelayMemory.ts"
import { dial } from "./internal/open/dial.ts"
import { LoginAttempt } from "./internal/open/login.ts"
import * as SmtpHandshake from "./internal/open/handshake.ts"
import type { Settings } from "./SmtpOptions.ts"
import { SmtpSession } from "./SmtpSession.ts"
import { TranscriptRecorder } from "./internal/transcript/recorder.ts"

/**
 * Opens a session, within a span `smtp.connect` whose children are the steps. `isBusy` is true while there are more messages for
 * the relay than sessions.
 *
 * @since 0.1.0
 */
export const open = (
  settings: Settings,
  memory: RelayMemory,
  isBusy: () => boolean
): Effect.Effect<SmtpSession, MailError.MailError> =>
  Effect.useSpan("smtp.connect", { root: true, kind: "client" }, (span) => {
    span.attribute("server.address", settings.host)
    span.attribute("server.port", settings.port)
    span.attribute("network.protocol.name", "smtp")
    return openOnce(settings, memory, isBusy, span).pipe(
      Effect.tap((session) => Effect.sync(() => span.attribute("smtp.pipelining", session.fastestMode))),
      Effect.tapError((error) => Effect.sync(() => span.attribute("error.type", error.reason._tag))),
      Effect.withParentSpan(span)
    )
  })

const openOnce = (
  settings: Settings,
  memory: RelayMemory,
  isBusy: () => boolean,
  span: Tracer.Span
): Effect.Effect<SmtpSession, MailError.MailError> =>
  memory.login.check.pipe(
    Effect.flatMap(() => connectAndIdentify(settings, memory)),
    Effect.tap(tellClear(settings, memory, span)),
    Effect.flatMap((ready) => {
      // The name in a greeting is only a hint, but it spares the first connections to Exim their sudden end.
      if (/\bexim\b/i.test(ready.greeting)) memory.countsRefusals = true
      const session = new SmtpSession(ready, settings, memory, isBusy, span)
      // Bytes behind the last reply may have ended it already.
      return session.ending === undefined
        ? Effect.succeed(session)
        : Effect.fail(ConnectionEnd.toError(session.ending, "envelope"))
    })
  )

const connectAndIdentify = (
  settings: Settings,
  memory: RelayMemory,
  login: LoginAttempt = new LoginAttempt()
): Effect.Effect<SmtpHandshake.Ready, MailError.MailError> => {
  const effective: Settings = memory.isTlsBroken ? { ...settings, tlsMode: "off" } : settings
  return Effect.flatMap(record(settings, memory), (recorder) =>
    // Between the two an interrupt would leave the connection open.
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(
        Effect.tapError(
          restore(Effect.andThen(countConnection(settings), dial(effective, memory, recorder))),
          ({ reason }) => Effect.sync(() => recorder?.note(reason.message))
        ),
        (connection) =>
          Effect.onExit(restore(SmtpHandshake.establish(connection, effective, memory, login)), (exit) =>
            exit._tag === "Success" ? Effect.void : Effect.sync(() => connection.destroy())
          )
      )
    )
  ).pipe(
    Effect.catch((error) =>
      login.takeReconnect()
        ? Effect.mapError(connectAndIdentify(settings, memory, login), (later) => login.report(later))
        : Effect.fail(error)
    ),
    // Where opportunistic TLS fails, clear text is as good (RFC 7435 §3): try once more without TLS.
    Effect.catchIf(
      (error) => effective.tlsMode === "opportunistic" && !needsTls(effective) && isTlsProblem(error),
      (error) => {
        // A connection that broke says nothing about the next one's TLS.
        if (error.reason._tag === "TlsFailed") memory.isTlsBroken = true
        return Effect.map(connectAndIdentify({ ...settings, tlsMode: "off" }, memory, login), (ready) => ({
          ...ready,
          tlsFailure: error.reason.message
        }))
      }
    )
  )
}

/**
 * Waits until `connectionRate` lets a connection be opened, and counts it. The pool asks before it opens a session; this covers
 * openings that need a second connection, and those that begin at the same moment.
 */
const countConnection = ({ connectionRate }: Pick<Settings, "connectionRate">): Effect.Effect<void> =>
  connectionRate === undefined
    ? Effect.void
    : Effect.suspend(() => {
        const now = performance.now()
        const ms = Math.ceil(connectionRate.availableAt(now) - now)
        if (ms > 0) return Effect.andThen(Effect.sleep(ms), countConnection({ connectionRate }))
        connectionRate.opened(now)
        return Effect.void
      })

/** Begins the transcript of a connection, if one is wanted. */
const record = ({ relay, transcript }: Settings, memory: RelayMemory): Effect.Effect<TranscriptRecorder | undefined> =>
  Effect.contextWith((context: Context.Context<never>) => {
    memory.connections++
    if (transcript === undefined || memory.isTranscriptBroken) return Effect.undefined
    const onFailure = (problem: unknown): void => {
      if (memory.isTranscriptBroken) return
      memory.isTranscriptBroken = true
      Effect.runForkWith(context)(
        LogEvent.warning(
          "transcript.ended",
          `the transcript of ${relay} ends here: ${MailError.describeThrown(problem)}`,
          {
            relay
          }
        )
      )
    }
    return Effect.succeed(new TranscriptRecorder(relay, memory.connections, transcript, onFailure))
  })

/** Says in the span, and once in the log, that mail goes in clear although the relay offers TLS. */
const tellClear =
  ({ relay }: Settings, memory: RelayMemory, span: Tracer.Span) =>
  ({ connection, tlsFailure }: SmtpHandshake.Ready): Effect.Effect<void> =>
    Effect.suspend(() => {
      const why = tlsFailure ?? (memory.isTlsBroken && !connection.isEncrypted ? memory.tlsFailure : undefined)
      if (why === undefined) return Effect.void
      span.attribute("smtp.tls.failure", why)
      if (memory.tlsFailure !== undefined) return Effect.void
      memory.tlsFailure = why
      return LogEvent.warning(
        "relay.in_clear",
        `mail to ${relay} goes in clear, because TLS failed: ${why}; use tls=required to send none then`,
        { relay }
      )
    })

/** True if going on in clear is out of the question, because a login would go unencrypted. */
const needsTls = ({ allowInsecureAuth, auth }: Settings): boolean => auth !== undefined && !allowInsecureAuth

const isTlsProblem = ({ reason }: MailError.MailError): boolean =>
  reason._tag === "TlsFailed" ||
  ((reason._tag === "ConnectionLost" || reason._tag === "Timeout") && reason.phase === "tls")
