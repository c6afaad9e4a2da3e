/**
 * The meaning of an attempt's end for the flow: nothing, a complaint of the lane or relay, or a failure of the relay.
 *
 * @since 0.1.0
 */

import type * as Delivery from "mailrace/Delivery"
import * as MailError from "mailrace/MailError"
import * as RecipientLedger from "mailrace/RecipientLedger"
import type * as Reply from "mailrace/Reply"
import * as ReplyMeaning from "mailrace/ReplyMeaning"
import * as AskedLimits from "./AskedLimits.ts"

/**
 * The meaning of an attempt.
 *
 * @since 0.1.0
 */
export type Feedback = Meaning & {
  /** The limits that the replies ask for; absent if they ask for none. */
  readonly asked?: ReadonlyArray<AskedLimits.AskedLimits> | undefined
  /** For how many milliseconds a rule leaves the whole relay alone; absent if none does. */
  readonly relayPauseMs?: number | undefined
  /** The lane that a rule leaves alone, and for how many milliseconds; absent if none does. */
  readonly lanePause?: LanePause | undefined
}

/**
 * A lane that is left alone for a time.
 *
 * @since 0.2.0
 */
export interface LanePause {
  /** The recipient's domain, in lower case. */
  readonly lane: string
  readonly ms: number
}

type Meaning =
  /** The relay took the message. */
  | { readonly _tag: "Success" }
  /** The relay answered about the message alone, or nothing was learned. */
  | { readonly _tag: "Neutral" }
  /** The message was put off for a reason of its own; only a series of these says something. */
  | { readonly _tag: "Deferral" }
  /** The relay asks to slow down, or is too slow: 421, 4.7.x, 4.3.2, 4.4.5, a timeout, a lost connection. */
  | { readonly _tag: "Complaint"; readonly about: "rate" | "load"; readonly askedMs: number }
  /** The relay itself failed: no connection, no TLS, no login. */
  | { readonly _tag: "RelayFailure"; readonly askedMs: number }

/**
 * The meaning of a receipt.
 *
 * @since 0.1.0
 */
export const success: Feedback = { _tag: "Success" }

/**
 * The meaning of an attempt from which nothing was learned.
 *
 * @since 0.1.0
 */
export const neutral: Feedback = { _tag: "Neutral" }

const deferral: Meaning = { _tag: "Deferral" }

/**
 * The meaning of a failed attempt.
 *
 * @since 0.1.0
 */
export const fromError = (error: MailError.MailError): Feedback => {
  const meaning = complaints.has(error) ? complaintOf(error.retryAfter) : meaningOf(error)
  return withRules(meaning, AskedLimits.of(error), relayPauses.get(error), lanePauses.get(error))
}

/**
 * The meaning of an attempt that the relay took for at least one recipient. Its replies to the others concern those alone, unless
 * a rule has them pause the lane (`complain`) or asks for limits.
 *
 * @since 0.2.0
 */
export const fromRecipients = (recipients: ReadonlyArray<MailError.RecipientOutcome>): Feedback => {
  if (recipients.length < 2) return success
  const paused = recipients.filter(complains)
  const meaning = paused.length === 0 ? success : complaintOf(RecipientLedger.retryAfterOf(paused))
  const pauses = recipients.flatMap((recipient) => relayPauses.get(recipient) ?? [])
  return withRules(
    meaning,
    recipients.flatMap(AskedLimits.of),
    pauses.length === 0 ? undefined : Math.max(...pauses),
    longestOf(recipients)
  )
}

const withRules = (
  meaning: Meaning,
  asked: ReadonlyArray<AskedLimits.AskedLimits>,
  relayPauseMs: number | undefined,
  lanePause: LanePause | undefined
): Feedback =>
  asked.length === 0 && relayPauseMs === undefined && lanePause === undefined
    ? meaning
    : {
        ...meaning,
        ...(asked.length === 0 ? {} : { asked }),
        ...(relayPauseMs === undefined ? {} : { relayPauseMs }),
        ...(lanePause === undefined ? {} : { lanePause })
      }

