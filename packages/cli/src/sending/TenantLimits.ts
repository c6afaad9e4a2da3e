/**
 * Finds tenants that are spelled differently in limits and messages: such a limit holds nothing back, and such a message goes
 * without one.
 */
import type * as MailraceConfig from "@mailrace/config/MailraceConfig"
import * as NearestName from "mailrace/NearestName"

/** Where limits of tenants come from. */
export interface Options {
  /** Limits by tenant, such as `acme=100/s`. */
  readonly tenantRate?: ReadonlyArray<string> | undefined
  readonly configuration?: MailraceConfig.MailraceConfig | undefined
}

/** The tenants with limits, and those of the messages so far. */
export class TenantLimits {
  /** The warning about a tenant's limit, by its name, with the place of the limit. */
  private readonly limits = new Map<string, (problem: string) => string>()
  private readonly absent: Set<string>
  private hasWarned = false
  private readonly remedies: { readonly add: (name: string) => string; readonly remove: string }

  constructor({ configuration, tenantRate = [] }: Options) {
    for (const name of Object.keys(configuration?.settings.tenant ?? {}))
      this.limits.set(name, (problem) => String(configuration!.faultAt(["tenant", name], problem, "").faults[0]))
    for (const text of tenantRate) {
      const name = text.slice(0, text.indexOf("=")).trim()
      this.limits.set(name, (problem) => `--tenant-rate ${name}: ${problem}`)
    }
    this.absent = new Set(this.limits.keys())
    this.remedies =
      tenantRate.length > 0
        ? { add: (name) => `add --tenant-rate ${name}=RATE`, remove: "leave the flag out" }
        : { add: (name) => `add [tenant.${name}] to ${configuration?.file}`, remove: "take its table out" }
  }

  /** The tenants with limits. */
  get names(): ReadonlyArray<string> {
    return [...this.limits.keys()]
  }

  /** Notes the tenant of a message. Gives a warning for the first message whose tenant has no limit. */
  note(tenant: string | undefined, place: string): string | undefined {
    if (tenant === undefined || tenant === "" || this.limits.size === 0) return undefined
    if (this.absent.delete(tenant) || this.limits.has(tenant) || this.hasWarned) return undefined
    this.hasWarned = true
    const nearest = NearestName.nearest(tenant, this.limits.keys())
    const meant = nearest === undefined ? "" : `; if ${nearest} is meant, correct the message, else`
    return `${place}: the tenant "${tenant}" has no limit, and ${listed(this.names)} ${this.limits.size === 1 ? "has" : "have"} one${meant === "" ? "; " : `${meant} `}${this.remedies.add(tenant)}, or let its messages go without; other tenants without one are not named`
  }

  /** Warnings for tenants with a limit that no message had; `where` names the messages. */
  unused(where: string): ReadonlyArray<string> {
    return [...this.absent].map((name) => `${this.problemOf(name, where)}; ${this.remedy}`)
  }

  /** The warning that no message has this tenant, with the place of its limit. */
  problemOf(name: string, where: string): string {
    return this.limits.get(name)!(`no message in ${where} has that tenant`)
  }

  /** The remedy for a tenant that no message has. */
  get remedy(): string {
    return `check how the tenant is spelled in the messages, or ${this.remedies.remove}`
  }
}

/** The most tenants that are named. */
const most = 5

const listed = (names: ReadonlyArray<string>): string =>
  names.length <= most
    ? names.join(", ").replace(/, ([^,]*)$/, " and $1")
    : `${names.slice(0, most).join(", ")} and ${names.length - most} others`
