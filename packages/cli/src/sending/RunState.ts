/**
 * The state of a run that sends messages: counts so far, and whether it is to stop. `SendState` adds the input that is
 * sent directly, `DispatchState` the outbox.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { CommandError } from "../CommandError.ts"
import type * as Progress from "../output/Progress.ts"
import type { Log } from "../output/Terminal.ts"
import { Addressed } from "./Addressed.ts"
import * as FlowWaits from "./FlowWaits.ts"
import { type ConnectionStats, Meter } from "./Meter.ts"
import type { Result } from "../results/Result.ts"
import * as RunStatus from "../results/RunStatus.ts"
import { Tally } from "../results/Tally.ts"
import type { TimelineRecorder } from "./TimelineRecorder.ts"

/** The progress of a run. */
export type Extent = Pick<Progress.Snapshot, "done" | "expected" | "isExact">

/** The state of one run. */
export abstract class RunState {
  readonly tally = new Tally()
  /** Recipients of the messages in flight. */
  readonly addressed = new Addressed()
  /** The waits for limits, if there are any. */
  flow:
    | { readonly waits: FlowWaits.FlowWaits | undefined; readonly status: Effect.Effect<FlowWaits.Status> }
    | undefined
  /** The outbox that it sends from, if there is one. */
  outbox: string | undefined
  /** Completes when no further message is to be started. */
  readonly enough = Deferred.makeUnsafe<void>()
  protected failure: CommandError | undefined
  private course: TimelineRecorder | undefined
  private isStopped = false
  private readonly connections: ConnectionStats
  private readonly meter: Meter

  constructor(connections: ConnectionStats, clock: Clock.Clock) {
    this.connections = connections
    this.meter = new Meter(connections, clock)
  }

  /** The progress of the run. */
  protected abstract get extent(): Extent

  /** True if the source was read to its end and all its messages were started. */
  protected abstract get isExhausted(): boolean

  /** The place in the input of the last message that was started. */
  protected get lastStarted(): string | undefined {
    return undefined
  }

  /** The places of messages that were started and not begun by the transport. */
  protected get unsent(): ReadonlyArray<string> {
    return []
  }

  /** Accepted messages that an outbox has not recorded. */
  protected get unrecorded(): number {
    return 0
  }

  /** True once no further message may be started, even if it was read already. */
  get isStopping(): boolean {
    return this.isStopped
  }

  /** Messages that were started and have not ended. */
  protected abstract get begunNow(): number

  /** True while messages are begun. */
  get isReady(): boolean {
    return !this.isStopped
  }

  /** True once the run is given up. */
  get hasFailed(): boolean {
    return this.failure !== undefined
  }

  /** Records the course of the run until the scope closes. */
  readonly recordCourse = (course: TimelineRecorder): Effect.Effect<void, never, Scope.Scope> =>
    Effect.suspend(() => {
      this.course = course
      this.tally.onLatency = (ms) => course.timeline.record("total", ms)
      return Effect.asVoid(Effect.forkScoped(course.repeat(this.sample)))
    })

  /** Starts nothing more. */
  readonly stop: Effect.Effect<void> = Effect.suspend(() => {
    this.isStopped = true
    return Deferred.succeed(this.enough, undefined)
  })

  /** Starts nothing more, and tells the user so: for the first Ctrl-C. */
  readonly interrupt = (log: Log): Effect.Effect<void> =>
    Effect.andThen(
      this.stop,
      log("stopping: messages in flight are finished first; press Ctrl-C again to stop at once")
    )

  /** Fails the command at its end; the first failure counts. */
  fail(error: CommandError): void {
    this.failure ??= error
  }

  /** Starts nothing more and fails the command. */
  readonly giveUp = (error: CommandError): Effect.Effect<void> =>
    Effect.suspend(() => {
      this.fail(error)
      return this.stop
    })

  /** The run at this moment. */
  readonly snapshot: Effect.Effect<Progress.Snapshot> = Effect.suspend(() =>
    Effect.map(
      Effect.all([this.connections.stats, this.connections.limits, this.flowStatus]),
      ([{ open }, limits, flow]) => ({
        counts: this.tally.counts,
        dropped: this.tally.screening.counts.mails,
        ...this.extent,
        retries: this.tally.retries,
        p99Ms: this.tally.latency.quantile(0.99),
        connections: open,
        waitsFor: FlowWaits.describe([...(flow?.waits ?? []), ...limits.waits], Date.now()),
        heldMs: flow === undefined ? undefined : FlowWaits.heldByGate(flow)
      })
    )
  )

  /** The whole run at this moment, for `mailrace top`. */
  readonly overview: Effect.Effect<RunStatus.RunStatus> = Effect.suspend(() =>
    Effect.gen({ self: this }, function* () {
      const { connections: _, heldMs: _held, waitsFor: _waits, expected, ...counts } = yield* this.snapshot
      const flow = yield* this.flowStatus
      const now = yield* Clock.currentTimeMillis
      return {
        ...counts,
        outbox: this.outbox ?? null,
        expected: expected ?? null,
        durationMs: this.meter.durationMs,
        isStopping: this.isStopped,
        inFlight: flow?.gates.inFlight ?? this.begunNow,
        relays: RunStatus.relays(yield* this.connections.relays),
        gates: flow === undefined ? null : RunStatus.gates(flow.gates),
        waits: RunStatus.waits([...(flow?.waits ?? []), ...(yield* this.connections.limits).waits], now),
        errors: RunStatus.errors(this.tally.errors)
      }
    })
  )

  /** The result up to now. */
  readonly result: Effect.Effect<Result> = Effect.suspend(() => {
    this.tally.unrecorded = this.unrecorded
    const limits = Effect.all([this.connections.limits, this.flowStatus])
    return Effect.flatMap(Effect.andThen(this.sample, limits), ([{ held }, flow]) => {
      this.tally.waits = FlowWaits.heldOf({ held: [...(flow?.held ?? []), ...held] })
      return Effect.map(this.meter.report(this.tally), (report) => ({
        report,
        errors: this.tally.errors,
        course: this.course,
        failure: this.failure,
        isComplete: this.isExhausted && !this.hasFailed,
        lastStarted: this.lastStarted,
        unsent: this.unsent
      }))
    })
  })

  private readonly sample: Effect.Effect<void> = Effect.suspend(() =>
    this.course === undefined
      ? Effect.void
      : Effect.flatMap(this.flowStatus, (flow) => this.course!.sample(this.tally, this.connections, flow))
  )

  protected get flowStatus(): Effect.Effect<FlowWaits.Status | undefined> {
    return this.flow?.status ?? Effect.undefined
  }
}
