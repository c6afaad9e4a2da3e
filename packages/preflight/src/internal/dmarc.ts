/**
 * DMARC (RFC 7489): the policy of a domain, and whether another domain speaks for it.
 */
import * as Effect from "effect/Effect"
import type * as Dns from "effect/net/Dns"
import { getDomain } from "tldts"
import { type Finding, finding, unanswered } from "./finding.ts"
import * as Records from "./records.ts"

/** How closely domains have to match (RFC 7489 §3.1). */
export interface Strictness {
  readonly dkim: "relaxed" | "strict"
  readonly spf: "relaxed" | "strict"
}

/** A domain's policy. */
export interface Policy {
  readonly finding: Finding
  readonly strictness: Strictness
}

/** The strictness where there is no record. */
export const relaxed: Strictness = { dkim: "relaxed", spf: "relaxed" }

/** The domain that an organisation registered, by the public suffix list (RFC 7489 §3.2). */
export const organizationalDomain = (domain: string): string =>
  getDomain(domain, { allowPrivateDomains: true, validateHostname: false }) ?? domain

/** True if a domain that was authenticated speaks for the domain of From. */
export const isAligned = (from: string, authenticated: string, strictness: "relaxed" | "strict"): boolean => {
  const [a, b] = [from.toLowerCase(), authenticated.toLowerCase()]
  return a === b || (strictness === "relaxed" && organizationalDomain(a) === organizationalDomain(b))
}

/** Looks for the policy at the domain, then at the domain of the organisation. */
export const check = Effect.fnUntraced(function* (domain: string): Effect.fn.Return<Policy, never, Dns.Dns> {
  const own = yield* recordAt(domain)
  if (own._tag === "Records" && own.records.length > 0) return judge(domain, domain, own.records)
  const organization = organizationalDomain(domain)
  const parent = organization === domain ? own : yield* recordAt(organization)
  if (parent._tag === "Records" && parent.records.length > 0) return judge(domain, organization, parent.records)
  const silent = [own, parent].find((answer) => answer._tag === "Unknown")
  return {
    strictness: relaxed,
    finding:
      silent !== undefined
        ? unanswered("dmarc", `_dmarc.${domain}`, silent.why)
        : finding(
            "dmarc",
            "problem",
            `_dmarc.${domain}`,
            "there is no DMARC record",
            `publish a TXT record at _dmarc.${organization}, to begin with "v=DMARC1; p=none; rua=mailto:dmarc@${organization}"`
          )
  }
})

const recordAt = (domain: string) =>
  Effect.map(Records.texts(`_dmarc.${domain}`), (answer) =>
    answer._tag === "Records"
      ? { ...answer, records: answer.records.filter((text) => /^v\s*=\s*DMARC1\s*(?:;|$)/.test(text)) }
      : answer
  )

const judge = (domain: string, at: string, records: ReadonlyArray<string>): Policy => {
  const name = `_dmarc.${at}`
  const tags = Records.tags(records[0]!)
  const strictness: Strictness = {
    dkim: tags.get("adkim") === "s" ? "strict" : "relaxed",
    spf: tags.get("aspf") === "s" ? "strict" : "relaxed"
  }
  const make = (verdict: Finding["verdict"], found: string, remedy: string | null = null): Policy => ({
    strictness,
    finding: finding("dmarc", verdict, name, found, remedy)
  })
  if (records.length > 1)
    return make("problem", `there are ${records.length} DMARC records, so that none counts`, "leave one record")
  const policy = (at === domain ? undefined : tags.get("sp")) ?? tags.get("p")
  if (tags.get("p") === undefined || !/^(?:none|quarantine|reject)$/i.test(policy ?? ""))
    return make("problem", "the record has no policy that is known", "set p= to none, quarantine or reject")
  const inherited = at === domain ? "" : `, inherited from ${at}`
  if (!tags.has("rua"))
    return make(
      "advice",
      `the policy is ${policy}${inherited}, and no reports are asked for`,
      `add rua=mailto:dmarc@${at}, so that you hear what fails`
    )
  const begin =
    policy?.toLowerCase() === "none" ? "; once the reports are clean, quarantine or reject protects the name" : ""
  return make("ok", `the policy is ${policy}${inherited}${begin}`)
}
