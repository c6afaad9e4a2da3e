/**
 * `Stream.mapEffect` with an orderly end.
 *
 * When a consumer of `Stream.mapEffect` is interrupted, the stream closes its fibers one after the other, the newest first,
 * and takes elements until the last one has ended. It forks what arrives meanwhile into a scope that is already closed, so
 * nothing awaits it: under load, a Ctrl-C left up to 20 messages on the wire whose outcome reached no one.
 *
 * Here the consumer never waits inside of `mapEffect`. It waits outside until a result is at hand, so that an interrupt
 * ends the messages first: no element is started any more, and all fibers in flight are interrupted at the same moment and
 * awaited.
 */

import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

/** How many effects run at once, from 1, and whether their results keep the order of the elements. */
export interface Options {
  readonly concurrency: number
  readonly ordered: boolean
}

/** Maps each element, given with its index, by an effect. */
export const mapInFlight = <A, E, R, B>(
  elements: Stream.Stream<A, E, R>,
  f: (element: A, index: number) => Effect.Effect<B>,
  { concurrency, ordered }: Options
): Stream.Stream<B, E, R> => {
  // The effect then runs in the consumer's own fiber, which ends before the stream does.
  if (concurrency <= 1) return Stream.mapEffect(elements, f)
  return Stream.suspend(() => {
    const flight = new Flight(ordered ? new InOrder() : new AsTheyEnd())
    const source = Stream.onExit(elements, () => flight.sourceEnded)
    const mapped = Stream.mapEffect(source, (element, index) => flight.start(f, element, index), {
      concurrency,
      unordered: !ordered
    })
    return Stream.transformPull(mapped, (pull, scope) =>
      Effect.as(Scope.addFinalizer(scope, flight.end), flight.pullWhenAtHand(Effect.uninterruptible(pull)))
    )
  })
}

/** The effects that have started and not ended. */
class Flight {
  private readonly results: Results
  private readonly fibers = new Set<Fiber.Fiber<unknown, unknown>>()
  private running = 0
  private isSourceEnded = false
  private isEnding = false
  private wake: (() => void) | undefined

  constructor(results: Results) {
    this.results = results
  }

  /** Starts the effect of an element, unless the stream is ending. */
  start<A, B>(f: (element: A, index: number) => Effect.Effect<B>, element: A, index: number): Effect.Effect<B> {
    return Effect.withFiber((fiber) => {
      // It keeps its place, so that no further element is taken.
      if (this.isEnding) return Effect.never
      this.running++
      this.fibers.add(fiber)
      // A fiber that succeeds exits only after its result was pulled; one that dies or is interrupted ends the stream.
      fiber.addObserver((exit) => {
        this.fibers.delete(fiber)
        if (exit._tag === "Failure") this.finish(index)
      })
      return Effect.map(f(element, index), (result) => {
        this.finish(index)
        return result
      })
    })
  }

  /** The source has no more elements, or failed. */
  readonly sourceEnded = Effect.sync(() => {
    this.isSourceEnded = true
    this.wake?.()
  })

  /** Pulls as soon as the pull yields at once: a result, or the end after the last result. */
  pullWhenAtHand<A, E, R>(pull: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const waiting = Effect.flatMap(this.nextResult, () => pull)
    return Effect.suspend(() => (this.takeResult() ? pull : waiting))
  }

  private readonly nextResult = Effect.callback<void>((resume) => {
    this.wake = () => {
      if (!this.takeResult()) return
      this.wake = undefined
      resume(Effect.void)
    }
    return this.end
  })

  /** Starts nothing more, interrupts all that is in flight at once, and awaits it. */
  readonly end: Effect.Effect<void> = Effect.suspend(() => {
    this.isEnding = true
    return Fiber.interruptAll(this.fibers)
  })

  private finish(index: number): void {
    this.running--
    this.results.add(index)
    this.wake?.()
  }

  private takeResult(): boolean {
    return this.results.take() || (this.isSourceEnded && this.running === 0)
  }
}

/** Which results have not been taken. */
interface Results {
  readonly add: (index: number) => void
  /** Takes the next one; false when it has to be awaited. */
  readonly take: () => boolean
}

class AsTheyEnd implements Results {
  private count = 0

  add(): void {
    this.count++
  }

  take(): boolean {
    if (this.count === 0) return false
    this.count--
    return true
  }
}

class InOrder implements Results {
  private readonly ended = new Set<number>()
  private next = 0

  add(index: number): void {
    this.ended.add(index)
  }

  take(): boolean {
    if (!this.ended.delete(this.next)) return false
    this.next++
    return true
  }
}
