/**
 * Finds faults that the types of settings cannot show: invalid addresses, limits that let nothing through, routes that lead
 * nowhere, secrets that everybody can read.
 */
import * as Limit from "@mailrace/flow/Limit"
import * as WarmUp from "@mailrace/flow/WarmUp"
import * as Router from "@mailrace/router/Router"
import * as RelayUrl from "@mailrace/smtp/RelayUrl"
import * as Result from "effect/Result"
import type { Settings } from "../ConfigSchema.ts"
import { type SettingFault, textOf } from "./decode.ts"
import { listOf } from "./oneOrMore.ts"
import { hasLimits, hides, patternOf, timeOf } from "./rules.ts"
import type { Path } from "./source.ts"

type Rates = NonNullable<Settings["lane"]>[string]

/** The faults of settings, in no order. */
export const faultsIn = (settings: Settings): ReadonlyArray<SettingFault> => [
  ...entries(settings.relay).flatMap(([name, relay]) => [
    ...urlFaults(["relay", name], relay),
    ...rateFaults(["relay", name], relay, true),
    ...atLeast(["relay", name, "connections"], relay.connections, 1),
    ...atLeast(["relay", name, "size"], relay.size, 1)
  ]),
  ...entries(settings.lane).flatMap(([lane, rates]) => [
    ...(lane.includes("@")
      ? [fault(["lane", lane], "is an address", 'name the domain alone, as [lane."gmail.com"]')]
      : []),
    ...rateFaults(["lane", lane], rates)
  ]),
  ...entries(settings.tenant).flatMap(([tenant, { weight = 1, ...rates }]) => [
    ...(weight > 0 ? [] : [fault(["tenant", tenant, "weight"], "gives it no share", "give a number above 0, as 2")]),
    ...rateFaults(["tenant", tenant], rates)
  ]),
  ...entries(settings.dkim).flatMap(([domain, { selector }]) => [
    ...(domain.includes("@")
      ? [
          fault(
            ["dkim", domain],
            "is an address",
            `name the domain alone, as [dkim.${JSON.stringify(domain.slice(domain.lastIndexOf("@") + 1))}]`
          )
        ]
      : []),
    ...(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i.test(selector)
      ? []
      : [fault(["dkim", domain, "selector"], "is not a name in the DNS", "give letters, digits and dots, as s1")])
  ]),
  ...telemetryFaults(settings),
  ...twice("lane", settings.lane),
  ...twice("dkim", settings.dkim),
  ...routeFaults(settings),
  ...(settings.rule ?? []).flatMap((_, index) => ruleFaults(settings, index))
]

const entries = <A>(table: { readonly [name: string]: A } | undefined): ReadonlyArray<[string, A]> =>
  Object.entries(table ?? {})

const fault = (path: Path, problem: string, remedy: string): SettingFault => ({
  path,
  problem: `${textOf(path)} ${problem}`,
  remedy
})

const atLeast = (path: Path, value: number | undefined, least: number): ReadonlyArray<SettingFault> =>
  value === undefined || value >= least
    ? []
    : [fault(path, `is ${value}`, `give a whole number from ${least}, or leave it out`)]

const urlFaults = (
  path: Path,
  { password, url }: NonNullable<Settings["relay"]>[string]
): ReadonlyArray<SettingFault> => {
  const at = [...path, "url"]
  const parsed = RelayUrl.parse(url)
  if (Result.isFailure(parsed)) return [fault(at, `cannot be used: ${parsed.failure.problem}`, urlRemedy)]
  const { auth } = parsed.success
  if (URL.parse(url)?.password)
    return [
      fault(
        at,
        "has a password in clear",
        'take it out, and add password = { env = "RELAY_PASSWORD" } or { file = "…" }'
      )
    ]
  if (password !== undefined && auth === undefined)
    return [fault(at, "has no user for the password", 'name the user, as in "smtps://user@mail.example.org"')]
  if (password === undefined && auth !== undefined)
    return [fault(at, "has a user without a password", 'add password = { env = "RELAY_PASSWORD" } or { file = "…" }')]
  return []
}

