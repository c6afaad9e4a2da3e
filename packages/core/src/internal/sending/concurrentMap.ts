/**
 * Runs an effect for each element of a stream, several at once, and ends in good order.
 *
 * `Stream.mapEffect` closes its fibers one after the other, the newest first, and takes elements until the last of them has
 * ended. It begins an element that comes meanwhile and waits for it no more: a mail went out whose end reached nobody.
 * Here the end stops the source and interrupts all fibers at the same moment, and it waits for every one of them.
 */
import * as Arr from "effect/Array"
import type * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"

/** How many effects run at once, from 1, and whether their results come in the order of the elements. */
export interface Options {
  readonly concurrency: number
  readonly ordered: boolean
}

/** Maps a stream's elements, given with their index, by an effect. */
export const concurrentMap = <A, E, R, B>(
  elements: Stream.Stream<A, E, R>,
  f: (element: A, index: number) => Effect.Effect<B>,
  options: Options
): Stream.Stream<B, E, R> => {
  const concurrency = Math.min(options.concurrency, Number.MAX_SAFE_INTEGER)
  if (concurrency <= 1) return Stream.mapEffect(elements, f)
  const run = options.ordered ? inOrder : asTheyEnd
  return Stream.fromChannel(
    Channel.fromTransformBracket(
      Effect.fnUntraced(function* (upstream, scope, ownScope) {
        const pull = yield* Channel.toTransform(Channel.flattenArray(Stream.toChannel(elements)))(upstream, scope)
        const fork = Effect.runForkWith(yield* Effect.context<R>())
        const fibers = new Set<Fiber.Fiber<unknown, unknown>>()
        let index = 0
        let isEnding = false
        const begin: Begin<A, B> = (element, around) => {
          if (isEnding) return Effect.interrupt
          const fiber = fork(around(Effect.suspend(() => f(element, index++))))
          fibers.add(fiber)
          fiber.addObserver(() => fibers.delete(fiber))
          return Effect.succeed(fiber)
        }
        const { results, taking } = yield* run(pull, begin, concurrency)
        const taker = yield* Effect.forkIn(taking, ownScope)
        // Added last, so that it runs first.
        yield* Scope.addFinalizer(
          ownScope,
          Effect.suspend(() => {
            isEnding = true
            return Fiber.interruptAll([taker, ...fibers])
          })
        )
        return Effect.map(results, Arr.of)
      })
    )
  )
}

/** Begins the effect of an element in a fiber of its own. */
type Begin<A, B> = <C, D>(
  element: A,
  around: (effect: Effect.Effect<B>) => Effect.Effect<C, D>
) => Effect.Effect<Fiber.Fiber<C, D>>

type Pull<A, E, R> = Effect.Effect<A, E | Cause.Done<void>, R>

/** Takes elements while fewer than `concurrency` are on their way; a result is on its way until it is taken. */
const asTheyEnd = Effect.fnUntraced(function* <A, E, R, B>(
  pull: Pull<A, E, R>,
  begin: Begin<A, B>,
  concurrency: number
) {
  const ended = yield* Queue.bounded<B, E | Cause.Done<void>>(0)
  const places = Semaphore.makeUnsafe(concurrency)
  const leave = places.release(1)
  const hand = (effect: Effect.Effect<B>) =>
    Effect.matchCauseEffect(effect, {
      onFailure: (cause) => Effect.flatMap(Queue.failCause(ended, cause), () => leave),
      onSuccess: (result) => Effect.flatMap(Queue.offer(ended, result), () => leave)
    })
  const taking = places.take(1).pipe(
    Effect.andThen(pull),
    Effect.flatMap((element) => begin(element, hand)),
    Effect.forever({ disableYield: true }),
    // The source has ended or failed: what is on its way comes first.
    Effect.catchCause((cause) => places.withPermits(concurrency - 1)(Queue.failCause(ended, cause)))
  )
  return { taking, results: Queue.take(ended) }
})

/** The same, each result after those of all elements before it. */
const inOrder = Effect.fnUntraced(function* <A, E, R, B>(pull: Pull<A, E, R>, begin: Begin<A, B>, concurrency: number) {
  // Beside those that wait here, one is being offered and one awaited.
  const begun = yield* Queue.bounded<Effect.Effect<B>, E | Cause.Done<void>>(concurrency - 2)
  const taking = pull.pipe(
    Effect.flatMap((element) => begin(element, (effect) => effect)),
    Effect.flatMap((fiber) => Queue.offer(begun, Fiber.join(fiber))),
    Effect.forever({ disableYield: true }),
    Effect.catchCause((cause) => Queue.failCause(begun, cause))
  )
  return { taking, results: Effect.flatten(Queue.take(begun)) }
})
