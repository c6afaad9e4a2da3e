/**
 * A run: entries in, deliveries counted, shown and written down, and a report at the end.
 *
 * The source is the only thing that stops early. At a first Ctrl-C, or at a bad line that is to stop the run, no further
 * mail is read, and what is on its way ends in order. At a second Ctrl-C what is on its way is written down as unknown,
 * because nobody waits to hear of it.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as Delivery from "mailrace/Delivery"
import * as Mailer from "mailrace/Mailer"
import type * as MailError from "mailrace/MailError"
import { MailTransport } from "mailrace/MailTransport"
import type * as RetryPolicy from "mailrace/RetryPolicy"
import { CommandError } from "../CommandError.ts"
import { Interrupts } from "../Interrupts.ts"
import { addressesOf, type BadEntry, describe, describeInvalid, type Entry, placeOf } from "../input/Entry.ts"
import type { Input } from "../input/Input.ts"
import * as DeliveryLog from "../output/DeliveryLog.ts"
import * as ScreeningNotes from "./ScreeningNotes.ts"
import type { ConnectionStats } from "./Meter.ts"
import * as Progress from "../output/Progress.ts"
import * as Rate from "./Rate.ts"
import { idOf, type IndexedEntry, type Result, RunState } from "./RunState.ts"
import type { Sign } from "./Signing.ts"
import type { Outcome } from "./Tally.ts"
import * as Printable from "../output/printable.ts"

export type { Result } from "./RunState.ts"

/** What to do at a line that is no mail; `auto` skips it unless it is the first and cannot be read at all. */
export type OnBadLine = "auto" | "skip" | "abort"

/** How a run goes. */
export interface Options {
  readonly input: Input
  readonly link: ConnectionStats
  readonly onBadLine: OnBadLine
  readonly progress: Progress.Mode
  readonly retry: RetryPolicy.RetryPolicy
  readonly concurrency?: number | undefined
  readonly rate?: Rate.Rate | undefined
  /** Signs each mail. Defaults to sending them as they are. */
  readonly sign?: Sign | undefined
  readonly deliveries?: DeliveryLog.DeliveryLog | undefined
  /** Runs at a second Ctrl-C with what is known by then, and ends the process. */
  readonly onStopped: (result: Result) => Effect.Effect<void>
}

/** Sends what the input holds. */
export const run = Effect.fnUntraced(function* (options: Options) {
  const interrupts = yield* Interrupts
  const state = new RunState(options.link, options.input, yield* Clock.Clock)
  const transport = state.addressed.watch(yield* MailTransport)
  const sending = Effect.gen(function* () {
    const progress = yield* Progress.run(options.progress, state.snapshot)
    const moment = { options, state, progress }
    yield* Effect.forkScoped(Effect.andThen(interrupts.first, stop(moment)), { startImmediately: true })
    yield* Effect.forkScoped(Effect.andThen(interrupts.second, abandon(moment)), { startImmediately: true })
    yield* Effect.provideService(send(moment), MailTransport, transport)
  })
  yield* Effect.scoped(sending)
  if (options.deliveries !== undefined) yield* Effect.catch(options.deliveries.flush, state.giveUp)
  return yield* state.result
})

/** A run as its parts see it. */
interface RunContext {
  readonly options: Options
  readonly state: RunState
  readonly progress: Progress.Progress
}

const send = (moment: RunContext) => {
  const { options, state } = moment
  const begin = (numbered: IndexedEntry): Mailer.Source => {
    const mail = state.begin(numbered)
    return options.sign === undefined ? mail : options.sign(mail)
  }
  const mails = options.input.entries.pipe(
    Stream.onEnd(Effect.sync(() => state.exhausted())),
    Stream.interruptWhen(Deferred.await(state.enough)),
    Stream.mapAccumArrayEffect(
      () => undefined,
      (_, entries) => Effect.map(admit(entries, moment), (mails) => [undefined, mails] as const)
    ),
    // The source's error ends the source, and not the mails that are on their way.
    Stream.catch((error) => Stream.fromEffectDrain(state.endInput(error)))
  )
  const paced = options.rate === undefined ? mails : Rate.pace(options.rate)(mails)
  return paced.pipe(
    // One at a time, so that what was read ahead is not begun once the run is to stop.
    Stream.mapEffect((numbered) => Effect.sync(() => (state.isStopping ? undefined : begin(numbered)))),
    Stream.takeWhile((mail) => mail !== undefined),
    Mailer.sendAll({ retry: options.retry, concurrency: options.concurrency }),
    Stream.runForEach((delivery) => end(delivery, moment))
  )
}

