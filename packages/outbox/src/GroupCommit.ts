/**
 * Turns many small writes into few transactions.
 *
 * A commit costs the same for one row as for hundreds, so concurrent callers share one. Each caller waits until its
 * own row is committed, so nothing is promised before it is on the disk.
 *
 * A batch is written when it has `maxRows`, or `maxDelay` after its first row, or at once when nothing is being written.
 * The last rule makes the delay rare: a lone caller never waits for company, and while one batch is being written the
 * next one fills by itself. Callers that run in the same turn of the event loop still meet in one batch.
 *
 * Callers that all wait for one batch leave the store idle until they come again, and are idle while it writes. So where
 * several batches may be written at once, many callers are dealt out in equal shares: one half is written while the
 * other half goes on. With 256 callers and SQLite this was measured at 1.2 to 1.35 times the rate for the same CPU time.
 * It costs a commit for each share, so it is done only while commits are quick.
 *
 * @example
 * ```ts
 * import * as GroupCommit from "@mailrace/outbox/GroupCommit"
 * import * as Effect from "effect/Effect"
 *
 * const program = Effect.gen(function* () {
 *   const group = yield* GroupCommit.make({
 *     write: (rows: ReadonlyArray<string>) => Effect.succeed(rows.map((row) => row.length))
 *   })
 *   // Both callers share one write; each resumes after the commit.
 *   return yield* Effect.all([group.submit("one"), group.submit("three")], { concurrency: 2 })
 * }).pipe(Effect.scoped)
 *
 * export const lengths = await Effect.runPromise(program)
 * ```
 *
 * @since 0.1.0
 */

import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"

/**
 * Options for grouping writes.
 *
 * @since 0.1.0
 */
export interface Options<Row, Answer, E> {
  /** Writes one batch and returns an answer for each row, in order. A failure is the failure of every row. */
  readonly write: (rows: ReadonlyArray<Row>) => Effect.Effect<ReadonlyArray<Answer>, E>
  /** Rows in a batch, at least 1. Defaults to 250. */
  readonly maxRows?: number | undefined
  /** The longest time that a row waits before its batch is written, in milliseconds. Defaults to 10. */
  readonly maxDelay?: number | undefined
  /** Batches being written at once, at least 1; a full batch waits for a place. Defaults to 1. */
  readonly parallel?: number | undefined
  /** How long the end of the scope waits for rows. Defaults to no bound. */
  readonly closing?: Closing<E> | undefined
}

/**
 * The end of a group whose writes may hang.
 *
 * @since 0.2.0
 */
export interface Closing<E> {
  /** The longest time that the end of the scope waits until all rows are written. */
  readonly timeout: Duration.Input
  /** The failure of a row after that time; `isBegun` is true if its batch is being written, so that it may get written. */
  readonly abandoned: (isBegun: boolean) => E
  /** Called then, with the number of rows that may get written and of those that will not. */
  readonly onAbandoned?: ((begun: number, waiting: number) => Effect.Effect<void>) | undefined
}

/**
 * Takes rows and writes them in groups.
 *
 * @since 0.1.0
 */
export interface GroupCommit<Row, Answer, E> {
  /** Writes a row; resumes with its answer after the commit. An interrupted caller's row is written all the same. */
  readonly submit: (row: Row) => Effect.Effect<Answer, E>
  /** Hands a row over without waiting; `onEnd` receives the exit of its batch. */
  readonly addUnsafe: (row: Row, onEnd: (exit: Exit.Exit<Answer, E>) => void) => void
  /** Writes rows that need not be in one transaction; resumes when the last of them is committed. */
  readonly submitAll: (rows: ReadonlyArray<Row>) => Effect.Effect<ReadonlyArray<Answer>, E>
  /** Resumes when nothing waits and nothing is being written. */
  readonly settled: Effect.Effect<void>
}

/**
 * Makes a group. When the scope closes, the waiting rows are written first, within `closing.timeout` if that is given.
 *
 * @since 0.1.0
 */
export const make = <Row, Answer, E>(
  options: Options<Row, Answer, E>
): Effect.Effect<GroupCommit<Row, Answer, E>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const group = new Group(options, Effect.runForkWith(yield* Effect.context<never>()))
    yield* Effect.addFinalizer(() => group.close(options.closing))
    return {
      submit: (row) => Effect.callback((resume) => group.add(row, resume)),
      addUnsafe: (row, onEnd) => group.add(row, onEnd),
      submitAll: (rows) => {
        if (rows.length === 0) return Effect.succeed([])
        return Effect.callback((resume) => {
          const answers: Array<Answer> = Array.from({ length: rows.length })
          let missing = rows.length
          rows.forEach((row, i) =>
            group.add(row, (exit) => {
              if (Exit.isFailure(exit)) return resume(Effect.failCause(exit.cause))
              answers[i] = exit.value
              if (--missing === 0) resume(Effect.succeed(answers))
            })
          )
        })
      },
      settled: group.settled
    }
  })

