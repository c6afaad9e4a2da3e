/**
 * Makes the row of a new message.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Composed from "mailrace/Composed"
import * as Envelope from "mailrace/Envelope"
import * as MailError from "mailrace/MailError"
import type { Sendable } from "mailrace/Mailer"
import * as MimeComposer from "mailrace/MimeComposer"
import type { EnqueueOptions } from "../../EnqueueOptions.ts"
import * as Lane from "../../Lane.ts"
import { priorities } from "../../OutboxEntry.ts"
import * as OutboxError from "../../OutboxError.ts"
import type { NewRow } from "../../OutboxStore.ts"
import type { PayloadCodec } from "../../Payload.ts"
import { traceparent } from "../dispatch/attemptTrace.ts"
import * as OutboxId from "../store/outboxId.ts"

/** The defaults of a row. */
export interface Defaults {
  readonly expiryMs: number
  readonly laneBy: "domain" | "tenant"
}

/** Makes rows; fails with `InvalidMail`. */
export const make =
  (codec: PayloadCodec, { expiryMs, laneBy }: Defaults) =>
  (mail: Sendable, options: EnqueueOptions = {}): Effect.Effect<NewRow, OutboxError.OutboxError> =>
    Effect.withFiber((fiber) => {
      const fault = faultOf(mail) ?? faultOfOptions(options)
      if (fault !== undefined) return Effect.fail(fault)
      const now = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
      const dueAt = options.sendAt?.getTime() ?? now
      const expiresAt = options.expiresAt?.getTime() ?? Math.max(dueAt, now) + expiryMs
      if (Number.isNaN(dueAt)) return Effect.fail(OutboxError.invalid("sendAt", "is not a valid date"))
      if (!(expiresAt > Math.max(dueAt, now))) {
        return Effect.fail(OutboxError.invalid("expiresAt", "is not a date after the message is due"))
      }
      const id = OutboxId.make(now)
      const tenant = options.tenant ?? mail.tenant ?? ""
      const trace = traceparent(fiber)
      return Effect.map(
        encode(codec, mail, id, options.render),
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

/** Encodes a message. A defect becomes an error of the message, so that it never ends a stream of others. */
const encode = (codec: PayloadCodec, mail: Sendable, id: string, render: boolean | undefined) =>
  Effect.catchDefect(
    Effect.suspend(() => codec.encode(mail, id, render)),
    (defect) => Effect.fail(OutboxError.invalid("mail", `cannot be stored: ${MailError.describeThrown(defect)}`))
  )

/**
 * Returns the fault of a mail whose caller bypassed the types. Once it is sent, an error would no longer reach the caller.
 */
const faultOf = (mail: Sendable): OutboxError.OutboxError | undefined => {
  try {
    return faultOfUnsafe(mail)
  } catch (error) {
    return OutboxError.invalid("mail", `cannot be stored: ${MailError.describeThrown(error)}`)
  }
}

const faultOfUnsafe = (mail: Sendable): OutboxError.OutboxError | undefined => {
  if (typeof mail !== "object" || mail === null) return OutboxError.invalid("mail", "is not an object")
  if (!Composed.isComposed(mail)) {
    const reason = MimeComposer.findFault(mail)?.reason
    return reason?._tag === "InvalidMessage" ? OutboxError.invalid(reason.field, reason.problem) : undefined
  }
  if (!Composed.isWhole(mail))
    return OutboxError.invalid("mail", "looks composed but lacks a messageId, recipients or content")
  const fault = mail.envelope.dsn === undefined ? undefined : Envelope.dsnFault(mail.envelope.dsn)
  return fault && OutboxError.invalid(fault.field === "" ? "dsn" : `dsn.${fault.field}`, fault.problem)
}

const faultOfOptions = (options: EnqueueOptions): OutboxError.OutboxError | undefined => {
  for (const field of ["sendAt", "expiresAt"] as const)
    if (options[field] !== undefined && !(options[field] instanceof Date))
      return OutboxError.invalid(field, "is not a Date")
  return undefined
}
