/**
 * The meaning of the big providers' replies, and how long to leave them alone then.
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
 * to. It does the same to the recipients that a relay refused or put off while it took the message for others. What limits
 * connections is whole to `onLimits`, which the SMTP transport's `limit` carries out.
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
import { MailTransport, type Receipt } from "mailrace/MailTransport"
import * as RecipientLedger from "mailrace/RecipientLedger"
import * as Reply from "mailrace/Reply"
import * as AskedLimits from "./AskedLimits.ts"
import * as Feedback from "./Feedback.ts"
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
 * The origin of a reply.
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
 * The error as the rules read it; unchanged if none knows its reply. Where the relay refused every recipient, each reply is read
 * by the rules of its recipient's own domain.
 *
 * A rule that leaves a message alone makes a temporary refusal of one that sounds final, as the status filters of Postfix and
 * KumoMTA do: some providers answer 5yz to what is over in an hour. A reply that refuses the session says nothing of the message.
 *
 * @since 0.1.0
 */
export const apply = (
  error: MailError.MailError,
  origin: Origin,
  rules: ReadonlyArray<ProviderRule> = defaults
): MailError.MailError => {
  const { reason, reply } = error
  if (reason._tag === "RecipientsRejected") return readRefused(error, reason, origin, rules)
  const rule = reply === undefined ? undefined : find(reply, origin, rules)
  if (reply === undefined || rule === undefined) return error
  const { bounceAs, forMs, limits } = rule
  const read =
    bounceAs !== undefined && isAboutMessage(error)
      ? MailError.make(new MailError.MessageRejected({ reply: final(reply, bounceAs) }))
      : forMs > 0
        ? putOff(error, reply, rule, origin.lane)
        : error
  return limits === undefined ? read : AskedLimits.ask(read, [limits])
}

/**
 * The receipt as the rules read it: what they make of the replies to the recipients that the relay did not take, each by the
 * rules of its own domain. The same receipt if no rule knows one of them.
 *
 * @since 0.2.0
 */
export const applyToReceipt = (
  receipt: Receipt,
  origin: Origin,
  rules: ReadonlyArray<ProviderRule> = defaults
): Receipt => {
  const recipients = receipt.recipients.map((recipient) => readRecipient(recipient, origin, rules).recipient)
  return recipients.every((recipient, index) => recipient === receipt.recipients[index])
    ? receipt
    : { ...receipt, recipients }
}

interface ReadRecipient {
  readonly recipient: MailError.RecipientOutcome
  /** True if a rule leaves the lane or the relay alone. */
  readonly isPaused: boolean
}

const readRecipient = (
  recipient: MailError.RecipientOutcome,
  origin: Origin,
  rules: ReadonlyArray<ProviderRule>
): ReadRecipient => {
  const { address, outcome, reply, retryAfter = 0 } = recipient
  const lane = Address.domain(address as Address.Address)
  const isRefused = outcome === "rejected" || outcome === "deferred"
  const rule = reply === undefined || !isRefused ? undefined : find(reply, { lane, relay: origin.relay }, rules)
  if (reply === undefined || rule === undefined) return { recipient, isPaused: false }
  const { bounceAs, forMs, leaves, limits } = rule
  const isElsewhere = !isSame(lane, origin.lane)
  const isPaused = bounceAs === undefined && forMs > 0 && leaves !== "message"
  const read: MailError.RecipientOutcome =
    bounceAs !== undefined
      ? { address, outcome: "rejected", reply: final(reply, bounceAs) }
      : forMs > 0
        ? { address, outcome: "deferred", reply: temporary(reply), retryAfter: Math.max(forMs, retryAfter) }
        : limits === undefined
          ? recipient
          : { ...recipient }
  if (isPaused && !(isElsewhere && leaves === "lane")) Feedback.complain(read)
  if (isPaused && leaves === "relay") Feedback.pauseRelay(read, read.retryAfter ?? forMs)
  if (isPaused && leaves === "lane" && !isElsewhere)
    Feedback.pauseLane(read, { lane: lane.toLowerCase(), ms: read.retryAfter ?? forMs })
  if (limits === undefined) return { recipient: read, isPaused }
  return { recipient: AskedLimits.ask(read, [limitsIn(lane, limits, origin.lane)]), isPaused }
}