/** Takes the mails out of a chunk and deals with what is none. */
const admit = Effect.fnUntraced(function* (entries: ReadonlyArray<Entry>, moment: RunContext) {
  const mails: Array<IndexedEntry> = []
  const places: ScreeningNotes.Places = {
    tally: moment.state.tally.screening,
    note: (line) => note(line, moment),
    say: moment.progress.say
  }
  for (const entry of entries) {
    if (moment.state.isOver) break
    const index = moment.state.read(entry)
    if (entry._tag === "BadEntry") {
      yield* refuse(entry, index, moment)
      continue
    }
    yield* ScreeningNotes.tell(entry, index, places)
    if (entry._tag === "MailEntry") mails.push({ entry, index })
  }
  return mails
})

const refuse = Effect.fnUntraced(function* (entry: BadEntry, index: number, moment: RunContext) {
  const { options, state } = moment
  const problem = describe(entry)
  const isWrongFormat = options.onBadLine === "auto" && index === 0 && entry.malformed
  if (isWrongFormat) {
    const remedy = "check that the input has this format (--format); --on-bad-line skip passes over bad lines"
    return yield* state.endInput(new CommandError({ problem, remedy }))
  }
  if (options.onBadLine === "abort") return yield* state.endInput(badLine(problem))
  state.tally.badEntry(entry)
  yield* warn(problem, moment)
  const line = DeliveryLog.lineWithout(index, String(index), "invalid", "BadLine", problem)
  yield* note(DeliveryLog.lineInvalid(line, placeOf(entry), addressesOf(entry)), moment)
})

/** A message has ended. */
const end = (delivery: Delivery.Delivery, moment: RunContext): Effect.Effect<void> => {
  const { options, state } = moment
  const numbered = state.end(delivery)
  if (numbered === undefined) return Effect.void
  const addressed = state.addressed.take(delivery.messageId)
  const outcome = state.tally.delivery(delivery, placeOf(numbered.entry), addressed)
  const noted = options.deliveries === undefined ? Effect.void : note(lineOf(delivery, numbered, outcome), moment)
  if (delivery._tag === "Accepted") return noted
  const { reason } = delivery.error
  if (reason._tag === "TlsFailed" || reason._tag === "AuthenticationFailed") {
    return Effect.andThen(noted, state.giveUp(sessionRefused(reason)))
  }
  if (outcome !== "invalid") return noted
  const problem = describeInvalid(numbered.entry, delivery.error)
  const told = options.onBadLine === "abort" ? state.giveUp(badLine(problem)) : warn(problem, moment)
  return Effect.andThen(noted, told)
}

const lineOf = (delivery: Delivery.Delivery, numbered: IndexedEntry, outcome: Outcome): DeliveryLog.Line => {
  const line = DeliveryLog.lineOf(delivery, numbered.index, idOf(numbered), outcome)
  const { entry } = numbered
  return outcome === "invalid" ? DeliveryLog.lineInvalid(line, placeOf(entry), addressesOf(entry)) : line
}

/** Not about the message: without TLS or a login, what is sent after it is refused as well (RFC 3207 §4, RFC 4954 §6). */
const sessionRefused = (reason: MailError.TlsFailed | MailError.AuthenticationFailed): CommandError =>
  new CommandError({ problem: reason.message, remedy: reason.remedy })

const badLine = (problem: string): CommandError =>
  new CommandError({ problem, remedy: "correct it, or pass over bad lines with --on-bad-line skip" })

const note = (line: DeliveryLog.Line, { options, state }: RunContext): Effect.Effect<void> =>
  options.deliveries === undefined ? Effect.void : Effect.catch(options.deliveries.add(line), state.giveUp)

/** The most bad lines that are complained about one by one. */
const maxWarnings = 20

const warn = (problem: string, { progress, state }: RunContext): Effect.Effect<void> => {
  state.warnings++
  if (state.warnings > maxWarnings) return Effect.void
  const last = state.warnings === maxWarnings ? "\nfurther bad lines are only counted; --deliveries names them all" : ""
  return progress.say(`skipped ${Printable.line(problem)}${last}`)
}

const stop = ({ progress, state }: RunContext): Effect.Effect<void> =>
  Effect.andThen(
    state.stop,
    progress.say("stopping: what is on its way is finished first; press Ctrl-C again to stop at once")
  )

/** Writes down what nobody waits for any more. */
const abandon = Effect.fnUntraced(function* (moment: RunContext) {
  const lines = moment.state.abandon()
  for (const line of lines) yield* note(line, moment)
  if (moment.options.deliveries !== undefined) yield* Effect.ignore(moment.options.deliveries.flush)
  yield* moment.progress.say(`stopped: whether ${lines.length} messages on their way arrived is not known`)
  yield* moment.progress.end
  yield* Effect.flatMap(moment.state.result, moment.options.onStopped)
})