/** `RelayUrl` names a form with a password, which has no place in a configuration. */
const urlRemedy =
  'write it as "smtp://mail.example.org:587", or as "smtps://user@mail.example.org" with password = { env = "RELAY_PASSWORD" } below it'

/** Only a relay has connections. */
const rateFaults = (path: Path, { rate, warmup }: Rates, isRelay = false): ReadonlyArray<SettingFault> => {
  const limits = listOf(rate).flatMap((text, index) => {
    const limit = Limit.parse(text)
    const at = typeof rate === "string" ? [...path, "rate"] : [...path, "rate", index]
    if (Result.isFailure(limit)) return [split(at, limit.failure)]
    return limit.success.unit === "connections" && !isRelay
      ? [
          fault(
            at,
            "limits new connections, which are opened to a relay",
            "put it into the table of a relay, as [relay.main]"
          )
        ]
      : []
  })
  if (warmup === undefined) return limits
  const parsed = WarmUp.parse(warmUpText(warmup), 0)
  return Result.isFailure(parsed) ? [...limits, split([...path, "warmup"], parsed.failure)] : limits
}

/** A sentence of the form "fault; remedy". */
const split = (path: Path, sentence: string): SettingFault => {
  const cut = sentence.lastIndexOf("; ")
  return fault(path, `cannot be used: ${sentence.slice(0, cut)}`, sentence.slice(cut + 2))
}

/** A warm-up in the form that flow control reads. */
export const warmUpText = (warmup: NonNullable<Rates["warmup"]>): string =>
  Object.entries(warmup)
    .map(([name, value]) => `${name}=${value}`)
    .join(",")

/** Names that differ only in capitals, which domains do not tell apart. */
const twice = (table: string, names: { readonly [name: string]: unknown } | undefined): ReadonlyArray<SettingFault> => {
  const all = Object.keys(names ?? {})
  return all.flatMap((name, index) => {
    const first = all.findIndex((one) => one.toLowerCase() === name.toLowerCase())
    return first < index
      ? [fault([table, name], `is there twice, as ${all[first]} too`, "put the settings into one table")]
      : []
  })
}

/** A way to add a relay of which only the name is known. */
const additionOf = (name: string): string =>
  `add it: [relay.${/^[\w-]+$/.test(name) ? name : JSON.stringify(name)}] with url = "smtp://…"`

/** Conditions of a route or a rule that nothing meets. */
const unmetFaults = (
  at: Path,
  conditions: { readonly [name: string]: string | ReadonlyArray<string> | undefined },
  domains: ReadonlyArray<string>
): ReadonlyArray<SettingFault> =>
  Object.entries(conditions).flatMap(([name, values]) => {
    if (values === undefined) return []
    if (values.length === 0)
      return [
        fault(
          [...at, name],
          `names none, so that the ${at[0]} never matches`,
          "name at least one, or leave it out to match them all"
        )
      ]
    if (!domains.includes(name)) return []
    return listOf(values).flatMap((one, index) =>
      one.includes("@")
        ? [
            fault(
              typeof values === "string" ? [...at, name] : [...at, name, index],
              "is an address",
              `name the domain alone, as ${JSON.stringify(one.slice(one.lastIndexOf("@") + 1))}`
            )
          ]
        : []
    )
  })

