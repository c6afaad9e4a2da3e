/**
 * The metrics of one relay: how long each phase of an attempt took, how long sessions took to open, and the state of the pool.
 *
 * The pool's state is read when the metrics are, so that it costs a message nothing.
 */
import * as SendMetrics from "mailrace/SendMetrics"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import { turnTime } from "../connection/turnClock.ts"
import type { Transaction } from "../session/transaction.ts"

/** The part of a pool's `Stats` that the metrics show. */
interface PoolState {
  readonly busy: number
  readonly idle: number
  readonly waiting: number
  readonly speculationRefused: string | undefined
}

const phaseDuration = (relay: string, phase: string) =>
  Metric.histogram("mailrace.send.phase.duration", {
    description: "Time of an attempt in each of its phases, in seconds",
    boundaries: SendMetrics.boundaries,
    attributes: { relay, phase, unit: "s" }
  })

const connectDuration = (relay: string, outcome: string) =>
  Metric.histogram("mailrace.connect.duration", {
    description: "Time to open a session, from DNS to the login, in seconds",
    boundaries: SendMetrics.boundaries,
    attributes: { relay, outcome, unit: "s" }
  })

const sessions = (relay: string, state: string) =>
  Metric.gauge("mailrace.pool.sessions", { description: "Open sessions", attributes: { relay, state } })

const waiting = (relay: string) =>
  Metric.gauge("mailrace.pool.waiting", {
    description: "Messages that wait for a session",
    attributes: { relay }
  })

const steppedDown = (relay: string) =>
  Metric.gauge("mailrace.pool.stepped_down", {
    description: "1 if pipelining went wrong at the relay and is not used to the full any more, else 0",
    attributes: { relay }
  })

/** The open pools of one relay, which are shown as one. */
interface Shown {
  readonly pools: Set<() => PoolState>
  readonly gauges: ReadonlyArray<Metric.Registration>
}

/** By the registry that the gauges are in, and the relay. */
const shownIn = new WeakMap<Metric.MetricRegistry, Map<string, Shown>>()

/** Records in the registry of one context, while metrics are recorded. */
export class RelayMetrics {
  private readonly relay: string
  private readonly context: Context.Context<never>
  private readonly recorder: SendMetrics.Recorder
  private readonly wait: Metric.Histogram<number>
  private readonly envelope: Metric.Histogram<number>
  private readonly content: Metric.Histogram<number>
  private readonly reply: Metric.Histogram<number>

  static of(relay: string): Effect.Effect<RelayMetrics> {
    return Effect.contextWith((context: Context.Context<never>) => Effect.succeed(new RelayMetrics(relay, context)))
  }

  constructor(relay: string, context: Context.Context<never>) {
    this.relay = relay
    this.context = context
    this.recorder = SendMetrics.recorderOf(context)
    this.wait = phaseDuration(relay, "wait")
    this.envelope = phaseDuration(relay, "envelope")
    this.content = phaseDuration(relay, "content")
    this.reply = phaseDuration(relay, "reply")
  }

  /** True if attempts are being recorded. */
  get isRecording(): boolean {
    return this.recorder.isRecording
  }

  /** A transaction that was begun has ended. `askedAt` is when its message asked for a session, in milliseconds. */
  transacted(transaction: Transaction, askedAt: number | undefined): void {
    if (!this.isRecording) return
    const { begunAt, contentBegunAt, envelopeEndedAt, handedOverAt } = transaction
    const { context } = this
    const now = turnTime()
    if (askedAt !== undefined) this.wait.updateUnsafe((begunAt - askedAt) / 1000, context)
    const envelopeEnd = contentBegunAt || envelopeEndedAt || now
    this.envelope.updateUnsafe((envelopeEnd - begunAt) / 1000, context)
    if (contentBegunAt === 0 && handedOverAt === 0) return
    // In one write with its envelope, the content is out before the envelope is answered.
    const contentEnd = handedOverAt === 0 ? now : Math.max(handedOverAt, envelopeEnd)
    this.content.updateUnsafe((contentEnd - envelopeEnd) / 1000, context)
    if (handedOverAt !== 0) this.reply.updateUnsafe((now - contentEnd) / 1000, context)
  }

  /** An attempt to open a session has ended. */
  opened(exit: Exit.Exit<unknown, unknown>, ms: number): void {
    if (!this.isRecording) return
    if (exit._tag === "Failure" && Cause.hasInterruptsOnly(exit.cause)) return
    const outcome = exit._tag === "Success" ? "opened" : "failed"
    connectDuration(this.relay, outcome).updateUnsafe(ms / 1000, this.context)
  }

  /** Shows the state of a pool, while metrics are recorded, until the scope closes. Several pools of one relay are shown as one. */
  watch(stats: () => PoolState): Effect.Effect<void, never, Scope.Scope> {
    const { relay } = this
    return SendMetrics.showWhileRecording((context) => {
      const registry = Context.get(context, Metric.MetricRegistry)
      const byRelay = shownIn.get(registry) ?? new Map<string, Shown>()
      shownIn.set(registry, byRelay)
      const shown = byRelay.get(relay) ?? show(relay, context)
      byRelay.set(relay, shown)
      shown.pools.add(stats)
      const remove = () => {
        shown.pools.delete(stats)
        if (shown.pools.size > 0) return
        byRelay.delete(relay)
        for (const gauge of shown.gauges) gauge.remove()
      }
      return [{ remove }]
    })
  }
}

const show = (relay: string, context: Context.Context<never>): Shown => {
  const pools: Shown["pools"] = new Set()
  const sum = (value: (state: PoolState) => number): number =>
    [...pools].reduce((total, state) => total + value(state()), 0)
  return {
    pools,
    gauges: [
      SendMetrics.observeUnsafe(sessions(relay, "busy"), context, () => sum(({ busy }) => busy)),
      SendMetrics.observeUnsafe(sessions(relay, "idle"), context, () => sum(({ idle }) => idle)),
      SendMetrics.observeUnsafe(waiting(relay), context, () => sum((state) => state.waiting)),
      SendMetrics.observeUnsafe(steppedDown(relay), context, () =>
        sum(({ speculationRefused }) => (speculationRefused === undefined ? 0 : 1)) > 0 ? 1 : 0
      )
    ]
  }
}
