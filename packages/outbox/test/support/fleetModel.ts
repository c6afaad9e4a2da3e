/**
 * A model of dispatchers that share a database, in which everything that may happen next is a choice.
 *
 * The database is a few maps, with what matters of PostgreSQL: locks that belong to a session, owners and epochs of buckets,
 * rows with their fence. Ownership and possession are the real ones; in the place of the dispatcher stands the least that
 * claims, begins, ends, gives back and settles. A statement is sent, executed and answered in three steps, and timers end
 * when they are chosen to, in their order for each dispatcher. A connection may be lost at any step: what was sent on it may
 * be executed all the same, even long after its sender has heard of the loss.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { BucketStore } from "../../src/internal/dispatch/possession.ts"
import type { Statements } from "../../src/internal/postgres/dispatch.ts"
import type { LockSession } from "../../src/internal/postgres/lockSession.ts"
import * as Lane from "../../src/Lane.ts"
import * as OutboxError from "../../src/OutboxError.ts"
import type { Claimed, ClaimedRow, Holding, Settlement, DispatcherLease } from "../../src/OutboxStore.ts"

/** Chooses one of `count` things, from 0. */
export type Choose = (count: number) => number

/** Something that may happen next. */
interface Event {
  readonly what: string
  readonly run: () => void
}

interface Row {
  readonly seq: number
  readonly lane: string
  state: "due" | "claimed" | "accepted"
  epoch: number
  attempts: number
}

interface Bucket {
  owner: string | undefined
  epoch: number
}

interface Session {
  readonly id: number
  isOpen: boolean
}

/** A message that was begun: by whom, and whether its bucket was another's by then. */
export interface Sent {
  readonly seq: number
  readonly by: string
  readonly isLate: boolean
}

const lost = OutboxError.make(
  new OutboxError.Unavailable({ store: "model", problem: "the connection was closed", isRetryable: true })
)

/** How many other things happen meanwhile at most, as far as they are chosen evenly. */
const longestWhile = 12

/** The shared database, and what may happen in it. */
export class ModelDatabase {
  readonly rows: ReadonlyArray<Row>
  readonly buckets: Array<Bucket> = Array.from({ length: Lane.buckets }, () => ({ owner: undefined, epoch: 1 }))
  readonly locks = new Map<number, Session>()
  readonly present = new Map<Session, string>()
  /** How often each dispatcher has beaten. */
  readonly beats = new Map<string, number>()
  readonly sent: Array<Sent> = []
  /** Messages that were begun and whose end is not recorded. */
  readonly onWire = new Set<Row>()
  /** Those of which that was so when their bucket was taken over. */
  readonly atRisk = new Set<number>()
  private readonly events = new Set<Event>()
  private sessions = 0

  constructor(lanes: ReadonlyArray<string>, each: number) {
    this.rows = lanes.flatMap((lane, i) =>
      Array.from({ length: each }, (_, j) => ({
        seq: i * each + j + 1,
        lane,
        state: "due" as const,
        epoch: 0,
        attempts: 0
      }))
    )
  }

  /** Adds something that may happen; returns how to take it back. */
  offer(what: string, run: () => void): () => void {
    const event: Event = {
      what,
      run: () => {
        this.events.delete(event)
        run()
      }
    }
    this.events.add(event)
    return () => void this.events.delete(event)
  }

  /**
   * Lets one of the possible things happen; tells which, or `undefined` when there are none. Nothing of `stalled` happens
   * while there is anything else.
   */
  step(choose: Choose, stalled?: string): string | undefined {
    const all = [...this.events]
    const others = stalled === undefined ? all : all.filter(({ what }) => !what.startsWith(`${stalled} `))
    const events = others.length === 0 ? all : others
    if (events.length === 0) return undefined
    const event = events[choose(events.length)]!
    event.run()
    return event.what
  }

