/**
 * Ctrl-C, once and twice; SIGTERM counts the same.
 *
 * A command that can finish in order waits for `first` and starts no more work; one that must save something even at a
 * hard stop waits for `second`. A signal without a waiter has its default effect: the first interrupts the command, the
 * second ends the process at once. A third signal always ends it, and so does the second, a second later.
 *
 * SIGHUP, which arrives when the terminal or the ssh session closes, counts as a first signal and never as a second one,
 * because the kernel and the shell both send it, a moment apart. Node undoes the effect of nohup, so finishing in order is
 * the best that is possible. A service that reads its configuration anew at SIGHUP takes `hangups`.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Queue from "effect/Queue"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { ExitStatus } from "./CommandError.ts"

/** SIGINT, SIGTERM and SIGHUP as events. */
export class Interrupts extends Context.Service<
  Interrupts,
  {
    /** Completes at the first signal, or at once if it has arrived already. */
    readonly first: Effect.Effect<void>
    /** Completes at the second signal. */
    readonly second: Effect.Effect<void>
    /** Takes SIGHUP, which then has no other effect, for as long as the scope lasts; several in a row are one. */
    readonly hangups: Effect.Effect<Queue.Dequeue<void>, never, Scope.Scope>
  }
>()("@mailrace/cli/Interrupts") {}

/** Runs an effect at the first signal and another at the second, while the scope is open. */
export const handle = Effect.fnUntraced(function* (handlers: {
  readonly first: Effect.Effect<void>
  readonly second: Effect.Effect<void>
}) {
  const { first, second } = yield* Interrupts
  yield* Effect.forkScoped(Effect.andThen(first, handlers.first), { startImmediately: true })
  yield* Effect.forkScoped(Effect.andThen(second, handlers.second), { startImmediately: true })
})

/** Runs a last effect, whether it fails or not, and ends the process: for the second signal. */
export const exitAfter = <A, E, R>(
  last: (value: A) => Effect.Effect<unknown, E, R>
): Effect.Effect<(value: A) => Effect.Effect<void>, never, R> =>
  Effect.map(
    Effect.context<R>(),
    (context) => (value) =>
      Effect.andThen(
        Effect.ignore(Effect.provideContext(last(value), context)),
        Effect.sync(() => process.exit(stoppedStatus))
      )
  )

/** The status of a process that was stopped. */
export const stoppedStatus = 130

/** The time for handlers of the second signal, in milliseconds. */
const lastMomentMs = 1000

/**
 * True if an older Node started this one (see `bin/mailrace.js`). It forwards signals, and a terminal sends Ctrl-C to
 * both processes, so that one Ctrl-C arrives twice at the same moment.
 */
const isHandedOver = process.env["MAILRACE_HANDED_OVER"] === "1"
const echoMs = 100

/** Runs the command as the process's main program and sets its exit status. */
export const runMain = <E>(main: Effect.Effect<void, E, Interrupts>): void => {
  const signals = new Signals()
  const run = Runtime.makeRunMain(({ fiber, teardown }) => {
    const onSignal = (): void => signals.arrive(() => fiber.interruptUnsafe(fiber.id))
    const onHangup = (): void => {
      if (!signals.hangUp() && !signals.haveArrived) onSignal()
    }
    process.on("SIGINT", onSignal)
    process.on("SIGTERM", onSignal)
    process.on("SIGHUP", onHangup)
    // Writing to a closed terminal fails (EIO), which must not end the process while it finishes its work.
    process.stderr.on("error", () => {})
    fiber.addObserver((exit) => {
      process.off("SIGINT", onSignal)
      process.off("SIGTERM", onSignal)
      process.off("SIGHUP", onHangup)
      teardown(exit, exitWhenWritten)
    })
  })
  run(Effect.provideService(main, Interrupts, signals.service), { disableErrorReporting: true, teardown })
}

/** Ends the process once standard output has taken all: what a pipe has not taken by then would be lost. */
const exitWhenWritten = (status: number): void => {
  if (process.stdout.writableLength === 0) return process.exit(status)
  process.stdout.on("error", () => {})
  process.stdout.write("", () => process.exit(status))
}

const teardown: Runtime.Teardown = (exit, onExit) => {
  if (Exit.isSuccess(exit)) return onExit(0)
  if (Cause.hasInterruptsOnly(exit.cause)) return onExit(stoppedStatus)
  const error = Cause.squash(exit.cause)
  return onExit(error instanceof ExitStatus ? error.status : 2)
}

class Signals {
  private arrived = 0
  private arrivedAt = Number.NEGATIVE_INFINITY
  private readonly waiting: ReadonlyArray<Set<() => void>> = [new Set(), new Set()]

  /** True once a signal has arrived. */
  get haveArrived(): boolean {
    return this.arrived > 0
  }

  private readonly hangups = new Set<Queue.Queue<void>>()

  readonly service: Interrupts["Service"] = {
    first: this.nth(1),
    second: this.nth(2),
    hangups: Effect.acquireRelease(
      Effect.tap(Queue.sliding<void>(1), (queue) => Effect.sync(() => this.hangups.add(queue))),
      (queue) => Effect.sync(() => this.hangups.delete(queue))
    )
  }

  /** Passes SIGHUP to its takers; false if there are none. */
  hangUp(): boolean {
    for (const queue of this.hangups) Queue.offerUnsafe(queue, undefined)
    return this.hangups.size > 0
  }

  arrive(interrupt: () => void): void {
    const now = performance.now()
    if (isHandedOver && now - this.arrivedAt < echoMs) return
    this.arrivedAt = now
    this.arrived++
    const waiting = this.waiting[this.arrived - 1]
    if (waiting === undefined) return process.exit(stoppedStatus)
    if (waiting.size === 0) return this.arrived === 1 ? interrupt() : process.exit(stoppedStatus)
    if (this.arrived === 2) setTimeout(() => process.exit(stoppedStatus), lastMomentMs).unref()
    for (const resume of waiting) resume()
  }

  private nth(n: 1 | 2): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (this.arrived >= n) return resume(Effect.void)
      const waiting = this.waiting[n - 1]!
      const wake = (): void => {
        waiting.delete(wake)
        resume(Effect.void)
      }
      waiting.add(wake)
      return Effect.sync(() => waiting.delete(wake))
    })
  }
}
