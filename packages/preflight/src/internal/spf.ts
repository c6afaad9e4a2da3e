/**
 * SPF (RFC 7208): whether a domain's record can be evaluated at all, and whether it lets an address send.
 */
import * as Effect from "effect/Effect"
import type * as Dns from "effect/net/Dns"
import * as Result from "effect/Result"
import { isIP } from "node:net"
import { addressesOf, isIn } from "./addresses.ts"
import { type Finding, finding } from "./finding.ts"
import * as Records from "./records.ts"
import * as SpfRecord from "./spfRecord.ts"

/** The most lookups of one check (RFC 7208 §4.6.4). */
const maxLookups = 10

/** Records of records of records: a walk that goes deeper, or asks more often, is given up. */
const maxDepth = 20
const maxWalked = 100

const fewer =
  "take out the include: of services that are not used any more, or put addresses (ip4:, ip6:) in their place"

/** Why a record gives no result, and whether that is the record's fault. */
interface Failure {
  readonly isFault: boolean
  readonly why: string
  readonly remedy: string
}

/** The result of a record with everything that it includes. */
interface Evaluated {
  /** The result for the sending address; `undefined` if none is given, or if it depends on the message. */
  readonly result: SpfRecord.Qualifier | undefined
  /** The qualifier of `all`. */
  readonly otherwise: SpfRecord.Qualifier | undefined
}

/** Looks at a domain's record. With an address it is evaluated as a receiver would. */
export const check = (domain: string, address: string | undefined): Effect.Effect<Finding, never, Dns.Dns> =>
  Effect.suspend(() => {
    const walk = new Walk(address)
    return Effect.match(walk.evaluate(domain, []), {
      onFailure: ({ isFault, remedy, why }) => finding("spf", isFault ? "problem" : "unknown", domain, why, remedy),
      onSuccess: (evaluated) => judge(domain, address, walk, evaluated)
    })
  })

const judge = (domain: string, address: string | undefined, walk: Walk, evaluated: Evaluated): Finding => {
  const { otherwise, result } = evaluated
  const cost = `${walk.lookups} of ${maxLookups} lookups`
  const problem = (found: string, remedy: string) => finding("spf", "problem", domain, found, remedy)
  const advice = (found: string, remedy: string) => finding("spf", "advice", domain, `${found}; ${cost}`, remedy)
  if (walk.lookups > maxLookups)
    return problem(
      `the record takes ${walk.lookups} DNS lookups, and receivers stop with an error after ${maxLookups}`,
      fewer
    )
  if (otherwise === "pass")
    return problem("the record lets every address in the world send for the domain (+all)", "end the record with ~all")
  if (address !== undefined && result !== undefined && result !== "pass")
    return problem(
      `the record does not let ${address} send: the result is ${result}`,
      `add ip${isIP(address)}:${address} to the record, or the include: that your provider names`
    )
  if (walk.usesPtr)
    return advice("the record uses ptr, which receivers may ignore (RFC 7208 §5.5)", "replace ptr by ip4: and ip6:")
  if (otherwise === undefined || otherwise === "neutral")
    return advice("the record says nothing of addresses that it does not name", "end the record with ~all or -all")
  const seen =
    address === undefined
      ? "whether it lets the sending address through is not known without that address"
      : result === "pass"
        ? `it lets ${address} send`
        : `whether it lets ${address} send depends on the message`
  return finding("spf", "ok", domain, `one record, ${cost}; ${seen}`)
}

/** One evaluation. Each mechanism that asks the DNS is counted, also behind the one that matches: that is the worst case. */
class Walk {
  lookups = 0
  usesPtr = false
  private readonly address: string | undefined

  constructor(address: string | undefined) {
    this.address = address
  }

  evaluate(domain: string, within: ReadonlyArray<string>): Effect.Effect<Evaluated, Failure, Dns.Dns> {
    return Effect.gen({ self: this }, function* () {
      if (within.includes(domain) || within.length > maxDepth)
        return yield* fault(`the record of ${domain} includes itself`)
      const record = yield* recordOf(domain, within.at(-1))
      let result: SpfRecord.Qualifier | undefined
      let isOpen = true
      for (const term of record.terms) {
        if (this.lookups > maxWalked) return yield* fault(`the record takes more than ${maxWalked} DNS lookups`, fewer)
        const matches = yield* this.matches(term, domain, [...within, domain], isOpen)
        if (matches === false || !isOpen) continue
        isOpen = false
        result = matches === "maybe" ? undefined : term.qualifier
      }
      const last = record.terms.at(-1)
      const otherwise = last?.mechanism === "all" ? last.qualifier : undefined
      if (record.redirect === undefined || otherwise !== undefined) {
        // An address that no term matches is neutral (RFC 7208 §4.7).
        return { result: isOpen && this.address !== undefined ? "neutral" : result, otherwise }
      }
      this.lookups++
      if (record.redirect.includes("%")) return { result, otherwise }
      const other = yield* this.evaluate(record.redirect.toLowerCase(), [...within, domain])
      return { result: isOpen ? other.result : result, otherwise: other.otherwise }
    })
  }