  /** A statement on a connection of its own, or on a session. */
  statement<A>(who: string, what: string, execute: () => A, session?: Session, canFail = true) {
    return Effect.callback<A, OutboxError.OutboxError>((resume) => {
      let isHeard = true
      const fail = () => {
        isHeard = false
        resume(Effect.fail(lost))
      }
      if (session !== undefined && !session.isOpen) return fail()
      const name = `${who} ${what}`
      const answer = (result: A) => {
        const withdraw = this.offer(`${name}: answered`, () => {
          withdrawLoss()
          if (session !== undefined && !session.isOpen) fail()
          else resume(Effect.succeed(result))
        })

        const withdrawLoss =
          session === undefined && canFail && this.mayLose()
            ? this.offer(`${name}: answer lost`, () => {
                if (this.lostStatements-- <= 0) return
                withdraw()
                fail()
              })
            : () => {}
      }
      const withdrawLoss =
        session === undefined && canFail && this.mayLose()
          ? this.offer(`${name}: connection lost`, () => {
              if (this.lostStatements-- > 0) fail()
            })
          : () => {}
      this.offer(`${name}: executed`, () => {
        withdrawLoss()
        // On a session that is gone it was not executed; on another connection it is, whoever waits for it.
        if (session !== undefined && !session.isOpen) return fail()
        const result = execute()
        if (isHeard) answer(result)
      })
    })
  }

  /** Whether so much time has gone by that a claim of an earlier owner counts as lost. */
  isLate = false
  /** How many statements' connections may still be lost, and how many sessions. */
  lostStatements = 0
  lostSessions = 0

  private mayLose(): boolean {
    return this.lostStatements > 0
  }

  /** Something that happens after a while. */
  later(what: string, run: () => void, longest = longestWhile): void {
    const pass = (steps: number): void => void this.offer(what, () => (steps > 0 ? pass(steps - 1) : run()))
    pass(Math.floor(Math.random() * longest))
  }

  session(): Session {
    return { id: ++this.sessions, isOpen: true }
  }

  /** The server is done with a session. */
  end(session: Session): void {
    session.isOpen = false
    this.present.delete(session)
    for (const [bucket, holder] of this.locks) if (holder === session) this.locks.delete(bucket)
  }

  /** All that is known of it, and what may happen next. */
  get state(): string {
    const { lostSessions, onWire, rows, sent } = this
    const owners = [...new Set(rows.map(({ lane }) => Lane.bucket(lane)))].map((bucket) => this.buckets[bucket])
    const next = [...this.events].map(({ what }) => what).sort()
    return JSON.stringify([rows, owners, [...onWire].map(({ seq }) => seq), sent, lostSessions, next])
  }

  row(seq: number): Row {
    return this.rows[seq - 1]!
  }

  isFenced({ attempts, epoch, seq }: Claimed): boolean {
    const row = this.row(seq)
    return row.epoch === epoch && row.attempts === attempts
  }

  begin(seq: number, owner: string): void {
    const row = this.row(seq)
    this.sent.push({ seq, by: owner, isLate: this.buckets[Lane.bucket(row.lane)]!.owner !== owner })
    this.onWire.add(row)
  }
}

const sessionBehind = (on: Statements | undefined) => (on as { readonly session?: Session } | undefined)?.session

/** The statements of a dispatcher, as `PostgresDispatch` has them. */
export const storeOf = (database: ModelDatabase, who: string): BucketStore<Statements> => ({
  take: (buckets, owner, on) =>
    database.statement(
      who,
      `take ${buckets.length}`,
      () =>
        buckets.map((bucket) => {
          const row = database.buckets[bucket]!
          row.owner = owner
          for (const { lane, seq } of database.onWire) if (Lane.bucket(lane) === bucket) database.atRisk.add(seq)
          return { bucket, epoch: ++row.epoch }
        }),
      sessionBehind(on)
    ),
  recover: (buckets, _now, _maxCrashes, on) =>
    database.statement(
      who,
      "recover",
      () => {
        const taken = new Set(buckets)
        let recovered = 0
        for (const row of database.rows) {
          if (row.state !== "claimed" || !taken.has(Lane.bucket(row.lane))) continue
          row.state = "due"
          row.attempts--
          recovered++
        }
        return { recovered, givenUp: [] }
      },
      sessionBehind(on)
    ),
  dueLanes: () => Effect.succeed({ lanes: [], next: undefined, nextDueAt: undefined }),
  claim: (quotas, _now, owner) =>
    database.statement(who, "claim", () => {
      const rows: Array<ClaimedRow> = []
      for (const { bucket, lane, limit } of quotas) {
        const { epoch, owner: current } = database.buckets[bucket]!
        if (current !== owner) continue
        for (const row of database.rows.filter((row) => row.lane === lane && row.state === "due").slice(0, limit)) {
          row.state = "claimed"
          row.attempts++
          row.epoch = epoch
          rows.push({ seq: row.seq, lane, epoch, attempts: row.attempts } as ClaimedRow)
        }
      }
      return { rows, expired: [] }
    }),
  begin: () => Effect.void,
  settle: (batch) =>
    database.statement(who, "settle", () =>
      batch.flatMap((end) => {
        if (!database.isFenced(end) && !database.isFenced({ ...end, attempts: end.attempts - 1 })) return []
        Object.assign(database.row(end.seq), { state: "accepted", attempts: end.attempts })
        return [end.seq]
      })
    ),
  release: (rows) =>
    database.statement(who, "give back", () => {
      for (const claimed of rows) {
        const row = database.row(claimed.seq)
        if (!database.isFenced(claimed) || row.state !== "claimed") continue
        row.state = "due"
        row.attempts--
      }
    }),
  claimed: (buckets) =>
    database.statement(who, "look for claimed", () =>
      database.rows.flatMap(({ attempts, epoch, lane, seq, state }) =>
        state === "claimed" && buckets.includes(Lane.bucket(lane))
          ? [{ attempts, epoch, seq, bucket: Lane.bucket(lane), updated_at: 0 }]
          : []
      )
    )
})

