/**
 * Removes recipients that should get no mail from a stream of messages, before anything is sent.
 *
 * A *check* judges addresses: `Suppression.check` finds suppressed ones, `Dedupe.check` repeated ones, and
 * `RoleAddress.check` those of a role. Strings that are not addresses are found first. Each objection is a *finding*. A
 * recipient that a finding drops is removed from its message, and a message without recipients from the stream. Such a message
 * has no `Delivery`, because nothing was to be delivered, but `onFinding` gets each finding and a `Tally` counts it.
 *
 * Addresses are compared without regard to case, also in the local part.
 *
 * @example
 * ```ts
 * import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
 * import * as Effect from "effect/Effect"
 * import * as Stream from "effect/Stream"
 * import * as Dedupe from "mailrace/Dedupe"
 * import * as Mailer from "mailrace/Mailer"
 * import * as RoleAddress from "mailrace/RoleAddress"
 * import * as Screening from "mailrace/Screening"
 * import * as Suppression from "mailrace/Suppression"
 *
 * const mail = (to: string) => ({ from: "news@example.org", to, subject: "Hello", text: "…" })
 * const tally = Screening.makeTally()
 *
 * await Stream.make(mail("ann@example.org"), mail("gone@example.org"), mail("Ann@example.org")).pipe(
 *   Screening.screen([Suppression.check, RoleAddress.check({ policy: "drop" }), Dedupe.check()], {
 *     onFinding: tally.record
 *   }),
 *   Mailer.sendAll(),
 *   Stream.runDrain,
 *   Effect.provide([Suppression.layerList(["gone@example.org"]), SmtpTransport.layerUrl("smtp://127.0.0.1:2525")]),
 *   Effect.runPromise
 * )
 * // One message is sent: tally.counts.suppressed is 1, tally.counts.duplicates is 1.
 * ```
 *
 * @since 0.1.0
 */

import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as Address from "./Address.ts"
import * as AddressSet from "./internal/address/addressSet.ts"
import * as IntakeRecipients from "./internal/hygiene/screenedRecipients.ts"
import type * as Mail from "./Mail.ts"

/**
 * A value with recipients: a `Mail`, a `Composed`, or a template's `Recipient` with a `to`.
 *
 * @since 0.1.0
 */
export type Addressed = IntakeRecipients.Addressed &
  ({ readonly to: Mail.Mailboxes } | { readonly envelope: { readonly to: ReadonlyArray<string> } })

/**
 * The kinds of findings.
 *
 * @since 0.1.0
 */
export type Kind = "invalid" | "suppressed" | "role" | "duplicate"

/**
 * A check's objection to an address.
 *
 * @since 0.1.0
 */
export interface Verdict {
  /** `drop` removes the recipient; `warn` only reports it. */
  readonly action: "drop" | "warn"
  /** The reason, in words, without the address. */
  readonly detail: string
}

/**
 * Judges addresses.
 *
 * @since 0.1.0
 */
export interface Check<out E = never, out R = never> {
  readonly kind: Exclude<Kind, "invalid">
  /**
   * Begins a run and gives its judge: one verdict for each address, in their order, `undefined` for no objection. The judge
   * gets one batch at a time and never sees an address that an earlier check dropped.
   */
  readonly start: Effect.Effect<Judge<E>, E, R>
}

/**
 * Judges a batch of addresses.
 *
 * @since 0.1.0
 */
export type Judge<out E = never> = (
  addresses: ReadonlyArray<Address.Address>
) => Effect.Effect<ReadonlyArray<Verdict | undefined>, E>

/**
 * A recipient to whom a check objected.
 *
 * @since 0.1.0
 */
export interface Finding {
  readonly kind: Kind
  readonly action: "dropped" | "warned"
  /** The address as it was given; it may not be a valid one. */
  readonly address: string
  readonly detail: string
  /** The message's index in the stream, from 0. */
  readonly index: number
  /** The message's own `id`. */
  readonly id: string | undefined
  /** True if the message has no recipient left and is not sent. Each finding of the message has the same value. */
  readonly isMailDropped: boolean
}

/**
 * The options of `screen`.
 *
 * @since 0.1.0
 */
export interface Options {
  /** Runs for each finding, in the order of the messages, before the messages of its batch go on. */
  readonly onFinding?: ((finding: Finding) => Effect.Effect<void>) | undefined
  /**
   * The action for a recipient that is not an address: `drop` removes it; `keep` leaves it, so that composing fails and the
   * mail ends as `Rejected`. Defaults to `drop`.
   */
  readonly invalid?: "drop" | "keep" | undefined
}

/**
 * A screened element.
 *
 * @since 0.1.0
 */
export interface Screened<out A> {
  /** The element without the dropped recipients; `undefined` if none is left. */
  readonly kept: A | undefined
  readonly findings: ReadonlyArray<Finding>
}

/**
 * Screens the elements of one run, a batch at a time, and gives a result for each, in their order.
 *
 * @since 0.1.0
 */
