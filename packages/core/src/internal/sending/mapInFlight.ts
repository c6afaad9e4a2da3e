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
 *
 * This took a third of the sender's CPU while the consumer was woken by the first result of a batch, pulled each result alone,
 * and kept fibers in a set. Now it is woken by the batch and pulls it as a whole, and the record of an element in flight is
 * reused for a later one.
 */

import type * as Cause from "effect/Cause"
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
    const flight = new Flight<B>(ordered ? new InOrder() : new AsTheyEnd())
    const source = Stream.onExit(elements, () => flight.sourceEnded)
    const mapped = Stream.mapEffect(source, (element, index) => flight.start(f, element, index), {
      concurrency,
      unordered: !ordered
    })
    return Stream.transformPull(mapped, (pull, scope) =>
      Effect.as(Scope.addFinalizer(scope, flight.end), flight.pullAllAtHand(pull))
    )
  })
}

/** A non-empty chunk of a stream. */
type Chunk<A> = readonly [A, ...Array<A>]

/** The effects that have started and not ended. */
class Flight<B> {
  private readonly results: Results
  private readonly places: Array<Place<B>> = []
  private readonly free: Array<Place<B>> = []
  private running = 0
  private isSourceEnded = false
  /** A pull has failed whose failure the consumer has not got yet. */
  private hasFailed = false
  private isEnding = false
  private wake: (() => void) | undefined

  constructor(results: Results) {
    this.results = results
  }

  /** Starts the effect of an element, unless the stream is ending. `mapEffect` calls this in the element's own fiber. */
  start<A>(f: (element: A, index: number) => Effect.Effect<B>, element: A, index: number): Effect.Effect<B> {
    // It keeps its turn, so that no further element is taken.
    if (this.isEnding) return Effect.never
    this.running++
    const place = this.free.pop() ?? this.addPlace()
    place.fiber = Fiber.getCurrent()
    place.index = index
    return Effect.matchCauseEffect(effectOf(f, element, index), place)
  }

  /** The source has no more elements, or failed. */
  readonly sourceEnded = Effect.sync(() => {
    this.isSourceEnded = true
    this.wake?.()
  })

  /** Pulls as soon as the pull yields at once, and on as long as it does: results, or the end after the last result. */
  pullAllAtHand<E, R>(pull: Effect.Effect<Chunk<B>, E, R>): Effect.Effect<Chunk<B>, E, R> {
    let chunk: [B, ...Array<B>] | undefined
    const more = Effect.whileLoop({
      while: () => chunk!.length < longestChunk && this.results.take(),
      body: () => pull,
      step: ([result]) => void chunk!.push(result)
    })
    const taken = Effect.sync(() => chunk!)
    // After a failure each further pull fails in the same way, so that it comes again behind what was at hand before it.
    const all = Effect.andThen(
      Effect.catchCause(more, () =>
        Effect.sync(() => {
          this.hasFailed = true
        })
      ),
      taken
    )
    const atHand = Effect.uninterruptible(
      Effect.flatMap(pull, ([result]) => {
        chunk = [result]
        return all
      })
    )
    const waiting = Effect.flatMap(this.nextResult, () => atHand)
    return Effect.suspend(() => (this.takeResult() ? atHand : waiting))
  }

  /**
   * Waits for the next result, and lets the fibers that are ready run before it resumes: they often end a whole batch. Woken by
   * the first of them at once, the consumer waited a second time, inside of `mapEffect`.
   */
  private readonly nextResult: Effect.Effect<void> = Effect.andThen(
    Effect.callback<void>((resume) => {
      this.wake = () => {
        this.wake = undefined
        resume(Effect.yieldNow)
      }
      return this.end
    }),
    Effect.suspend(() => (this.takeResult() ? Effect.void : this.nextResult))
  )

  /** Starts nothing more, interrupts all that is in flight at once, and awaits it. */
  readonly end: Effect.Effect<void> = Effect.suspend(() => {
    this.isEnding = true
    return Fiber.interruptAll(this.places.flatMap(({ fiber }) => fiber ?? []))
  })

  private addPlace(): Place<B> {
    const place = new Place<B>((ended) => {
      this.free.push(ended)
      this.running--
      this.results.add(ended.index)
      this.wake?.()
    })
    this.places.push(place)
    return place
  }

  private takeResult(): boolean {
    return this.results.take() || this.hasFailed || (this.isSourceEnded && this.running === 0)
  }
}

/** An effect that cannot be made is one that dies. */
const effectOf = <A, B>(
  f: (element: A, index: number) => Effect.Effect<B>,
  element: A,
  index: number
): Effect.Effect<B> => {
  try {
    return f(element, index)
  } catch (defect) {
    return Effect.die(defect)
  }
}

/** The most results that are pulled together, so that a source whose effects end at once does not run on unseen. */
const longestChunk = 64

/** The record of an effect in flight. A set of fibers and closures for each effect cost several times as much. */
class Place<B> {
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  index = 0
  private readonly onEnd: (place: Place<B>) => void

  constructor(onEnd: (place: Place<B>) => void) {
    this.onEnd = onEnd
  }

  readonly onSuccess = (result: B): Effect.Effect<B> => {
    this.end()
    return Effect.succeed(result)
  }

  readonly onFailure = (cause: Cause.Cause<never>): Effect.Effect<never> => {
    this.end()
    return Effect.failCause(cause)
  }

  private end(): void {
    this.fiber = undefined
    this.onEnd(this)
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
