/**
 * What `mailrace outbox retry`, `cancel` and `purge` do: find the mails that are meant, say how many they are, ask, and
 * change those.
 */
import { states, type Entry, type State } from "@mailrace/outbox/OutboxEntry"
import type { OutboxError } from "@mailrace/outbox/OutboxError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Prompt from "effect/cli/Prompt"
import * as TerminalCapabilities from "effect/cli/TerminalCapabilities"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { CommandError, ExitStatus } from "../../CommandError.ts"
import * as Printable from "../../output/printable.ts"
import type { ChangeFlags } from "../../commands/outbox/changing.ts"
import * as Format from "../../output/format.ts"
import * as MailSelection from "../../dispatching/MailSelection.ts"
import * as Output from "../../output/Output.ts"
import * as OutboxLocation from "../../dispatching/OutboxLocation.ts"

/** What is done to mails. */
export interface BulkChange {
  /** As in `cancel 3 mails`. */
  readonly verb: string
  /** As in `cancelled 3 mails`. */
  readonly done: string
  /** The states that it is possible in. */
  readonly possible: ReadonlyArray<State>
  /** The states that are meant when neither ids nor states are given. */
  readonly usual: ReadonlyArray<State>
  /** Whether a mail is meant that is in such a state, when no ids are given. */
  readonly isMeant?: ((entry: Entry, flags: ChangeFlags, now: number) => boolean) | undefined
  /** Why it is not possible in other states, with what to do. */
  readonly elsewhere: string
  /** Whether it is asked about also when the mails were named one by one. */
  readonly isFinal: boolean
  /** Does it; returns to how many. */
  readonly apply: (
    outbox: OutboxLocation.Service,
    ids: ReadonlyArray<string>,
    flags: ChangeFlags
  ) => Effect.Effect<number, OutboxError>
  /** Why it may have been done to fewer than were chosen. */
  readonly shortfall: string
}

/** Makes mails due again. */
export const retry: BulkChange = {
  verb: "retry",
  done: "due again",
  possible: ["due", "rejected", "expired", "dead", "cancelled"],
  usual: ["due", "expired", "dead"],
  isMeant: ({ attempts, crashes, dueAt, state }, flags, now) =>
    state !== "due" ||
    attempts + crashes > 0 ||
    (dueAt.getTime() > now ? flags.scheduled === true : flags.state.length > 0),
  elsewhere: "mails on their way or accepted cannot be retried",
  isFinal: false,
  apply: (outbox, ids, flags) =>
    Stream.runCount(outbox.retry({ ids }, { scheduled: flags.id.length > 0 || flags.scheduled === true })),
  shortfall: "no longer kept whole, or claimed meanwhile"
}

/** Withdraws mails that wait. */
export const cancel: BulkChange = {
  verb: "cancel",
  done: "cancelled",
  possible: ["due"],
  usual: ["due"],
  elsewhere: "only mails that wait (due) can be cancelled",
  isFinal: false,
  apply: (outbox, ids) => Stream.runCount(outbox.cancel({ ids })),
  shortfall: "claimed meanwhile"
}

/** Deletes mails that are over. */
export const purge: BulkChange = {
  verb: "purge",
  done: "purged",
  possible: ["accepted", "rejected", "expired", "dead", "cancelled"],
  usual: ["accepted", "rejected", "expired", "dead", "cancelled"],
  elsewhere: "only mails that are over can be purged; cancel those that wait first",
  isFinal: true,
  apply: (outbox, ids) => outbox.purge({ ids }),
  shortfall: "retried meanwhile"
}

