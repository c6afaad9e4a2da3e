/**
 * What a dispatcher has claimed and not settled.
 *
 * Settling is a group commit: at once while little happens, in batches under load, and again and again while the store
 * cannot be written, because a mail that was sent must not be sent twice for want of a row.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as GroupCommit from "../GroupCommit.ts"
import type { OutboxError } from "../OutboxError.ts"
import type { Change } from "../OutboxEvent.ts"
import type { ClaimedRow, ExpiredRow, Settlement, Tenure } from "../OutboxStore.ts"
import type { EventHub } from "./eventHub.ts"

/** What it works with. */
export interface Surroundings {
  readonly tenure: Tenure
  readonly hub: EventHub
  /** Runs when a mail is settled and held no more. */
  readonly onSettled: (end: Settlement) => void
  /** Runs when mails were given back. */
  readonly onGivenBack: () => void
}

/** Holds nothing yet; at the end of the scope all that was ended is settled, and the rest given back. */
export const make = (surroundings: Surroundings): Effect.Effect<InHand, never, Scope.Scope> =>
  Effect.gen(function* () {
    const hand = new InHand(surroundings)
    yield* Effect.addFinalizer(() => hand.giveBackAll)
    hand.settling = yield* GroupCommit.make<Settlement, boolean, OutboxError>({
      write: (batch) =>
        Effect.map(hand.persist(surroundings.tenure.settle(batch)), (seqs) => {
          const settled = new Set(seqs)
          return batch.map(({ seq }) => settled.has(seq))
        })
    })
    yield* Effect.addFinalizer(() => Effect.map(Clock.currentTimeMillis, (now) => hand.hurry(now)))
    return hand
  })

/** Claimed mails until they are settled or given back. */
export class InHand {
  private readonly surroundings: Surroundings
  private readonly held = new Map<number, ClaimedRow>()
  settling!: GroupCommit.GroupCommit<Settlement, boolean, OutboxError>
  /** From when on a store that cannot be written no longer holds up the end. */
  private patience = Infinity

  constructor(surroundings: Surroundings) {
    this.surroundings = surroundings
  }

  get size(): number {
    return this.held.size
  }

  has(seq: number): boolean {
    return this.held.has(seq)
  }

  /** Mails were claimed. */
  take(rows: ReadonlyArray<ClaimedRow>): void {
    for (const row of rows) this.held.set(row.seq, row)
  }

  /** Records how an attempt ended; does not wait for it. */
  settle(row: ClaimedRow, end: Settlement): void {
    this.settling.addUnsafe(end, (exit) => {
      this.held.delete(row.seq)
      if (Exit.isSuccess(exit) && exit.value) this.tell(changes[end.state], row, end.at, end)
      // Last, because the claimer goes on within this call.
      this.surroundings.onSettled(end)
    })
  }

  /** Resumes when all ends are recorded. */
  get settled(): Effect.Effect<void> {
    return this.settling.settled
  }

  /** Gives back what was claimed and not begun. */
  giveBack(rows: ReadonlyArray<ClaimedRow>): Effect.Effect<void> {
    return Effect.matchEffect(this.persist(this.surroundings.tenure.release(rows)), {
      // They stay claimed until the next start puts them back.
      onFailure: (error) => Effect.logWarning(`could not give back ${rows.length} claimed mails: ${error.message}`),
      onSuccess: () =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          for (const row of rows) {
            this.held.delete(row.seq)
            this.tell("Returned", { ...row, attempts: row.attempts - 1 }, now)
          }
          this.surroundings.onGivenBack()
        })
    })
  }

  /** Gives back all that is left. */
  readonly giveBackAll: Effect.Effect<void> = Effect.suspend(() =>
    this.held.size === 0 ? Effect.void : this.giveBack([...this.held.values()])
  )

  /** Tries until the store takes it, or waiting mends nothing, or the end has been held up long enough. */
  persist<A>(effect: Effect.Effect<A, OutboxError>): Effect.Effect<A, OutboxError> {
    return effect.pipe(
      Effect.tapError((error) => Effect.logWarning(`the outbox cannot be used: ${error.message}; ${error.remedy}`)),
      Effect.retry({
        schedule: Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("2 seconds")]),
        while: (error: OutboxError) =>
          Effect.map(Clock.currentTimeMillis, (now) => error.isRetryable && now < this.patience)
      })
    )
  }

  /** The end is near. */
  hurry(now: number): void {
    this.patience = now + patienceMs
  }

  /** Tells what happened to a mail, if anybody listens. */
  tell(change: Change, row: ExpiredRow, now: number, end?: Settlement): void {
    this.surroundings.hub.tellOf(change, row, now, end)
  }
}

/** How long an unwritable store may hold up the end. */
const patienceMs = 10_000

const changes: { readonly [S in Settlement["state"]]: Change } = {
  due: "Deferred",
  accepted: "Accepted",
  rejected: "Rejected",
  expired: "Expired",
  dead: "Dead"
}
