/**
 * A run of the dispatcher, as `mailrace outbox run` and `mailrace send --durable` share it: the relay is connected, messages
 * are sent, counted, shown and recorded, and the result is shown at the end.
 *
 * At a first Ctrl-C nothing more is started, messages in flight finish in order, and the other claimed messages are given
 * back. At a second one the process ends at once; the next run finds the messages that were in flight and sends them
 * again.
 */
import { isOutboxError } from "@mailrace/outbox/OutboxError"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as FileSystem from "effect/FileSystem"
import type * as Path from "effect/Path"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type * as Stdio from "effect/Stdio"
import { MailTransport } from "mailrace/MailTransport"
import * as RetryPolicy from "mailrace/RetryPolicy"
import { CommandError } from "../CommandError.ts"
import * as Interrupts from "../Interrupts.ts"
import * as OutboxLocation from "../outbox/OutboxLocation.ts"
import * as Conclusion from "../output/Conclusion.ts"
import * as DeliveryLog from "../output/DeliveryLog.ts"
import * as Format from "../text/format.ts"
import * as Printable from "../text/printable.ts"
import * as Progress from "../output/Progress.ts"
import * as Times from "../text/Times.ts"
import * as TranscriptFile from "../output/TranscriptFile.ts"
import * as FlowFlags from "../sending/FlowFlags.ts"
import * as FlowRun from "../sending/FlowRun.ts"
import * as Configuration from "../sending/Configuration.ts"
import * as Relays from "../sending/Relays.ts"
import type { Result } from "../results/Result.ts"
import * as Signing from "../sending/Signing.ts"
import type { RunOptions } from "../sending/RunOptions.ts"
import * as RunMetrics from "../sending/RunMetrics.ts"
import * as SuppressAdd from "../sending/SuppressAdd.ts"
import { TimelineRecorder } from "../sending/TimelineRecorder.ts"
import * as Traces from "../sending/Traces.ts"
import { DispatchEvents } from "./DispatchEvents.ts"
import { DispatchState } from "./DispatchState.ts"
import type { DispatchTask, RunContext } from "./DispatchTask.ts"
import * as CountedTransport from "./CountedTransport.ts"
import { Outlet } from "./Outlet.ts"
import * as UnattemptedMails from "./UnattemptedMails.ts"

/** Sends what is due. `open` opens the task once everything else is known to be right. */
export const run = Effect.fnUntraced(function* <E, R>(
  options: Configuration.Configured<RunOptions>,
  open: Effect.Effect<DispatchTask, E, R | Scope.Scope>,
  /** Runs at the end, after the summary. */
  remark: (result: Result, outbox: OutboxLocation.Service) => Effect.Effect<void>
) {
  const prepared = yield* prepare(options)
  const suppressAdd = options.suppressAdd === undefined ? undefined : yield* SuppressAdd.open(options.suppressAdd)
  const writeReports = yield* Conclusion.openReports(options)
  const deliveries =
    options.deliveries === undefined ? undefined : yield* DeliveryLog.open(options.deliveries, { appends: true })
  const transcript =
    options.transcript === undefined ? undefined : yield* TranscriptFile.open(options.transcript, { appends: true })
  const tracing = yield* Layer.build(yield* Traces.layer(options))
  const metrics = yield* RunMetrics.open(options)
  const task = yield* Effect.provideContext(open, tracing)
  const conclude = Effect.fnUntraced(function* (result: Result) {
    if (result.failure === undefined || result.report.total > 0) yield* Conclusion.show(result, options.json, true)
    if (suppressAdd !== undefined) yield* SuppressAdd.conclude(suppressAdd, options.json)
    yield* remark(result, task.outbox)
    // Last, because a disk that has filled up meanwhile must not keep the summary back.
    yield* writeReports(result)
  })
  const onStopped = yield* Interrupts.exitAfter(conclude)
  const outlet = new Outlet()
  yield* Effect.addFinalizer(() => outlet.close)
  const state = new DispatchState(outlet.connections, yield* Clock.Clock, task.ends)
  const establish = Effect.fnUntraced(function* ({ relays, sign }: Prepared) {
    const { connections, services } = yield* Effect.provideContext(Relays.connect(relays, transcript), tracing)
    const transport = Context.get(SuppressAdd.watched(services, suppressAdd), MailTransport)
    return { transport: CountedTransport.watch(transport, sign, state), connections }
  })
  const { transport } = yield* outlet.replace(establish(prepared))
  const services = yield* Effect.context<FileSystem.FileSystem | Path.Path | Stdio.Stdio>()
  let relays: Relays.Relays = prepared.relays
  const reload = reloading(options, prepared, (changed) =>
    Effect.tap(outlet.replace(establish(changed)), () => Effect.sync(() => void (relays = changed.relays)))
  )
  const course = options.reportHtml === undefined ? undefined : new TimelineRecorder(yield* Clock.Clock)
  const result = yield* dispatch(task, state, {
    transport: { ...(course?.watch(outlet.transport) ?? outlet.transport), concurrency: transport.concurrency },
    course,
    // Several processes share a relay's limits by its name.
    flow: prepared.flow && { ...prepared.flow, relay: Relays.nameOf(prepared.relays) },
    isOneRelay: () => Relays.isSingle(relays),
    reload: task.ends ? undefined : reload && Effect.provideContext(reload, services),
    progress: options.progress,
    metrics,
    retry: RetryPolicy.make({ times: options.retries }),
    concurrency: options.concurrency,
    deliveries,
    onStopped
  }).pipe(Effect.provideContext(tracing))
  yield* conclude(result)
  return result
})

