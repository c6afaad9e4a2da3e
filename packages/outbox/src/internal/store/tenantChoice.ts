/**
 * Chooses among messages of different tenants that wait in one lane: each tenant by its weight.
 */

/** The messages of a tenant, in their order. */
export interface TenantMails<A> {
  readonly tenant: string
  /** More than 0. */
  readonly weight: number
  readonly mails: ReadonlyArray<A>
}

/** Takes at most `limit` messages of the tenants by their weights, in the order in which they are to go. */
export const chooseTenants = <A>(
  tenants: ReadonlyArray<TenantMails<A>>,
  limit: number
): ReadonlyArray<{ readonly mail: A; readonly tenant: string }> =>
  tenants
    .flatMap(({ mails, tenant, weight }) => mails.map((mail, rank) => ({ mail, tenant, turn: (rank + 1) / weight })))
    .sort((a, b) => a.turn - b.turn)
    .slice(0, limit)
