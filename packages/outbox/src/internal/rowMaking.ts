/**
 * Makes the row of a mail that is to be enqueued.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Sendable } from "mailrace/Mailer"
import type { EnqueueOptions } from "../EnqueueOptions.ts"
import * as Lane from "../Lane.ts"
import { priorities } from "../OutboxEntry.ts"
import * as OutboxError from "../OutboxError.ts"
import type { NewRow } from "../OutboxStore.ts"
import type { PayloadCodec } from "../Payload.ts"
import { traceparent } from "./attemptTrace.ts"
import * as OutboxId from "./outboxId.ts"

/** What a row is given when its options say nothing. */
export interface Defaults {
  readonly expiryMs: number
  readonly laneBy: "domain" | "tenant"
}

/** Makes rows; fails with `InvalidMail`. */
export const make =
  (codec: PayloadCodec, { expiryMs, laneBy }: Defaults) =>
  (mail: Sendable, options: EnqueueOptions = {}): Effect.Effect<NewRow, OutboxError.OutboxError> =>
    Effect.withFiber((fiber) => {
      const now = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
      const dueAt = options.sendAt?.getTime() ?? now
      const expiresAt = options.expiresAt?.getTime() ?? Math.max(dueAt, now) + expiryMs
      if (Number.isNaN(dueAt)) return Effect.fail(OutboxError.invalid("sendAt", "is no valid date"))
      if (!(expiresAt > Math.max(dueAt, now))) {
        return Effect.fail(OutboxError.invalid("expiresAt", "is no date after the mail is due"))
      }
      const id = OutboxId.make(now)
      const tenant = options.tenant ?? mail.tenant ?? ""
      const trace = traceparent(fiber)
      return Effect.map(
        codec.encode(mail, id, options.render),
        ({ content, envelope, messageId, recipient, shared, size }) => {
          const lane = options.lane ?? (laneBy === "domain" ? Lane.ofAddress(recipient) : tenant)
          return {
            id,
            tenant,
            key: options.idempotencyKey,
            lane,
            bucket: Lane.bucket(lane),
            priority: priorities.indexOf(options.priority ?? "normal"),
            recipient,
            messageId,
            dueAt,
            expiresAt,
            createdAt: now,
            trace,
            envelope,
            content,
            shared,
            size
          }
        }
      )
    })