/** The resolved options that decide how messages leave. */
interface Prepared {
  readonly relays: Relays.Relays
  readonly flow: FlowRun.Options["flow"]
  /** Signs each message when it is sent. */
  readonly sign: Signing.Sign | undefined
}

const prepare = Effect.fnUntraced(function* (options: Configuration.Configured<RunOptions>) {
  const rates = yield* FlowFlags.readRates(options)
  const relays = yield* Relays.resolve(options, rates)
  const isOneRelay = Relays.isOne(relays)
  const flow = yield* Configuration.limits(
    yield* FlowFlags.resolve(options, rates, { isOneRelay }),
    options.configuration,
    { isOneRelay, mayBeLimited: Relays.mayBeLimited(relays) }
  )
  return { relays, flow, sign: yield* Signing.resolve(options) } satisfies Prepared
})

/** Reads the configuration anew and puts it into effect; `undefined` if the run has none. */
const reloading = <A, E extends CommandError, R>(
  options: Configuration.Configured<RunOptions>,
  before: Prepared,
  putIntoEffect: (changed: Prepared) => Effect.Effect<A, E, R>
) => {
  const { config } = options
  if (config === undefined) return undefined
  const reread = Effect.gen(function* () {
    const changed = yield* prepare(yield* Configuration.read({ ...options, suppress: [] }))
    // The dispatcher has counted what its limits let through.
    if (!Equal.equals(changed.flow, before.flow)) {
      return yield* new CommandError({
        problem: "the limits of lanes or tenants are not those that this run began with",
        remedy: "restart it to change these limits"
      })
    }
    yield* putIntoEffect(changed)
  })
  return Effect.match(reread, {
    onSuccess: () => `${config} was read anew and holds from now on`,
    onFailure: ({ problem, remedy }) =>
      `${config} was not taken, what it said before still holds: ${problem}; ${remedy}`
  })
}

/** The settings of a run, resolved. */
interface Settings {
  readonly transport: MailTransport["Service"]
  readonly concurrency: number | undefined
  readonly flow: FlowRun.Options["flow"]
  /** False from when a file that was read anew names several. */
  readonly isOneRelay: () => boolean
  /** Reads the configuration anew and returns the sentence that reports it; `undefined` if SIGHUP is to end the run. */
  readonly reload: Effect.Effect<string> | undefined
  readonly progress: Progress.Mode
  readonly metrics: RunMetrics.Watch | undefined
  readonly retry: RetryPolicy.RetryPolicy
  readonly deliveries: DeliveryLog.DeliveryLog | undefined
  /** Records the course of the run. */
  readonly course: TimelineRecorder | undefined
  readonly onStopped: (result: Result) => Effect.Effect<void>
}

const dispatch = Effect.fnUntraced(function* (task: DispatchTask, state: DispatchState, settings: Settings) {
  const { deliveries, reload } = settings
  state.outbox = task.outbox.name
  state.backlog.isExact = task.feed === undefined
  const working = Effect.gen(function* () {
    if (settings.course !== undefined) yield* state.recordCourse(settings.course)
    const progress = yield* Progress.run(settings.progress, state.snapshot)
    if (settings.metrics !== undefined) yield* settings.metrics(state)
    const record = (line: DeliveryLog.Line): Effect.Effect<void> =>
      deliveries === undefined ? Effect.void : Effect.catch(deliveries.add(line), state.giveUp)
    const context: RunContext = { state, progress, record }
    yield* Interrupts.handle({ first: state.interrupt(progress.log), second: abandon(context, settings) })
    if (reload !== undefined) {
      const hangups = yield* Effect.flatMap(Interrupts.Interrupts, (interrupts) => interrupts.hangups)
      const reloaded = Effect.flatMap(Effect.andThen(Queue.take(hangups), reload), (text) =>
        progress.log(Printable.line(text))
      )
      yield* Effect.forkScoped(Effect.forever(reloaded), { startImmediately: true })
    }
    if (task.watch !== undefined) yield* Effect.forkScoped(task.watch(context))
    yield* feedAndSend(task, context, settings)
  })
  yield* Effect.scoped(working)
  if (deliveries !== undefined) yield* Effect.catch(deliveries.flush, state.giveUp)
  return yield* state.result
})

