/**
 * Mail to the domain: whether replies and bounces arrive, and whether they are encrypted on the way (RFC 8461, RFC 8460).
 */
import * as Effect from "effect/Effect"
import type * as Dns from "effect/net/Dns"
import { addressesOf } from "./addresses.ts"
import { type Finding, finding, unanswered } from "./finding.ts"
import * as Records from "./records.ts"

/** Reads the text at a URL; fails with why there is none. */
export type Fetch = (url: string) => Effect.Effect<string, string>

/** Whether mail to the domain has a place to go to. */
export const replies = (domain: string): Effect.Effect<Finding, never, Dns.Dns> =>
  Effect.gen(function* () {
    const mx = yield* Records.ask(domain, "MX")
    const remedy = "publish an MX record, so that replies and bounces arrive, or send from a domain that has one"
    if (mx._tag === "Unknown") return unanswered("replies", domain, mx.why)
    if (mx._tag === "Records") {
      const exchangers = mx.records.map(({ exchange }) => Records.withoutDot(String(exchange)))
      return exchangers.every((name) => name === "")
        ? finding("replies", "problem", domain, "the domain says that it takes no mail (null MX, RFC 7505)", remedy)
        : finding("replies", "ok", domain, `mail goes to ${exchangers.join(", ")}`)
    }
    const { addresses, unanswered: silence } = yield* addressesOf(domain)
    if (addresses.length === 0 && silence !== undefined) return unanswered("replies", domain, silence)
    return addresses.length > 0
      ? finding("replies", "advice", domain, "there is no MX record; mail goes to the domain's own address", remedy)
      : finding("replies", "problem", domain, "the domain takes no mail: it has neither MX nor address", remedy)
  })

/** Whether senders must encrypt mail to the domain. */
export const mtaSts = (domain: string, fetch: Fetch | undefined): Effect.Effect<Finding, never, Dns.Dns> =>
  Effect.gen(function* () {
    const name = `_mta-sts.${domain}`
    const answer = yield* Records.texts(name)
    if (answer._tag === "Unknown") return unanswered("mtaSts", name, answer.why)
    const records = answer._tag === "None" ? [] : answer.records.filter((text) => /^v=STSv1\s*;/.test(text))
    if (records.length !== 1)
      return records.length === 0
        ? finding(
            "mtaSts",
            "advice",
            name,
            "no MTA-STS: replies and bounces may travel in clear",
            "publish a policy (RFC 8461) if the mail servers of the domain have certificates of an authority"
          )
        : finding("mtaSts", "problem", name, `there are ${records.length} records, so that none counts`, "leave one")
    const url = `https://mta-sts.${domain}/.well-known/mta-sts.txt`
    if (fetch === undefined)
      return finding("mtaSts", "unknown", name, "there is a record; its policy was not read", `look at ${url}`)
    const policy = yield* Effect.result(fetch(url))
    if (policy._tag === "Failure")
      return finding(
        "mtaSts",
        "problem",
        url,
        `the record promises a policy that cannot be read: ${policy.failure}`,
        "serve the policy there, with a certificate for that name, or take the record away"
      )
    return yield* judgePolicy(domain, url, policy.success)
  })

const judgePolicy = (domain: string, url: string, text: string): Effect.Effect<Finding, never, Dns.Dns> =>
  Effect.gen(function* () {
    const fields = text.split(/\r?\n/).map((line) => /^([a-z_]+)\s*:\s*(.*?)\s*$/.exec(line))
    const all = (key: string) => fields.flatMap((field) => (field?.[1] === key ? field[2]! : []))
    const [mode] = all("mode")
    const patterns = all("mx")
    if (all("version")[0] !== "STSv1" || !/^(?:enforce|testing|none)$/.test(mode ?? "") || all("max_age").length === 0)
      return finding("mtaSts", "problem", url, "the policy is not complete", "give it version, mode, mx and max_age")
    const mx = yield* Records.ask(domain, "MX")
    const exchangers =
      mx._tag === "Records" ? mx.records.map(({ exchange }) => Records.withoutDot(String(exchange))) : []
    const missing = exchangers.filter((name) => !patterns.some((pattern) => matchesPattern(name, pattern)))
    return missing.length > 0 && mode !== "none"
      ? finding(
          "mtaSts",
          "problem",
          url,
          `the policy (${mode}) does not name ${missing.join(", ")}, so that mail to it is held back`,
          "name every MX of the domain in the policy, then change the record's id"
        )
      : finding("mtaSts", "ok", url, `the policy is ${mode} for ${patterns.join(", ")}`)
  })

/** `*.example.org` covers one label (RFC 8461 §4.1). */
const matchesPattern = (name: string, pattern: string): boolean =>
  pattern.startsWith("*.")
    ? name.slice(name.indexOf(".") + 1).toLowerCase() === pattern.slice(2).toLowerCase()
    : pattern.toLowerCase() === name.toLowerCase()

/** Whether senders report how encryption went. */
export const tlsRpt = (domain: string): Effect.Effect<Finding, never, Dns.Dns> =>
  Effect.map(Records.texts(`_smtp._tls.${domain}`), (answer) => {
    const name = `_smtp._tls.${domain}`
    if (answer._tag === "Unknown") return unanswered("tlsRpt", name, answer.why)
    const record = answer._tag === "Records" ? answer.records.find((text) => /^v=TLSRPTv1\s*;/.test(text)) : undefined
    const rua = record === undefined ? undefined : Records.tags(record).get("rua")
    return rua === undefined
      ? finding(
          "tlsRpt",
          "advice",
          name,
          "nobody reports when mail to the domain cannot be encrypted",
          `publish "v=TLSRPTv1; rua=mailto:tls@${domain}" (RFC 8460)`
        )
      : finding("tlsRpt", "ok", name, `reports go to ${rua}`)
  })
