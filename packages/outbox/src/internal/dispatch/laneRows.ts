/**
 * The claimed messages of one lane that wait to begin: each tenant's in their order, and the tenants in turn by their
 * weights.
 */
import type { ClaimedRow } from "../../OutboxStore.ts"

interface TenantRows {
  readonly tenant: string
  readonly rows: Array<ClaimedRow>
  /** How much the tenant has had, divided by its weight. */
  pass: number
}

/** Messages that wait. */
export class LaneRows {
  private readonly weightOf: (tenant: string) => number
  private tenants: Array<TenantRows> = []
  /** The pass of the tenant that went last. */
  private pass = 0
  length = 0

  constructor(weightOf: (tenant: string) => number) {
    this.weightOf = weightOf
  }

  /** The message whose turn it is; `undefined` if there is none. */
  get first(): ClaimedRow | undefined {
    return this.tenants[0]?.rows[0]
  }

  /** The first message of each tenant, in turn. */
  *heads(): Iterable<ClaimedRow> {
    for (const { rows } of this.tenants) yield rows[0]!
  }

  push(row: ClaimedRow): void {
    this.of(row.tenant).rows.push(row)
    this.length++
  }

  /** Puts a message before the others of its tenant. */
  unshift(row: ClaimedRow): void {
    this.of(row.tenant).rows.unshift(row)
    this.length++
  }

  /** Takes the message of a tenant that `heads` gave. */
  take({ tenant }: ClaimedRow): ClaimedRow {
    const index = this.tenants.findIndex((one) => one.tenant === tenant)
    const one = this.tenants[index]!
    const row = one.rows.shift()!
    this.length--
    this.pass = one.pass
    if (this.tenants.length === 1 && one.rows.length > 0) return row
    this.tenants.splice(index, 1)
    one.pass += 1 / this.weightOf(tenant)
    if (one.rows.length > 0) this.insert(one)
    return row
  }

  all(): ReadonlyArray<ClaimedRow> {
    return this.tenants.flatMap(({ rows }) => rows)
  }

  private of(tenant: string): TenantRows {
    const known = this.tenants.find((one) => one.tenant === tenant)
    if (known !== undefined) return known
    const one = { tenant, rows: [], pass: this.pass }
    this.insert(one)
    return one
  }

  private insert(one: TenantRows): void {
    const index = this.tenants.findIndex(({ pass }) => pass > one.pass)
    if (index === -1) this.tenants.push(one)
    else this.tenants.splice(index, 0, one)
  }
}
