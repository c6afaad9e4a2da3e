/**
 * What `mailrace outbox run` and `mailrace send --durable` have in common: the relay, the files that are written, and
 * how the run is told at its end.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as RetryPolicy from "mailrace/RetryPolicy"
import { stoppedStatus } from "../Interrupts.ts"
import * as Format from "../output/format.ts"
import * as Conclusion from "../output/Conclusion.ts"
import * as DeliveryLog from "../output/DeliveryLog.ts"
import * as Relay from "../sending/Relay.ts"
import type { Result } from "../sending/RunState.ts"
import * as Rate from "../sending/Rate.ts"
import * as Signing from "../sending/Signing.ts"
import * as Traces from "../sending/Traces.ts"
import * as DispatchRun from "./DispatchRun.ts"
import type * as OutboxLocation from "../outbox/OutboxLocation.ts"
import * as Times from "../output/Times.ts"

/** How a run sends, and how it is shown. */
export interface Options extends Relay.Options, Signing.Options, Traces.Options, Conclusion.Options {
  readonly concurrency?: number | undefined
  /** Messages in a time, as in `100/s`. */
  readonly rate?: string | undefined
  /** Quick retries within one claim. */
  readonly retries: number
}

/** What a run does beside sending. */
export type Task = Pick<DispatchRun.Options, "outbox" | "ends" | "feed" | "watch" | "nameOf">

/** Sends what is due as the options say. `open` gives the task, once everything else is known to be right. */
export const run = Effect.fnUntraced(function* <E, R>(
  options: Options,
  open: Effect.Effect<Task, E, R | Scope.Scope>,
  /** Told at the end, after the summary. */
  tell: (result: Result, outbox: OutboxLocation.Service) => Effect.Effect<void>
) {
  const relay = yield* Relay.resolve(options)
  const rate = options.rate === undefined ? undefined : yield* Rate.read(options.rate)
  const sign = yield* Signing.resolve(options)
  const writeReport = options.report === undefined ? undefined : yield* Conclusion.openReport(options.report)
  const deliveries =
    options.deliveries === undefined ? undefined : yield* DeliveryLog.open(options.deliveries, { goesOn: true })
  const tracing = yield* Layer.build(yield* Traces.layer(options))
  const task = yield* Effect.provideContext(open, tracing)
  const conclude = Effect.fnUntraced(function* (result: Result) {
    if (result.failure === undefined || result.report.total > 0) yield* Conclusion.show(result, options.json, true)
    yield* tell(result, task.outbox)
    // Last, because a disk that has filled up meanwhile must not keep the summary back.
    if (writeReport !== undefined) yield* writeReport(result)
  })
  const services = yield* Effect.context<Effect.Services<ReturnType<typeof conclude>>>()
  const transport = Context.merge(tracing, yield* Effect.provideContext(Relay.connect(relay), tracing))
  const result = yield* DispatchRun.run({
    ...task,
    link: Relay.linkOf(transport),
    progress: options.progress,
    retry: RetryPolicy.make({ times: options.retries }),
    concurrency: options.concurrency,
    rate,
    sign,
    deliveries,
    onStopped: (result) =>
      Effect.andThen(
        Effect.ignore(Effect.provideContext(conclude(result), services)),
        Effect.sync(() => process.exit(stoppedStatus))
      )
  }).pipe(Effect.provideContext(transport))
  yield* conclude(result)
  return result
})

/** What still waits when a run ends, in a sentence. */
export const remainder = Effect.fnUntraced(
  function* (outbox: OutboxLocation.Service) {
    const { oldestDueAt, states } = yield* outbox.stats
    const waiting = states.due + states.claimed
    if (waiting === 0) return undefined
    const now = yield* Clock.currentTimeMillis
    const isLater = oldestDueAt !== undefined && oldestDueAt.getTime() > now
    const until = isLater ? `, ${waiting === 1 ? "" : "the first "}until ${Times.clock(oldestDueAt, now)}` : ""
    return `${Format.plural(waiting, "mail")} ${waiting === 1 ? "waits" : "wait"} in ${outbox.name}${until}`
  },
  Effect.orElseSucceed(() => undefined)
)