  /**
   * Whether a mechanism matches the address: `maybe` where that depends on the message, false where there is no address. Behind the
   * one that matched (`isOpen` is false) hosts are counted and not asked for.
   */
  private matches(
    { mechanism, prefixes, target }: SpfRecord.Term,
    domain: string,
    within: ReadonlyArray<string>,
    isOpen: boolean
  ): Effect.Effect<boolean | "maybe", Failure, Dns.Dns> {
    return Effect.gen({ self: this }, function* () {
      const { address } = this
      if (mechanism === "all") return address !== undefined
      if (mechanism === "ip4" || mechanism === "ip6") {
        const network = target + prefixes
        const matches = isIn(address ?? "0.0.0.0", network)
        if (matches === undefined)
          return yield* fault(`"${mechanism}:${network}" in the record of ${domain} is no address`)
        return matches && address !== undefined
      }
      this.lookups++
      if (mechanism === "ptr") this.usesPtr = true
      if (target.includes("%") || mechanism === "ptr" || mechanism === "exists")
        return address === undefined ? false : "maybe"
      if (mechanism === "include") {
        const included = yield* this.evaluate(target.toLowerCase(), within)
        if (address === undefined) return false
        return included.result === undefined ? "maybe" : included.result === "pass"
      }
      if (address === undefined || !isOpen) return false
      const name = target === "" ? domain : target
      const hosts = mechanism === "a" ? [name] : yield* exchangersOf(name)
      let failure: Failure | undefined
      for (const host of hosts.slice(0, maxLookups)) {
        const { addresses, unanswered } = yield* addressesOf(host, address)
        if (addresses.some((one) => isIn(address, one + prefixFor(one, prefixes)) === true)) return true
        if (unanswered !== undefined) failure ??= silence(host, unanswered)
      }
      return failure === undefined ? false : yield* Effect.fail(failure)
    })
  }
}

const fault = (why: string, remedy = "correct the record: receivers treat an error in it as no SPF at all") =>
  Effect.fail<Failure>({ isFault: true, why, remedy })

/** Receivers answer 4yz where the DNS does not answer (temperror, RFC 7208 §2.6.6). */
const silence = (name: string, why: string): Failure => ({
  isFault: false,
  why: `the DNS gave no answer for ${name}: ${why}`,
  remedy: "try again when the DNS answers"
})

/** The record of a domain, which the record of `by` includes. */
const recordOf = (domain: string, by: string | undefined): Effect.Effect<SpfRecord.SpfRecord, Failure, Dns.Dns> =>
  Effect.flatMap(Records.texts(domain), (answer) => {
    if (answer._tag === "Unknown") return Effect.fail(silence(domain, answer.why))
    const records = answer._tag === "None" ? [] : answer.records.filter((text) => /^v=spf1(?:\s|$)/i.test(text))
    const [record] = records
    if (record === undefined && by !== undefined)
      return fault(
        `the record of ${by} includes ${domain}, which ${answer._tag === "None" && answer.isMissing ? "does not exist" : "has no SPF record"}`,
        "correct that name in the record, or take it out"
      )
    if (record === undefined)
      return fault(
        `${domain} has no SPF record`,
        'publish a TXT record at the domain, such as "v=spf1 include:_spf.provider.example ~all" with what your provider names'
      )
    if (records.length > 1)
      return fault(
        `${domain} has ${records.length} SPF records, which is an error for every receiver`,
        "join them into one record"
      )
    const parsed = SpfRecord.parse(record.trim())
    return Result.isSuccess(parsed)
      ? Effect.succeed(parsed.success)
      : fault(`"${parsed.failure}" in the record of ${domain} is no term of SPF`)
  })

const prefixFor = (address: string, prefixes: string): string => {
  const [, four, six] = /^(?:\/(\d+))?(?:\/\/(\d+))?$/.exec(prefixes) ?? []
  const prefix = isIP(address) === 4 ? four : six
  return prefix === undefined ? "" : `/${prefix}`
}

const exchangersOf = (domain: string) =>
  Effect.flatMap(Records.ask(domain, "MX"), (answer) =>
    answer._tag === "Unknown"
      ? Effect.fail(silence(domain, answer.why))
      : Effect.succeed(
          answer._tag === "Records" ? answer.records.map(({ exchange }) => Records.withoutDot(String(exchange))) : []
        )
  )
