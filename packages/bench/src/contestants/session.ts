/**
 * Mailrace's session alone: no stream, no pool, no retry. It opens sessions beforehand and keeps each of them full; with a
 * connection per message, opening and closing are part of the timed run.
 */
import type * as Composed from "mailrace/Composed"
import type * as MailError from "mailrace/MailError"
import * as Pipelining from "@mailrace/smtp/Pipelining"
import * as SmtpOptions from "@mailrace/smtp/SmtpOptions"
import * as RelayMemory from "@mailrace/smtp/RelayMemory"
import * as SmtpOpening from "@mailrace/smtp/SmtpOpening"
import type * as SmtpSession from "@mailrace/smtp/SmtpSession"
import * as SmtpTls from "@mailrace/smtp/SmtpTls"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { performance } from "node:perf_hooks"
import type { Batch, Contestant, MakeContestant } from "../Contestant.ts"
import { composedFrom, relayOptions } from "./relay.ts"

export const make: MakeContestant = async (spec, messages) => {
  const composed = composedFrom(messages)
  return spec.connectionPerMessage === true ? makeConnecting(spec, composed) : makeStanding(spec, composed)
}

type Spec = Parameters<MakeContestant>[0]

const makeStanding = async (spec: Spec, composed: (index: number) => Composed.Composed): Promise<Contestant> => {
  const settings = SmtpOptions.resolve(relayOptions(spec, "auto"))
  const memory = RelayMemory.make()
  // Each session is kept full.
  const open = SmtpOpening.open(settings, memory, () => true)
  const sessions = [await Effect.runPromise(open)]
  while (sessions.length < spec.connections) sessions.push(await Effect.runPromise(open))
  const concurrency = spec.concurrency ?? sessions.length * Pipelining.depthOf(sessions[0]!.fastestMode, settings.depth)
  const send = async (batch: Batch): Promise<void> => {
    let next = batch.first
    const end = batch.first + batch.count
    const work = (session: SmtpSession.SmtpSession): Effect.Effect<void> =>
      Effect.whileLoop({
        while: () => next < end,
        body: () => {
          const begin = performance.now()
          return session.send(composed(next++), (sent) => record(batch, sent, begin))
        },
        step: () => {}
      })
    const workers = Array.from({ length: concurrency }, (_, at) => work(sessions[at % sessions.length]!))
    await Effect.runPromise(Effect.all(workers, { concurrency: "unbounded", discard: true }))
  }
  return {
    concurrency,
    send,
    close: () => Effect.runPromise(Effect.forEach(sessions, ({ close }) => close, { discard: true }))
  }
}

const makeConnecting = async (spec: Spec, composed: (index: number) => Composed.Composed): Promise<Contestant> => {
  const settings = SmtpOptions.resolve(relayOptions(spec, "envelope"))
  const concurrency = spec.concurrency ?? spec.connections
  const shared = RelayMemory.make()
  const send = async (batch: Batch): Promise<void> => {
    let next = batch.first
    const end = batch.first + batch.count
    // The next message does not wait for the reply to QUIT, here as in nodemailer.
    const closing: Array<Promise<void>> = []
    const one: Effect.Effect<void> = Effect.suspend(() => {
      const begin = performance.now()
      const message = composed(next++)
      return Effect.flatMap(
        SmtpOpening.open(
          settings,
          spec.resumeTls === true ? shared : { ...shared, tlsSessions: new SmtpTls.SessionCache() },
          () => false
        ),
        (session) =>
          Effect.andThen(
            session.send(message, (sent) => record(batch, sent, begin)),
            Effect.sync(() => closing.push(Effect.runPromise(session.close)))
          )
      ).pipe(Effect.catch((error: MailError.MailError) => Effect.sync(() => batch.failed(error.message))))
    })
    const worker = Effect.whileLoop({ while: () => next < end, body: () => one, step: () => {} })
    const workers = Array.from({ length: Math.min(concurrency, batch.count) }, () => worker)
    await Effect.runPromise(Effect.all(workers, { concurrency: "unbounded", discard: true }))
    await Promise.all(closing)
  }
  return { concurrency, send, close: async () => {} }
}

const record = (batch: Batch, sent: SmtpSession.SessionOutcome, begin: number): void => {
  if (sent === undefined) batch.failed("the session ended before the message was begun")
  else if (Result.isSuccess(sent)) batch.accepted(performance.now() - begin)
  else batch.failed(sent.failure.message)
}
