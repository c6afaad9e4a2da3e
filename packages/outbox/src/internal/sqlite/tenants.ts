/**
 * Finds the messages to claim in lanes whose tenants have quotas or share by weight: each tenant by seeks in an index made
 * for that.
 */
import type { StatementSync } from "node:sqlite"
import { priorities } from "../../OutboxEntry.ts"
import type { HeldTenant, LaneQuota, TenantQuota } from "../../OutboxStore.ts"
import { choose } from "../store/priorityChoice.ts"
import { chooseTenants, type TenantMails } from "../store/tenantChoice.ts"
import { TenantRounds, tenantsLookedAt } from "../store/tenantRounds.ts"
import type { SqliteDatabase } from "./file/database.ts"
import * as Sql from "./sql/tenants.ts"

interface Statements {
  readonly firstTenant: StatementSync
  readonly nextTenant: StatementSync
  readonly dueNow: StatementSync
}

interface Found extends Omit<TenantMails<number>, "mails"> {
  /** The largest number of its messages in this claim, from 0. */
  readonly limit: number
  /** Holds one message, if there is any, even if none may be claimed. */
  mails: ReadonlyArray<number>
  /** True if there may be more. */
  isCut: boolean
}

/** Looks through the tenants of lanes. */
export class SqliteTenants {
  private readonly database: SqliteDatabase
  private statements: Statements | undefined
  private readonly rounds = new TenantRounds()

  constructor(database: SqliteDatabase) {
    this.database = database
  }

  /** Creates the index, if it is missing. */
  open(): void {
    if (this.statements !== undefined) return
    this.database.transaction(() => this.database.handle.exec(Sql.createIndex))
    this.statements = {
      firstTenant: this.database.prepareArrays(Sql.firstTenant),
      nextTenant: this.database.prepareArrays(Sql.nextTenant),
      dueNow: this.database.prepareArrays(Sql.dueNow)
    }
  }

  /** The messages to claim by their `seq`, and where others were left because of a tenant's quota. */
  candidates(
    quotas: ReadonlyArray<LaneQuota>,
    tenants: ReadonlyArray<TenantQuota>,
    now: number
  ): { readonly seqs: ReadonlyArray<number>; readonly held: ReadonlyArray<HeldTenant> } {
    const known = new Map(tenants.map((one) => [one.tenant, one]))
    const left = new Map(tenants.map(({ limit, tenant }) => [tenant, limit]))
    const held: Array<HeldTenant> = []
    const seqs = quotas.flatMap((quota) => {
      const names = this.tenantsOf(quota)
      const found = names.map((tenant): Found => ({
        tenant,
        weight: known.get(tenant)?.weight ?? 1,
        limit: Math.min(quota.limit, left.get(tenant) ?? Infinity),
        mails: [],
        isCut: true
      }))
      // Twice its share of each tenant is enough, unless the others have less.
      const open = found.filter(({ limit }) => limit >= 1)
      const weights = open.reduce((sum, { weight }) => sum + weight, 0)
      this.find(quota, found, ({ weight }) => Math.ceil((2 * quota.limit * weight) / weights), now)
      if (open.reduce((sum, { mails }) => sum + mails.length, 0) < quota.limit)
        this.find(quota, open, () => Infinity, now)
      for (const { limit, mails, tenant } of found)
        if (limit < quota.limit && mails.length >= Math.max(1, limit)) held.push({ lane: quota.lane, tenant })
      return chooseTenants(open, quota.limit).map(({ mail, tenant }) => {
        const rest = left.get(tenant)
        if (rest !== undefined) left.set(tenant, rest - 1)
        return mail
      })
    })
    return { seqs, held }
  }

  /** Finds at most `most` due messages of each tenant that may have more than were found before. */
  private find(quota: LaneQuota, found: ReadonlyArray<Found>, most: (one: Found) => number, now: number): void {
    for (const one of found) {
      const limit = Math.max(1, Math.min(one.limit, most(one)))
      if (one.isCut && one.mails.length < limit) one.mails = this.dueOf(quota, one.tenant, limit, now)
      one.isCut = one.mails.length === limit
    }
  }

  /** Tenants of a lane with waiting messages: if there are too many for one claim, the next ones each time. */
  private tenantsOf({ bucket, lane }: LaneQuota): ReadonlyArray<string> {
    const { firstTenant, nextTenant } = this.statements!
    const after = this.rounds.after(lane)
    const tenants: Array<string> = []
    const first = firstTenant.get(bucket, lane) as [string] | undefined
    let next = (after === undefined ? first : (nextTenant.get(bucket, lane, after) ?? first)) as [string] | undefined
    while (next !== undefined && tenants.length < tenantsLookedAt) {
      const [tenant] = next
      if (tenants[0] === tenant) break
      tenants.push(tenant)
      next = nextTenant.get(bucket, lane, tenant) as [string] | undefined
      // Wraps around once.
      if (next === undefined && after !== undefined && tenants[0] !== first![0]) next = first
    }
    this.rounds.note(lane, next === undefined || next[0] === tenants[0] ? undefined : tenants.at(-1))
    return tenants
  }

  private dueOf({ bucket, lane }: LaneQuota, tenant: string, limit: number, now: number): ReadonlyArray<number> {
    const values = priorities.flatMap(() => [bucket, lane, tenant, now, limit])
    const rows = this.statements!.dueNow.all(...values) as never as ReadonlyArray<[seq: number, priority: number]>
    const classes = priorities.map((): Array<number> => [])
    for (const [seq, priority] of rows) classes[priority]!.push(seq)
    return choose(classes, limit)
  }
}
