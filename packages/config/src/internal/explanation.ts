/**
 * Settings in sentences.
 */
import type { Settings } from "../ConfigSchema.ts"
import { listOf } from "./oneOrMore.ts"
import { defaultFor } from "./rules.ts"

/** One sentence for each thing that the settings do. */
export const of = (settings: Settings): ReadonlyArray<string> => [
  ...relaySentences(settings),
  ...routeSentences(settings),
  ...rateSentences(settings),
  ...(settings.rule ?? []).map(ruleSentence),
  ...(settings.provider_rules === false ? ["The rules for the big providers are off."] : []),
  ...(settings.sticky_lanes === true ? ["Mail to one domain goes by one relay while that is usable."] : []),
  ...Object.entries(settings.dkim ?? {}).map(
    ([domain, { selector }]) => `Mail from ${domain} is signed with the key ${selector}._domainkey.${domain}.`
  ),
  ...telemetrySentences(settings),
  ...suppressSentences(settings)
]

type Relay = NonNullable<Settings["relay"]>[string]

/** The relays of one class that take messages at all. */
const usable = (settings: Settings, rank: "primary" | "backup"): ReadonlyArray<readonly [string, Relay]> =>
  Object.entries(settings.relay ?? {}).filter(
    ([, relay]) => (relay.class === "backup") === (rank === "backup") && (relay.weight ?? 1) > 0
  )

const relaySentences = (settings: Settings): ReadonlyArray<string> => {
  const primary = usable(settings, "primary")
  const total = primary.reduce((sum, [, { weight = 1 }]) => sum + weight, 0)
  const share = (relay: Relay): string => {
    if (relay.weight === 0) return "takes no messages"
    if (relay.class === "backup") return "takes messages while no primary relay is usable"
    if (primary.length === 1) return "takes the messages"
    return `takes ${Math.round(((relay.weight ?? 1) / total) * 100)} % of the messages`
  }
  return Object.entries(settings.relay ?? {}).map(([name, relay]) => {
    const connections = relay.connections === undefined ? "" : `, ${relay.connections} connections at most`
    return `Relay ${name} (${new URL(relay.url).host}) ${share(relay)}${limitsOf(relay)}${connections}.`
  })
}

const routeSentences = (settings: Settings): ReadonlyArray<string> => {
  const routes = settings.route ?? []
  const sentences = routes.map((route) => {
    const conditions = [
      ...(route.tenant === undefined ? [] : [`of tenant ${conjunction(listOf(route.tenant), "or")}`]),
      ...(route.sender === undefined ? [] : [`from ${conjunction(listOf(route.sender), "or")}`]),
      ...(route.lane === undefined ? [] : [`to ${conjunction(listOf(route.lane), "or")}`])
    ]
    const which = conditions.length === 0 ? "All other mail" : `Mail ${conditions.join(" ")}`
    return `${which} goes by ${conjunction(listOf(route.relay), "and")}${limitsFor(settings, route)}.`
  })
  if (routes.length === 0 || routes.some(isForAll) || Object.keys(settings.relay ?? {}).length < 2) return sentences
  const others = [...usable(settings, "primary"), ...usable(settings, "backup")].map(([name]) => name)
  return [...sentences, `All other mail goes by ${conjunction(others, "and")}.`]
}

const rateSentences = (settings: Settings): ReadonlyArray<string> => [
  ...Object.entries(settings.lane ?? {}).flatMap(([lane, rates]) => {
    const limits = limitsOf(rates)
    return limits === "" ? [] : [`Mail to ${lane} goes${limits.replace(",", "")}.`]
  }),
  ...Object.entries(settings.tenant ?? {}).flatMap(([tenant, rates]) => {
    const share = rates.weight === undefined ? "" : ` has a share of ${rates.weight} beside the others`
    const limits = limitsOf(rates).replace(", ", " sends ")
    const parts = [share, limits].filter((part) => part !== "")
    return parts.length === 0 ? [] : [`Tenant ${tenant}${parts.join(", and")}.`]
  })
]

