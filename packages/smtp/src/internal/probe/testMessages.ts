/**
 * Test messages, one after the other and one command at a time, so that what the relay spends on the envelope and what it
 * spends on the content can be told apart.
 */
import type * as MailError from "mailrace/MailError"
import * as MimeComposer from "mailrace/MimeComposer"
import * as Reply from "mailrace/Reply"
import * as Effect from "effect/Effect"
import * as LineEndings from "../../LineEndings.ts"
import * as SmtpCommand from "../protocol/command.ts"
import type { Ready } from "../open/handshake.ts"
import type { Settings } from "../../SmtpOptions.ts"
import type { PhaseName, Problem, TestMessage } from "./report.ts"
import * as Causes from "./sessionCauses.ts"

/** The test messages that are wanted. */
export interface Wanted {
  readonly from: string
  readonly to: string
  readonly count: number
}

/** The phase at which the test messages ended early. */
export interface Ended {
  readonly phase: PhaseName
  readonly ms: number
  /** How long the envelope had taken by then. */
  readonly envelopeMs: number
  readonly problem: Problem
}

/** Their outcomes. */
export interface SentMessages {
  readonly messages: ReadonlyArray<TestMessage>
  readonly ended: Ended | undefined
}

/** Sends the messages; the first that is not accepted is the last. */
export const send = (ready: Ready, settings: Settings, wanted: Wanted): Effect.Effect<SentMessages> =>
  Effect.gen(function* () {
    const messages: Array<TestMessage> = []
    for (let n = 1; n <= wanted.count; n++) {
      const sent = yield* Effect.result(sendOne(ready, settings, wanted, n))
      if (sent._tag === "Failure") return { messages, ended: sent.failure }
      messages.push(sent.success)
    }
    return { messages, ended: undefined }
  })

const sendOne = Effect.fnUntraced(function* (
  { capabilities, connection }: Ready,
  settings: Settings,
  { count, from, to }: Wanted,
  n: number
): Effect.fn.Return<TestMessage, Ended> {
  const { relay, timeouts } = settings
  let phase: PhaseName = "envelope"
  let started = performance.now()
  let envelopeMs = 0
  const end = (problem: Problem): Ended => ({ phase, ms: performance.now() - started, envelopeMs, problem })
  const send = (command: string, name: string, limit: MailError.Phase, limitMs: number) =>
    Effect.mapError(connection.exchange(command, limit, limitMs), (error) =>
      end(Causes.broken(settings, error, `the reply to ${name}`))
    )
  const message = yield* Effect.mapError(
    MimeComposer.compose({
      from,
      to,
      subject: `Test message ${n} of ${count} through ${relay}`,
      text: `This message shows how long ${relay} takes to accept mail. Nobody needs to read or answer it.\n`,
      headers: { "Auto-Submitted": "auto-generated" }
    }),
    (error) => end({ cause: error.reason.message, advice: [error.remedy] })
  )
  const commands = yield* Effect.mapError(Effect.fromResult(SmtpCommand.envelope(message, capabilities)), (error) =>
    end({ cause: error.reason.message, advice: [error.remedy] })
  )
  for (const command of [commands.mail, ...commands.rcpt]) {
    const name = command.trim()
    const reply = yield* send(command, name.split(":")[0]!, "envelope", timeouts.command)
    if (!Reply.isPositive(reply)) return yield* Effect.fail(end(Causes.envelopeRefused(name, reply)))
  }
  const data = yield* send(SmtpCommand.data, "DATA", "envelope", timeouts.command)
  if (data.code !== 354) return yield* Effect.fail(end(Causes.envelopeRefused("DATA", data)))
  envelopeMs = performance.now() - started
  phase = "content"
  started = performance.now()
  connection.writeBytes(LineEndings.forData(message.content as Uint8Array))
  const final = yield* send(LineEndings.endOfData, "the content", "finalReply", timeouts.finalReply)
  if (!Reply.isPositive(final)) return yield* Effect.fail(end(Causes.contentRefused(final)))
  return { envelopeMs, contentMs: performance.now() - started, reply: Reply.format(final) }
})