/** Does it to the mails that the flags mean. */
export const run = Effect.fnUntraced(
  function* (deed: BulkChange, flags: ChangeFlags) {
    const choice = yield* decide(deed, flags)
    const outbox = yield* OutboxLocation.open(flags, { create: false })
    yield* MailSelection.requireKnownIds(outbox, flags.id)
    const { isMeant } = deed
    const now = yield* Clock.currentTimeMillis
    let left = 0
    const mails = MailSelection.mails(outbox, choice, (entry) => {
      const isChosen = flags.id.length > 0 || isMeant === undefined || isMeant(entry, flags, now)
      if (!isChosen && entry.dueAt.getTime() > now) left++
      return isChosen
    })
    const counts = yield* Stream.runFold(
      mails,
      () => new Map<State, number>(),
      (counts, { state }) => counts.set(state, (counts.get(state) ?? 0) + 1)
    )
    const found = [...counts.values()].reduce((sum, count) => sum + count, 0)
    if (left > 0) yield* Output.say(`left alone: ${Format.plural(left, "mail")} scheduled for later (see --scheduled)`)
    const asked = flags.id.length === 0 || deed.isFinal
    if (found > 0 && asked) yield* confirm(`${deed.verb} ${inWords(counts, found)} in ${outbox.name}`, flags.yes)
    const changed = yield* mails.pipe(
      Stream.map(({ id }) => id),
      Stream.grouped(500),
      Stream.mapEffect((ids) => deed.apply(outbox, ids, flags)),
      Stream.runFold(
        () => 0,
        (sum, count) => sum + count
      )
    )
    const missed = Math.max(found, flags.id.length) - changed
    if (flags.json) yield* Output.print(`${Printable.json({ chosen: found, changed })}\n`)
    else yield* Output.print(`${deed.done}: ${Format.plural(changed, "mail")}\n`)
    if (found === 0 && flags.id.length === 0) return yield* Output.say(`no mail in ${outbox.name} is like that`)
    if (missed > 0) {
      const reason = found < flags.id.length ? deed.elsewhere : deed.shortfall
      yield* Output.say(`not ${deed.done}: ${Format.plural(missed, "mail")} (${reason})`)
      return yield* new ExitStatus({ status: 1 })
    }
  },
  Effect.scoped,
  OutboxLocation.explained
)

/** The mails that are meant, up to this moment: what comes in while the user thinks is not among them. */
const decide = Effect.fnUntraced(function* (deed: BulkChange, flags: ChangeFlags) {
  const choice = yield* MailSelection.read(flags, flags.id)
  if (choice.isEverything && choice.limit === undefined && !flags.all) {
    return yield* new CommandError({
      problem: `which mails to ${deed.verb} is not said`,
      remedy: `give ids, or a condition such as --state or --lane; --all for every one of them`
    })
  }
  const impossible = flags.state.find((state) => !deed.possible.includes(state))
  if (impossible !== undefined) {
    return yield* new CommandError({
      problem: `--state ${impossible}: ${deed.elsewhere}`,
      remedy: `choose among ${deed.possible.join(", ")}`
    })
  }
  const { filter } = choice
  const now = yield* Clock.currentTimeMillis
  return {
    ...choice,
    filter: {
      ...filter,
      states: filter.states ?? (filter.ids === undefined ? deed.usual : deed.possible),
      until: filter.until ?? new Date(now + 1)
    }
  }
})

/** Asks, where there is somebody to ask. */
const confirm = Effect.fnUntraced(function* (what: string, yes: boolean) {
  if (yes) return yield* Output.say(what)
  const { canPrompt } = yield* TerminalCapabilities.TerminalCapabilities
  if (!canPrompt) {
    return yield* new CommandError({ problem: `to ${what} needs a yes`, remedy: "pass --yes" })
  }
  const answer = yield* Effect.option(
    Prompt.run(Prompt.Confirm({ message: Printable.line(`${what[0]!.toUpperCase()}${what.slice(1)}?`) }))
  )
  if (Option.getOrElse(answer, () => false)) return
  // Ctrl-C leaves the question's line open.
  yield* Output.say(`${Option.isNone(answer) ? "\n" : ""}nothing was changed`)
  return yield* new ExitStatus({ status: 1 })
})

/** `12 mails (10 due, 2 dead)`. */
const inWords = (counts: ReadonlyMap<State, number>, found: number): string => {
  const parts = states.flatMap((state) => {
    const count = counts.get(state)
    return count === undefined ? [] : [`${count.toLocaleString("en-US")} ${state}`]
  })
  return `${Format.plural(found, "mail")} (${parts.join(", ")})`
}
