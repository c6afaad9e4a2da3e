import type * as Inbox from "@mailrace/testing/Inbox"

/** The Message-IDs that a server took, each with how often it came. */
export const counted = (messages: ReadonlyArray<Inbox.Message>): Map<string, number> => {
  const counts = new Map<string, number>()
  for (const { content } of messages) {
    const [, id] = /^message-id:\s*(<[^>]+>)/im.exec(Buffer.from(content).toString("latin1"))!
    counts.set(id!, (counts.get(id!) ?? 0) + 1)
  }
  return counts
}
