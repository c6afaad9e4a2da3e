/**
 * Remembers which addresses of a relay have lately failed, so that further connections do not wait for them again.
 *
 * An address is doubtful for ten minutes after it failed, as RFC 8305 §4 and RFC 6555 §4.2 propose, or until it connects. What has
 * connected is not preferred: relays spread their load over their addresses.
 *
 * Pure: the caller passes the time in milliseconds, on any scale that does not jump.
 */

/** How long a failure counts, in milliseconds. */
const memoryMs = 600_000

/** The most failures that are remembered. */
const maxSize = 64

/** Remembers addresses that failed. */
export class AddressRecord {
  private readonly failedAt = new Map<string, number>()

  /** True if the address failed lately and has not connected since. */
  isDoubtful(address: string, now: number): boolean {
    const at = this.failedAt.get(address)
    return at !== undefined && now - at < memoryMs
  }

  failed(address: string, now: number): void {
    this.failedAt.delete(address)
    this.failedAt.set(address, now)
    for (const oldest of this.failedAt.keys()) {
      if (this.failedAt.size <= maxSize) return
      this.failedAt.delete(oldest)
    }
  }

  connected(address: string): void {
    this.failedAt.delete(address)
  }
}