export type Screener<out E = never> = <A extends Addressed>(
  batch: ReadonlyArray<A>
) => Effect.Effect<ReadonlyArray<Screened<A>>, E>

/**
 * How many recipients were dropped, by reason, and how many were only warned of.
 *
 * @since 0.1.0
 */
export interface Counts {
  /** Recipients that are not addresses. */
  readonly invalid: number
  readonly suppressed: number
  readonly duplicates: number
  /** Addresses of a role that were dropped. */
  readonly roles: number
  /** Addresses of a role that were sent to. */
  readonly roleWarnings: number
  /** Messages that had no recipient left. */
  readonly mails: number
}

/**
 * Counts findings.
 *
 * @since 0.1.0
 */
export interface Tally {
  /** The counts so far. */
  readonly counts: Counts
  /** Counts a finding; made for `onFinding`. */
  readonly record: (finding: Finding) => Effect.Effect<void>
}

/**
 * Makes a tally, all at zero.
 *
 * @since 0.1.0
 */
export const makeTally = (): Tally => {
  const counts = { invalid: 0, suppressed: 0, duplicates: 0, roles: 0, roleWarnings: 0, mails: 0 }
  let lastDropped = -1
  return {
    counts,
    record: (finding) =>
      Effect.sync(() => {
        counts[counterOf(finding)]++
        if (!finding.isMailDropped || finding.index === lastDropped) return
        lastDropped = finding.index
        counts.mails++
      })
  }
}

/**
 * Screens a stream: messages go on in their order, without the recipients that a check drops. The stream fails with a check's
 * error, because sending unchecked messages would be worse.
 *
 * For elements without a `to` of their own, such as rows of a table, `address` gives the recipient.
 *
 * @since 0.1.0
 */
export const screen: {
  <E1 = never, R1 = never>(
    checks: ReadonlyArray<Check<E1, R1>>,
    options?: Options
  ): <A extends Addressed, E, R>(self: Stream.Stream<A, E, R>) => Stream.Stream<A, E | E1, R | R1>
  <A, E1 = never, R1 = never>(
    checks: ReadonlyArray<Check<E1, R1>>,
    options: Options & { readonly address: (element: A) => string | undefined }
  ): <B extends A, E, R>(self: Stream.Stream<B, E, R>) => Stream.Stream<B, E | E1, R | R1>
} =
  <E1 = never, R1 = never>(
    checks: ReadonlyArray<Check<E1, R1>>,
    options: Options & { readonly address?: (element: never) => string | undefined } = {}
  ) =>
  <A, E, R>(self: Stream.Stream<A, E, R>): Stream.Stream<A, E | E1, R | R1> =>
    Stream.unwrap(
      Effect.map(begin(checks), (judges) =>
        Stream.mapAccumArrayEffect(
          self,
          () => 0,
          (index, chunk) =>
            Effect.map(
              judge(
                chunk.map(
                  (element, place) => new Entry(element, index + place, recipientsOf(element, options.address))
                ),
                judges,
                options.invalid
              ).pipe(Effect.tap((entries) => emitFindings(entries, options.onFinding))),
              (entries) => [index + chunk.length, entries.flatMap((entry) => entry.rest)] as const
            )
        )
      )
    )

/**
 * Begins a run whose elements are not the messages themselves, such as rows with their line numbers. The caller passes messages
 * in batches and gets the findings with each.
 *
 * @since 0.1.0
 */
export const makeScreener = <E = never, R = never>(
  checks: ReadonlyArray<Check<E, R>>,
  options: Pick<Options, "invalid"> = {}
): Effect.Effect<Screener<E>, E, R> =>
  Effect.map(begin(checks), (judges) => {
    let index = 0
    return (batch) =>
      Effect.map(
        judge(
          batch.map((element) => new Entry(element, index++, IntakeRecipients.read(element))),
          judges,
          options.invalid
        ),
        (entries) => entries.map((entry) => ({ kept: entry.rest[0], findings: entry.emitted }))
      )
  })

/** An element on its way through the checks. */
class Entry<A> {
  readonly element: A
  readonly index: number
  readonly recipients: ReadonlyArray<IntakeRecipients.Recipient>
  private droppedOnes: Set<IntakeRecipients.Recipient> | undefined
  /** The findings; `undefined` as long as there are none. */
  private findings: Array<Pick<Finding, "kind" | "action" | "address" | "detail">> | undefined

  constructor(element: A, index: number, recipients: ReadonlyArray<IntakeRecipients.Recipient>) {
    this.element = element
    this.index = index
    this.recipients = recipients
  }

  get id(): string | undefined {
    const { id } = this.element as IntakeRecipients.Addressed
    return typeof id === "string" ? id : undefined
  }

  /** True if the message had recipients and all were dropped. */
  get isDropped(): boolean {
    return this.droppedOnes !== undefined && this.droppedOnes.size === this.recipients.length
  }

  isGone(recipient: IntakeRecipients.Recipient): boolean {
    return this.droppedOnes !== undefined && this.droppedOnes.has(recipient)
  }

