/**
 * Findings, with the providers that ask for them.
 *
 * @since 0.2.0
 */

/**
 * A mailbox provider whose published rules are checked.
 *
 * @since 0.2.0
 */
export type Provider = "Gmail" | "Yahoo" | "Microsoft"

/**
 * The subject of a finding.
 *
 * - `domain`: whether the domain exists; if it does not, nothing else is asked about it
 * - `spf`: who may send for the domain (RFC 7208)
 * - `dkim`: the key that signatures are verified by (RFC 6376)
 * - `dmarc`: the policy of the domain (RFC 7489)
 * - `alignment`: whether SPF or DKIM speak for the domain of From (RFC 7489 §3.1)
 * - `from`: whose name is in From
 * - `replies`: whether replies and bounces arrive
 * - `unsubscribe`: one-click unsubscribe in the header (RFC 8058)
 * - `unsubscribeLink`: a visible way off the list in the body
 * - `format`: the form of the message (RFC 5322)
 * - `size`: how much of the message is shown
 * - `ptr`: the name of the sending address, and back (RFC 1912 §2.1)
 * - `ehlo`: the name in EHLO (RFC 5321 §4.1.1.1)
 * - `tls`: encryption on the way
 * - `spamRate`: how many readers complain
 * - `mtaSts`, `tlsRpt`: encryption of mail to the domain (RFC 8461, RFC 8460)
 *
 * @since 0.2.0
 */
export type Rule =
  | "domain"
  | "spf"
  | "dkim"
  | "dmarc"
  | "alignment"
  | "from"
  | "replies"
  | "unsubscribe"
  | "unsubscribeLink"
  | "format"
  | "size"
  | "ptr"
  | "ehlo"
  | "tls"
  | "spamRate"
  | "mtaSts"
  | "tlsRpt"

/**
 * - `ok`: as it should be
 * - `advice`: worth improving, but nobody refuses mail for it
 * - `problem`: a rule is broken
 * - `unknown`: cannot be seen from here
 *
 * @since 0.2.0
 */
export type Verdict = "ok" | "advice" | "problem" | "unknown"

/**
 * A provider's rule.
 *
 * @since 0.2.0
 */
export interface Demand {
  readonly provider: Provider
  /** The senders that it concerns; bulk senders are those with about 5,000 messages a day to the provider. */
  readonly of: "all senders" | "bulk senders"
  readonly isRequired: boolean
  /** Where the provider says so. */
  readonly source: string
}

/**
 * The result of one check.
 *
 * @since 0.2.0
 */
export interface Finding {
  readonly rule: Rule
  readonly verdict: Verdict
  /** The object that was checked: a domain, the name of a DNS record, an address, a field. */
  readonly subject: string
  /** The observation, in words. */
  readonly found: string
  /** What to do, as an imperative; null where nothing is to be done. */
  readonly remedy: string | null
  /** The providers that ask for it. */
  readonly demands: ReadonlyArray<Demand>
}

/** Makes a finding. */
export const finding = (
  rule: Rule,
  verdict: Verdict,
  subject: string,
  found: string,
  remedy: string | null = null
): Finding => ({ rule, verdict, subject, found, remedy, demands: demands[rule] })

/** The finding about a name for which the DNS gives no answer. */
export const unanswered = (rule: Rule, subject: string, why: string): Finding =>
  finding(rule, "unknown", subject, `the DNS gave no answer: ${why}`, "try again when the DNS answers")

const sources: { readonly [provider in Provider]: string } = {
  Gmail: "https://support.google.com/a/answer/81126",
  Yahoo: "https://senders.yahooinc.com/best-practices/",
  Microsoft:
    "https://techcommunity.microsoft.com/blog/microsoftdefenderforoffice365blog/strengthening-email-ecosystem-outlook%E2%80%99s-new-requirements-for-high%E2%80%90volume-senders/4399730"
}

const demand =
  (of: Demand["of"], isRequired: boolean) =>
  (provider: Provider): Demand => ({ provider, of, isRequired, source: sources[provider] })

const ofAll = demand("all senders", true)
const ofBulk = demand("bulk senders", true)
const advisedToBulk = demand("bulk senders", false)

/** The providers' demands. Gmail and Yahoo ask all senders for one of SPF and DKIM, and bulk senders for both. */
const demands: { readonly [rule in Rule]: ReadonlyArray<Demand> } = {
  domain: [],
  spf: [ofBulk("Gmail"), ofBulk("Yahoo"), ofBulk("Microsoft")],
  dkim: [ofBulk("Gmail"), ofBulk("Yahoo"), ofBulk("Microsoft")],
  dmarc: [ofBulk("Gmail"), ofBulk("Yahoo"), ofBulk("Microsoft")],
  alignment: [ofBulk("Gmail"), ofBulk("Yahoo"), ofBulk("Microsoft")],
  from: [ofAll("Gmail")],
  replies: [advisedToBulk("Microsoft")],
  unsubscribe: [ofBulk("Gmail"), ofBulk("Yahoo")],
  unsubscribeLink: [ofBulk("Gmail"), ofBulk("Yahoo"), advisedToBulk("Microsoft")],
  format: [ofAll("Gmail"), ofAll("Yahoo")],
  size: [],
  ptr: [ofAll("Gmail"), ofAll("Yahoo")],
  ehlo: [],
  tls: [ofAll("Gmail")],
  spamRate: [ofAll("Gmail"), ofAll("Yahoo")],
  mtaSts: [],
  tlsRpt: []
}