/** Fewer rows than this are not worth a commit of their own. */
const leastShare = 64

interface Waiting<Row, Answer, E> {
  readonly row: Row
  readonly resume: (exit: Exit.Exit<Answer, E>) => void
}

/** Rows that are being written. */
interface Batch<Row, Answer, E> {
  readonly rows: ReadonlyArray<Waiting<Row, Answer, E>>
  fiber: Fiber.Fiber<void> | undefined
}

class Group<Row, Answer, E> {
  private readonly write: Options<Row, Answer, E>["write"]
  private readonly maxRows: number
  private readonly maxDelay: number
  private readonly parallel: number
  private readonly fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  private waiting: Array<Waiting<Row, Answer, E>> = []
  private readonly batches = new Set<Batch<Row, Answer, E>>()
  /** The failure of rows that come after the end. */
  private refusal: (() => E) | undefined
  /** Rows being written. */
  private inFlight = 0
  /** The duration of the last write, in milliseconds. */
  private lastWrite = 0
  private turn: NodeJS.Immediate | undefined
  private delay: NodeJS.Timeout | undefined
  private overdue = false
  private idle: Array<() => void> = []

  constructor(options: Options<Row, Answer, E>, fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>) {
    this.write = options.write
    this.maxRows = options.maxRows ?? 250
    this.maxDelay = options.maxDelay ?? 10
    this.parallel = options.parallel ?? 1
    this.fork = fork
  }

  readonly settled: Effect.Effect<void> = Effect.callback((resume) => {
    if (this.waiting.length === 0 && this.writing === 0) resume(Effect.void)
    else this.idle.push(() => resume(Effect.void))
  })

  /** Waits for all rows; those that are not written in time are given up. */
  close(closing: Closing<E> | undefined): Effect.Effect<void> {
    if (closing === undefined) return this.settled
    return Effect.interruptible(this.settled).pipe(
      Effect.timeoutOption(closing.timeout),
      Effect.flatMap((settled) => (Option.isSome(settled) ? Effect.void : this.abandon(closing)))
    )
  }

  private abandon({ abandoned, onAbandoned }: Closing<E>): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.refusal = () => abandoned(false)
      const batches = [...this.batches]
      const begun = batches.flatMap(({ rows }) => rows)
      const waiting = this.waiting.splice(0)
      clearImmediate(this.turn)
      clearTimeout(this.delay)
      for (const { resume } of begun) resume(Exit.fail(abandoned(true)))
      for (const { resume } of waiting) resume(Exit.fail(abandoned(false)))
      // Not waited for: a write that hangs may hang when it is interrupted, too.
      for (const { fiber } of batches) fiber?.interruptUnsafe()
      return onAbandoned?.(begun.length, waiting.length) ?? Effect.void
    })
  }

  add(row: Row, resume: Waiting<Row, Answer, E>["resume"]): void {
    if (this.refusal !== undefined) return resume(Exit.fail(this.refusal()))
    this.waiting.push({ row, resume })
    this.consider()
  }

  private get writing(): number {
    return this.batches.size
  }

  private consider(): void {
    const { length } = this.waiting
    if (length === 0) return
    if (this.writing < this.parallel) {
      if (length >= this.maxRows || this.overdue || (this.writing > 0 && length >= this.share)) this.begin()
      // Begins in the next turn, so that all callers of this turn share the batch.
      else if (this.writing === 0) this.turn ??= setImmediate(() => this.begin())
    }
    if (this.waiting.length > 0 && this.parallel > 1) {
      this.delay ??= setTimeout(() => {
        this.overdue = true
        this.consider()
      }, this.maxDelay)
    }
  }

  /** The number of waiting rows that go into the next batch. */
  private get share(): number {
    if (this.parallel === 1 || this.lastWrite > this.maxDelay / 2) return this.maxRows
    const equal = Math.ceil((this.waiting.length + this.inFlight) / this.parallel)
    return Math.min(this.maxRows, Math.max(leastShare, equal))
  }

  private begin(): void {
    clearImmediate(this.turn)
    clearTimeout(this.delay)
    this.turn = undefined
    this.delay = undefined
    this.overdue = false
    const rows = this.waiting.splice(0, this.share)
    const batch: Batch<Row, Answer, E> = { rows, fiber: undefined }
    this.batches.add(batch)
    this.inFlight += rows.length
    const begin = performance.now()
    batch.fiber = this.fork(
      Effect.map(Effect.exit(Effect.suspend(() => this.write(rows.map(({ row }) => row)))), (exit) => {
        this.batches.delete(batch)
        this.inFlight -= rows.length
        this.lastWrite = performance.now() - begin
        if (Exit.isSuccess(exit)) rows.forEach(({ resume }, i) => resume(Exit.succeed(exit.value[i]!)))
        else for (const { resume } of rows) resume(Exit.failCause(exit.cause))
        this.consider()
        if (this.waiting.length === 0 && this.writing === 0) for (const done of this.idle.splice(0)) done()
      })
    )
    this.consider()
  }
}
