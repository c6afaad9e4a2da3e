/**
 * Tracks the answer for each recipient of one message over all its attempts.
 *
 * A message may take several transactions: a relay defers some recipients, accepts only so many at once (RFC 9422 §5), or
 * breaks off in the middle. Each transaction answers for some of the recipients. The ledger joins the answers, so that no
 * recipient is lost and none that has the message is asked again:
 *
 * - A recipient that was accepted once stays accepted, whatever a later answer says.
 * - Any other answer is replaced by a later one. A recipient that an attempt did not ask keeps the answer it has.
 * - A recipient is *owed* an attempt until it is accepted or rejected.
 * - A transaction that fails as a whole answers for those recipients that it was still to reach (`answerOwed`).
 *
 * `Mailer` keeps one over the retries of a message, the SMTP transport over the groups of recipients in one attempt, and
 * the outbox over all attempts of days. A transport of your own that splits its recipients can use it as well.
 *
 * **Details**
 *
 * A ledger is mutable and takes constant time for each answer, because a message can have 100,000 recipients. An address
 * that is given twice is one recipient.
 *
 * @example
 * ```ts
 * import * as RecipientLedger from "mailrace/RecipientLedger"
 *
 * const ledger = RecipientLedger.make(["ann@example.org", "bob@example.org"])
 * ledger.record([
 *   { address: "ann@example.org", outcome: "accepted" },
 *   { address: "bob@example.org", outcome: "deferred" }
 * ])
 * export const next = ledger.owed // ["bob@example.org"]
 * ```
 *
 * @since 0.1.0
 */

import type * as MailError from "./MailError.ts"

/**
 * An answer for one recipient.
 *
 * @since 0.1.0
 */
export interface Answer {
  readonly address: string
  readonly outcome: MailError.RecipientOutcome["outcome"]
}

/**
 * The recipients of one message and the answers so far.
 *
 * @since 0.1.0
 */
export interface RecipientLedger<A extends Answer> {
  /** Takes in the answers of a transaction. An address that is not a recipient yet becomes one. */
  readonly record: (answers: Iterable<A>) => void
  /** Takes in one answer for all recipients that are owed an attempt, from `among` where it is given. */
  readonly answerOwed: (answer: (address: string) => A, among?: Iterable<string>) => void
  /** The answer for a recipient; `undefined` if there was none yet. */
  readonly get: (address: string) => A | undefined
  /** True if the recipient is neither accepted nor rejected. */
  readonly isOwed: (address: string) => boolean
  /** True if no recipient has an answer. */
  readonly isEmpty: boolean
  /** The answers so far, in the order of the recipients. */
  readonly answers: ReadonlyArray<A>
  /** The recipients that are owed an attempt, in their order. */
  readonly owed: ReadonlyArray<string>
}

/**
 * A ledger of these recipients without an answer.
 *
 * @since 0.1.0
 */
export const make = <A extends Answer = MailError.RecipientOutcome>(
  recipients: Iterable<string>
): RecipientLedger<A> => {
  const known = new Map<string, A | undefined>()
  for (const address of recipients) known.set(address, undefined)
  return new Ledger(known)
}

/**
 * A ledger of the recipients and answers that an earlier one gave.
 *
 * @since 0.1.0
 */
export const fromAnswers = <A extends Answer>(answers: Iterable<A>): RecipientLedger<A> => {
  const ledger = make<A>([])
  ledger.record(answers)
  return ledger
}

/**
 * The outcome of each owed recipient after a transaction that failed as a whole: `unknown` if the final reply was lost,
 * `deferred` if the error is retryable, else `rejected`.
 *
 * @since 0.1.0
 */
export const outcomeOf = (error: MailError.MailError): Exclude<Answer["outcome"], "accepted"> =>
  error.reason._tag === "OutcomeUnknown" ? "unknown" : error.isRetryable ? "deferred" : "rejected"

/**
 * The answer for a recipient after a transaction that failed as a whole, with the relay's reply where there was one.
 *
 * @since 0.1.0
 */
export const answerOf =
  (error: MailError.MailError) =>
  (address: string): MailError.RecipientOutcome => {
    const outcome = outcomeOf(error)
    const { reply, retryAfter } = error
    return {
      address,
      outcome,
      ...(reply === undefined ? {} : { reply }),
      ...(outcome !== "deferred" || retryAfter === undefined ? {} : { retryAfter })
    }
  }

/**
 * How long to wait in milliseconds until each of the deferred recipients may be asked again; `undefined` if nobody says.
 * They are asked together, so the longest wait counts.
 *
 * @since 0.2.0
 */
export const retryAfterOf = (recipients: Iterable<MailError.RecipientOutcome>): number | undefined => {
  let longest: number | undefined
  for (const { outcome, retryAfter } of recipients)
    if (outcome === "deferred" && retryAfter !== undefined) longest = Math.max(longest ?? 0, retryAfter)
  return longest
}

class Ledger<A extends Answer> implements RecipientLedger<A> {
  private readonly known: Map<string, A | undefined>
  private answered = 0

  constructor(known: Map<string, A | undefined>) {
    this.known = known
  }

  record(answers: Iterable<A>): void {
    for (const answer of answers) {
      const before = this.known.get(answer.address)
      if (before?.outcome === "accepted") continue
      if (before === undefined) this.answered++
      this.known.set(answer.address, answer)
    }
  }

  answerOwed(answer: (address: string) => A, among: Iterable<string> = this.known.keys()): void {
    for (const address of among) if (this.isOwed(address)) this.record([answer(address)])
  }

  get(address: string): A | undefined {
    return this.known.get(address)
  }

  isOwed(address: string): boolean {
    const outcome = this.known.get(address)?.outcome
    return outcome !== "accepted" && outcome !== "rejected"
  }

  get isEmpty(): boolean {
    return this.answered === 0
  }

  get answers(): ReadonlyArray<A> {
    return [...this.known.values()].filter((answer) => answer !== undefined)
  }

  get owed(): ReadonlyArray<string> {
    return [...this.known.keys()].filter((address) => this.isOwed(address))
  }
}
