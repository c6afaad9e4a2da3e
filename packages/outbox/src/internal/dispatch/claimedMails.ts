/**
 * The messages that a dispatcher has claimed and not settled.
 *
 * Settling is a group commit: immediate under light load, in batches under heavy load. Losing a settlement would send
 * the message twice, so a batch that cannot be recorded is tried again until it is: after 100 ms, then after twice as
 * long each time, up to 5 seconds.
 *
 * From the first failure on, `canRecord` is false and no attempt begins: if the process ends before the store can be
 * written again, only the messages that were on their way at that failure are sent twice. The same holds while a
 * settlement takes much longer than usual (`answerTime`), as with a store that hangs.
 *
 * A store that cannot be written delays the end of the dispatcher by 10 seconds at most.
 */
import * as LogEvent from "mailrace/LogEvent"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as GroupCommit from "../../GroupCommit.ts"
import * as OutboxError from "../../OutboxError.ts"
import type { Change } from "../../OutboxEvent.ts"
import type { ClaimedRow, ExpiredRow, Settlement, DispatcherLease } from "../../OutboxStore.ts"
import { AnswerTime } from "./answerTime.ts"
import type { BeginGate } from "./beginGate.ts"
import type { EventHub } from "./eventHub.ts"

/** The collaborators and settings of `ClaimedMails`. */
export interface Dependencies {
  /** The file or server, as log texts name it. */
  readonly store: string
  readonly lease: DispatcherLease
  readonly hub: Pick<EventHub, "emitChange">
  readonly gate: BeginGate
  /** Runs when a message is settled and no longer held. */
  readonly onSettled: (end: Settlement) => void
  /** Runs when messages were given back. */
  readonly onGivenBack: () => void
}

/** Starts empty. At the end of the scope, it settles the outcomes and gives the other messages back. */
export const make = (dependencies: Dependencies): Effect.Effect<ClaimedMails, never, Scope.Scope> =>
  Effect.gen(function* () {
    const claimedMails = new ClaimedMails(dependencies)
    dependencies.gate.require(() => claimedMails.canRecord)
    yield* Effect.addFinalizer(() => claimedMails.conclude)
    yield* Effect.addFinalizer(() => claimedMails.giveBackAll)
    claimedMails.settling = yield* GroupCommit.make<Settlement, boolean, never>({
      write: (batch) => claimedMails.record(batch)
    })
    yield* Effect.addFinalizer(() => claimedMails.beginShutdown)
    return claimedMails
  })

/** An outcome that is not recorded yet. */
interface Unsettled {
  readonly seq: number
  /** The process's own clock, in milliseconds. */
  readonly since: number
}

/** The claimed messages until they are settled or given back. */
export class ClaimedMails {
  private readonly store: Dependencies["store"]
  private readonly lease: Dependencies["lease"]
  private readonly hub: Dependencies["hub"]
  private readonly gate: Dependencies["gate"]
  private readonly onSettled: Dependencies["onSettled"]
  private readonly onGivenBack: Dependencies["onGivenBack"]
  private readonly held = new Map<number, ClaimedRow>()
  /**
   * Outcomes on their way into the store, the oldest first. They end in this order, and the first is looked at several
   * times a message; a `Map` would walk over the places of those that have ended.
   */
  private readonly unsettled: Array<Unsettled> = []
  private readonly answerTime = new AnswerTime()
  settling!: GroupCommit.GroupCommit<Settlement, boolean, never>
  /** True if the last try to record outcomes failed. */
  private isFailing = false
  /** Messages that a relay has accepted and that are not recorded. */
  private accepted = 0
  /** True once a store that cannot be written, or gives no answer, has delayed the end long enough. */
  private isOvertime = false
  /** Calls that wait for the store, and leave at the deadline. */
  private readonly leaving = new Set<() => void>()
  private timer: Fiber.Fiber<void> | undefined
  /** Fails when outcomes cannot be recorded and waiting does not help. */
  readonly broken = Deferred.makeUnsafe<never, OutboxError.OutboxError>()

  constructor(dependencies: Dependencies) {
    this.store = dependencies.store
    this.lease = dependencies.lease
    this.hub = dependencies.hub
    this.gate = dependencies.gate
    this.onSettled = dependencies.onSettled
    this.onGivenBack = dependencies.onGivenBack
  }

  get size(): number {
    return this.held.size
  }

  has(seq: number): boolean {
    return this.held.has(seq)
  }

  /** True if an outcome would, as far as is known, be recorded soon. */
  get canRecord(): boolean {
    if (this.isFailing) return false
    const [oldest] = this.unsettled
    return oldest === undefined || performance.now() - oldest.since < this.answerTime.limit
  }

  /** The number of messages that a relay has accepted and that are not recorded. */
  get unrecorded(): number {
    return this.accepted
  }