/**
 * The meaning of a delivery of one attempt.
 *
 * @since 0.2.0
 */
export const fromDelivery = (delivery: Delivery.Delivery): Feedback =>
  delivery._tag === "Accepted" ? fromRecipients(delivery.recipients) : fromError(delivery.error)

const complaints = new WeakSet<AskedLimits.Replied>()

/**
 * Marks a reply as a complaint about the lane's rate, whatever its words.
 *
 * @since 0.2.0
 */
export const complain = (replied: AskedLimits.Replied): void => void complaints.add(replied)

/**
 * True if `complain` has marked it.
 *
 * @since 0.2.0
 */
export const complains = (replied: AskedLimits.Replied): boolean => complaints.has(replied)

const relayPauses = new WeakMap<AskedLimits.Replied, number>()

/**
 * Marks a reply after which the whole relay is left alone for this many milliseconds. Returns the source of the reply.
 *
 * @since 0.2.0
 */
export const pauseRelay = <A extends AskedLimits.Replied>(replied: A, ms: number): A => {
  relayPauses.set(replied, Math.max(ms, relayPauses.get(replied) ?? 0))
  return replied
}

/**
 * For how many milliseconds the whole relay is left alone; `undefined` without `pauseRelay`.
 *
 * @since 0.2.0
 */
export const relayPauseOf = (replied: AskedLimits.Replied): number | undefined => relayPauses.get(replied)

const lanePauses = new WeakMap<AskedLimits.Replied, LanePause>()

/**
 * Marks a reply after which a lane is left alone for this many milliseconds. Returns the source of the reply.
 *
 * @since 0.2.0
 */
export const pauseLane = <A extends AskedLimits.Replied>(replied: A, pause: LanePause): A => {
  lanePauses.set(replied, pause)
  return replied
}

/**
 * The longest pause of a lane that replies to recipients ask for; `undefined` without any `pauseLane`.
 *
 * @since 0.2.0
 */
export const longestOf = (replies: ReadonlyArray<AskedLimits.Replied>): LanePause | undefined => {
  let longest: LanePause | undefined
  for (const replied of replies) {
    const pause = lanePauses.get(replied)
    if (pause !== undefined && pause.ms > (longest?.ms ?? 0)) longest = pause
  }
  return longest
}

const complaintOf = (askedMs = 0): Meaning => ({ _tag: "Complaint", about: "rate", askedMs })

const meaningOf = (error: MailError.MailError): Meaning => {
  const askedMs = error.retryAfter ?? 0
  // A relay that refuses this client may do so for some recipients only, as for those that it does not relay to.
  if (error.reason._tag === "ConnectFailed" && error.reason.kind === "client") return deferral
  if (MailError.isAboutRelay(error)) return { _tag: "RelayFailure", askedMs }
  // Greylisting is about one sender and recipient; a lane full of new recipients is greylisted one by one.
  if (!error.isRetryable || (error.reply !== undefined && isGreylisting(error.reply))) return { _tag: "Neutral" }
  switch (error.reason._tag) {
    case "Throttled":
    case "QuotaExceeded":
      return { _tag: "Complaint", about: "rate", askedMs }
    case "Timeout":
    case "ConnectionLost":
      return { _tag: "Complaint", about: "load", askedMs }
    default:
      return deferral
  }
}

/**
 * True if the error is about the relay or the transport, and not about the message: `MailError.isAboutRelay`.
 *
 * @since 0.1.0
 */
export const isAboutRelay: (error: MailError.MailError) => boolean = MailError.isAboutRelay

/**
 * True if the relay greylists: it asks every sender that it does not know to come back later.
 *
 * @since 0.1.0
 */
export const isGreylisting = (reply: Reply.Reply): boolean =>
  reply.code >= 400 && ReplyMeaning.of(reply, "rcpt").about === "greylisted"
