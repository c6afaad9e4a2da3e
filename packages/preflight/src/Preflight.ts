/**
 * Finds what Gmail, Yahoo and Microsoft would hold against a sender's domain and messages, before anything is sent.
 *
 * `checkDomain` asks the DNS what it says about the domain: who may send for it (SPF), how signatures are verified (DKIM), what
 * is to happen with the rest (DMARC), whether replies arrive, and, where they are known, whether the sending address and its
 * names fit together. `checkMessage` looks at a composed message alone. Each finding has the providers that ask for it, with the
 * page where they do, and what to do. Facts that cannot be seen from here are reported as unknown.
 *
 * The DNS is Effect's service `Dns`: `NodeDns.layer` asks the system's name servers, `NodeDns.make` those of your choice, and
 * `Dns.layerStatic` answers in tests.
 *
 * @example
 * ```ts
 * import * as NodeDns from "@effect/platform-node/NodeDns"
 * import * as Preflight from "@mailrace/preflight/Preflight"
 * import * as Console from "effect/Console"
 * import * as Effect from "effect/Effect"
 *
 * export const program = Preflight.checkDomain({ domain: "example.org", selectors: [{ selector: "s1" }] }).pipe(
 *   Effect.flatMap(({ findings }) =>
 *     Effect.forEach(findings, ({ found, remedy, rule, verdict }) => Console.log(verdict, rule, found, remedy))
 *   ),
 *   Effect.provide(NodeDns.layer)
 * )
 * ```
 *
 * @since 0.2.0
 */

import type * as Composed from "mailrace/Composed"
import type * as MailError from "mailrace/MailError"
import * as Effect from "effect/Effect"
import type * as Dns from "effect/net/Dns"
import * as DkimRecord from "./internal/dkimRecord.ts"
import * as Dmarc from "./internal/dmarc.ts"
import { type Finding, finding } from "./internal/finding.ts"
import * as Inbound from "./internal/inbound.ts"
import * as Message from "./internal/message.ts"
import * as Records from "./internal/records.ts"
import * as Sender from "./internal/sender.ts"
import * as Spf from "./internal/spf.ts"

export type { Demand, Finding, Provider, Rule, Verdict } from "./internal/finding.ts"

/**
 * A DKIM key of the domain.
 *
 * @since 0.2.0
 */
export interface Selector {
  readonly selector: string
  /** The domain that signs, `d=`. Defaults to the domain that is checked. */
  readonly domain?: string | undefined
  /** The public half of the key that signs, as in `p=` (`Dkim.SigningKey`), to compare the record with. */
  readonly publicKey?: string | undefined
}

/**
 * A sender's domain, and what is known of the way that its mail takes.
 *
 * @since 0.2.0
 */
export interface DomainOptions {
  /** The domain of From. */
  readonly domain: string
  /** The keys that sign. The DNS cannot be asked for them, so that without any they are unknown. */
  readonly selectors?: ReadonlyArray<Selector> | undefined
  /** The address from which receivers get the mail. Without it, whether SPF passes is unknown, and so is the PTR record. */
  readonly sendingAddress?: string | undefined
  /** The name by which that address greets receivers. */
  readonly ehloName?: string | undefined
  /** The relay, and whether it was seen to encrypt. */
  readonly relay?: { readonly name: string; readonly isEncrypted: boolean } | undefined
  /** Reads an MTA-STS policy by HTTPS; fails with why it cannot be read. Without it the policy is unknown. */
  readonly fetch?: ((url: string) => Effect.Effect<string, string>) | undefined
}

/**
 * The report on a domain.
 *
 * @since 0.2.0
 */
export interface DomainReport {
  readonly domain: string
  readonly findings: ReadonlyArray<Finding>
  /** How closely signatures and envelopes have to match From, for `checkMessage`. */
  readonly strictness: Strictness
}

/**
 * How closely domains have to match: by the organisation's domain, or as a whole (RFC 7489 §3.1).
 *
 * @since 0.2.0
 */
export type Strictness = Dmarc.Strictness

