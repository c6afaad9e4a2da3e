/**
 * The figures of a run: counts, latencies, and errors grouped so that a million of them fit on a screen.
 */
import type * as Delivery from "mailrace/Delivery"
import * as Screening from "mailrace/Screening"
import * as MailError from "mailrace/MailError"
import { type BadEntry, describe } from "../input/Entry.ts"
import * as Remedy from "../Remedy.ts"
import { Histogram } from "./Histogram.ts"

/** The outcome of a message. An `invalid` one never left this machine: a bad line, or a message that cannot be composed. */
export type Outcome = "accepted" | "rejected" | "deferred" | "unknown" | "invalid"

/** The outcome for a recipient of a message that was handed to a relay. */
export type RecipientOutcome = Exclude<Outcome, "invalid">

/** What held messages back, such as `--rate` or a recipient domain, and for how long. */
export interface HeldBack {
  readonly for: string
  readonly ms: number
}

/** Errors that have the same reason, reply code and enhanced code. */
export interface ErrorGroup {
  readonly reason: string
  readonly code: number | null
  readonly enhanced: string | null
  readonly remedy: string
  /** The first of them, in words. */
  readonly example: string
  count: number
}

/** Ends without an attempt: it expired, it cannot be read, or processes died while sending it and it may have arrived. */
export type UntriedEnd = "expired" | "invalid" | "unknown"

/** The descriptions of ends without an attempt. */
export const untriedWords: Readonly<
  Record<UntriedEnd, { readonly reason: string; readonly example: string; readonly remedy: string }>
> = {
  expired: {
    reason: "Expired",
    example: "it expired before it could be tried",
    remedy: "run the dispatcher before messages expire; mailrace outbox retry --state expired sends them anyway"
  },
  invalid: {
    reason: "Unreadable",
    example: "its stored content cannot be read",
    remedy: "look at it with mailrace outbox show, and enqueue the message again"
  },
  unknown: {
    reason: "ProcessDied",
    example: "it is given up because processes died again and again while sending it",
    remedy: "look for it in the relay's log before sending it again with mailrace outbox retry"
  }
}

/** Recipients of a message that are tried again. */
export type Owed = Pick<Record<RecipientOutcome, number>, "deferred" | "unknown">

/** The most groups; further errors are counted as `Other`. */
const maxGroups = 200

export class Tally {
  readonly counts: Record<Outcome, number> = { accepted: 0, rejected: 0, deferred: 0, unknown: 0, invalid: 0 }
  /** Recipients by how they ended, of the messages that are counted and not invalid. */
  readonly recipients: Record<RecipientOutcome, number> = { accepted: 0, rejected: 0, deferred: 0, unknown: 0 }
  /** Recipients that were dropped, and messages that had no other recipient; the counts exclude them. */
  readonly screening = Screening.makeTally()
  /** The time from start to end of each message that was handed to a relay. */
  readonly latency = new Histogram()
  /** Takes each of these times too. */
  onLatency: ((ms: number) => void) | undefined
  /** Bytes of the content that relays accepted. */
  bytes = 0
  /** Attempts beyond the first. */
  retries = 0
  /** Accepted messages that the outbox has not recorded as accepted. */
  unrecorded = 0
  /** The limits that held messages back, and for how long. */
  waits: ReadonlyArray<HeldBack> = []
  /** Messages that expired before they could be tried. */
  expired = 0
  private readonly groups = new Map<string, ErrorGroup>()

  /** All messages and bad lines that have ended. */
  get total(): number {
    const { accepted, rejected, deferred, unknown, invalid } = this.counts
    return accepted + rejected + deferred + unknown + invalid + this.expired
  }

  /** Messages that were handed to a relay and have ended. */
  get sent(): number {
    return this.total - this.counts.invalid - this.expired
  }

  /** The groups, the most frequent first. */
  get errors(): ReadonlyArray<ErrorGroup> {
    return [...this.groups.values()].sort((a, b) => b.count - a.count)
  }

