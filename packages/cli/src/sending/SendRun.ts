/**
 * Sends an input directly: entries in, deliveries counted, shown and recorded, and a result at the end.
 *
 * Only the source stops early. At a first Ctrl-C, or at a bad line that ends the run, no further message is read, and
 * messages in flight finish in order. At a second Ctrl-C messages in flight are recorded as unknown, because the process
 * ends before their replies arrive.
 */
import type * as FlowOptions from "@mailrace/flow/FlowOptions"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as Delivery from "mailrace/Delivery"
import * as Mailer from "mailrace/Mailer"
import { MailTransport } from "mailrace/MailTransport"
import type * as RetryPolicy from "mailrace/RetryPolicy"
import * as Remedy from "../Remedy.ts"
import { BadLines, type OnBadLine } from "../input/BadLines.ts"
import {
  addressesOf,
  type BadEntry,
  describeInvalid,
  type Entry,
  idOf,
  type IndexedEntry,
  placeOf
} from "../input/Entry.ts"
import type { Input } from "../input/Input.ts"
import * as Interrupts from "../Interrupts.ts"
import * as DeliveryLog from "../output/DeliveryLog.ts"
import * as Printable from "../text/printable.ts"
import * as Progress from "../output/Progress.ts"
import type { ConnectionStats } from "./Meter.ts"
import * as FlowRun from "./FlowRun.ts"
import type * as RunMetrics from "./RunMetrics.ts"
import type { Result } from "../results/Result.ts"
import * as StopGate from "./StopGate.ts"
import * as ScreeningNotes from "../output/ScreeningNotes.ts"
import { SendState } from "./SendState.ts"
import type { Sign } from "./Signing.ts"
import type { TenantLimits } from "./TenantLimits.ts"
import type { TimelineRecorder } from "./TimelineRecorder.ts"
import type { Outcome } from "../results/Tally.ts"

/** The options of a run. */
export interface Options {
  readonly input: Input
  readonly connections: ConnectionStats
  readonly onBadLine?: OnBadLine | undefined
  readonly progress: Progress.Mode
  /** Shows the run's counts in metrics. */
  readonly metrics?: RunMetrics.Watch | undefined
  readonly retry: RetryPolicy.RetryPolicy
  readonly concurrency?: number | undefined
  /** Limits on what is sent. Defaults to none. */
  readonly flow?: FlowOptions.Options | undefined
  /** The tenants that have limits. Defaults to none. */
  readonly tenants?: TenantLimits | undefined
  /** Signs each message. Defaults to sending them as they are. */
  readonly sign?: Sign | undefined
  readonly deliveries?: DeliveryLog.DeliveryLog | undefined
  /** Records the course of the run. Defaults to none. */
  readonly course?: TimelineRecorder | undefined
  /** Runs at a second Ctrl-C with the result up to then, and ends the process. */
  readonly onStopped: (result: Result) => Effect.Effect<void>
}

/** Sends the messages of the input. */
export const run = Effect.fnUntraced(function* (options: Options) {
  const state = new SendState(options.connections, options.input, yield* Clock.Clock)
  const sending = Effect.gen(function* () {
    const { course } = options
    if (course !== undefined) yield* state.recordCourse(course)
    const relay = yield* MailTransport
    // Messages that wait for a relay's own limits leave when the run stops.
    yield* Effect.forkScoped(Effect.andThen(Deferred.await(state.enough), options.connections.reconsider))
    const limited = yield* FlowRun.start(course === undefined ? relay : course.watch(relay), options, state)
    const transport = StopGate.watch(
      state.addressed.watch(limited.transport),
      () => state.isStopping,
      (messageId) => state.addressed.has(messageId)
    )
    const progress = yield* Progress.run(options.progress, state.snapshot)
    if (options.metrics !== undefined) yield* options.metrics(state)
    const badLines = new BadLines({
      onBadLine: options.onBadLine,
      log: progress.log,
      list: options.deliveries === undefined ? "--deliveries FILE lists them all" : "--deliveries lists them all"
    })
    const context: RunContext = { options: { ...options, concurrency: limited.concurrency }, state, progress, badLines }
    yield* Interrupts.handle({ first: state.interrupt(progress.log), second: abandon(context) })
    yield* Effect.provideService(send(context), MailTransport, transport)
  })
  yield* Effect.scoped(sending)
  if (options.deliveries !== undefined) yield* Effect.catch(options.deliveries.flush, state.giveUp)
  return yield* state.result
})

/** A run as its parts see it. */
interface RunContext {
  readonly options: Options
  readonly state: SendState
  readonly progress: Progress.Progress
  readonly badLines: BadLines
}

