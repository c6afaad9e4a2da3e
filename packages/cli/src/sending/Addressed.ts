/**
 * For how many recipients each message on its way was handed over. A `Delivery` names only those of which the relay said
 * something; where it refused all at once, or could not be reached, this is what is known of them.
 */
import type { MailTransport } from "mailrace/MailTransport"

/** Counts of recipients, kept while messages are on their way. */
export class Addressed {
  private readonly counts = new Map<string, number>()

  /** A transport that counts what is handed to it. */
  watch(transport: MailTransport["Service"]): MailTransport["Service"] {
    return {
      ...transport,
      send: (message, options) => {
        // A further attempt is for those that are owed one, the first was for all.
        const before = this.counts.get(message.messageId) ?? 0
        this.counts.set(message.messageId, Math.max(before, message.envelope.to.length))
        return transport.send(message, options)
      }
    }
  }

  /** The recipients of all that are on their way. */
  get total(): number {
    let total = 0
    for (const count of this.counts.values()) total += count
    return total
  }

  /** The count of a message that has ended; it is forgotten then. */
  take(messageId: string | undefined): number {
    const count = messageId === undefined ? undefined : this.counts.get(messageId)
    if (count !== undefined) this.counts.delete(messageId!)
    return count ?? 1
  }
}