  /**
   * Counts the end of a message. `place` is its place in the input, as in `line 3`; `addressed` is the number of
   * recipients that it was handed over for. Recipients that the relay did not answer for share the message's outcome.
   * `known` is the outcome if an earlier attempt has settled it.
   */
  delivery(delivery: Delivery.Delivery, place: string, addressed = 1, known?: Outcome): Outcome {
    const last = outcomeOf(delivery)
    const outcome = known ?? last
    this.counts[outcome]++
    for (const recipient of delivery.recipients) this.recipients[recipient.outcome]++
    if (last !== "invalid") this.recipients[last] += Math.max(0, addressed - delivery.recipients.length)
    if (delivery.attempts > 0) {
      this.latency.record(delivery.durationMs)
      this.onLatency?.(delivery.durationMs)
    }
    if (delivery.attempts > 1) this.retries += delivery.attempts - 1
    if (delivery._tag === "Accepted") {
      this.bytes += delivery.size
      this.refusedRecipients(delivery, place)
    } else {
      this.error(delivery.error, place)
    }
    return outcome
  }

  /** Takes an outcome back: a message that had ended so is tried again for the recipients that are `owed` it. */
  takeBack(outcome: Outcome, owed: Owed): void {
    this.counts[outcome]--
    this.recipients.deferred -= owed.deferred
    this.recipients.unknown -= owed.unknown
  }

  /** Counts a line that is not a message. */
  badEntry(entry: BadEntry): void {
    this.counts.invalid++
    this.group("BadLine", undefined, () => ({
      example: describe(entry),
      remedy: "correct the lines named above and send them on their own"
    }))
  }

  /** Counts a message that ended without an attempt. */
  untried(end: UntriedEnd, place: string): void {
    if (end === "expired") this.expired++
    else this.counts[end]++
    if (end === "unknown") this.recipients.unknown++
    const { example, reason, remedy } = untriedWords[end]
    this.group(reason, undefined, () => ({ example: `${example} (${place})`, remedy }))
  }

  /** Counts messages that were in flight when the process stopped, by their places, and their recipients. */
  abandoned(places: ReadonlyArray<string>, addressed: number): void {
    this.counts.unknown += places.length
    this.recipients.unknown += Math.max(places.length, addressed)
    for (const place of places) {
      this.group("Abandoned", undefined, () => ({
        example: `stopped before the final reply (${place})`,
        remedy: "look for these messages in the relay's log before sending them again"
      }))
    }
  }

  /** A message that the relay accepted for some recipients is accepted, but the refused ones are shown. */
  private refusedRecipients(delivery: Delivery.Accepted, place: string): void {
    const refused = delivery.recipients.filter((recipient) => recipient.outcome !== "accepted")
    const reply = refused[0]?.reply
    if (reply === undefined) return
    this.error(MailError.make(new MailError.RecipientsRejected({ recipients: refused, reply })), place)
  }

  private error(error: MailError.MailError, place: string): void {
    this.group(error.reason._tag, error.reply, () => ({
      example: `${error.reason.message} (${place})`,
      remedy: Remedy.of(error)
    }))
  }

  private group(
    reason: string,
    reply: MailError.MailError["reply"],
    first: () => { readonly example: string; readonly remedy: string }
  ): void {
    const code = reply?.code ?? null
    const enhanced = reply?.enhanced ?? null
    const key = `${reason} ${code} ${enhanced}`
    const group = this.groups.get(key)
    if (group !== undefined) {
      group.count++
    } else if (this.groups.size < maxGroups || reason === "Other") {
      this.groups.set(key, { reason, code, enhanced, ...first(), count: 1 })
    } else {
      this.group("Other", undefined, first)
    }
  }
}

const outcomeOf = (delivery: Delivery.Delivery): Outcome => {
  switch (delivery._tag) {
    case "Accepted":
      return "accepted"
    case "Deferred":
      return "deferred"
    case "Unknown":
      return "unknown"
    case "Rejected":
      return delivery.error.reason._tag === "InvalidMessage" ? "invalid" : "rejected"
  }
}
