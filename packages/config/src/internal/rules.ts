/**
 * The rules of a configuration for what replies mean, before those for the big providers.
 */
import type { AskedLimits } from "@mailrace/flow/AskedLimits"
import * as Limit from "@mailrace/flow/Limit"
import type { ProviderRule } from "@mailrace/flow/ProviderRule"
import * as ProviderRules from "@mailrace/flow/ProviderRules"
import * as RelayUrl from "@mailrace/smtp/RelayUrl"
import * as DomainPattern from "mailrace/DomainPattern"
import * as Result from "effect/Result"
import type { Settings } from "../ConfigSchema.ts"
import { listOf } from "./oneOrMore.ts"

type Rule = NonNullable<Settings["rule"]>[number]

const units = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

const maxTime = 30 * units.d

/** A time of at most 30 days, as `10m`, in milliseconds; `undefined` if it is not a time. */
export const timeOf = (text: string): number | undefined => {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)\s*([smhd])$/.exec(text) ?? []
  const milliseconds = Number(amount) * units[unit as keyof typeof units]
  return milliseconds > 0 && milliseconds <= maxTime ? milliseconds : undefined
}

/** The parts of `421 4.7.28 unusual rate`; `undefined` if it does not begin with a code of a refusal. */
export const patternOf = (text: string): { code: number; status: string | undefined; words: string } | undefined => {
  const [, code, status, words] = /^([45]\d\d)(?:\s+(\d\.\d{1,3}\.\d{1,3}))?(?:\s+(.*))?$/s.exec(text.trim()) ?? []
  return code === undefined ? undefined : { code: Number(code), status, words: words ?? "" }
}

/** True if every reply that `later` recognises is recognised by `earlier`. */
export const hides = (earlier: Rule, later: Rule): boolean => {
  const [wide, narrow] = [patternOf(earlier.reply), patternOf(later.reply)]
  if (wide === undefined || narrow === undefined) return false
  const within = (
    all: ReadonlyArray<string>,
    some: ReadonlyArray<string>,
    isIn = (one: string) => all.includes(one)
  ): boolean => all.length === 0 || (some.length > 0 && some.every(isIn))
  const lanes = listOf(earlier.lane)
  const isLane = DomainPattern.matcher(lanes)
  return (
    wide.code === narrow.code &&
    (wide.status === undefined || wide.status === narrow.status) &&
    narrow.words.toLowerCase().includes(wide.words.toLowerCase()) &&
    // Some domain below stands for all of them.
    within(lanes, listOf(later.lane), (one) => isLane(one.replace(/^\*/, "x"))) &&
    within(listOf(earlier.relay), listOf(later.relay))
  )
}

/** All rules that hold, or those that hold at one relay by its name: the configuration's own ones first. */
export const rulesOf = (settings: Settings, relay?: string): ReadonlyArray<ProviderRule> => [
  ...(settings.rule ?? []).flatMap((rule, index) =>
    // Two accounts may have the same host.
    relay === undefined || rule.relay === undefined || listOf(rule.relay).includes(relay)
      ? [ruleOf(settings, rule, index)]
      : []
  ),
  ...(settings.provider_rules === false ? [] : ProviderRules.defaults)
]

const ruleOf = ({ relay: relays = {} }: Settings, rule: Rule, index: number): ProviderRule => {
  const { code, status, words } = patternOf(rule.reply)!
  const hosts = rule.relay === undefined ? undefined : listOf(rule.relay).map((name) => hostOf(relays[name]!.url))
  return {
    name: `rule ${index + 1}`,
    provider: "the configuration",
    lanes: rule.lane === undefined ? undefined : listOf(rule.lane),
    relays: hosts,
    codes: [code],
    status: status === undefined ? undefined : new RegExp(`^${status.replaceAll(".", "\\.")}$`),
    words: words === "" ? undefined : new RegExp(words.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "i"),
    leaves: rule.retry !== undefined ? "message" : rule.lane !== undefined ? "lane" : "relay",
    forMs: timeOf(rule.retry ?? rule.pause ?? "") ?? 0,
    limits: limitsOf(rule),
    bounceAs: rule.bounce_as,
    why: "as the configuration says",
    source: "",
    asOf: ""
  }
}

/** How long limits hold unless the rule says otherwise. */
export const defaultFor = "1h"

/** True if the rule limits what is sent after the reply. */
export const hasLimits = ({ connections, messages_per_connection, slow_to }: Rule): boolean =>
  slow_to !== undefined || connections !== undefined || messages_per_connection !== undefined

const limitsOf = (rule: Rule): AskedLimits | undefined =>
  hasLimits(rule)
    ? {
        about: rule.lane === undefined ? "relay" : "lane",
        isOfRelay: rule.lane === undefined || rule.relay !== undefined,
        slowTo: rule.slow_to === undefined ? undefined : Result.getOrThrow(Limit.parse(rule.slow_to)),
        connections: rule.connections,
        messagesPerConnection: rule.messages_per_connection,
        forMs: timeOf(rule.for ?? defaultFor)!
      }
    : undefined

const hostOf = (url: string): string => Result.getOrThrow(RelayUrl.parse(url)).host
