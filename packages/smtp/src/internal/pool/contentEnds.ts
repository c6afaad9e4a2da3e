/**
 * Remembers messages whose content has ended sessions. A relay that hangs up over one message takes those beside it along;
 * so a message that has done so three times goes alone from then on.
 */

/** After this many sessions a message goes alone. */
const maxEndedSessions = 3

/** How many messages are remembered; the oldest is forgotten first. */
const capacity = 1_000

export class ContentEnds {
  private readonly counts = new Map<string, number>()

  /** Counts a session that ended over this message's content. */
  note(messageId: string): void {
    const count = (this.counts.get(messageId) ?? 0) + 1
    this.counts.delete(messageId)
    this.counts.set(messageId, count)
    if (this.counts.size <= capacity) return
    for (const oldest of this.counts.keys()) {
      this.counts.delete(oldest)
      return
    }
  }

  /** Forgets a message that was accepted. */
  forget(messageId: string): void {
    if (this.counts.size > 0) this.counts.delete(messageId)
  }

  /** True if this message is to share its session with no other. */
  goesAlone(messageId: string): boolean {
    return this.counts.size > 0 && (this.counts.get(messageId) ?? 0) >= maxEndedSessions
  }
}
