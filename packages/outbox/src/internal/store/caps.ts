/**
 * What caps leave, the same for every store.
 *
 * It runs in SQLite's thread too, which starts in a third of the time for having nothing of Effect to load.
 */
import type { Caps } from "../../OutboxStore.ts"

/** All caps, those left out at infinity; `undefined` when there are none. */
export const complete = (caps: Partial<Caps> | undefined): Caps | undefined =>
  caps === undefined
    ? undefined
    : {
        maxPending: caps.maxPending ?? Infinity,
        maxPendingBytes: caps.maxPendingBytes ?? Infinity,
        maxPendingPerTenant: caps.maxPendingPerTenant ?? Infinity,
        maxPendingBytesPerTenant: caps.maxPendingBytesPerTenant ?? Infinity
      }

/** What waits, in all or of one tenant. */
export interface Waiting {
  mails: number
  bytes: number
}

/** Counts what caps leave while rows are taken. */
export class Room {
  private readonly caps: Caps
  private readonly all: Waiting
  private readonly tenants: (tenant: string) => Waiting

  /** `tenants` gives the same object for the same tenant each time. */
  constructor(caps: Caps, all: Waiting, tenants: (tenant: string) => Waiting) {
    this.caps = caps
    this.all = all
    this.tenants = tenants
  }

  /** The cap that stands against one more mail of a tenant. */
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
