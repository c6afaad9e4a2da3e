/**
 * Finds addresses of a role instead of a person, such as `postmaster@` and `noreply@`. Nobody there asked for a newsletter,
 * some are watched for spam, and some have no reader.
 *
 * @since 0.1.0
 */

import * as Effect from "effect/Effect"
import * as Address from "./Address.ts"
import type * as Screening from "./Screening.ts"

/**
 * The action for a role's address: send with a warning, drop it, or send as to any other.
 *
 * @since 0.1.0
 */
export type Policy = "warn" | "drop" | "keep"

/**
 * The names of roles, and the action for them.
 *
 * @since 0.1.0
 */
export interface Options {
  /** Defaults to `warn`. */
  readonly policy?: Policy | undefined
  /** Local parts of roles, in any case. Defaults to `names`. */
  readonly names?: Iterable<string> | undefined
}

/**
 * The mailbox names of RFC 2142, and those of machines and of mailboxes without a reader.
 *
 * @since 0.1.0
 */
export const names: ReadonlySet<string> = new Set([
  "abuse",
  "admin",
  "administrator",
  "bounce",
  "bounces",
  "devnull",
  "do-not-reply",
  "donotreply",
  "ftp",
  "hostmaster",
  "info",
  "list",
  "list-request",
  "mailer-daemon",
  "mailerdaemon",
  "majordomo",
  "marketing",
  "news",
  "no-reply",
  "noc",
  "noreply",
  "nobody",
  "postmaster",
  "root",
  "sales",
  "security",
  "spam",
  "support",
  "sysadmin",
  "unsubscribe",
  "usenet",
  "uucp",
  "webmaster",
  "www"
])

/**
 * True if an address is that of a role. Text after a `+` in the local part does not count.
 *
 * @since 0.1.0
 */
export const isRole = (address: Address.Address, roles: ReadonlySet<string> = names): boolean => {
  const local = Address.localPart(address)
    .replace(/^"(.*)"$/, "$1")
    .toLowerCase()
  return roles.has(local) || roles.has(local.replace(/\+.*$/, ""))
}

/**
 * Warns of role addresses, or drops them.
 *
 * @since 0.1.0
 */
export const check = (options: Options = {}): Screening.Check => {
  const { policy = "warn" } = options
  const roles = options.names === undefined ? names : new Set([...options.names].map((name) => name.toLowerCase()))
  const verdict: Screening.Verdict | undefined =
    policy === "keep" ? undefined : { action: policy, detail: "the address is that of a role, not a person" }
  return {
    kind: "role",
    start: Effect.succeed((addresses) =>
      Effect.sync(() => addresses.map((address) => (isRole(address, roles) ? verdict : undefined)))
    )
  }
}