const isSame = (lane: string, other: string): boolean => lane.toLowerCase() === other.toLowerCase()

/** The limits that a reply about a lane asks for, of a message whose own lane may be another one. */
const limitsIn = (lane: string, limits: AskedLimits.AskedLimits, own: string): AskedLimits.AskedLimits =>
  limits.about === "lane" && !isSame(lane, own) ? { ...limits, lane: lane.toLowerCase() } : limits

/** The relay refused every recipient. */
const readRefused = (
  error: MailError.MailError,
  reason: MailError.RecipientsRejected,
  origin: Origin,
  rules: ReadonlyArray<ProviderRule>
): MailError.MailError => {
  const read = reason.recipients.map((recipient) => readRecipient(recipient, origin, rules))
  const recipients = read.map(({ recipient }) => recipient)
  if (recipients.every((recipient, index) => recipient === reason.recipients[index])) return error
  const longest = Math.max(reason.retryAfter ?? 0, RecipientLedger.retryAfterOf(recipients) ?? 0)
  const retryAfter = longest === 0 ? undefined : longest
  const whole = read.every(({ isPaused }) => isPaused)
    ? MailError.make(new MailError.Throttled({ reply: reason.reply, at: "rcpt", retryAfter }))
    : MailError.make(
        new MailError.RecipientsRejected({ recipients, reply: recipients[0]?.reply ?? reason.reply, retryAfter })
      )
  if (recipients.some(Feedback.complains)) Feedback.complain(whole)
  for (const recipient of recipients) {
    const pauseMs = Feedback.relayPauseOf(recipient)
    if (pauseMs !== undefined) Feedback.pauseRelay(whole, pauseMs)
  }
  const lanePause = Feedback.longestOf(recipients)
  if (lanePause !== undefined) Feedback.pauseLane(whole, lanePause)
  return AskedLimits.ask(whole, recipients.flatMap(AskedLimits.of))
}

/** True if the relay answered the message, as also one does that relays for this client to some recipients only. */
const isAboutMessage = (error: MailError.MailError): boolean =>
  !MailError.isAboutRelay(error) || (error.reason._tag === "ConnectFailed" && error.reason.kind === "client")

const putOff = (
  error: MailError.MailError,
  reply: Reply.Reply,
  { forMs, leaves }: ProviderRule,
  lane: string
): MailError.MailError => {
  const { reason } = error
  const retryAfter = Math.max(forMs, error.retryAfter ?? 0)
  if (leaves !== "message") {
    const left = MailError.isAboutRelay(error)
      ? MailError.retryIn(error, retryAfter)
      : MailError.make(new MailError.Throttled({ reply, ...placeOf(reason), retryAfter }))
    return leaves === "relay"
      ? Feedback.pauseRelay(left, retryAfter)
      : Feedback.pauseLane(left, { lane: lane.toLowerCase(), ms: retryAfter })
  }
  // A throttled message stands for its lane; one that is put off alone must not.
  if (!isAboutMessage(error) || (error.isRetryable && reason._tag !== "Throttled" && reason._tag !== "ConnectFailed"))
    return MailError.retryIn(error, retryAfter)
  const put = { reply: temporary(reply), retryAfter }
  switch (reason._tag) {
    case "SenderRejected":
      return MailError.make(new MailError.SenderRejected({ ...put, ...placeOf(reason) }))
    case "MessageRejected":
      return MailError.make(new MailError.MessageRejected({ ...put, ...(reason.at && { at: reason.at }) }))
    default:
      return MailError.make(new MailError.MailboxUnavailable({ ...put, ...placeOf(reason) }))
  }
}

