/**
 * Settings in sentences.
 */
import type { Settings } from "../ConfigSchema.ts"
import { listOf } from "./oneOrMore.ts"
import { defaultFor } from "./rules.ts"

/** One sentence for each thing that the settings do. */
export const of = (settings: Settings): ReadonlyArray<string> => {
  const relays = Object.entries(settings.relay ?? {})
  const primary = relays.filter(([, { class: rank, weight = 1 }]) => rank !== "backup" && weight > 0)
  const backup = relays.filter(([, { class: rank, weight = 1 }]) => rank === "backup" && weight > 0)
  const total = primary.reduce((sum, [, { weight = 1 }]) => sum + weight, 0)
  const limitsOf = (rates: Rates): string => {
    const limits = [
      ...listOf(rates.rate),
      ...(rates.warmup === undefined
        ? []
        : [`${rates.warmup.from} growing by ×${rates.warmup.factor ?? 1.5} a day to ${rates.warmup.to}`])
    ]
    return limits.length === 0 ? "" : `, at most ${conjunction(limits, "and")}`
  }
  const sentences: Array<string> = []
  for (const [name, relay] of relays) {
    const { host } = new URL(relay.url)
    const connections = relay.connections === undefined ? "" : `, ${relay.connections} connections at most`
    const share =
      relay.weight === 0
        ? "takes no messages"
        : relay.class === "backup"
          ? "takes messages while no primary relay is usable"
          : primary.length === 1
            ? "takes the messages"
            : `takes ${Math.round(((relay.weight ?? 1) / total) * 100)} % of the messages`
    sentences.push(`Relay ${name} (${host}) ${share}${limitsOf(relay)}${connections}.`)
  }
  for (const route of settings.route ?? []) {
    const conditions = [
      ...(route.tenant === undefined ? [] : [`of tenant ${conjunction(listOf(route.tenant), "or")}`]),
      ...(route.sender === undefined ? [] : [`from ${conjunction(listOf(route.sender), "or")}`]),
      ...(route.lane === undefined ? [] : [`to ${conjunction(listOf(route.lane), "or")}`])
    ]
    const which = conditions.length === 0 ? "All other mail" : `Mail ${conditions.join(" ")}`
    sentences.push(`${which} goes by ${conjunction(listOf(route.relay), "and")}.`)
  }
  if ((settings.route?.length ?? 0) > 0 && !settings.route!.some(isForAll) && relays.length > 1)
    sentences.push(
      `All other mail goes by ${conjunction(
        [...primary, ...backup].map(([name]) => name),
        "and"
      )}.`
    )
  for (const [lane, rates] of Object.entries(settings.lane ?? {}))
    if (limitsOf(rates) !== "") sentences.push(`Mail to ${lane} goes${limitsOf(rates).replace(",", "")}.`)
  for (const [tenant, rates] of Object.entries(settings.tenant ?? {})) {
    const share = rates.weight === undefined ? "" : ` has a share of ${rates.weight} beside the others`
    const limits = limitsOf(rates).replace(", ", " sends ")
    if (share !== "" || limits !== "")
      sentences.push(`Tenant ${tenant}${[share, limits].filter((part) => part !== "").join(", and")}.`)
  }
  for (const rule of settings.rule ?? []) {
    const { lane, relay, reply } = rule
    const from = relay === undefined ? "" : ` of ${conjunction(listOf(relay), "or")}`
    const about = lane === undefined ? "" : ` about ${conjunction(listOf(lane), "or")}`
    sentences.push(`At a reply ${JSON.stringify(reply)}${from}${about}, ${conjunction(actionsOf(rule), "and")}.`)
  }
  if (settings.provider_rules === false) sentences.push("The rules for the big providers are off.")
  if (settings.sticky_lanes === true) sentences.push("Mail to one domain goes by one relay while that is usable.")
  for (const [domain, { selector }] of Object.entries(settings.dkim ?? {}))
    sentences.push(`Mail from ${domain} is signed with the key ${selector}._domainkey.${domain}.`)
  if (settings.telemetry !== undefined) {
    const { otlp, sample = 1 } = settings.telemetry
    sentences.push(`Traces of ${sample === 1 ? "all messages" : `${sample * 100} % of the messages`} go to ${otlp}.`)
  }
  const lists = listOf(settings.suppress)
  if (lists.length > 0) sentences.push(`Addresses in ${conjunction(lists, "and")} get no mail.`)
  return sentences
}

type Rule = NonNullable<Settings["rule"]>[number]

/** What a rule does, in clauses. */
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
    ...(rule.retry === undefined ? [] : [`the message is left alone for ${rule.retry}`]),
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