/** The router's objections to its options, at the settings that they come from. */
const routeFaults = ({ relay = {}, route = [] }: Settings): ReadonlyArray<SettingFault> => {
  const unmet = route.flatMap(({ lane, sender, tenant }, index) =>
    unmetFaults(["route", index], { lane, sender, tenant }, ["lane", "sender"])
  )
  if (unmet.length > 0) return unmet
  const names = Object.keys(relay)
  const checked = Router.check({
    relays: names.map((name) => ({ name, weight: relay[name]!.weight })),
    routes: route.map(routeOf)
  })
  if (Result.isSuccess(checked)) return []
  if (names.length === 0)
    return route.flatMap(({ relay }, index) =>
      listOf(relay).map((name, position): SettingFault => {
        const at: Path = typeof relay === "string" ? ["route", index, "relay"] : ["route", index, "relay", position]
        return {
          path: at,
          problem: `${textOf(at)}: there is no relay ${JSON.stringify(name)}`,
          remedy: additionOf(name)
        }
      })
    )
  const { field, problem, remedy } = checked.failure
  const [, list, index, rest = ""] = /^(relays|routes)(?:\[(\d+)\])?(.*)$/.exec(field) ?? []
  const above: Path = list === "relays" ? ["relay"] : ["route"]
  const at: Path = index === undefined ? above : [...above, list === "relays" ? names[Number(index)]! : Number(index)]
  const below = [...rest.matchAll(/\.(\w+)|\[(\d+)\]/g)].map(([, name, position]) =>
    name === undefined ? Number(position) : name === "relays" ? "relay" : name
  )
  const words = (text: string): string => text.replace(/routes\[(\d+)\]/g, (_, n) => `route ${Number(n) + 1}`)
  return [
    { path: [...at, ...below], problem: `${textOf([...at, ...below])}: ${words(problem)}`, remedy: words(remedy) }
  ]
}

const telemetryFaults = ({ telemetry }: Settings): ReadonlyArray<SettingFault> => {
  if (telemetry === undefined) return []
  const { otlp, recipient_domains: domains, sample } = telemetry
  const collectorFaults = (["otlp", "otlp_metrics"] as const).flatMap((name) => {
    const address = telemetry[name]
    const url = address === undefined ? undefined : URL.parse(address)
    if (url?.password)
      return [
        fault(
          ["telemetry", name],
          "has a password in clear",
          'take it out, and set OTEL_EXPORTER_OTLP_HEADERS in the environment, as "authorization=Basic …"'
        )
      ]
    return address === undefined || /^https?:$/.test(url?.protocol ?? "")
      ? []
      : [fault(["telemetry", name], "is no address of a collector", 'write it as "http://localhost:4318"')]
  })
  const ofTraces = Object.entries({ sample, recipient_domains: domains }).filter(([, value]) => value !== undefined)
  return [
    ...collectorFaults,
    ...(otlp !== undefined
      ? []
      : ofTraces.map(([name]) =>
          fault(
            ["telemetry", name],
            "is about traces, which go nowhere",
            "name their collector with otlp, or take it out"
          )
        )),
    ...(sample === undefined || (sample >= 0 && sample <= 1)
      ? []
      : [fault(["telemetry", "sample"], `is ${sample}`, "give a share from 0 to 1, as 0.01")])
  ]
}

const ruleFaults = (settings: Settings, index: number): ReadonlyArray<SettingFault> => {
  const rules = settings.rule!
  const rule = rules[index]!
  const at: Path = ["rule", index]
  if (patternOf(rule.reply) === undefined)
    return [
      fault(
        [...at, "reply"],
        `does not begin with the code of a refusal`,
        'write it as "421 4.7.28" or "454 daily quota"'
      )
    ]
  const actions = actionFaults(at, rule)
  if (actions.length > 0) return actions
  const unmet = unmetFaults(at, { lane: rule.lane, relay: rule.relay }, ["lane"])
  if (unmet.length > 0) return unmet
  const relays = Object.keys(settings.relay ?? {})
  const stranger = listOf(rule.relay).find((one) => !relays.includes(one))
  if (stranger !== undefined)
    return [
      fault(
        [...at, "relay"],
        `names "${stranger}", and there is no such relay`,
        relays.length === 0 ? additionOf(stranger) : `name one of ${relays.join(", ")}, or add this relay`
      )
    ]
  const earlier = rules.slice(0, index).findIndex((one) => hides(one, rule))
  return earlier < 0
    ? []
    : [
        fault(
          at,
          `never matches, because rule ${earlier + 1} takes all its replies`,
          `put it before rule ${earlier + 1}, or take it out`
        )
      ]
}

type Rule = NonNullable<Settings["rule"]>[number]

