/**
 * The facts for the trace of one message, gathered while it is sent and written when it ends.
 *
 * A message that is traced has a span already, and gets its events and attributes. Of a message that is not, a tail rule may ask
 * for the spans after the fact: the same tree, from the times that were kept. So little is kept that every message can afford
 * it, and nothing of its content.
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Tracer from "effect/Tracer"
import * as Address from "../../Address.ts"
import type * as Composed from "../../Composed.ts"
import type * as Delivery from "../../Delivery.ts"
import type * as MailError from "../../MailError.ts"
import type { Moments, TracedSession } from "../../MailTransport.ts"
import type * as Reply from "../../Reply.ts"

interface Event {
  readonly name: string
  readonly at: bigint
  readonly attributes: Record<string, unknown> | undefined
}

/** A session had the message. */
interface Lease {
  readonly session: TracedSession
  readonly at: bigint
  end: { readonly at: bigint; readonly reply: Reply.Reply | undefined; readonly error: string | undefined } | undefined
}

/** The trace of one message. */
export class MailTrace implements Moments {
  protected readonly clock: Clock.Clock
  private readonly domains: ReadonlySet<string>
  private readonly events: Array<Event> = []
  private readonly leases: Array<Lease> = []
  private tenant: string | undefined
  private envelope: Composed.Composed["envelope"] | undefined
  /** The end of the last attempt, and why it failed. */
  private failed: { readonly at: bigint; readonly error: string } | undefined

  constructor(clock: Clock.Clock, domains: ReadonlySet<string>) {
    this.clock = clock
    this.domains = domains
  }

  /** The message is at hand; `isNew` if it was composed for this. */
  composed({ envelope, tenant }: Composed.Composed, isNew: boolean): void {
    if (isNew) this.note("composed")
    this.tenant = tenant
    this.envelope = envelope
  }

  admitted(gate: string | undefined): void {
    this.note("admitted", gate === undefined ? undefined : { "mailrace.gate": gate })
  }

  leased(session: TracedSession): void {
    this.note("leased")
    this.leases.push({ session, at: this.clock.currentTimeNanosUnsafe(), end: undefined })
  }

  /** An attempt that follows a failed one begins. */
  retried(): void {
    const { failed } = this
    if (failed === undefined) return
    const ms = Number(this.clock.currentTimeNanosUnsafe() - failed.at) / 1e6
    this.events.push({
      name: "backoff",
      at: failed.at,
      attributes: { "mailrace.backoff.ms": ms, "error.type": failed.error }
    })
  }

  /** An attempt ended. */
  attempted(reply: Reply.Reply | undefined, error: MailError.MailError | undefined): void {
    const at = this.clock.currentTimeNanosUnsafe()
    const tag = error?.reason._tag
    this.failed = { at, error: tag ?? "RecipientsRejected" }
    const lease = this.leases.at(-1)
    if (lease !== undefined) lease.end ??= { at, reply, error: tag }
  }

  /** The relay that had the message last. */
  get relay(): string | undefined {
    const session = this.leases.at(-1)?.session
    return session === undefined ? undefined : `${session.host}:${session.port}`
  }

  /** Completes the message's span. */
  describe(span: Tracer.Span, delivery: Delivery.Delivery): void {
    for (const { at, attributes, name } of this.events) span.event(name, at, attributes)
    span.attribute("messaging.system", "smtp")
    span.attribute("messaging.operation.type", "send")
    span.attribute("messaging.operation.name", "send")
    if (delivery.messageId !== undefined)
      span.attribute("messaging.message.id", withoutLocalParts(delivery.messageId, this.envelope))
    if (delivery.id !== String(delivery.index))
      span.attribute("mailrace.id", withoutLocalParts(delivery.id.replaceAll(address, "…"), this.envelope))
    span.attribute("mailrace.index", delivery.index)
    span.attribute("mailrace.outcome", delivery._tag.toLowerCase())
    span.attribute("mailrace.attempts", delivery.attempts)
    span.attribute("mailrace.recipients", delivery.recipients.length)
    span.attribute("mailrace.size", delivery.size)
    if (this.tenant !== undefined) span.attribute("mailrace.tenant", this.tenant)
    const recipient = this.envelope?.to[0]
    if (this.domains.size > 0 && recipient !== undefined)
      span.attribute("mailrace.recipient.domain", domainOf(recipient, this.domains))
    const relay = delivery.relay ?? this.relay
    if (relay !== undefined) span.attribute("mailrace.relay", relay)
    const reply = delivery._tag === "Accepted" ? delivery.reply : delivery.error.reply
    if (reply !== undefined) describeReply(span, reply)
    if (delivery._tag !== "Accepted") span.attribute("error.type", delivery.error.reason._tag)
  }

