/**
 * Records the end of each message in Effect's metrics.
 */
import type * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import type * as Delivery from "../../Delivery.ts"
import type * as MailError from "../../MailError.ts"
import { boundaries, type Recorder, recorderOf } from "../../SendMetrics.ts"

// `Metric.withAttributes` would cost four times as much at each update.
const duration = (outcome: string) =>
  Metric.histogram("mailrace.send.duration", {
    description: "Time from the arrival of a mail to its outcome, with retries, in seconds",
    boundaries,
    attributes: { outcome, unit: "s" }
  })

const durations: Record<Delivery.Delivery["_tag"], Metric.Histogram<number>> = {
  Accepted: duration("accepted"),
  Rejected: duration("rejected"),
  Deferred: duration("deferred"),
  Unknown: duration("unknown")
}

type Reason = MailError.MailError["reason"]["_tag"]

const errors = new Map<Reason, Metric.Counter<number>>()

const errorsOf = (reason: Reason): Metric.Counter<number> => {
  let counter = errors.get(reason)
  if (counter === undefined) {
    counter = Metric.counter("mailrace.send.errors", {
      description: "Mails that no relay accepted, by reason",
      incremental: true,
      attributes: { reason }
    })
    errors.set(reason, counter)
  }
  return counter
}

/** Records in the registry of one context, while metrics are recorded. */
export class MailMetrics {
  private readonly context: Context.Context<never>
  private readonly recorder: Recorder

  static of(fiber: Fiber.Fiber<unknown, unknown>): MailMetrics {
    return new MailMetrics(fiber.context)
  }

  constructor(context: Context.Context<never>) {
    this.context = context
    this.recorder = recorderOf(context)
  }

  /** A message has ended. */
  ended(delivery: Delivery.Delivery): void {
    if (!this.recorder.isRecording) return
    durations[delivery._tag].updateUnsafe(delivery.durationMs / 1000, this.context)
    if (delivery._tag !== "Accepted") errorsOf(delivery.error.reason._tag).updateUnsafe(1, this.context)
  }
}
