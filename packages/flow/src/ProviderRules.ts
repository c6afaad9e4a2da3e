/**
 * What the big providers mean by their replies, and how long to leave them alone then.
 *
 * A reply like `421 4.7.28` says that Gmail has had enough of this sender, and not how long that lasts. A rule recognises it
 * by the recipient's domain or the relay's name, the code, the status and the words, and gives the time: for the lane, for the
 * relay, or for this message alone. The time is that of the provider's documentation where there is one, else a careful one of
 * ours; each rule says which, with its source.
 *
 * A rule may also slow down a lane or a relay, limit its connections, or refuse a message for good (`AskedLimits`, `bounceAs`).
 *
 * `transport` puts rules behind whatever decides when to send: it gives the errors that it recognises their `retryAfter`, which
 * the outbox's lanes, `FlowTransport` and retries keep to, and their limits, which `FlowTransport` and the outbox's limits keep
 * to. What limits connections is told to `onLimits`, which the SMTP transport's `limit` carries out.
 *
 * @example
 * ```ts
 * import * as ProviderRules from "@mailrace/flow/ProviderRules"
 *
 * const reply = { code: 421, enhanced: "4.7.28", text: "Gmail has detected an unusual rate of unsolicited mail" }
 * export const rule = ProviderRules.find(reply, { lane: "gmail.com", relay: "127.0.0.1" }) // leave the lane alone for 10 minutes
 * ```
 *
 * @since 0.1.0
 */

import * as Effect from "effect/Effect"
import * as Address from "mailrace/Address"
import type * as Composed from "mailrace/Composed"
import * as DomainPattern from "mailrace/DomainPattern"
import * as MailError from "mailrace/MailError"
import { MailTransport } from "mailrace/MailTransport"
import * as Reply from "mailrace/Reply"
import * as AskedLimits from "./AskedLimits.ts"
import { defaultRules } from "./internal/providerReplies.ts"
import type { ProviderRule } from "./ProviderRule.ts"

/**
 * The rules for Gmail and Workspace, Outlook.com and Microsoft 365, Yahoo and AOL, iCloud, GMX and web.de, Amazon SES,
 * SendGrid, Mailgun, Postmark and Brevo.
 *
 * @since 0.1.0
 */
export const defaults: ReadonlyArray<ProviderRule> = defaultRules

/**
 * Whose reply it is.
 *
 * @since 0.1.0
 */
export interface Origin {
  /** The recipient's domain. */
  readonly lane: string
  /** The relay's host. */
  readonly relay: string
}

/**
 * The first rule that recognises a reply.
 *
 * @since 0.1.0
 */
export const find = (
  { code, enhanced, text }: Reply.Reply,
  { lane, relay }: Origin,
  rules: ReadonlyArray<ProviderRule> = defaults
): ProviderRule | undefined =>
  rules.find(
    (rule) =>
      rule.codes.includes(code) &&
      (rule.status === undefined || rule.status.test(enhanced ?? "")) &&
      (rule.words === undefined || rule.words.test(text)) &&
      (rule.lanes === undefined || DomainPattern.matcher(rule.lanes)(lane)) &&
      (rule.relays === undefined || DomainPattern.matcher(rule.relays)(relay))
  )

/**
 * The error as a rule reads it; unchanged if no rule knows the reply, or if the relay itself asked for a longer time.
 *
 * @since 0.1.0
 */
export const apply = (
  error: MailError.MailError,
  origin: Origin,
  rules: ReadonlyArray<ProviderRule> = defaults
): MailError.MailError => {
  const { reply } = error
  const rule = reply === undefined ? undefined : find(reply, origin, rules)
  if (reply === undefined || rule === undefined) return error
  const isKnown = (other: Reply.Reply): boolean => find(other, origin, rules) === rule
  const read =
    rule.bounceAs !== undefined && !MailError.isAboutRelay(error)
      ? refused(error, reply, rule.bounceAs, isKnown)
      : rule.forMs > 0
        ? putOff(error, reply, rule, isKnown)
        : error
  return rule.limits === undefined ? read : AskedLimits.ask(read, rule.limits)
}

const putOff = (
  error: MailError.MailError,
  reply: Reply.Reply,
  { forMs, leaves }: ProviderRule,
  isKnown: (reply: Reply.Reply) => boolean
): MailError.MailError => {
  const { reason } = error
  const retryAfter = Math.max(forMs, error.retryAfter ?? 0)
  // A throttled message stands for its lane; one that is put off alone must not.
  if (leaves === "message")
    return reason._tag === "Throttled"
      ? MailError.make(new MailError.MailboxUnavailable({ reply, retryAfter }))
      : MailError.retryIn(error, retryAfter)
  // What is left alone for a time is asked again then, however final the reply sounds.
  const isOfAll =
    reason._tag !== "RecipientsRejected" ||
    reason.recipients.every((recipient) => recipient.reply === undefined || isKnown(recipient.reply))
  return error.isRetryable || !isOfAll || MailError.isAboutRelay(error)
    ? MailError.retryIn(error, retryAfter)
    : MailError.make(new MailError.Throttled({ reply, retryAfter }))
}

/** A refusal for good with another status; of several recipients, of those whose reply the rule knows. */
const refused = (
  { reason }: MailError.MailError,
  reply: Reply.Reply,
  enhanced: string,
  isKnown: (reply: Reply.Reply) => boolean
): MailError.MailError => {
  const final = (said: Reply.Reply): Reply.Reply => ({ code: 550, enhanced, text: Reply.format(said) })
  if (reason._tag !== "RecipientsRejected")
    return MailError.make(new MailError.MessageRejected({ reply: final(reply) }))
  const recipients = reason.recipients.map((recipient) =>
    recipient.reply !== undefined && isKnown(recipient.reply)
      ? { ...recipient, outcome: "rejected" as const, reply: final(recipient.reply) }
      : recipient
  )
  return MailError.make(new MailError.RecipientsRejected({ recipients, reply: final(reply) }))
}

/**
 * True if a rule may ask for limits that `FlowTransport` before the relay `host` must keep to, beside those on connections.
 *
 * @since 0.2.0
 */
export const limitsFlowOf = ({ limits, relays }: ProviderRule, host: string): boolean =>
  limits?.isOfRelay === true &&
  (limits.about === "lane" || limits.slowTo !== undefined) &&
  (relays === undefined || DomainPattern.matcher(relays)(host))

/**
 * A transport whose errors are read by rules; `relay` is the host of its relay. `onLimits` carries out limits on the connections
 * to it.
 *
 * @since 0.1.0
 */
export const transport = (
  inner: MailTransport["Service"],
  relay: string,
  rules: ReadonlyArray<ProviderRule> = defaults,
  onLimits?: (limits: AskedLimits.AskedLimits) => Effect.Effect<void>
): MailTransport["Service"] =>
  MailTransport.of({
    ...inner,
    send: (message, options) =>
      Effect.catch(inner.send(message, options), (error) => {
        const read = apply(error, { lane: laneOf(message), relay }, rules)
        const limits = onLimits === undefined ? undefined : AskedLimits.of(read)
        return limits?.about === "relay" ? Effect.andThen(onLimits!(limits), Effect.fail(read)) : Effect.fail(read)
      })
  })

const laneOf = ({ envelope: { to } }: Composed.Composed): string => {
  const [first] = to
  return first === undefined ? "" : Address.domain(first)
}
