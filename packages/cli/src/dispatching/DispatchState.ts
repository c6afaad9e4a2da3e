/**
 * What a run of the dispatcher knows of itself: what was put in, how what was tried has ended, what still waits.
 */
import type { AttemptedMail, Status } from "@mailrace/outbox/Dispatcher"
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Delivery from "mailrace/Delivery"
import type { CommandError } from "../CommandError.ts"
import { Addressed } from "../sending/Addressed.ts"
import { type ConnectionStats, Meter } from "../sending/Meter.ts"
import type * as Progress from "../output/Progress.ts"
import type { Result } from "../sending/RunState.ts"
import { type Outcome, type Owed, Tally, type UntriedEnd } from "../sending/Tally.ts"

/** What the run knows of the mails that wait. */
export interface Backlog {
  /** Mails due now that nobody has tried in this run. */
  due: number
  /** How many more the input is guessed to hold; 0 once it is read. */
  coming: number
  /** Whether `coming` is a fact. */
  isExact: boolean
}

/** How a mail that is to be tried again was counted. */
interface PutOff {
  readonly outcome: Outcome
  readonly owed: Owed
}

/** The state of one run. */
export class DispatchState {
  readonly tally = new Tally()
  /** Recipients of what is on its way. */
  readonly addressed = new Addressed()
  readonly backlog: Backlog = { due: 0, coming: 0, isExact: true }
  /** Completes when no more is to be begun. */
  readonly enough = Deferred.makeUnsafe<void>()
  /** Whether all that is to be put in is in. */
  isFed = false
  /** Messages handed to the relay and not answered. */
  inFlight = 0
  /** The dispatcher's own account, once it has begun. */
  status: Status | undefined
  private readonly link: ConnectionStats
  private readonly meter: Meter
  /** Mails that were put off in this run, by their id. */
  private readonly putOff = new Map<string, PutOff>()
  private readonly keepsPutOff: boolean
  private failure: CommandError | undefined
  private isStopped = false

  /** `countsMails`: whether a mail that is tried again in this run counts once, as a run that ends can afford. */
  constructor(link: ConnectionStats, clock: Clock.Clock, countsMails: boolean) {
    this.link = link
    this.meter = new Meter(link, clock)
    this.keepsPutOff = countsMails
  }

  /** Counts the end of an attempt; `place` says which mail it was. */
  end(delivery: Delivery.Delivery, { id, state }: AttemptedMail, place: string): Outcome {
    const before = this.putOff.get(id)
    if (before === undefined) this.backlog.due = Math.max(0, this.backlog.due - 1)
    else {
      this.putOff.delete(id)
      this.tally.takeBack(before.outcome, before.owed)
      this.tally.retries++
    }
    const { recipients } = this.tally
    const { deferred, unknown } = recipients
    // A relay has taken it for some already, whatever becomes of the others.
    const least = before?.outcome === "accepted" ? "accepted" : undefined
    const outcome = this.tally.delivery(delivery, place, this.addressed.take(delivery.messageId), least)
    if (state === "due" && this.keepsPutOff) {
      const owed = { deferred: recipients.deferred - deferred, unknown: recipients.unknown - unknown }
      this.putOff.set(id, { outcome, owed })
    }
    return outcome
  }

  /** Counts a mail that ended without a further attempt. */
  endUntried(id: string, end: UntriedEnd, place: string): void {
    const before = this.putOff.get(id)
    this.putOff.delete(id)
    // What a relay took for some stays accepted, and the others are counted as not having it.
    if (before?.outcome === "accepted") return
    if (before === undefined) this.backlog.due = Math.max(0, this.backlog.due - 1)
    else this.tally.takeBack(before.outcome, before.owed)
    this.tally.untried(end, place)
  }

  /** Begins nothing more. */
  readonly stop: Effect.Effect<void> = Effect.suspend(() => {
    this.isStopped = true
    return Deferred.succeed(this.enough, undefined)
  })

  /** Begins nothing more, for a reason that fails the command. */
  readonly giveUp = (error: CommandError): Effect.Effect<void> =>
    Effect.suspend(() => {
      this.fail(error)
      return Deferred.succeed(this.enough, undefined)
    })

  /** Fails the command, at its end. */
  fail(error: CommandError): void {
    this.failure ??= error
  }

  /** This moment. */
  readonly snapshot: Effect.Effect<Progress.Snapshot> = Effect.suspend(() =>
    Effect.map(this.link.stats, ({ open }) => ({
      counts: this.tally.counts,
      dropped: this.tally.screening.counts.mails,
      done: this.tally.total,
      expected: this.tally.total + this.backlog.due + this.backlog.coming,
      isExact: this.backlog.isExact,
      retries: this.tally.retries,
      p99Ms: this.tally.latency.quantile(0.99),
      connections: open
    }))
  )

  /** What it came to up to now. */
  readonly result: Effect.Effect<Result> = Effect.suspend(() => {
    this.tally.unrecorded = this.status?.unrecorded ?? 0
    return Effect.map(this.meter.report(this.tally), (report) => ({
      report,
      errors: this.tally.errors,
      failure: this.failure,
      isComplete: this.isFed && !this.isStopped && this.failure === undefined
    }))
  })
}
