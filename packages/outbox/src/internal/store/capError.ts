/**
 * What a cap says when it is reached, the same for every store.
 */
import * as OutboxError from "../../OutboxError.ts"
import type { Caps } from "../../OutboxStore.ts"

/** The refusal of a mail by a cap. */
export const busy = (cap: keyof Caps, limit: number, tenant: string): OutboxError.OutboxError => {
  const ofTenant = cap === "maxPendingPerTenant" || cap === "maxPendingBytesPerTenant"
  return OutboxError.make(
    new OutboxError.Busy({
      scope: ofTenant ? "tenant" : "outbox",
      tenant: ofTenant ? tenant : undefined,
      unit: cap === "maxPending" || cap === "maxPendingPerTenant" ? "mails" : "bytes",
      limit
    })
  )
}
