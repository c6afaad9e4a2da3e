/**
 * Counts the recipients that a claimed message is still owed to, for limits on recipients.
 *
 * The store knows the first recipient only, so the message is decoded for it: once a claim, and only where a limit counts
 * recipients.
 */
import * as Composed from "mailrace/Composed"
import type * as Mail from "mailrace/Mail"
import * as Mailbox from "mailrace/Mailbox"
import * as Result from "effect/Result"
import type { ClaimedRow } from "../../OutboxStore.ts"
import type { PayloadCodec } from "../../Payload.ts"
import * as settlement from "./settlement.ts"

/**
 * Makes the counter, which remembers each row's count. A message that cannot be read counts as 1; it is never sent.
 */
export const make = (codec: Pick<PayloadCodec, "decodeUnsafe">): ((row: ClaimedRow) => number) => {
  const counts = new WeakMap<ClaimedRow, number>()
  return (row) => {
    let count = counts.get(row)
    if (count === undefined) counts.set(row, (count = Math.max(1, countOf(codec, row))))
    return count
  }
}

const countOf = (codec: Pick<PayloadCodec, "decodeUnsafe">, row: ClaimedRow): number => {
  try {
    const owed = settlement.owed(row)
    if (owed !== undefined) return owed.length
    const mail = codec.decodeUnsafe(row)
    if (Composed.isComposed(mail)) return mail.envelope.to.length
    const addresses = mail.envelope?.to ?? [mail.to, mail.cc, mail.bcc].flatMap(addressesOf)
    return new Set(addresses.map((address) => address.toLowerCase())).size
  } catch {
    return 1
  }
}

const addressesOf = (mailboxes: Mail.Mailboxes | undefined): ReadonlyArray<string> => {
  if (mailboxes === undefined) return []
  const all = (Array.isArray(mailboxes) ? mailboxes : [mailboxes]) as ReadonlyArray<Mail.Mailbox>
  return all.flatMap((mailbox) =>
    typeof mailbox === "string"
      ? Result.match(Mailbox.parseList(mailbox), {
          onFailure: () => [mailbox],
          onSuccess: (list) => list.map(({ address }) => address)
        })
      : [mailbox.address]
  )
}
