/**
 * The program of `mailrace outbox retry`, `cancel` and `purge`: finds the selected messages, counts them, asks, and
 * changes them.
 */
import { states, type Filter, type State, type StateCounts } from "@mailrace/outbox/OutboxEntry"
import type { OutboxError } from "@mailrace/outbox/OutboxError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Prompt from "effect/cli/Prompt"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { CommandError, ExitStatus } from "../../CommandError.ts"
import * as Printable from "../../text/printable.ts"
import * as Format from "../../text/format.ts"
import * as MailSelection from "../../outbox/MailSelection.ts"
import * as Terminal from "../../output/Terminal.ts"
import * as OutboxLocation from "../../outbox/OutboxLocation.ts"

/** Which messages are changed. */
export interface Options extends OutboxLocation.Options, MailSelection.Options {
  readonly id: ReadonlyArray<string>
  /** Changes every message if there is neither an id nor a condition. */
  readonly all: boolean
  /** Changes without asking. */
  readonly yes: boolean
  readonly json: boolean
  /** Retries messages that are scheduled for later as well. */
  readonly scheduled?: boolean | undefined
}

/** A change of messages. */
export interface BulkChange {
  /** As in `cancel 3 messages`. */
  readonly verb: string
  /** As in `cancelled: 3 messages`. */
  readonly done: string
  /** The states in which it is possible. */
  readonly possible: ReadonlyArray<State>
  /** The messages to change if no ids are given, as disjoint filters. They are changed one filter after the other. */
  readonly meant: (filter: Filter, options: Options, now: number) => ReadonlyArray<Filter>
  /** Of the messages that the options speak of, those that are left alone because they are scheduled for later. */
  readonly scheduled?: ((filter: Filter, options: Options, now: number) => Filter | undefined) | undefined
  /** Why it is not possible in other states. */
  readonly elsewhere: string
  /** Asks for confirmation even if the messages were given by id. */
  readonly isFinal: boolean
  /** Changes the messages; returns their number. */
  readonly apply: (
    outbox: OutboxLocation.Service,
    filter: Filter,
    options: Options
  ) => Effect.Effect<number, OutboxError>
  /** Why fewer messages than chosen may have been changed. */
  readonly shortfall: string
}

/** Makes messages due again. Messages that wait come first: those that are over wait as well once they were retried. */
export const retry: BulkChange = {
  verb: "retry",
  done: "due again",
  possible: ["due", "rejected", "expired", "dead", "cancelled"],
  meant: (filter, options, now) => {
    const { due, over } = splitStates(options.state.length > 0 ? options.state : ["due", "expired", "dead"])
    const waiting: Filter = { ...filter, states: ["due"] }
    const tried: Filter = { ...waiting, attempted: true }
    const dueNow: Filter = { ...waiting, attempted: false, dueUntil: new Date(now + 1) }
    const later: Filter = { ...waiting, attempted: false, dueSince: new Date(now + 1) }
    return [
      ...(due ? [tried] : []),
      ...(due && options.state.length > 0 ? [dueNow] : []),
      ...(due && options.scheduled === true ? [later] : []),
      ...(over.length > 0 ? [{ ...filter, states: over }] : [])
    ]
  },
  scheduled: (filter, options, now) =>
    options.scheduled === true || (options.state.length > 0 && !options.state.includes("due"))
      ? undefined
      : { ...filter, states: ["due"], attempted: false, dueSince: new Date(now + 1) },
  elsewhere: "messages in flight or accepted cannot be retried",
  isFinal: false,
  apply: (outbox, filter, options) =>
    Stream.runCount(outbox.retry(filter, { scheduled: options.id.length > 0 || options.scheduled === true })),
  shortfall: "their bodies are gone, or they were claimed in the meantime"
}