const ruleSentence = (rule: Rule): string => {
  const { lane, relay, reply } = rule
  const from = relay === undefined ? "" : ` of ${conjunction(listOf(relay), "or")}`
  const about = lane === undefined ? "" : ` about ${conjunction(listOf(lane), "or")}`
  return `At a reply ${JSON.stringify(reply)}${from}${about}, ${conjunction(actionsOf(rule), "and")}.`
}

const telemetrySentences = ({ telemetry }: Settings): ReadonlyArray<string> => {
  if (telemetry === undefined) return []
  const { otlp, otlp_metrics: metrics, sample = 1 } = telemetry
  return [
    ...(otlp === undefined
      ? []
      : [`Traces of ${sample === 1 ? "all messages" : `${sample * 100} % of the messages`} go to ${otlp}.`]),
    ...(metrics === undefined ? [] : [`Metrics go to ${metrics}.`])
  ]
}

const suppressSentences = ({ suppress }: Settings): ReadonlyArray<string> => {
  const lists = listOf(suppress)
  return lists.length === 0 ? [] : [`Addresses in ${conjunction(lists, "and")} get no mail.`]
}

/** The limits of the lanes and tenants that a route names, as the end of its sentence; empty if they have none. */
const limitsFor = ({ lane = {}, tenant = {} }: Settings, route: NonNullable<Settings["route"]>[number]): string => {
  const lanes = listOf(route.lane)
  const limits = [
    ...lanes.map((name) => {
      const [, rates] = Object.entries(lane).find(([one]) => one.toLowerCase() === name.toLowerCase()) ?? []
      return { rates, whose: lanes.length === 1 ? "" : ` for ${name}` }
    }),
    ...listOf(route.tenant).map((name) => ({
      rates: Object.hasOwn(tenant, name) ? tenant[name] : undefined,
      whose: ` for tenant ${name}`
    }))
  ].flatMap(({ rates, whose }) => {
    const text = rates === undefined ? "" : limitsOf(rates)
    return text === "" ? [] : [`${text.replace(", ", "")}${whose}`]
  })
  return limits.length === 0 ? "" : `, ${conjunction(limits, "and")}`
}

/** The limits of a relay, a lane or a tenant, as the end of a sentence; empty if it has none. */
const limitsOf = (rates: Rates): string => {
  const limits = [
    ...listOf(rates.rate),
    ...(rates.warmup === undefined
      ? []
      : [`${rates.warmup.from} growing by ×${rates.warmup.factor ?? 1.5} a day to ${rates.warmup.to}`])
  ]
  return limits.length === 0 ? "" : `, at most ${conjunction(limits, "and")}`
}

type Rule = NonNullable<Settings["rule"]>[number]

/** The actions of a rule, in clauses. */
const actionsOf = (rule: Rule): ReadonlyArray<string> => {
  const what = rule.lane === undefined ? "the relay" : "the domain"
  const limits = [
    ...(rule.slow_to === undefined ? [] : [`at most ${rule.slow_to}`]),
    ...(rule.connections === undefined
      ? []
      : [`at most ${counted(rule.connections, rule.lane === undefined ? "connection" : "message")} at once`]),
    ...(rule.messages_per_connection === undefined
      ? []
      : [`at most ${counted(rule.messages_per_connection, "message")} a connection`])
  ]
  return [
    ...(rule.retry === undefined
      ? []
      : [
          rule.reply.trim().startsWith("5")
            ? `the message is not refused but left alone for ${rule.retry}`
            : `the message is left alone for ${rule.retry}`
        ]),
    ...(rule.pause === undefined ? [] : [`${what} is left alone for ${rule.pause}`]),
    ...(rule.bounce_as === undefined ? [] : [`the message is refused for good with ${rule.bounce_as}`]),
    ...(limits.length === 0 ? [] : [`${what} gets ${conjunction(limits, "and")} for ${rule.for ?? defaultFor}`])
  ]
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? "" : "s"}`

type Rates = NonNullable<Settings["lane"]>[string]

const isForAll = (route: NonNullable<Settings["route"]>[number]): boolean =>
  route.tenant === undefined && route.sender === undefined && route.lane === undefined

const conjunction = (parts: ReadonlyArray<string>, word: "and" | "or"): string =>
  parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} ${word} ${parts.at(-1)}`
