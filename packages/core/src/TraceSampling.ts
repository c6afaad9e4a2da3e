/**
 * Which mails are traced.
 *
 * A span is the dearest thing that happens to a mail on its way, so the choice is made once, at the root, before any
 * span is built: a mail that is not chosen builds none. A mail sent inside a span that is already there (an HTTP
 * request, a job) follows that span's own choice.
 */

import * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"

/** The share of mails traced when there is no span around them, from 0 to 1. Defaults to 1. */
export const SampleRatio = Context.Reference<number>("mailrace/TraceSampling/SampleRatio", { defaultValue: () => 1 })

/** Whether a mail gets spans, as seen from a fiber: nothing listens, a span around decides, or the ratio does. */
export const decision = (fiber: Fiber.Fiber<unknown, unknown>): (() => boolean) => {
  if (fiber.cache.tracer === undefined) return () => false
  const around = fiber.cache.span
  if (around !== undefined) return () => around.sampled
  const ratio = fiber.getRef(SampleRatio)
  if (ratio >= 1) return () => true
  if (ratio <= 0) return () => false
  const random = fiber.getRef(Random.Random)
  return () => random.nextDoubleUnsafe() < ratio
}
