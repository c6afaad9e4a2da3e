/**
 * The state of a run of the dispatcher: which messages wait, and how the attempts of this run ended.
 */
import type { AttemptedMail, Status } from "@mailrace/outbox/Dispatcher"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Delivery from "mailrace/Delivery"
import type { ConnectionStats } from "../sending/Meter.ts"
import { type Extent, RunState } from "../sending/RunState.ts"
import type { Outcome, Owed, UntriedEnd } from "../results/Tally.ts"

/** The messages that wait. */
export interface Backlog {
  /** Messages due now that this run has not tried. */
  due: number
  /** Messages that the input is expected to add; 0 once it is read. */
  coming: number
  /** True if `coming` is known and not estimated. */
  isExact: boolean
}

/** How a message that is tried again was counted. */
interface Postponed {
  readonly outcome: Outcome
  readonly owed: Owed
}

/** The state of one run. */
export class DispatchState extends RunState {
  readonly backlog: Backlog = { due: 0, coming: 0, isExact: true }
  /** True once the whole input is in the outbox. */
  isFed = false
  /** Messages handed to the relay and not answered. */
  inFlight = 0
  /** The dispatcher's own status, once it has started. */
  status: Status | undefined
  /** Messages that were postponed in this run, by their id. */
  private readonly postponed = new Map<string, Postponed>()
  private readonly countsMails: boolean

  /** `countsMails` counts a message that is tried again in this run once, which only a run that ends can afford. */
  constructor(connections: ConnectionStats, clock: Clock.Clock, countsMails: boolean) {
    super(connections, clock)
    this.countsMails = countsMails
  }

  /** Counts the end of an attempt; `place` says which message it was. */
  end(delivery: Delivery.Delivery, { id, state }: AttemptedMail, place: string): Outcome {
    const before = this.postponed.get(id)
    if (before === undefined) this.backlog.due = Math.max(0, this.backlog.due - 1)
    else {
      this.postponed.delete(id)
      this.tally.takeBack(before.outcome, before.owed)
      this.tally.retries++
    }
    const { recipients } = this.tally
    const { deferred, unknown } = recipients
    // A relay that took it for some recipients keeps it accepted, however the others end.
    const settled = before?.outcome === "accepted" ? "accepted" : undefined
    const outcome = this.tally.delivery(delivery, place, this.addressed.take(delivery.messageId), settled)
    if (state === "due" && this.countsMails) {
      const owed = { deferred: recipients.deferred - deferred, unknown: recipients.unknown - unknown }
      this.postponed.set(id, { outcome, owed })
    }
    return outcome
  }

  /** Counts a message that ended without a further attempt. */
  endUntried(id: string, end: UntriedEnd, place: string): void {
    const before = this.postponed.get(id)
    this.postponed.delete(id)
    // A message that a relay took for some recipients stays accepted; the others are counted as without it.
    if (before?.outcome === "accepted") return
    if (before === undefined) this.backlog.due = Math.max(0, this.backlog.due - 1)
    else this.tally.takeBack(before.outcome, before.owed)
    this.tally.untried(end, place)
  }

  protected override get extent(): Extent {
    const { coming, due, isExact } = this.backlog
    const done = this.tally.total
    return { done, expected: done + due + coming, isExact }
  }

  protected override get begunNow(): number {
    return this.inFlight
  }

  /** A dispatcher begins messages once the outbox is its own. */
  override get isReady(): boolean {
    return this.status !== undefined && super.isReady
  }

  protected override get flowStatus(): Effect.Effect<Status | undefined> {
    return Effect.sync(() => this.status)
  }

  protected override get isExhausted(): boolean {
    return this.isFed && !this.isStopping
  }

  protected override get unrecorded(): number {
    return this.status?.unrecorded ?? 0
  }
}