  /** Adds claimed messages. */
  take(rows: ReadonlyArray<ClaimedRow>): void {
    for (const row of rows) this.held.set(row.seq, row)
  }

  /**
   * Records the outcome of an attempt without waiting. `isAccepted` is true if a relay accepted the message for any
   * recipient.
   */
  settle(row: ClaimedRow, end: Settlement, isAccepted: boolean): void {
    if (isAccepted) this.accepted++
    const unsettled: Unsettled = { seq: row.seq, since: performance.now() }
    this.unsettled.push(unsettled)
    this.settling.addUnsafe(end, (exit) => {
      this.held.delete(row.seq)
      if (this.unsettled[0] === unsettled) this.unsettled.shift()
      else this.unsettled.splice(this.unsettled.indexOf(unsettled), 1)
      if (Exit.isSuccess(exit) && exit.value) {
        if (isAccepted) this.accepted--
        this.emit(changes[end.state], row, end.at, end)
      }
      this.onSettled(end)
      this.gate.reconsider()
    })
  }

  /** Resumes when all outcomes are recorded or given up. */
  get settled(): Effect.Effect<void> {
    return this.settling.settled
  }

  /**
   * Records outcomes; answers for each whether it was recorded. Outcomes of messages that belong to another
   * dispatcher by now are not.
   */
  record(batch: ReadonlyArray<Settlement>): Effect.Effect<ReadonlyArray<boolean>> {
    const settled = Effect.catchDefect(this.lease.settle(batch), (defect) => Effect.fail(this.unusable(defect)))
    return Effect.matchEffect(this.persist(settled, this.cannotRecord), {
      onSuccess: (seqs) => {
        this.learn(batch)
        return Effect.as(this.canRecordAgain, recordedOf(batch, seqs))
      },
      // One outcome that the store rejects must not keep the others out.
      onFailure: (error) =>
        error.isRetryable || batch.length === 1
          ? Effect.as(
              this.break(error),
              batch.map(() => false)
            )
          : Effect.map(
              Effect.forEach(batch, (end) => this.record([end])),
              (answers) => answers.flat()
            )
    })
  }

