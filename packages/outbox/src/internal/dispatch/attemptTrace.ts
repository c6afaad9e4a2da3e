/**
 * Links each attempt to the moment its message was enqueued, across hours and restarts.
 *
 * `enqueue` has a span of its own, `mailrace.outbox.enqueue`, which is stored with the message as a `traceparent`
 * (W3C Trace Context). Each attempt links its own span to it, and adds a span `mailrace.outbox.attempt` below it,
 * which links back. The trace of the request that caused a message therefore shows its whole history.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type * as Delivery from "mailrace/Delivery"
import * as TraceSampling from "mailrace/TraceSampling"

/** Enqueues a message within a span, if it is sampled. */
export const enqueueing = <A extends { readonly id: string; readonly duplicate: boolean }, E>(
  enqueue: Effect.Effect<A, E>
): Effect.Effect<A, E> =>
  Effect.withFiber((fiber) =>
    TraceSampling.decision(fiber)()
      ? Effect.useSpan("mailrace.outbox.enqueue", { kind: "producer" }, (span) =>
          Effect.map(Effect.withParentSpan(enqueue, span), (receipt) => {
            span.attribute("mailrace.outbox.id", receipt.id)
            span.attribute("mailrace.outbox.duplicate", receipt.duplicate)
            return receipt
          })
        )
      : enqueue
  )

/** The `traceparent` of the span around this fiber, if it is sampled. */
export const traceparent = (fiber: Fiber.Fiber<unknown, unknown>): string | undefined => {
  const span = fiber.cache.span
  return span === undefined || !span.sampled ? undefined : `00-${span.traceId}-${span.spanId}-01`
}

/** A delivery with the id of the trace in which its message was enqueued, unless the attempt has a trace of its own. */
export const withTraceId = (delivery: Delivery.Delivery, trace: string | undefined): Delivery.Delivery => {
  const traceId = delivery.traceId ?? (trace === undefined ? undefined : parse(trace)?.traceId)
  return traceId === delivery.traceId ? delivery : { ...delivery, traceId }
}

/** Records an attempt of a message in the trace of its enqueue. */
export const record = (trace: string, id: string, delivery: Delivery.Delivery): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    const tracer = fiber.cache.tracer
    const origin = parse(trace)
    if (tracer === undefined || origin === undefined) return Effect.void
    const around = fiber.cache.span
    if (around?._tag === "Span") around.addLinks([{ span: origin, attributes: {} }])
    return Effect.clockWith((clock) => {
      const end = clock.currentTimeNanosUnsafe()
      const span = tracer.span({
        name: "mailrace.outbox.attempt",
        parent: Option.some(origin),
        annotations: Context.empty(),
        links: around === undefined ? [] : [{ span: around, attributes: {} }],
        startTime: end - BigInt(Math.round(delivery.durationMs * 1_000_000)),
        kind: "consumer",
        root: false,
        sampled: true
      })
      span.attribute("mailrace.outbox.id", id)
      span.attribute("mailrace.outcome", delivery._tag.toLowerCase())
      if (delivery._tag !== "Accepted") span.attribute("error.type", delivery.error.reason._tag)
      span.end(end, Exit.void)
      return Effect.void
    })
  })

const parse = (trace: string): Tracer.ExternalSpan | undefined => {
  const [, traceId, spanId] = trace.split("-")
  return traceId === undefined || spanId === undefined
    ? undefined
    : Tracer.externalSpan({ traceId, spanId, sampled: true })
}
