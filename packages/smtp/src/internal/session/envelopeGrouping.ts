/**
 * Decides whether the commands of an envelope go together or one by one.
 *
 * Together they take one round trip instead of one each (RFC 2920 §3.1). A server that writes each reply by itself, with Nagle's
 * algorithm on (RFC 1122 §4.2.3.4), keeps the second back until the first is acknowledged, and the sender's system, which has
 * nothing to send, delays that by 40 ms or more. One by one, each command brings the acknowledgement along. Node's sockets behave
 * this way by default.
 *
 * So if three envelopes in a row take much longer than their round trips, two are tried one by one. If those take less than half
 * of the time, all connections to the relay continue that way; else this connection never tries again.
 *
 * Pure: the caller passes times in milliseconds.
 */
import type { PipeliningRecord } from "./pipeliningRecord.ts"

/** An envelope that takes this many milliseconds longer than one round trip for each command is held up. */
const heldUpMs = 20

/** How many held-up envelopes in a row are a reason to try, and how many are tried. */
const suspicious = 3
const tried = 2

/** One connection's choice. */
export class EnvelopeGrouping {
  private readonly record: PipeliningRecord
  private state: "together" | "trial" | "decided" = "together"
  private count = 0
  private ms = 0
  /** The mean time of the envelopes that made it suspicious. */
  private heldUp = 0

  constructor(record: PipeliningRecord) {
    this.record = record
  }

  /** True if the commands of the next envelope go one by one. */
  get isOneByOne(): boolean {
    return this.record.holdsReplies || this.state === "trial"
  }

  /** An envelope of so many commands took this long, until the go-ahead for its content. */
  took(ms: number, commands: number, roundTrip: number, wasOneByOne: boolean): void {
    if (this.state === "decided" || this.record.holdsReplies || wasOneByOne !== (this.state === "trial")) return
    if (this.state === "together" && ms - commands * roundTrip <= heldUpMs) {
      this.restart()
      return
    }
    this.count++
    this.ms += ms
    if (this.state === "together") {
      if (this.count < suspicious) return
      this.state = "trial"
      this.heldUp = this.ms / this.count
    } else {
      if (this.count < tried) return
      this.state = "decided"
      this.record.holdsReplies = this.ms / this.count < this.heldUp / 2
    }
    this.restart()
  }

  private restart(): void {
    this.count = 0
    this.ms = 0
  }
}