/** Withdraws waiting messages. */
export const cancel: BulkChange = {
  verb: "cancel",
  done: "cancelled",
  possible: ["due"],
  meant: (filter) => [{ ...filter, states: ["due"] }],
  elsewhere: "only waiting messages (due) can be cancelled",
  isFinal: false,
  apply: (outbox, filter) => Stream.runCount(outbox.cancel(filter)),
  shortfall: "claimed in the meantime"
}

/** Deletes finished messages. */
export const purge: BulkChange = {
  verb: "purge",
  done: "purged",
  possible: ["accepted", "rejected", "expired", "dead", "cancelled"],
  meant: (filter) => [{ ...filter, states: filter.states ?? purge.possible }],
  elsewhere: "only finished messages can be purged; cancel waiting ones first",
  isFinal: true,
  apply: (outbox, filter) => outbox.purge(filter),
  shortfall: "retried in the meantime"
}

const splitStates = (states: ReadonlyArray<State>) => ({
  due: states.includes("due"),
  over: states.filter((state) => state !== "due")
})

/** Changes the messages that the options select. */
export const run = Effect.fnUntraced(
  function* (change: BulkChange, options: Options) {
    const selection = yield* decide(change, options)
    const outbox = yield* OutboxLocation.open(options, { create: false })
    yield* MailSelection.requireKnownIds(outbox, options.id)
    const counts = yield* count(outbox, selection)
    const found = states.reduce((sum, state) => sum + counts[state], 0)
    const left = selection.scheduled === undefined ? 0 : (yield* outbox.count(selection.scheduled)).due
    if (left > 0)
      yield* Terminal.log(`left alone: ${Format.plural(left, "message")} scheduled for later (see --scheduled)`)
    const asked = options.id.length === 0 || change.isFinal
    if (found > 0 && asked) yield* confirm(`${change.verb} ${inWords(counts, found)} in ${outbox.name}`, options.yes)
    const changed = found === 0 ? 0 : yield* apply(outbox, change, selection, options)
    const missed = Math.max(found, options.id.length) - changed
    if (options.json) yield* Terminal.print(`${Printable.json({ chosen: found, changed })}\n`)
    else yield* Terminal.print(`${change.done}: ${Format.plural(changed, "message")}\n`)
    if (change === purge && changed > 0) yield* logFreeSpace(outbox)
    if (found === 0 && options.id.length === 0) return yield* Terminal.log(`no message in ${outbox.name} matches`)
    if (missed > 0) {
      const reason = found < options.id.length ? change.elsewhere : change.shortfall
      yield* Terminal.log(`not ${change.done}: ${Format.plural(missed, "message")} (${reason})`)
      return yield* new ExitStatus({ status: 1 })
    }
  },
  Effect.scoped,
  OutboxLocation.asCommandErrors
)

/** The selected messages. */
interface Chosen {
  /** In the order in which they are changed. */
  readonly filters: ReadonlyArray<Filter>
  readonly scheduled: Filter | undefined
  readonly limit: number | undefined
  /** Messages enqueued by now: those that arrive while the user decides are not changed. */
  readonly until: Date
}

const decide = Effect.fnUntraced(function* (change: BulkChange, options: Options) {
  const selection = yield* MailSelection.read(options, options.id)
  if (selection.isEverything && selection.limit === undefined && !options.all) {
    return yield* new CommandError({
      problem: `no messages selected to ${change.verb}`,
      remedy: `give ids or a condition such as --state or --lane, or --all for every message`
    })
  }
  const impossible = options.state.find((state) => !change.possible.includes(state))
  if (impossible !== undefined) {
    return yield* new CommandError({
      problem: `--state ${impossible}: ${change.elsewhere}`,
      remedy: `choose among ${change.possible.join(", ")}`
    })
  }
  const { filter, limit } = selection
  const now = yield* Clock.currentTimeMillis
  const isNamed = filter.ids !== undefined
  const chosen: Chosen = {
    filters: isNamed ? [{ ...filter, states: filter.states ?? change.possible }] : change.meant(filter, options, now),
    scheduled: isNamed ? undefined : change.scheduled?.(filter, options, now),
    limit,
    until: filter.until ?? new Date(now + 1)
  }
  return chosen
})

