/**
 * The program of `mailrace send`: checks everything that can be known beforehand, then sends.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { AttachmentsFrom } from "mailrace/AttachmentFile"
import * as RetryPolicy from "mailrace/RetryPolicy"
import * as Input from "../input/Input.ts"
import * as TenantNames from "../sending/TenantNames.ts"
import * as Interrupts from "../Interrupts.ts"
import * as Conclusion from "../output/Conclusion.ts"
import * as DeliveryLog from "../output/DeliveryLog.ts"
import * as Printable from "../text/printable.ts"
import * as Terminal from "../output/Terminal.ts"
import * as TranscriptFile from "../output/TranscriptFile.ts"
import * as FlowFlags from "../sending/FlowFlags.ts"
import * as Configuration from "../sending/Configuration.ts"
import * as NamedFiles from "../sending/NamedFiles.ts"
import * as Relays from "../sending/Relays.ts"
import type { Result } from "../results/Result.ts"
import type { RunOptions } from "../sending/RunOptions.ts"
import * as RunMetrics from "../sending/RunMetrics.ts"
import * as SendRun from "../sending/SendRun.ts"
import * as Signing from "../sending/Signing.ts"
import * as SuppressAdd from "../sending/SuppressAdd.ts"
import { TimelineRecorder } from "../sending/TimelineRecorder.ts"
import { TenantLimits } from "../sending/TenantLimits.ts"
import * as Traces from "../sending/Traces.ts"

/** The options: the input, the relay, and the display of the run. */
export interface Options extends Input.Options, RunOptions {
  readonly onBadLine?: "skip" | "abort" | undefined
}

/** Sends the input's messages. */
export const run = Effect.fnUntraced(function* (given: Options) {
  const options = yield* Configuration.read(given)
  const rates = yield* FlowFlags.readRates(options)
  const relays = yield* Relays.resolve(options, rates)
  const isOneRelay = Relays.isOne(relays)
  const flow = yield* Configuration.limits(
    yield* FlowFlags.resolve(options, rates, { isOneRelay }),
    options.configuration,
    { isOneRelay, mayBeLimited: Relays.mayBeLimited(relays) }
  )
  const sign = yield* Signing.resolve(options)
  yield* NamedFiles.check({ "--input": options.input }, options)
  const tenants = new TenantLimits(options)
  yield* TenantNames.require(options.input, tenants)
  const warnings: Array<string> = []
  const input = yield* Input.open({ ...options, onWarning: (warning) => warnings.push(warning) })
  const suppressAdd = options.suppressAdd === undefined ? undefined : yield* SuppressAdd.open(options.suppressAdd)
  const writeReports = yield* Conclusion.openReports(options)
  const conclude = Effect.fnUntraced(function* (result: Result) {
    for (const warning of warnings) yield* Terminal.log(warning)
    yield* warnOfUnused(tenants, options, result)
    if (result.failure === undefined || result.report.total > 0) yield* Conclusion.show(result, options.json)
    if (suppressAdd !== undefined) yield* SuppressAdd.conclude(suppressAdd, options.json)
    if (result.failure === undefined && !result.isComplete) yield* Terminal.log(unfinished(result))
    // Last, because a disk that has filled up meanwhile must not keep the summary back.
    yield* writeReports(result)
  })
  const onStopped = yield* Interrupts.exitAfter(conclude)
  const result = yield* Effect.scoped(
    Effect.gen(function* () {
      const { deliveries, transcript } = yield* openLogs(options)
      const tracing = yield* Layer.build(yield* Traces.layer(options))
      const metrics = yield* RunMetrics.open(options)
      const connected = yield* Effect.provideContext(Relays.connect(relays, transcript), tracing)
      const transport = Context.merge(tracing, SuppressAdd.watched(connected.services, suppressAdd))
      const sent = yield* SendRun.run({
        input,
        tenants,
        connections: connected.connections,
        onBadLine: options.onBadLine,
        progress: options.progress,
        metrics,
        retry: RetryPolicy.make({ times: options.retries }),
        concurrency: options.concurrency,
        flow: flow && { ...flow, relay: Relays.nameOf(relays) },
        sign,
        deliveries,
        course: options.reportHtml === undefined ? undefined : new TimelineRecorder(yield* Clock.Clock),
        onStopped
      }).pipe(Effect.provideService(AttachmentsFrom, input.attachmentsFrom), Effect.provideContext(transport))
      yield* conclude(sent)
      return sent
    })
  )
  if (result.report.total === 0 && result.isComplete) {
    yield* Terminal.log(Conclusion.nothingToSend(result.report.dropped))
  }
  yield* Conclusion.settle(result)
})

/** The logs of a run without an outbox replace those of the run before. */
const openLogs = Effect.fnUntraced(function* ({ deliveries, transcript }: Conclusion.Options & Relays.Options) {
  return {
    deliveries: deliveries === undefined ? undefined : yield* DeliveryLog.open(deliveries, { appends: false }),
    transcript: transcript === undefined ? undefined : yield* TranscriptFile.open(transcript, { appends: false })
  }
})

/** Limits of tenants that no message of a whole input belonged to are most likely misspelt. */
const warnOfUnused = Effect.fnUntraced(function* (tenants: TenantLimits, { input }: Options, result: Result) {
  if (!result.isComplete || result.report.total === 0) return
  for (const warning of tenants.unused(Input.nameOf(input))) yield* Terminal.log(Printable.line(warning))
})

/** Unsent messages that are named one by one. */
const named = 10

/**
 * Messages are started in the order of the input, so one place separates those that were sent from the rest. Those that
 * waited for a connection when the run stopped are named.
 */
const unfinished = ({ lastStarted, unsent }: Result): string => {
  if (lastStarted === undefined) return "stopped before the first message"
  const more = unsent.length > named ? ` and ${unsent.length - named} more (not in --deliveries)` : ""
  const waiting =
    unsent.length === 0 ? "" : `not sent, because it was stopped first: ${unsent.slice(0, named).join(", ")}${more}\n`
  return `${waiting}stopped after ${lastStarted}: the rest of the input was not sent; run again, the command starts over (with --durable it continues)`
}
