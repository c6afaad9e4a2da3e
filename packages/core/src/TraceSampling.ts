/**
 * Chooses the mails to trace.
 *
 * Spans are the most expensive step of sending, so the choice is made once, at the root, before any span is built. A mail
 * that is not chosen builds none. A mail that is sent inside an existing span (an HTTP request, a job) follows that span's
 * choice.
 *
 * @since 0.1.0
 */

import * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"

/**
 * The share of mails to trace outside of any span, from 0 to 1. Defaults to 1.
 *
 * @since 0.1.0
 */
export const SampleRatio = Context.Reference<number>("mailrace/TraceSampling/SampleRatio", { defaultValue: () => 1 })

/**
 * Decides for a fiber if a mail gets spans: none without a tracer; else the surrounding span or the ratio decides.
 *
 * @since 0.1.0
 */
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