/**
 * Checks a domain. Never fails: what the DNS does not answer is unknown.
 *
 * @since 0.2.0
 */
export const checkDomain = (options: DomainOptions): Effect.Effect<DomainReport, never, Dns.Dns> => {
  const domain = options.domain.toLowerCase()
  return Effect.flatMap(Records.isMissing(domain), (isMissing) =>
    isMissing ? checkMissing(domain, options) : checkExisting(domain, options)
  )
}

/** Records cannot be published for a domain that does not exist, so they are not asked for. */
const checkMissing = (domain: string, options: DomainOptions): Effect.Effect<DomainReport, never, Dns.Dns> =>
  Effect.map(
    Effect.all([Effect.all(keysOf(domain, options, true)), ptrAndEhlo(options)], { concurrency: "unbounded" }),
    ([dkim, sender]) => ({
      domain,
      strictness: Dmarc.relaxed,
      findings: [
        finding(
          "domain",
          "problem",
          domain,
          "the domain does not exist in the DNS, so receivers refuse mail from it",
          "check how it is spelt; register it, or send from a domain that exists"
        ),
        ...dkim,
        ...sender,
        Sender.tls(options.relay)
      ]
    })
  )

const checkExisting = (domain: string, options: DomainOptions): Effect.Effect<DomainReport, never, Dns.Dns> => {
  const { fetch, relay, selectors = [], sendingAddress } = options
  const keys =
    selectors.length === 0 ? [Effect.succeed(DkimRecord.unknownSelector(domain))] : keysOf(domain, options, false)
  return Effect.map(
    Effect.all(
      {
        spf: Spf.check(domain, sendingAddress),
        dkim: Effect.all(keys, { concurrency: "unbounded" }),
        dmarc: Dmarc.check(domain),
        replies: Inbound.replies(domain),
        sender: ptrAndEhlo(options),
        inbound: Effect.all([Inbound.mtaSts(domain, fetch), Inbound.tlsRpt(domain)], { concurrency: "unbounded" })
      },
      { concurrency: "unbounded" }
    ),
    ({ dkim, dmarc, inbound, replies, sender, spf }) => ({
      domain,
      strictness: dmarc.strictness,
      findings: [
        spf,
        ...dkim,
        dmarc.finding,
        replies,
        ...sender,
        ...inbound,
        Sender.tls(relay),
        Sender.spamRate(domain)
      ]
    })
  )
}

/** The keys that sign; of `ofOthers` only those of other domains. */
const keysOf = (domain: string, { selectors = [] }: DomainOptions, ofOthers: boolean) =>
  selectors
    .map((key) => ({ ...key, domain: key.domain?.toLowerCase() ?? domain }))
    .filter((key) => !ofOthers || key.domain !== domain)
    .map((key) => DkimRecord.check(key.domain, key.selector, key.publicKey))

const ptrAndEhlo = ({ ehloName, sendingAddress }: DomainOptions) =>
  Effect.all([Sender.ptr(sendingAddress), Sender.ehlo(ehloName, sendingAddress)], { concurrency: "unbounded" })

/**
 * Facts about a message beside its bytes.
 *
 * @since 0.2.0
 */
export interface MessageOptions {
  /** From `checkDomain`. Defaults to relaxed for both. */
  readonly strictness?: Strictness | undefined
  /**
   * `bulk` for what readers subscribed to, `transactional` for what they asked for themselves, as a receipt, which needs no way
   * off a list. Defaults to `bulk`.
   */
  readonly kind?: "bulk" | "transactional" | undefined
}

/**
 * Checks a composed message without asking anybody. Fails with what reading a streamed message fails with; of a streamed
 * message the first 2 MiB are looked at.
 *
 * @since 0.2.0
 */
export const checkMessage = (
  message: Composed.Composed,
  options: MessageOptions = {}
): Effect.Effect<ReadonlyArray<Finding>, MailError.MailError> =>
  Message.check(message, { strictness: options.strictness ?? Dmarc.relaxed, isBulk: options.kind !== "transactional" })
