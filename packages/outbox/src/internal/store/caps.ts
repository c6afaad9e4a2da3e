/**
 * Counts how much the caps still admit, the same for every store.
 *
 * SQLite's worker thread loads this file too. It imports nothing of Effect, so the thread starts in a third of the time.
 */
import type { Caps } from "../../OutboxStore.ts"

/** Fills in infinity for the caps left out; `undefined` if there are no caps at all. */
export const complete = (caps: Partial<Caps> | undefined): Caps | undefined =>
  caps === undefined
    ? undefined
    : {
        maxPending: caps.maxPending ?? Infinity,
        maxPendingBytes: caps.maxPendingBytes ?? Infinity,
        maxPendingPerTenant: caps.maxPendingPerTenant ?? Infinity,
        maxPendingBytesPerTenant: caps.maxPendingBytesPerTenant ?? Infinity
      }

/** The fields of the `Busy` error for a message that a cap refuses. */
export const busy = (cap: keyof Caps, limit: number, tenant: string) => {
  const isOfTenant = cap === "maxPendingPerTenant" || cap === "maxPendingBytesPerTenant"
  return {
    scope: isOfTenant ? ("tenant" as const) : ("outbox" as const),
    tenant: isOfTenant ? tenant : undefined,
    unit: cap === "maxPending" || cap === "maxPendingPerTenant" ? ("mails" as const) : ("bytes" as const),
    limit
  }
}

/** The waiting messages, of the whole outbox or of one tenant. */
export interface Waiting {
  mails: number
  bytes: number
}

/** The room that the caps leave while a batch is accepted. */
export class Room {
  private readonly caps: Caps
  private readonly all: Waiting
  private readonly tenants: (tenant: string) => Waiting

  /** `tenants` must return the same object for the same tenant each time. */
  constructor(caps: Caps, all: Waiting, tenants: (tenant: string) => Waiting) {
    this.caps = caps
    this.all = all
    this.tenants = tenants
  }

  /** The cap that one more message of a tenant would exceed. */
  exceeded(tenant: string, size: number): keyof Caps | undefined {
    const { caps } = this
    if (this.all.mails + 1 > caps.maxPending) return "maxPending"
    if (this.all.bytes + size > caps.maxPendingBytes) return "maxPendingBytes"
    if (!this.capsTenants) return undefined
    const own = this.tenants(tenant)
    if (own.mails + 1 > caps.maxPendingPerTenant) return "maxPendingPerTenant"
    return own.bytes + size > caps.maxPendingBytesPerTenant ? "maxPendingBytesPerTenant" : undefined
  }

  take(tenant: string, size: number): void {
    for (const waiting of this.capsTenants ? [this.all, this.tenants(tenant)] : [this.all]) {
      waiting.mails++
      waiting.bytes += size
    }
  }

  private get capsTenants(): boolean {
    return this.caps.maxPendingPerTenant < Infinity || this.caps.maxPendingBytesPerTenant < Infinity
  }
}