  /** Writes the spans of a message that had none; gives the id of the trace. */
  write(
    tracer: Tracer.Tracer,
    delivery: Delivery.Delivery,
    endedAt: bigint,
    attributes: Readonly<Record<string, string | number>>
  ): string {
    const start = endedAt - BigInt(Math.round(delivery.durationMs * 1e6))
    const root = tracer.span({ ...spanOf("mailrace.send", start, "producer"), parent: Option.none(), root: true })
    this.describe(root, delivery)
    for (const [name, value] of Object.entries(attributes)) root.attribute(name, value)
    for (const [index, lease] of this.leases.entries()) {
      const { at, end, session } = lease
      const span = tracer.span({
        ...spanOf("smtp.transaction", at, "client"),
        parent: Option.some(root),
        root: false,
        links: session.span === undefined ? [] : [{ span: session.span, attributes: {} }]
      })
      span.attribute("server.address", session.host)
      span.attribute("server.port", session.port)
      span.attribute("network.protocol.name", "smtp")
      span.attribute("smtp.pipelining", session.mode)
      span.attribute("mailrace.size", delivery.size)
      span.attribute("mailrace.recipients", this.envelope?.to.length ?? 0)
      if (end === undefined) span.attribute("smtp.begun", false)
      else if (end.reply !== undefined) describeReply(span, end.reply)
      if (end?.error !== undefined) span.attribute("error.type", end.error)
      span.end(end?.at ?? this.leases[index + 1]?.at ?? endedAt, Exit.void)
    }
    root.end(endedAt, Exit.void)
    return root.traceId
  }

  private note(name: string, attributes?: Record<string, unknown>): void {
    this.events.push({ name, at: this.clock.currentTimeNanosUnsafe(), attributes })
  }
}

const spanOf = (name: string, startTime: bigint, kind: Tracer.SpanKind) => ({
  name,
  startTime,
  kind,
  annotations: Context.empty(),
  links: [],
  sampled: true
})

/** The codes alone, because the text often repeats the recipient. */
const describeReply = (span: Tracer.Span, { code, enhanced }: Reply.Reply): void => {
  span.attribute("smtp.reply.code", code)
  if (enhanced !== undefined) span.attribute("smtp.reply.enhanced_code", enhanced)
}

const domainOf = (address: Address.Address, domains: ReadonlySet<string>): string => {
  const domain = Address.domain(address).toLowerCase()
  return domains.has(domain) ? domain : "other"
}

/** The local part of an address in a text. */
const address = /[^\s<>]+(?=@)/g

/** An id without the local parts of the message's addresses, which some programs build it from. */
const withoutLocalParts = (id: string, envelope: Composed.Composed["envelope"] | undefined): string => {
  if (envelope === undefined) return id
  const addresses = envelope.from === undefined ? envelope.to : [envelope.from, ...envelope.to]
  let rest = id
  for (const one of addresses) {
    const local = Address.localPart(one)
    if (local !== "" && rest.toLowerCase().includes(local.toLowerCase())) rest = rest.replaceAll(asWord(local), "…")
  }
  return rest
}

/** A text where no letter and no digit is beside it. */
const asWord = (text: string): RegExp =>
  new RegExp(`(?<![\\p{L}\\p{N}])${text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&")}(?![\\p{L}\\p{N}])`, "giu")