/** A session of a dispatcher; `database.lostSessions` says whether it may be lost. */
export const sessionOf = (
  database: ModelDatabase,
  who: string,
  owner: string
): Effect.Effect<LockSession, OutboxError.OutboxError, Scope.Scope> =>
  Effect.gen(function* () {
    const session = yield* Effect.acquireRelease(
      database.statement(
        who,
        "connect",
        () => {
          const session = database.session()
          database.present.set(session, owner)
          return session
        },
        undefined,
        false
      ),
      (session) => Effect.sync(() => database.end(session))
    )
    let hearLoss: () => void = () => {}
    const gone = Effect.callback<never, OutboxError.OutboxError>((resume) => {
      hearLoss = () => resume(Effect.fail(lost))
      if (!session.isOpen) hearLoss()
    })
    if (database.lostSessions > 0) {
      const lose = () => {
        if (!session.isOpen || database.lostSessions-- <= 0) return
        database.end(session)
        database.later(`${who} hears of the loss`, () => hearLoss())
      }
      database.later(`the session of ${who} is lost`, lose, 8 * longestWhile)
    }
    const ask = <A>(what: string, execute: () => A) => database.statement(who, what, execute, session)
    const mine = (bucket: number) => database.locks.get(bucket) === session
    return {
      rows: () => Effect.die("no statements here"),
      session,
      heartbeat: () =>
        ask("beat", () => {
          database.beats.set(owner, (database.beats.get(owner) ?? 0) + 1)
          const sessions = [...database.present.keys()].sort((a, b) => a.id - b.id)
          const owned = database.buckets.filter((bucket) => bucket.owner === owner)
          return {
            dispatchers: sessions.length,
            rank: sessions.indexOf(session),
            locked: new Set([...database.locks].flatMap(([bucket, holder]) => (holder === session ? [bucket] : []))),
            owned: owned.length,
            epochs: owned.reduce((sum, { epoch }) => sum + epoch, 0)
          }
        }),
      check: ask("check", () => undefined),
      unlocked: ask("look for unlocked", () =>
        database.buckets.flatMap(({ owner }, bucket) =>
          database.locks.has(bucket)
            ? []
            : [{ bucket, owner, beatAt: owner === undefined ? undefined : database.beats.get(owner), isOver: false }]
        )
      ),
      lock: (buckets: ReadonlyArray<number>, limit: number) =>
        ask("lock", () => {
          const locked = buckets.filter((bucket) => !database.locks.has(bucket) || mine(bucket)).slice(0, limit)
          for (const bucket of locked) database.locks.set(bucket, session)
          return locked
        }),
      mine: (buckets: ReadonlyArray<number>) =>
        ask(
          "which are mine",
          () =>
            new Map(
              buckets.flatMap((bucket) => {
                const row = database.buckets[bucket]!
                return row.owner === owner ? [[bucket, row.epoch] as const] : []
              })
            )
        ),
      unlock: (buckets: ReadonlyArray<number>) =>
        ask("unlock", () => {
          for (const bucket of buckets) if (mine(bucket)) database.locks.delete(bucket)
        }),
      yieldUp: (buckets: ReadonlyArray<number>) =>
        ask(`yield ${buckets.length}`, () => {
          for (const bucket of buckets) {
            const row = database.buckets[bucket]!
            if (row.owner === owner) row.owner = undefined
            if (mine(bucket)) database.locks.delete(bucket)
          }
        }),
      leave: Effect.void,
      tidy: Effect.void,
      tellOthers: Effect.void,
      notified: gone
    } as LockSession & { readonly session: Session }
  })

