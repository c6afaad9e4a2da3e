/**
 * Counts the recipients of each message in flight. A `Delivery` names only recipients that the relay answered for; if it
 * refused all at once, or could not be reached, only this count tells how many there were.
 */
import type { MailTransport } from "mailrace/MailTransport"

/** Recipients of the messages in flight. */
export class Addressed {
  private readonly counts = new Map<string, number>()

  /** A transport that counts the recipients of each message. */
  watch(transport: MailTransport["Service"]): MailTransport["Service"] {
    return {
      ...transport,
      send: (message, options) => {
        // A retry is for some of the recipients, the first attempt was for all.
        const before = this.counts.get(message.messageId) ?? 0
        this.counts.set(message.messageId, Math.max(before, message.envelope.to.length))
        return transport.send(message, options)
      }
    }
  }

  /** True for a message that was handed to the transport and has not ended. */
  has(messageId: string): boolean {
    return this.counts.has(messageId)
  }

  /** The recipients of all messages in flight. */
  get total(): number {
    let total = 0
    for (const count of this.counts.values()) total += count
    return total
  }

  /** Returns the count of a message that has ended, and forgets it. */
  take(messageId: string | undefined): number {
    const count = messageId === undefined ? undefined : this.counts.get(messageId)
    if (count !== undefined) this.counts.delete(messageId!)
    return count ?? 1
  }
}
