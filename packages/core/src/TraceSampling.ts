/**
 * Chooses the messages to trace.
 *
 * Spans are the most expensive step of sending, so the choice is made once, at the root, before any span is built. A message
 * that is not chosen builds none. A message that is sent inside an existing span (an HTTP request, a job) follows that span's
 * choice.
 *
 * A ratio misses the messages that people look for: the failed one and the slow one. So a `Tail` may look at the messages that
 * were not chosen when they end, and have the spans of some written after the fact. Until then only times are kept of them.
 *
 * @since 0.1.0
 */

import * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import type * as Delivery from "./Delivery.ts"

/**
 * The share of messages to trace outside of any span, from 0 to 1. Defaults to 1.
 *
 * @since 0.1.0
 */
export const SampleRatio = Context.Reference<number>("mailrace/TraceSampling/SampleRatio", { defaultValue: () => 1 })

/**
 * A message that was not chosen and has ended.
 *
 * @since 0.2.0
 */
export interface EndedMail {
  readonly delivery: Delivery.Delivery
  /** The relay that had it last, as `host:port`; absent if none had. */
  readonly relay: string | undefined
  /** When it ended, in milliseconds since 1970. */
  readonly endedAt: number
  /** Writes its spans, with further attributes on the first, and gives the id of their trace. To be called once at most. */
  readonly write: (attributes: Readonly<Record<string, string | number>>) => string
}

/**
 * Looks at the messages that were not chosen. `end` may have a message's spans written now, and then gives the id of the trace,
 * or later. It must not throw.
 *
 * @since 0.2.0
 */
export interface TailWatch {
  readonly end: (mail: EndedMail) => string | undefined
}

/**
 * The watch over the messages that were not chosen. Defaults to none.
 *
 * @since 0.2.0
 */
export const Tail = Context.Reference<TailWatch | undefined>("mailrace/TraceSampling/Tail", {
  defaultValue: () => undefined
})

/**
 * Recipient domains, in lower case, that spans name: each other one is `other`. Defaults to none, and spans name no domain.
 *
 * @since 0.2.0
 */
export const RecipientDomains = Context.Reference<ReadonlySet<string>>("mailrace/TraceSampling/RecipientDomains", {
  defaultValue: () => new Set()
})

/**
 * Decides for a fiber if a message gets spans: none without a tracer; else the surrounding span or the ratio decides.
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

/**
 * The watch over the messages of a fiber for which `decision` says no: only where the ratio decides, and leaves any out.
 *
 * @since 0.2.0
 */
export const tailOf = (fiber: Fiber.Fiber<unknown, unknown>): TailWatch | undefined => {
  if (fiber.cache.tracer === undefined || fiber.cache.span !== undefined) return undefined
  const ratio = fiber.getRef(SampleRatio)
  return ratio > 0 && ratio < 1 ? fiber.getRef(Tail) : undefined
}