/** Longer than a claim is left alone that nobody knows of, and shorter than one of an earlier owner is. */
const aWhile = 300_000

/** Longer waits never end, in milliseconds. */
const longest = 100_000

/** A clock whose timers end when they are chosen to. */
export const clockOf = (database: ModelDatabase, who: string, clock: Clock.Clock): Clock.Clock => {
  let now = 0
  const timers: Array<{ readonly at: number; readonly end: () => void }> = []
  let withdraw: (() => void) | undefined
  const offerFirst = () => {
    withdraw?.()
    const [first] = timers.sort((a, b) => a.at - b.at)
    withdraw =
      first &&
      database.offer(`${who} waits`, () => {
        timers.shift()
        now = Math.max(now, first.at)
        withdraw = undefined
        offerFirst()
        first.end()
      })
  }
  return {
    ...clock,
    currentTimeMillisUnsafe: () => now,
    currentTimeMillis: Effect.sync(() => now),
    monotonicTimeNanosUnsafe: () => BigInt(Math.round(now)) * 1_000_000n,
    monotonicTimeNanos: Effect.sync(() => BigInt(Math.round(now)) * 1_000_000n),
    sleep: (duration) =>
      Effect.callback<void>((resume) => {
        // A lease does not end here: everything is answered before.
        if (Duration.toMillis(duration) >= longest) return
        const timer = { at: now + Duration.toMillis(duration), end: () => resume(Effect.void) }
        timers.push(timer)
        offerFirst()
        return Effect.sync(() => {
          const index = timers.indexOf(timer)
          if (index >= 0) timers.splice(index, 1)
          offerFirst()
        })
      })
  }
}

/** The least of a dispatcher: claims, begins, ends, settles, and heeds `Holding`. */
export class ModelDispatcher {
  readonly queue: Array<ClaimedRow> = []
  /** On the wire. */
  readonly begun = new Set<ClaimedRow>()
  private readonly held = new Set<number>()
  private readonly database: ModelDatabase
  private readonly who: string
  private readonly owner: string
  private readonly lease: DispatcherLease
  private readonly lanes: ReadonlyArray<string>
  private readonly worth: number
  private readonly run: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  private isClaiming = false
  private isInDoubt = false
  private isEnding = false
  private pending = 0
  private readonly withdraws = new Map<string, () => void>()

  constructor(
    database: ModelDatabase,
    who: string,
    owner: string,
    lease: DispatcherLease,
    lanes: ReadonlyArray<string>,
    worth: number,
    run: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  ) {
    this.database = database
    this.who = who
    this.owner = owner
    this.lease = lease
    this.lanes = lanes
    this.worth = worth
    this.run = run
    this.holding.listen({
      onConfirmed: () => this.look(),
      onTaken: () => this.look(),
      onLeave: (buckets) =>
        Effect.suspend(() => {
          const rows = this.queue.filter(({ lane }) => buckets.has(Lane.bucket(lane)))
          for (const row of rows) this.queue.splice(this.queue.indexOf(row), 1)
          return rows.length === 0 ? Effect.void : this.giveBack(rows)
        })
    })
    this.look()
  }

  private get holding(): Holding {
    return this.lease.holding!
  }

  get isIdle(): boolean {
    return this.held.size === 0 && this.pending === 0 && !this.isClaiming
  }

  /** Begins nothing more and claims nothing more; what is on its way ends. */
  stop(): void {
    this.isEnding = true
    for (const withdraw of this.withdraws.values()) withdraw()
    const rows = this.queue.splice(0)
    if (rows.length > 0) this.run(this.giveBack(rows))
  }

  /** Offers what it could do now. */
  look(): void {
    if (this.isEnding) return
    if (!this.isClaiming && this.queue.length < 2) this.can("claims", () => this.claim())
    if (this.queue.length > 0) this.can("begins", () => this.begin())
    if (this.isIdle) this.can("sweeps", () => this.sweep())
  }

  private can(what: string, run: () => void): void {
    if (this.withdraws.has(what)) return
    const withdraw = this.database.offer(`${this.who} ${what}`, () => {
      this.withdraws.delete(what)
      run()
    })
    this.withdraws.set(what, () => {
      withdraw()
      this.withdraws.delete(what)
    })
  }

