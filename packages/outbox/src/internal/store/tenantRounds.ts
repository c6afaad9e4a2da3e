/**
 * Remembers where a claim that did not look at all tenants of a lane stopped, so that the next claim continues there.
 *
 * A claim looks at only some of the tenants, because each costs a seek. If every claim began with the first tenant, the
 * messages of later tenants would wait until those of the first ones are gone.
 */

/** The most tenants of a lane that one claim looks at. */
export const tenantsLookedAt = 256

/** The largest number of lanes whose last tenant is remembered. */
const lanesRemembered = 10_000

/** The rounds over the tenants of lanes. */
export class TenantRounds {
  private readonly last = new Map<string, string>()

  /** The tenant behind which the next claim of a lane begins; `undefined` for the first one. */
  after(lane: string): string | undefined {
    return this.last.get(lane)
  }

  /** Records the last tenant that a claim looked at; `undefined` if it looked at all of them. */
  note(lane: string, tenant: string | undefined): void {
    if (tenant === undefined) {
      this.last.delete(lane)
      return
    }
    if (this.last.size >= lanesRemembered) this.last.clear()
    this.last.set(lane, tenant)
  }
}