const send = (context: RunContext) => {
  const { options, state } = context
  const begin = (indexed: IndexedEntry): Mailer.Source => {
    const mail = state.begin(indexed)
    return options.sign === undefined ? mail : options.sign(mail)
  }
  const mails = options.input.entries.pipe(
    Stream.onEnd(Effect.sync(() => state.readToEnd())),
    Stream.interruptWhen(Deferred.await(state.enough)),
    Stream.mapAccumArrayEffect(
      () => undefined,
      (_, entries) => Effect.map(admit(entries, context), (mails) => [undefined, mails] as const)
    ),
    // An error of the source ends the source, not the messages in flight.
    Stream.catch((error) => Stream.fromEffectDrain(state.endInput(error)))
  )
  return mails.pipe(
    // One at a time, so that messages read ahead are not started once the run is to stop.
    Stream.mapEffect((indexed) => Effect.sync(() => (state.isStopping ? undefined : begin(indexed)))),
    Stream.takeWhile((mail) => mail !== undefined),
    Mailer.sendAll({ retry: options.retry, concurrency: options.concurrency }),
    Stream.runForEach((delivery) => end(delivery, context))
  )
}

/** Splits a chunk into messages and other entries, and reports the latter. */
const admit = Effect.fnUntraced(function* (entries: ReadonlyArray<Entry>, context: RunContext) {
  const { progress, state } = context
  const mails: Array<IndexedEntry> = []
  const screening: ScreeningNotes.Outputs = {
    tally: state.tally.screening,
    record: (line) => record(line, context),
    log: progress.log
  }
  for (const entry of entries) {
    if (state.hasFailed) break
    const index = state.read(entry)
    if (entry._tag === "BadEntry") {
      yield* Effect.catch(skip(entry, index, context), state.endInput)
      continue
    }
    yield* ScreeningNotes.report(entry, index, screening)
    if (entry._tag !== "MailEntry") continue
    const warning = context.options.tenants?.note(entry.mail.tenant, placeOf(entry))
    if (warning !== undefined) yield* progress.log(Printable.line(warning))
    mails.push({ entry, index })
  }
  return mails
})

const skip = Effect.fnUntraced(function* (entry: BadEntry, index: number, context: RunContext) {
  yield* context.badLines.entry(entry, index)
  context.state.tally.badEntry(entry)
  yield* record(DeliveryLog.lineBad(entry, index), context)
})

/** Counts and records the end of a message. */
const end = (whole: Delivery.Delivery, context: RunContext): Effect.Effect<void> => {
  const { badLines, state } = context
  const indexed = state.end(whole)
  const delivery = FlowRun.withoutWait(whole, state)
  if (indexed === undefined) return Effect.void
  if (delivery._tag === "Rejected" && StopGate.isUnbegun(delivery.error)) {
    state.addressed.take(delivery.messageId)
    return Effect.sync(() => state.unbegun(indexed))
  }
  state.ended(indexed)
  const outcome = state.tally.delivery(delivery, placeOf(indexed.entry), state.addressed.take(delivery.messageId))
  const recorded =
    context.options.deliveries === undefined ? Effect.void : record(lineOf(delivery, indexed, outcome), context)
  if (delivery._tag === "Accepted") return recorded
  const { error } = delivery
  if (Remedy.concernsEveryMessage(error)) return Effect.andThen(recorded, state.giveUp(Remedy.toCommandError(error)))
  if (outcome !== "invalid") return recorded
  const skipped = badLines.message(describeInvalid(indexed.entry, error))
  return Effect.andThen(recorded, Effect.catch(skipped, state.giveUp))
}

const lineOf = (delivery: Delivery.Delivery, indexed: IndexedEntry, outcome: Outcome): DeliveryLog.Line => {
  const line = DeliveryLog.lineOf(delivery, indexed.index, idOf(indexed), outcome)
  const { entry } = indexed
  return outcome === "invalid" ? DeliveryLog.lineInvalid(line, placeOf(entry), addressesOf(entry)) : line
}

const record = (line: DeliveryLog.Line, { options, state }: RunContext): Effect.Effect<void> =>
  options.deliveries === undefined ? Effect.void : Effect.catch(options.deliveries.add(line), state.giveUp)

/** Records the messages in flight, because the process ends before their replies arrive. */
const abandon = Effect.fnUntraced(function* (context: RunContext) {
  const { options, progress, state } = context
  const lines = state.abandon()
  for (const line of lines) yield* record(line, context)
  if (options.deliveries !== undefined) yield* Effect.ignore(options.deliveries.flush)
  yield* progress.log(`stopped: ${lines.length} messages were in flight, and may or may not have arrived`)
  yield* progress.end
  yield* Effect.flatMap(state.result, options.onStopped)
})