  private claim(): void {
    if (this.isClaiming) return
    this.isClaiming = true
    const quotas = this.lanes.map((lane) => ({ bucket: Lane.bucket(lane), lane, limit: 1 }))
    const reclaimed = this.isInDoubt ? this.lease.reclaim((seq) => this.held.has(seq), Infinity) : Effect.succeed(0)
    this.run(
      Effect.andThen(reclaimed, () => {
        this.isInDoubt = false
        return this.lease.claim(quotas, 0)
      }).pipe(
        Effect.matchEffect({
          onFailure: () => Effect.sync(() => (this.isInDoubt = true)),
          onSuccess: ({ rows }) => {
            for (const row of rows) this.held.add(row.seq)
            if (this.isEnding) return rows.length === 0 ? Effect.void : this.giveBack(rows)
            this.queue.push(...rows)
            return Effect.void
          }
        }),
        Effect.andThen(
          Effect.sync(() => {
            this.isClaiming = false
            // Not again and again while there is nothing to have.
            if (this.queue.length > 0) this.look()
          })
        )
      )
    )
  }

  /** Puts back what it does not know of: a claim whose answer was lost and that was executed behind the search for it. */
  private sweep(): void {
    if (!this.isIdle) return
    this.isClaiming = true
    this.run(
      Effect.ignore(this.lease.reclaim((seq) => this.held.has(seq), this.database.isLate ? Infinity : aWhile)).pipe(
        Effect.andThen(
          Effect.sync(() => {
            this.isClaiming = false
            if (!this.isEnding) this.can("claims", () => this.claim())
          })
        )
      )
    )
  }

  private begin(): void {
    const row = this.queue[0]
    // What is not confirmed waits; a confirmation has it looked at again.
    if (row === undefined || !this.holding.isConfirmed() || this.holding.left(this.worth) < 1) return
    this.queue.shift()
    this.holding.spend(1, this.worth)
    this.database.begin(row.seq, this.owner)
    this.begun.add(row)
    this.database.later(`${this.who} ends ${row.seq}`, () => {
      this.begun.delete(row)
      const end = { seq: row.seq, epoch: row.epoch, attempts: row.attempts, state: "accepted" } as Settlement
      this.pending++
      this.run(
        this.persist(this.lease.settle([end])).pipe(
          Effect.andThen(
            Effect.sync(() => {
              this.pending--
              this.database.onWire.delete(this.database.row(row.seq))
              this.held.delete(row.seq)
              this.look()
            })
          )
        )
      )
    })
    this.look()
  }

  private giveBack(rows: ReadonlyArray<ClaimedRow>): Effect.Effect<void> {
    return Effect.andThen(
      this.persist(this.lease.release(rows)),
      Effect.sync(() => {
        for (const { seq } of rows) this.held.delete(seq)
        this.look()
      })
    )
  }

  private persist<A>(effect: Effect.Effect<A, OutboxError.OutboxError>): Effect.Effect<A> {
    return Effect.catch(effect, () => this.persist(effect))
  }
}

/** What is due to happen without a choice has happened. */
export const settled = async (): Promise<void> => {
  for (let i = 0; i < 2; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** Choices drawn from a seed (mulberry32); also for `Math.random`. */
export const randomOf = (seed: number): (() => number) => {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

/**
 * Runs with every sequence of choices; returns how many runs there were. A run ends early where `isKnown` of its state:
 * all that follows from it is tried by another.
 */
export const explore = async (
  run: (choose: Choose, isKnown: (state: string) => boolean) => Promise<void>
): Promise<number> => {
  const path: Array<{ choice: number; readonly count: number }> = []
  const known = new Set<string>()
  for (let runs = 1; ; runs++) {
    const repeated = path.length
    let depth = 0
    const choose: Choose = (count) => {
      path[depth] ??= { choice: 0, count }
      return path[depth++]!.choice
    }
    await run(choose, (state) => {
      if (depth < repeated) return false
      const isKnown = known.has(state)
      known.add(state)
      return isKnown
    })
    path.length = depth
    while (path.length > 0 && path.at(-1)!.choice + 1 >= path.at(-1)!.count) path.pop()
    const last = path.at(-1)
    if (last === undefined) return runs
    last.choice++
  }
}
