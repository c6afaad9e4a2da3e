/**
 * The programs of `mailrace rules`: list the rules for replies, and say what one of them does.
 */
import * as MailraceConfig from "@mailrace/config/MailraceConfig"
import type { AskedLimits } from "@mailrace/flow/AskedLimits"
import * as Limit from "@mailrace/flow/Limit"
import type { ProviderRule } from "@mailrace/flow/ProviderRule"
import * as ProviderRules from "@mailrace/flow/ProviderRules"
import * as Effect from "effect/Effect"
import * as Reply from "mailrace/Reply"
import * as ReplyMeaning from "mailrace/ReplyMeaning"
import { CommandError } from "../CommandError.ts"
import * as Printable from "../text/printable.ts"
import * as Terminal from "../output/Terminal.ts"
import * as Remedy from "../Remedy.ts"
import * as Configuration from "../sending/Configuration.ts"

interface ConfigOption {
  /** The configuration whose rules come first. */
  readonly config?: string | undefined
}

/** Prints all rules. */
export const list = Effect.fnUntraced(function* (options: ConfigOption) {
  const rules = yield* rulesOf(options)
  const text = rules.map((rule) =>
    [`${rule.name} (${rule.provider})`, ...detailsOf(rule).map((line) => `  ${line}`)].join("\n")
  )
  yield* Terminal.print(Printable.lines(text.join("\n\n")) + "\n")
})

/** Explains the action on a reply. */
export const test = Effect.fnUntraced(function* (
  options: ConfigOption & {
    readonly reply: string
    readonly lane?: string | undefined
    readonly via?: string | undefined
  }
) {
  const [, code, enhanced, text] =
    /^([2-5]\d\d)(?:[ -](\d\.\d{1,3}\.\d{1,3}))?(?:[ -](.*))?$/s.exec(options.reply.trim()) ?? []
  if (code === undefined)
    return yield* new CommandError({
      problem: `"${options.reply}" is not a reply, because it does not begin with a code`,
      remedy: "write it as in a log: '421 4.7.28 unusual rate of unsolicited mail'"
    })
  const reply: Reply.Reply = { code: Number(code), ...(enhanced === undefined ? {} : { enhanced }), text: text ?? "" }
  if (reply.code < 400) return yield* Terminal.print("The relay accepts the command; there is nothing to do.\n")
  const rule = ProviderRules.find(
    reply,
    { lane: options.lane ?? "", relay: options.via ?? "" },
    yield* rulesOf(options)
  )
  const meaning = ReplyMeaning.of(reply, "rcpt")
  const lines =
    rule === undefined
      ? [
          "No rule knows this reply.",
          meaning.isTransient
            ? "The message is tried again later, as after every temporary refusal."
            : "The message is refused for good.",
          ...(meaning.remedy === undefined ? [] : [`Try: ${Remedy.inFlags(meaning.remedy)}`]),
          ...(options.lane === undefined && options.via === undefined
            ? ["Rules depend on the recipient's domain (--lane) or the relay (--via)."]
            : [])
        ]
      : [`${rule.name} (${rule.provider}): ${detailsOf(rule)[0]}`, ...detailsOf(rule).slice(1)]
  yield* Terminal.print(Printable.lines(lines.join("\n")) + "\n")
})

const rulesOf = ({ config }: ConfigOption) =>
  config === undefined
    ? Effect.succeed(ProviderRules.defaults)
    : Effect.map(Configuration.asCommandError(MailraceConfig.load(config)), MailraceConfig.rules)

const detailsOf = ({
  asOf,
  bounceAs,
  codes,
  forMs,
  lanes,
  leaves,
  limits,
  relays,
  source,
  status,
  why,
  words
}: ProviderRule): ReadonlyArray<string> => {
  const what = { lane: "the domain is", relay: "the relay is", message: "only this message is" }[leaves]
  const pattern = [codes.join(" or "), status?.source, words?.source].filter((part) => part !== undefined).join(" ")
  const actions = [
    ...(forMs === 0 ? [] : [`${what} left alone for ${timeText(forMs)}`]),
    ...(bounceAs === undefined ? [] : [`the message is refused for good with ${bounceAs}`]),
    ...(limits === undefined ? [] : [limitsText(limits)])
  ]
  return [
    actions.join("; "),
    why,
    `replies: ${pattern}`,
    ...(lanes === undefined ? [] : [`domains: ${lanes.join(", ")}`]),
    ...(relays === undefined ? [] : [`relays: ${relays.join(", ")}`]),
    ...(source === "" ? [] : [`source: ${source} (${asOf})`])
  ]
}

const limitsText = ({ about, connections, forMs, messagesPerConnection, slowTo }: AskedLimits): string => {
  const limits = [
    ...(slowTo === undefined ? [] : [Limit.format(slowTo)]),
    ...(connections === undefined ? [] : [`${connections} ${about === "relay" ? "connections" : "messages"} at once`]),
    ...(messagesPerConnection === undefined ? [] : [`${messagesPerConnection} messages a connection`])
  ]
  return `the ${about === "relay" ? "relay" : "domain"} gets at most ${limits.join(" and ")} for ${timeText(forMs)}`
}

const timeText = (milliseconds: number): string => {
  const [amount, unit] =
    milliseconds >= 3_600_000
      ? [milliseconds / 3_600_000, "hour"]
      : milliseconds >= 60_000
        ? [milliseconds / 60_000, "minute"]
        : [milliseconds / 1_000, "second"]
  return `${amount} ${unit}${amount === 1 ? "" : "s"}`
}