const placeOf = (reason: MailError.Reason): Pick<MailError.Throttled, "at"> | undefined =>
  "at" in reason && reason.at !== undefined ? { at: reason.at } : undefined

/** A reply as a refusal for good with another status. */
const final = (said: Reply.Reply, enhanced: string): Reply.Reply => ({
  code: 550,
  enhanced,
  text: Reply.format(said)
})

/** A reply as a temporary refusal, with what the relay said in its text if that sounded final. */
const temporary = (said: Reply.Reply): Reply.Reply =>
  Reply.isPermanent(said)
    ? {
        code: 450,
        ...(said.enhanced === undefined ? {} : { enhanced: said.enhanced.replace(/^\d/, "4") }),
        text: Reply.format(said)
      }
    : said

/**
 * True if a rule may ask for limits that `FlowTransport` before the relay `host` must keep to, beside those on connections, or
 * may leave the relay alone.
 *
 * @since 0.2.0
 */
export const limitsFlowOf = ({ forMs, leaves, limits, relays }: ProviderRule, host: string): boolean =>
  ((leaves === "relay" && forMs > 0) ||
    (limits?.isOfRelay === true && (limits.about === "lane" || limits.slowTo !== undefined))) &&
  (relays === undefined || DomainPattern.matcher(relays)(host))

/**
 * A transport whose errors and receipts are read by rules; `relay` is the host of its relay. `onLimits` carries out limits on
 * the connections to it.
 *
 * @since 0.1.0
 */
export const transport = (
  inner: MailTransport["Service"],
  relay: string,
  rules: ReadonlyArray<ProviderRule> = defaults,
  onLimits?: (limits: AskedLimits.AskedLimits) => Effect.Effect<void>
): MailTransport["Service"] => {
  const report = <A, E>(
    asked: ReadonlyArray<AskedLimits.AskedLimits>,
    end: Effect.Effect<A, E>
  ): Effect.Effect<A, E> => {
    const ofRelay = onLimits === undefined ? [] : asked.filter(({ about }) => about === "relay")
    return ofRelay.length === 0 ? end : Effect.andThen(Effect.forEach(ofRelay, onLimits!, { discard: true }), end)
  }
  return MailTransport.of({
    ...inner,
    send: (message, options) =>
      Effect.matchEffect(inner.send(message, options), {
        onFailure: (error) => {
          const lane = laneOf(message, error, relay, rules)
          const read = apply(error, { lane, relay }, rules)
          const asked = AskedLimits.of(read)
          const own = laneOf(message)
          if (!isSame(lane, own))
            AskedLimits.ask(
              read,
              asked.map((limits) => limitsIn(lane, limits, own))
            )
          return report(asked, Effect.fail(read))
        },
        onSuccess: (receipt) => {
          // The relay took the message, so that it also took a single recipient.
          if (receipt.recipients.length < 2) return Effect.succeed(receipt)
          const read = applyToReceipt(receipt, { lane: laneOf(message), relay }, rules)
          return read === receipt
            ? Effect.succeed(receipt)
            : report(read.recipients.flatMap(AskedLimits.of), Effect.succeed(read))
        }
      })
  })
}

/** The domain that a reply is about: of the first recipient, or of the first one whose rules know how the relay throttles it. */
const laneOf = (
  { envelope: { to } }: Composed.Composed,
  error?: MailError.MailError,
  relay = "",
  rules: ReadonlyArray<ProviderRule> = []
): string => {
  const [first] = to
  if (first === undefined) return ""
  const { reason } = error ?? {}
  if (to.length === 1 || reason?._tag !== "Throttled" || reason.at !== "rcpt") return Address.domain(first)
  const lanes = new Set(to.map(Address.domain))
  return [...lanes].find((lane) => find(reason.reply, { lane, relay }, rules)) ?? Address.domain(first)
}