/** Faults in what a rule does; its values are looked at once its settings go together. */
const actionFaults = (at: Path, rule: Rule): ReadonlyArray<SettingFault> => {
  const contradiction = refusalFault(at, rule) ?? loginFault(at, rule) ?? limitsFault(at, rule)
  if (contradiction !== undefined) return [contradiction]
  const slow = slowToFault([...at, "slow_to"], rule.slow_to)
  if (slow !== undefined) return [slow]
  return [
    ...(["pause", "retry", "for"] as const).flatMap((name) => timeFaults([...at, name], rule[name])),
    ...atLeast([...at, "connections"], rule.connections, 1),
    ...atLeast([...at, "messages_per_connection"], rule.messages_per_connection, 1)
  ]
}

/** A rule that does nothing, or two things to a message of which one rules out the other. */
const refusalFault = (at: Path, rule: Rule): SettingFault | undefined => {
  const { bounce_as: bounceAs, pause, retry } = rule
  if (pause === undefined && retry === undefined && bounceAs === undefined && !hasLimits(rule))
    return fault(
      at,
      "does nothing",
      'say pause = "10m" for the lane or relay, retry = "1h" for the message, slow_to = "5/s", connections = 3, messages_per_connection = 20, or bounce_as = "5.7.1"'
    )
  if (pause !== undefined && retry !== undefined)
    return fault(
      at,
      "has both pause and retry",
      'say pause = "10m" for the lane or relay, or retry = "1h" for the message'
    )
  if (bounceAs === undefined) return undefined
  if ((pause ?? retry) !== undefined)
    return fault(
      [...at, "bounce_as"],
      `refuses the message for good, so ${pause === undefined ? "retry" : "pause"} has nothing to put off`,
      "keep one of the two; slow_to and the other limits can stand beside bounce_as"
    )
  return /^5\.\d{1,3}\.\d{1,3}$/.test(bounceAs)
    ? undefined
    : fault(
        [...at, "bounce_as"],
        `is no enhanced status of a refusal for good: ${JSON.stringify(bounceAs)}`,
        'write it as "5.7.1"'
      )
}

/** The codes with which relays refuse or demand a login (RFC 4954 §4, §6). */
const loginCodes: ReadonlySet<string> = new Set(["530", "534", "535", "538"])

/** An action on one message cannot follow from a reply about the login. */
const loginFault = (at: Path, { bounce_as: bounceAs, reply, retry }: Rule): SettingFault | undefined => {
  const code = reply.trim().slice(0, 3)
  const setting = retry !== undefined ? "retry" : bounceAs !== undefined ? "bounce_as" : undefined
  return setting === undefined || !loginCodes.has(code)
    ? undefined
    : fault(
        [...at, setting],
        `is about one message, and ${code} refuses the login and so says nothing of any`,
        'say pause = "10m" for the relay'
      )
}

/** Settings of limits that have no limit, or none of this kind, to work on. */
const limitsFault = (at: Path, rule: Rule): SettingFault | undefined => {
  if (rule.for !== undefined && !hasLimits(rule))
    return fault(
      [...at, "for"],
      "says how long limits hold, and the rule has none",
      'add slow_to = "5/s" or another limit, or take it out'
    )
  return rule.messages_per_connection === undefined || rule.lane === undefined
    ? undefined
    : fault(
        [...at, "messages_per_connection"],
        "is about connections to a relay, and the rule is about a lane",
        "take out lane, or give slow_to or connections"
      )
}

const slowToFault = (at: Path, text: string | undefined): SettingFault | undefined => {
  if (text === undefined) return undefined
  const limit = Limit.parse(text)
  if (Result.isFailure(limit)) return split(at, limit.failure)
  return limit.success.unit === "connections"
    ? fault(at, "limits new connections", 'give messages, as "5/s", or limit the open ones by connections')
    : undefined
}

const timeFaults = (at: Path, text: string | undefined): ReadonlyArray<SettingFault> =>
  text === undefined || timeOf(text) !== undefined
    ? []
    : [fault(at, `is no time: ${JSON.stringify(text)}`, 'write it as "30s", "10m", "4h" or "1d", at most "30d"')]

/** A route as the router reads it. */
export const routeOf = ({ lane, relay, sender, tenant }: NonNullable<Settings["route"]>[number]): Router.Route => ({
  relays: listOf(relay),
  tenant,
  senderDomain: sender,
  recipientDomain: lane
})