/** Feeds the outbox and sends from it, side by side, until both have ended or the run is to stop. */
const feedAndSend = Effect.fnUntraced(function* (task: DispatchTask, context: RunContext, settings: Settings) {
  const { state } = context
  const flow = settings.flow === undefined ? undefined : yield* FlowRun.settings(settings.flow)
  const started = Deferred.makeUnsafe<void>()
  const ready = Deferred.makeUnsafe<void>()
  const markReady = (): void => void Deferred.doneUnsafe(ready, Effect.void)
  const events = new DispatchEvents(task, context)
  const unattempted = yield* UnattemptedMails.make(task.outbox, settings.deliveries !== undefined, (mail) =>
    events.unattempted(mail)
  )
  const sending = task.outbox.run({
    concurrency: settings.concurrency,
    flow,
    isOneRelay: settings.isOneRelay,
    retry: settings.retry,
    // A run that ends must not wait for the next poll to see that it may.
    poll: task.ends ? "200 millis" : undefined,
    until: () => (state.isFed && task.ends ? "idle" : "never"),
    onStart: (_, status) => {
      state.status = status
      return Effect.andThen(Deferred.succeed(started, undefined), Deferred.await(ready))
    },
    onDelivery: (delivery, attempt) => events.attempted(delivery, attempt),
    onUntried: unattempted.add
  })
  const feeding = Effect.gen(function* () {
    yield* Deferred.await(started)
    if (task.feed !== undefined) yield* task.feed(context, markReady)
    state.isFed = true
    markReady()
  })
  const fiber = yield* Effect.forkChild(
    Effect.all(
      [
        Effect.provideService(
          OutboxLocation.asCommandErrors(sending),
          MailTransport,
          state.addressed.watch(settings.transport)
        ),
        feeding
      ],
      { concurrency: "unbounded", discard: true }
    )
  )
  yield* Effect.raceFirst(Fiber.await(fiber), Deferred.await(state.enough))
  // Waits until messages in flight have ended and are recorded, and the other claimed messages are given back.
  yield* Fiber.interrupt(fiber)
  const exit = yield* Fiber.await(fiber)
  yield* unattempted.end
  if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return
  const error = Cause.squash(exit.cause)
  if (error instanceof CommandError) return yield* state.giveUp(error)
  if (isOutboxError(error)) return yield* state.giveUp(OutboxLocation.toCommandError(error))
  return yield* Effect.failCause(exit.cause as Cause.Cause<never>)
})

/** Tells the user which messages are sent again, because the process ends before their replies arrive. */
const abandon = Effect.fnUntraced(function* ({ progress, state }: RunContext, { deliveries, onStopped }: Settings) {
  if (deliveries !== undefined) yield* Effect.ignore(deliveries.flush)
  yield* progress.log(
    `stopped: ${Format.plural(state.inFlight, "message")} in flight may have arrived; the next run sends ${state.inFlight === 1 ? "it" : "them"} again under the same Message-ID`
  )
  const unrecorded = state.status?.unrecorded ?? 0
  if (unrecorded > 0) {
    yield* progress.log(
      `${Format.plural(unrecorded, "message")} ${unrecorded === 1 ? "was" : "were"} accepted but not yet recorded; unless the outbox records ${unrecorded === 1 ? "it" : "them"} in time, the next run sends ${unrecorded === 1 ? "it" : "them"} again`
    )
  }
  yield* progress.end
  yield* Effect.flatMap(state.result, onStopped)
})

/** A sentence about the messages that still wait when a run ends; `undefined` if there are none. */
export const remainder = Effect.fnUntraced(
  function* (outbox: OutboxLocation.Service) {
    const { oldestDueAt, states } = yield* outbox.stats
    const waiting = states.due + states.claimed
    if (waiting === 0) return undefined
    const now = yield* Clock.currentTimeMillis
    const isLater = oldestDueAt !== undefined && oldestDueAt.getTime() > now
    const until = isLater ? `, ${waiting === 1 ? "" : "the first "}until ${Times.clock(oldestDueAt, now)}` : ""
    return `${Format.plural(waiting, "message")} ${waiting === 1 ? "waits" : "wait"} in ${outbox.name}${until}`
  },
  Effect.orElseSucceed(() => undefined)
)
