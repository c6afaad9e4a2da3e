/**
 * The record of a relay's pipelining, over all connections of a transport.
 *
 * EHLO only tells what a relay means to support. Of six servers that offer PIPELINING three were wrong about what comes
 * with the end of content, and some that offer CHUNKING fall silent at a large chunk. So what runs ahead of replies is
 * begun small and watched, and the first trouble ends it:
 *
 * - **Chunks are tried one at a time.** Content goes ahead of its envelope's replies only up to the size that the relay
 *   has answered before. A larger one is a trial, of which there is one at a time; meanwhile others go by DATA.
 * - **Trouble steps the relay down to `envelope`**, for as long as the transport lives: a failed self-test, a connection
 *   lost or silent with a chunk unanswered, an envelope refused because it came early.
 * - **Good news is not shared.** Behind one name there may be several servers, so each connection passes its own self-test
 *   (`SpeculationTest`). Only bad news is the relay's.
 */
import * as ConnectionEnd from "../connection/connectionEnd.ts"
import type { Outcome, Transaction } from "./transaction.ts"

/** The factor by which a chunk may exceed the largest answered one without being a trial. */
const leeway = 1.25

/** A session that the relay ends after at most this many messages is short: a self-test would not pay. */
export const shortSession = 5

/** The record of a relay's pipelining. */
export class PipeliningRecord {
  /** Why nothing goes ahead of the replies any more, once something went wrong. */
  steppedDown: string | undefined
  /** A connection has passed its self-test. */
  hasPassedTest = false
  /** The relay refuses the null sender, so the self-test takes another. */
  refusesNullSender = false
  /** The relay ended its last session after a few messages. */
  endsSoon = false
  /** The relay holds back replies to commands that come together, so that they go one by one (`EnvelopeGrouping`). */
  holdsReplies = false
  private readonly onStepDown: (why: string) => void
  private brokenTests = 0
  private largestAnswered = 0
  private trial: Transaction | undefined

  /** `onStepDown` is called once, when the relay steps down. */
  constructor(onStepDown: (why: string) => void = () => {}) {
    this.onStepDown = onStepDown
  }

  /** Steps the relay down to `envelope`, unless that was done before. */
  stepDown(why: string): void {
    if (this.steppedDown !== undefined) return
    this.steppedDown = why
    this.onStepDown(why)
  }

  /** A connection passed its self-test. */
  passed(): void {
    this.hasPassedTest = true
    this.brokenTests = 0
  }

  /**
   * A connection ended before its self-test was over. Replies that were wrong are a verdict. An end without any may have had
   * other reasons; the second in a row has not.
   */
  testEnded(ending: ConnectionEnd.ConnectionEnd): void {
    if (ending._tag === "Closed" || ending._tag === "ContentFailed") return
    if (ending._tag === "Violation" || ++this.brokenTests === 2) {
      this.stepDown(`it failed the self-test: ${ConnectionEnd.describe(ending)}`)
    }
  }

  /** The relay ended a session that had carried this many messages. */
  sessionEnded(messages: number): void {
    this.endsSoon = messages <= shortSession
  }

  /** True if a chunk of this many bytes may go ahead now. */
  permitsChunk(length: number): boolean {
    return this.trial === undefined || length <= leeway * this.largestAnswered
  }

  /** A transaction's chunk goes ahead. */
  chunkBegun(transaction: Transaction): void {
    if (transaction.chunkLength > leeway * this.largestAnswered) this.trial = transaction
  }

  /** True if this transaction's chunk is the one that is tried. */
  isTrial(transaction: Transaction): boolean {
    return this.trial === transaction
  }

  /** A transaction whose chunk went ahead has ended. */
  chunkEnded(transaction: Transaction, outcome: Outcome): void {
    if (this.trial === transaction) this.trial = undefined
    // A chunk whose envelope was refused shows only that it was thrown away.
    const isAnswered = outcome._tag === "Accepted" || (outcome._tag === "Refused" && outcome.at === "content")
    if (isAnswered) this.largestAnswered = Math.max(this.largestAnswered, transaction.chunkLength)
  }
}