  drop(recipient: IntakeRecipients.Recipient): void {
    this.droppedOnes ??= new Set()
    this.droppedOnes.add(recipient)
  }

  report(kind: Kind, action: Finding["action"], address: string, detail: string): void {
    this.findings ??= []
    this.findings.push({ kind, action, address, detail })
  }

  /** The findings after all checks. */
  get emitted(): ReadonlyArray<Finding> {
    const { id, index, isDropped } = this
    return this.findings === undefined
      ? noFindings
      : this.findings.map((finding) => ({ ...finding, index, id, isMailDropped: isDropped }))
  }

  /** The message that goes on. One that never had recipients goes on as well, so that composing refuses it. */
  get rest(): ReadonlyArray<A> {
    if (this.droppedOnes === undefined) return [this.element]
    if (this.isDropped) return []
    return [IntakeRecipients.without(this.element as A & IntakeRecipients.Addressed, this.recipients, this.droppedOnes)]
  }
}

const noFindings: ReadonlyArray<Finding> = []

const recipientsOf = (
  element: unknown,
  address: ((element: never) => string | undefined) | undefined
): ReadonlyArray<IntakeRecipients.Recipient> => {
  if (address === undefined) return IntakeRecipients.read(element as IntakeRecipients.Addressed)
  const given = address(element as never)
  return given === undefined ? [] : [IntakeRecipients.readOne(given)]
}

/** The checks of a run that has begun. */
type Judges<E> = ReadonlyArray<{ readonly kind: Kind; readonly judge: Judge<E> }>

const begin = <E, R>(checks: ReadonlyArray<Check<E, R>>): Effect.Effect<Judges<E>, E, R> =>
  Effect.forEach(checks, ({ kind, start }) => Effect.map(start, (judge) => ({ kind, judge })))

/** Runs all checks on a batch. */
const judge = <A, E>(
  entries: ReadonlyArray<Entry<A>>,
  judges: Judges<E>,
  invalid: Options["invalid"]
): Effect.Effect<ReadonlyArray<Entry<A>>, E> => {
  if (invalid !== "keep") for (const entry of entries) dropInvalid(entry)
  return Effect.gen(function* () {
    for (const { judge, kind } of judges) {
      const groups = entries.flatMap(groupsOf)
      if (groups.length === 0) continue
      const verdicts = yield* judge(groups.map(({ address }) => address))
      for (let i = 0; i < groups.length; i++) {
        const verdict = verdicts[i]
        if (verdict !== undefined) object(groups[i]!, kind, verdict)
      }
    }
    return entries
  })
}

const emitFindings = (entries: ReadonlyArray<Entry<unknown>>, onFinding: Options["onFinding"]): Effect.Effect<void> =>
  onFinding === undefined
    ? Effect.void
    : Effect.forEach(
        entries.flatMap((entry) => entry.emitted),
        onFinding,
        { discard: true }
      )

const dropInvalid = (entry: Entry<unknown>): void => {
  for (const recipient of entry.recipients) {
    const { given, problem } = recipient
    if (problem === undefined) continue
    entry.drop(recipient)
    entry.report("invalid", "dropped", typeof given === "string" ? given : given.address, problem)
  }
}

/** One address of a message, with all recipients that name it. */
interface Group {
  readonly entry: Entry<unknown>
  readonly address: Address.Address
  readonly recipients: Array<IntakeRecipients.Recipient>
}

/** The remaining addresses of a message, each once: a message that names an address twice is not a duplicate of itself. */
const groupsOf = (entry: Entry<unknown>): ReadonlyArray<Group> => {
  const { recipients } = entry
  if (recipients.length === 1) return groupOfOne(entry, recipients[0]!)
  const groups: Array<Group> = []
  const known = new Map<string, Group>()
  for (const recipient of recipients) {
    const { address } = recipient
    if (address === undefined || entry.isGone(recipient)) continue
    const key = AddressSet.keyOf(address)
    const group = known.get(key)
    if (group === undefined) {
      const fresh = { entry, address, recipients: [recipient] }
      known.set(key, fresh)
      groups.push(fresh)
    } else group.recipients.push(recipient)
  }
  return groups
}

const groupOfOne = (entry: Entry<unknown>, recipient: IntakeRecipients.Recipient): ReadonlyArray<Group> => {
  const { address } = recipient
  return address === undefined || entry.isGone(recipient) ? [] : [{ entry, address, recipients: [recipient] }]
}

const object = ({ address, entry, recipients }: Group, kind: Kind, { action, detail }: Verdict): void => {
  if (action === "drop") for (const recipient of recipients) entry.drop(recipient)
  entry.report(kind, action === "drop" ? "dropped" : "warned", address, detail)
}

const counterOf = ({ action, kind }: Finding): Exclude<keyof Counts, "mails"> => {
  switch (kind) {
    case "invalid":
      return "invalid"
    case "suppressed":
      return "suppressed"
    case "duplicate":
      return "duplicates"
    case "role":
      return action === "warned" ? "roleWarnings" : "roles"
  }
}
