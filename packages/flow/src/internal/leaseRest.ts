/**
 * When a ledger that has nothing to lease is read again: right before something comes free, and meanwhile more and more
 * rarely, because other processes give back what they do not use.
 */
import { furthestMs } from "./leaseTimes.ts"

/** The first rest, in milliseconds; each is twice the one before, up to the longest. */
const firstMs = 50
const longestMs = 5_000

/** The rests between the reads of a ledger. */
export class LeaseRest {
  /** Before this time the ledger has nothing to lease, as far as is known. */
  opensAt = Number.NEGATIVE_INFINITY
  private until = Number.NEGATIVE_INFINITY
  private restMs = firstMs
  private askedAt = Number.NEGATIVE_INFINITY

  /** True if the ledger need not be read yet. */
  isAt(now: number): boolean {
    this.askedAt = now
    return now < this.until
  }

  /** Begins a rest: the ledger had nothing, and has nothing before `opensAt`. */
  begin(opensAt: number): void {
    this.opensAt = opensAt
    this.until = Math.min(opensAt - furthestMs, this.askedAt + this.restMs)
    this.restMs = Math.min(longestMs, 2 * this.restMs)
  }

  /** Ends the rest: something was leased. */
  end(): void {
    this.until = Number.NEGATIVE_INFINITY
    this.restMs = firstMs
  }
}
