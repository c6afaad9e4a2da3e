/**
 * Finds the recipients that a transport names in the envelope.
 *
 * Transports write addresses in their own way: the domain in ASCII or Unicode and in either case, unnecessary quotes, or a
 * name in front.
 */
import type * as Address from "mailrace/Address"
import type * as MailError from "mailrace/MailError"
import * as Reply from "mailrace/Reply"
import { domainToASCII } from "node:url"
import * as ServerReply from "./serverReply.ts"

/** The lists that transports give; any of them may be absent. */
export interface Lists {
  readonly accepted?: unknown
  readonly rejected?: unknown
  readonly pending?: unknown
  readonly rejectedErrors?: unknown
}

/**
 * One outcome for each recipient, in the envelope's order. A recipient in no list is `fallback`. A pending recipient is
 * `unknown`, because its outcome will never be reported.
 */
export const outcomes = (
  envelope: ReadonlyArray<Address.Address>,
  lists: Lists,
  fallback: MailError.RecipientOutcome["outcome"]
): ReadonlyArray<MailError.RecipientOutcome> => {
  const found = new Map<string, Omit<MailError.RecipientOutcome, "address">>()
  for (const address of listed(lists.accepted)) found.set(address, { outcome: "accepted" })
  for (const address of listed(lists.pending)) found.set(address, { outcome: "unknown" })
  for (const address of listed(lists.rejected)) found.set(address, { outcome: "rejected" })
  for (const error of Array.isArray(lists.rejectedErrors) ? lists.rejectedErrors : []) {
    const { recipient, response } = (error ?? {}) as { readonly recipient?: unknown; readonly response?: unknown }
    const reply = ServerReply.parse(response)
    if (typeof recipient !== "string" || reply === undefined) continue
    found.set(key(recipient), { outcome: Reply.isTransient(reply) ? "deferred" : "rejected", reply })
  }
  return envelope.map((address) => ({ address, ...(found.get(key(address)) ?? { outcome: fallback }) }))
}

const listed = (list: unknown): ReadonlyArray<string> =>
  (Array.isArray(list) ? list : []).flatMap((entry: unknown) => {
    const address = typeof entry === "object" && entry !== null && "address" in entry ? entry.address : entry
    return typeof address === "string" ? [key(address)] : []
  })

const key = (text: string): string => {
  const address = /<([^<>]*)>\s*$/.exec(text)?.[1] ?? text.trim()
  const at = address.lastIndexOf("@")
  const local = address.slice(0, at)
  const domain = address.slice(at + 1).toLowerCase()
  const bare = /^".*"$/s.test(local) ? local.slice(1, -1).replace(/\\(.)/gs, "$1") : local
  return `${bare}@${domainToASCII(domain) || domain}`
}