/** The first messages of a selection that has a limit, or is by ids. */
const some = (outbox: OutboxLocation.Service, { filters, limit, until }: Chosen) => {
  const mails = Stream.flatMap(Stream.fromIterable(filters), (filter) => outbox.list({ ...filter, until }))
  return limit === undefined ? mails : Stream.take(mails, limit)
}

const isListed = ({ filters, limit }: Chosen): boolean => limit !== undefined || filters[0]?.ids !== undefined

/** Their numbers by state. */
const count = (outbox: OutboxLocation.Service, chosen: Chosen): Effect.Effect<StateCounts, OutboxError> => {
  const add = (counts: StateCounts, more: StateCounts): StateCounts =>
    Object.fromEntries(states.map((state) => [state, counts[state] + more[state]])) as StateCounts
  return isListed(chosen)
    ? Stream.runFold(
        some(outbox, chosen),
        () => none,
        (counts, { state }) => ({ ...counts, [state]: counts[state] + 1 })
      )
    : Effect.map(Effect.forEach(chosen.filters, outbox.count), (all) => all.reduce(add, none))
}

const none = Object.fromEntries(states.map((state) => [state, 0])) as StateCounts

/** Changes them in one pass; returns their number. */
const apply = (outbox: OutboxLocation.Service, change: BulkChange, chosen: Chosen, options: Options) => {
  const parts: Stream.Stream<Filter, OutboxError> = isListed(chosen)
    ? some(outbox, chosen).pipe(
        Stream.map(({ id }) => id),
        Stream.grouped(500),
        Stream.map((ids) => ({ ids }))
      )
    : Stream.fromIterable(chosen.filters.map((filter) => ({ ...filter, until: chosen.until })))
  return parts.pipe(
    Stream.mapEffect((filter) => change.apply(outbox, filter, options)),
    Stream.runFold(
      () => 0,
      (sum, count) => sum + count
    )
  )
}

/** Tells the user that the file keeps its size, if much of it is free. */
const logFreeSpace = Effect.fnUntraced(function* (outbox: OutboxLocation.Service) {
  const { free, total } = yield* outbox.occupancy
  if (free === undefined || free < worthLogging || free * 4 < total) return
  yield* Terminal.log(
    `${Format.bytes(free)} of ${Format.bytes(total)} in ${outbox.name} are free for new messages; mailrace outbox vacuum makes the file smaller`
  )
})

/** In bytes. */
const worthLogging = 1_000_000

/** Asks for confirmation; fails without a terminal. */
const confirm = Effect.fnUntraced(function* (what: string, yes: boolean) {
  if (yes) return yield* Terminal.log(what)
  const { canPrompt } = yield* TerminalCapabilities.TerminalCapabilities
  if (!canPrompt) {
    return yield* new CommandError({ problem: `to ${what} needs confirmation`, remedy: "pass --yes" })
  }
  const answer = yield* Effect.option(
    Prompt.run(Prompt.Confirm({ message: Printable.line(`${what[0]!.toUpperCase()}${what.slice(1)}?`) }))
  )
  if (Option.getOrElse(answer, () => false)) return
  // Ctrl-C leaves the question's line open.
  yield* Terminal.log(`${Option.isNone(answer) ? "\n" : ""}nothing was changed`)
  return yield* new ExitStatus({ status: 1 })
})

/** `12 messages (10 due, 2 dead)`. */
const inWords = (counts: StateCounts, found: number): string => {
  const parts = states.flatMap((state) => (counts[state] === 0 ? [] : [`${Format.count(counts[state])} ${state}`]))
  return `${Format.plural(found, "message")} (${parts.join(", ")})`
}