  /** Gives back messages that were claimed and not begun. */
  giveBack(rows: ReadonlyArray<ClaimedRow>): Effect.Effect<void> {
    return Effect.matchEffect(this.persist(this.lease.release(rows)), {
      // The messages stay claimed until the next start puts them back.
      onFailure: (error) =>
        Effect.andThen(
          LogEvent.warning(
            "outbox.unavailable",
            `could not give back ${rows.length} claimed messages: ${error.message}`,
            { store: this.store }
          ),
          this.break(error)
        ),
      onSuccess: () =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          for (const row of rows) {
            this.held.delete(row.seq)
            this.emit("Returned", { ...row, attempts: row.attempts - 1 }, now)
          }
          this.onGivenBack()
        })
    })
  }

  /**
   * Forgets messages that another dispatcher may have by now. It still gives them back, in case nobody has taken them
   * over.
   */
  drop(rows: ReadonlyArray<ClaimedRow>): Effect.Effect<void> {
    return Effect.suspend(() => {
      for (const row of rows) this.held.delete(row.seq)
      return Effect.ignore(this.persist(this.lease.release(rows)))
    })
  }

  /** Gives back all remaining messages. */
  readonly giveBackAll: Effect.Effect<void> = Effect.suspend(() =>
    this.held.size === 0 ? Effect.void : this.giveBack([...this.held.values()])
  )

  /** Tries until the store succeeds, waiting does not help, or the end has been delayed long enough. */
  persist<A>(
    effect: Effect.Effect<A, OutboxError.OutboxError>,
    onTrouble: (error: OutboxError.OutboxError) => Effect.Effect<void> = logTrouble
  ): Effect.Effect<A, OutboxError.OutboxError> {
    return Effect.suspend(() => {
      let last: OutboxError.OutboxError | undefined
      const tried = Effect.tapError(effect, (error) => {
        const isFirst = last === undefined
        last = error
        return isFirst ? onTrouble(error) : Effect.void
      })
      const retried = Effect.retry(tried, {
        schedule: Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")]),
        while: (error: OutboxError.OutboxError) => error.isRetryable && !this.isOvertime
      })
      return this.bounded(retried, () => last ?? this.silence)
    })
  }

  /**
   * Waits for a store that gives no answer, but does not let it delay the end for long. A call that does not even
   * react to an interrupt, such as a query to a hung database, is left behind.
   */
  bounded<A>(
    effect: Effect.Effect<A, OutboxError.OutboxError>,
    orElse: () => OutboxError.OutboxError = () => this.silence
  ): Effect.Effect<A, OutboxError.OutboxError> {
    return Effect.contextWith((context: Context.Context<never>) =>
      Effect.callback<A, OutboxError.OutboxError>((resume) => {
        const fiber = Effect.runForkWith(context)(effect)
        let give = resume
        const leave = (): void => {
          fiber.interruptUnsafe()
          give(Effect.fail(orElse()))
        }
        this.leaving.add(leave)
        // The store may be back by then; if it is not, its error says why.
        const lastTry = this.isOvertime ? setTimeout(leave, lastTryMs) : undefined
        fiber.addObserver((exit) => {
          clearTimeout(lastTry)
          this.leaving.delete(leave)
          give(exit)
        })
        return Effect.callback<void>((resume) => {
          give = () => resume(Effect.void)
          fiber.interruptUnsafe()
        })
      })
    )
  }

  /** Starts the shutdown deadline: from now on, a store that cannot be written is awaited for a limited time. */
  readonly beginShutdown: Effect.Effect<void> = Effect.suspend(() => {
    if (this.timer !== undefined) return Effect.void
    const over = Effect.sync(() => {
      this.isOvertime = true
      for (const leave of this.leaving) leave()
    })
    return Effect.map(Effect.forkDetach(Effect.delay(over, shutdownDeadline)), (timer) => {
      this.timer = timer
    })
  })

  /** Ends: logs the messages that will be sent again. */
  readonly conclude: Effect.Effect<void> = Effect.suspend(() => {
    const ended = this.timer === undefined ? Effect.void : Fiber.interrupt(this.timer)
    return this.accepted === 0
      ? ended
      : Effect.andThen(
          ended,
          LogEvent.warning("outbox.unrecorded", unrecordedText(this.accepted, this.store), {
            store: this.store,
            messages: this.accepted
          })
        )
  })

  /** Emits a change of a message, if anyone listens. */
  emit(change: Change, row: ExpiredRow, now: number, end?: Settlement): void {
    this.hub.emitChange(change, row, now, end)
  }

  private readonly cannotRecord = (error: OutboxError.OutboxError): Effect.Effect<void> => {
    if (this.isFailing) return Effect.void
    this.isFailing = true
    return LogEvent.warning(
      "outbox.unavailable",
      `outcomes cannot be recorded, and no attempt begins until they can: ${error.message}; ${error.remedy}`,
      { store: this.store }
    )
  }

  /** Learns from the time of a batch. A batch that was tried several times teaches nothing. */
  private learn(batch: ReadonlyArray<Settlement>): void {
    const oldest = this.unsettled.find(({ seq }) => seq === batch[0]!.seq)
    if (!this.isFailing && oldest !== undefined) this.answerTime.learn(performance.now() - oldest.since)
  }

  private readonly canRecordAgain = Effect.suspend(() => {
    if (!this.isFailing) return Effect.void
    this.isFailing = false
    this.gate.reconsider()
    return LogEvent.info("outbox.back", `${this.store} can be written again, and sending goes on`, {
      store: this.store
    })
  })

  private break(error: OutboxError.OutboxError): Effect.Effect<void> {
    return Effect.asVoid(Deferred.fail(this.broken, error))
  }

  private get silence(): OutboxError.OutboxError {
    const { store } = this
    return OutboxError.make(new OutboxError.Unavailable({ store, problem: "it gave no answer", isRetryable: true }))
  }

  private unusable(defect: unknown): OutboxError.OutboxError {
    const problem = defect instanceof Error ? defect.message : String(defect)
    return OutboxError.make(new OutboxError.Unavailable({ store: this.store, problem, isRetryable: false }))
  }
}

/** For each outcome, whether it is among those that were recorded: all of them, as a rule. */
const recordedOf = (batch: ReadonlyArray<Settlement>, seqs: ReadonlyArray<number>): ReadonlyArray<boolean> => {
  if (seqs.length === batch.length) return batch.map(() => true)
  const recorded = new Set(seqs)
  return batch.map(({ seq }) => recorded.has(seq))
}

const logTrouble = (error: OutboxError.OutboxError): Effect.Effect<void> =>
  LogEvent.warning("outbox.unavailable", `the outbox cannot be used: ${error.message}; ${error.remedy}`)

/** The warning about messages that a relay has accepted and the outbox has not recorded. */
export const unrecordedText = (count: number, store: string): string =>
  count === 1
    ? `1 message was accepted, but that could not be recorded in ${store}; it will be sent again by the next run, under the same Message-ID`
    : `${count} messages were accepted, but that could not be recorded in ${store}; they will be sent again by the next run, under the same Message-ID`

/** The time for which an unwritable store may delay the end. */
const shutdownDeadline = "10 seconds"

/** The time that a call after the deadline waits for an answer, in milliseconds. */
const lastTryMs = 1000

const changes: { readonly [S in Settlement["state"]]: Change } = {
  due: "Deferred",
  accepted: "Accepted",
  rejected: "Rejected",
  expired: "Expired",
  dead: "Dead"
}
