/**
 * What `mailrace send --durable` does: puts every message of the input into the outbox, and sends from there meanwhile.
 *
 * What is in the outbox is known by its marks (see `InputMarks`), so the same command run again goes on where the first
 * one was, whatever ended it and wherever the input lies by then.
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { AttachmentsFrom } from "mailrace/AttachmentFile"
import { CommandError, ExitStatus } from "../CommandError.ts"
import { addressesOf, describe, type DroppedEntry, type Entry, placeOf } from "../input/Entry.ts"
import * as Input from "../input/Input.ts"
import { keepApart } from "../internal/files.ts"
import * as Format from "../output/format.ts"
import * as Conclusion from "../output/Conclusion.ts"
import * as DeliveryLog from "../output/DeliveryLog.ts"
import * as ScreeningNotes from "../sending/ScreeningNotes.ts"
import * as Report from "../output/Report.ts"
import type { Result as RunResult } from "../sending/RunState.ts"
import * as Dispatching from "../dispatching/Dispatching.ts"
import type { RunContext, Name } from "../dispatching/DispatchRun.ts"
import { InputMarks, type Placed } from "../enqueueing/InputMarks.ts"
import * as FileMode from "../outbox/FileMode.ts"
import * as EnqueueInput from "../enqueueing/EnqueueInput.ts"
import * as Output from "../output/Output.ts"
import * as OutboxLocation from "../outbox/OutboxLocation.ts"

/** What is sent, by way of which outbox, and how the run is shown. */
export interface Options extends Input.Options, FileMode.Options, Dispatching.Options {
  /** The outbox's file. */
  readonly durable: string
  readonly onBadLine?: "skip" | "abort" | undefined
  /** Sends the whole input again, although the outbox holds its messages. */
  readonly again: boolean
}

/** Sends an input by way of an outbox. */
export const run = Effect.fnUntraced(
  function* (options: Options) {
    const stdio = yield* Stdio.Stdio
    const say = (text: string) => Effect.provideService(Output.say(text), Stdio.Stdio, stdio)
    yield* keepApart(
      { "--input": options.input, "--durable": options.durable },
      { "--report": options.report, "--deliveries": options.deliveries }
    )
    const warnings: Array<string> = []
    const input = yield* Input.open({ ...options, onWarning: (warning) => warnings.push(warning) })
    const course = new DurableProgress(options)
    const open = Effect.gen(function* () {
      const outbox = yield* OutboxLocation.openFile(options.durable, options)
      warnings.push(...(yield* FileMode.warnings(outbox.name)))
      const kept = yield* outbox.count()
      const mails = Object.values(kept).reduce((sum, count) => sum + count, 0)
      if (mails >= manyMails) {
        yield* say(
          `${options.durable} holds ${Format.plural(mails, "mail")}; looking for those of ${course.name} first`
        )
      }
      course.marks = yield* OutboxLocation.explained(
        InputMarks.load(outbox, options.input, yield* Clock.currentTimeMillis)
      )
      return {
        outbox,
        ends: true,
        feed: (moment: RunContext, ready: () => void) => feed({ input, outbox, course, moment, ready }),
        nameOf: (attempt) => course.nameOf(attempt)
      } satisfies Dispatching.Task
    })
    const result = yield* Dispatching.run(options, open, (result, outbox) =>
      Effect.gen(function* () {
        for (const warning of warnings) yield* say(warning)
        for (const line of course.explain(result, yield* Dispatching.remainder(outbox))) yield* say(line)
      })
    )
    if (result.failure !== undefined) return yield* Effect.fail(result.failure)
    if (!result.isComplete || !Report.isAllAccepted(result.report) || !course.isAccepted)
      return yield* new ExitStatus({ status: 1 })
  },
  Effect.scoped,
  OutboxLocation.explained
)

interface Feeding {
  readonly input: Input.Input
  readonly outbox: OutboxLocation.Service
  readonly course: DurableProgress
  readonly moment: RunContext
  readonly ready: () => void
}

/** From how many mails on the user is told what they wait for: their keys are read at half a million a second. */
const manyMails = 200_000

/**
 * Puts in what is not in yet. Nothing is sent before all that is in has been met again, so that nothing is when the
 * input was changed; of more than 50,000 messages the first 50,000 must do, or millions would keep the relay waiting.
 */
const feed = ({ course, input, moment, outbox, ready }: Feeding): Effect.Effect<void, CommandError> => {
  const { state } = moment
  const marks = course.marks!
  state.backlog.due += marks.dueNow
  let readUpTo = 0
  const expect = (): void => {
    const { size, unit } = input
    const guess = size === undefined || readUpTo === 0 ? 0 : unit === "entries" ? size : (size / readUpTo) * course.read
    state.backlog.coming = Math.max(0, Math.round(guess) - Math.max(course.read, marks.known))
  }
  const begin = (): void => {
    if (!course.maySend) return
    course.isBegun = true
    ready()
  }
  const intake = EnqueueInput.run({
    entries: Stream.interruptWhen(recognised(input.entries, course, moment), Deferred.await(state.enough)),
    outbox,
    onBadLine: course.options.onBadLine ?? "auto",
    onRead: (entry) => {
      course.read++
      readUpTo = entry.end
      expect()
    },
    decide: (numbered) => {
      const decision = course.decide(numbered)
      begin()
      return decision
    },
    onScreened: (entry, index) => {
      if (entry._tag === "DroppedEntry" && course.drop(entry, index)) return Effect.sync(begin)
      return ScreeningNotes.tell(entry, index, {
        tally: state.tally.screening,
        note: moment.note,
        say: moment.progress.say
      })
    },
    onStored: ({ duplicate }) =>
      Effect.sync(() => {
        if (duplicate) return
        course.stored++
        state.backlog.due++
      }),
    onBad: (entry, index) => {
      state.tally.badEntry(entry)
      const line = DeliveryLog.lineWithout(index, String(index), "invalid", "BadLine", describe(entry))
      return moment.note(DeliveryLog.lineInvalid(line, placeOf(entry), addressesOf(entry)))
    },
    say: moment.progress.say
  }).pipe(Effect.provideService(AttachmentsFrom, input.attachmentsFrom))
  const fed = Effect.sync(() => {
    state.backlog.coming = 0
    state.backlog.isExact = true
  })
  return Effect.matchEffect(OutboxLocation.explained(intake), {
    // What came before a line that ends the run is still sent, as without --durable.
    onFailure: (error) =>
      !course.isBegun
        ? Effect.fail(error)
        : Effect.andThen(fed, course.isChanged ? state.giveUp(error) : Effect.sync(() => state.fail(error))),
    onSuccess: () => {
      course.isRead = !Deferred.isDoneUnsafe(state.enough)
      return fed
    }
  })
}

/**
 * The same entries; by the first messages that come it is found out which input this is, and what is in of it is said
 * before any of them is taken in. Where they come one by one and another input has them too, a few are waited for.
 */
const recognised = (
  entries: Input.Input["entries"],
  course: DurableProgress,
  { progress }: RunContext
): Input.Input["entries"] => {
  const begin = (first: ReadonlyArray<Placed>) =>
    Effect.suspend(() => {
      const history = course.begin(first.slice(0, firstMessages))
      return history === undefined ? Effect.void : progress.say(history)
    })
  return entries.pipe(
    Stream.concat(Stream.succeed(undefined)),
    Stream.mapAccumArrayEffect(
      (): Recognition | undefined => ({ passed: 0, held: [] }),
      (state, chunk) => {
        const read = chunk.filter((entry) => entry !== undefined)
        if (state === undefined) return Effect.succeed([undefined, read] as const)
        const { held, passed } = state
        const all = [...held, ...read]
        const first: Array<Placed> = []
        all.forEach((entry, at) => entry._tag !== "BadEntry" && first.push({ entry, index: passed + at }))
        const isEnd = read.length < chunk.length
        if (!isEnd && first.length === 0)
          return Effect.succeed([{ passed: passed + all.length, held: [] }, all] as const)
        if (!isEnd && course.marks!.mustSeeMore(first)) return Effect.succeed([{ passed, held: all }, []] as const)
        return Effect.as(begin(first), [undefined, all] as const)
      }
    )
  )
}

/** How far the first messages have come before the input is recognised. */
interface Recognition {
  /** Entries that were let through: bad ones, which say nothing. */
  readonly passed: number
  readonly held: ReadonlyArray<Entry>
}

/** After how many messages that are in already, and are what they were, an input is no longer expected to differ. */
const enoughMet = 50_000

/** By how many messages an input is recognised at most. */
const firstMessages = 1000

/** The states of messages that no relay took and that are tried no more. */
const lost = ["rejected", "expired", "dead", "cancelled"] as const

/** How far the input has come, over all runs. */
class DurableProgress {
  readonly options: Options
  marks: InputMarks | undefined
  /** Entries read, bad ones counted too. */
  read = 0
  /** Messages that were in already. */
  private met = 0
  /** Messages that were in already, and that would be left out now. */
  private late = 0
  /** Messages put in by this run. */
  stored = 0
  /** Messages of the input that this run saw accepted. */
  private accepted = 0
  /** Mails that this run sent and that are not of the input. */
  private others = 0
  /** Whether the input was read to its end. */
  isRead = false
  /** Whether sending has begun, because what was in before was met in the input. */
  isBegun = false
  /** Whether a message is not what it was. */
  isChanged = false

  constructor(options: Options) {
    this.options = options
  }

  /** Finds out which input this is by its first messages; gives what is to be said of earlier runs. */
  begin(first: ReadonlyArray<Placed>): string | undefined {
    const marks = this.marks!
    marks.recognise(first)
    const history = this.history ?? this.resemblance
    if (!this.options.again) return history
    marks.sendAgain()
    return history === undefined ? undefined : `${history}; as --again asks, they are sent again`
  }

  decide(numbered: EnqueueInput.IndexedEntry): EnqueueInput.Decision {
    const marks = this.marks!
    switch (marks.check(numbered)) {
      case "new":
        return Result.succeed({ idempotencyKey: marks.keyOf(numbered) })
      case "known":
        this.met++
        return Result.succeed("known")
      case "changed":
        this.isChanged = true
        return Result.fail(
          new CommandError({
            problem: `${placeOf(numbered.entry)} of ${this.name} makes another message than the one that is in ${this.options.durable}${this.origin}: the input or a flag was changed since`,
            remedy: `run it with both as they were; to send all of the changed input, also what was sent already, add --again or name another file in --durable`
          })
        )
    }
  }

  /** Whether a message that is to be left out was put in by an earlier run, so that it is too late. */
  drop(entry: DroppedEntry, index: number): boolean {
    if (this.marks!.check({ entry, index }) === "new") return false
    this.met++
    this.late++
    return true
  }

  nameOf({ id, idempotencyKey, mailId, state }: Parameters<Dispatching.Task["nameOf"]>[0]): Name {
    const mark = this.marks!.markOf(idempotencyKey)
    if (mark === undefined) {
      this.others++
      return { index: -1, id: mailId ?? id, place: `mail ${id}` }
    }
    if (state === "accepted") this.accepted++
    return { ...mark, id: mailId ?? String(mark.index) }
  }

  /** Whether enough of what was in before was met in the input, to take it for the same. */
  get maySend(): boolean {
    return this.met >= Math.min(this.marks!.known, enoughMet)
  }

  /** Whether every message of the input was accepted for each recipient, in this run or an earlier one. */
  get isAccepted(): boolean {
    if (this.marks!.missed > 0) return false
    return this.before("accepted") + this.accepted >= this.marks!.known + this.stored
  }

  /** What is in from earlier runs, said at the start. */
  get history(): string | undefined {
    const { known } = this.marks!
    if (known === 0) return undefined
    const waiting = this.before("due") + this.before("claimed")
    const parts = (["accepted", ...lost] as const).map((state) => [this.before(state), state] as const)
    const said = [...parts, [waiting, "waiting"] as const]
      .filter(([count]) => count > 0)
      .map(([count, what]) => `${count.toLocaleString("en-US")} ${what}`)
    const counts = said.join(", ")
    return this.origin === ""
      ? `${Format.plural(known, "message")} of ${this.name} ${known === 1 ? "is" : "are"} in ${this.options.durable} already: ${counts}`
      : `${this.options.durable} holds these messages already${this.origin}: ${counts}; ${this.name} goes on where that was`
  }

  /** What an input that is a new one shares with one that is in, said at the start: those get it once more. */
  private get resemblance(): string | undefined {
    const { resemblance } = this.marks!
    if (resemblance === undefined) return undefined
    const { first, path, shared } = resemblance
    const what = `${shared.toLocaleString("en-US")} of the first ${Format.plural(first, "message")} of ${this.name}`
    return `${what} ${shared === 1 ? "is" : "are"} in ${this.options.durable} already, from ${path}; as the others are not, this is another input, and all of it is sent`
  }

  /** Where the same input was read before, when that was elsewhere. */
  private get origin(): string {
    const { movedFrom } = this.marks!
    return movedFrom === undefined ? "" : `, from ${movedFrom}`
  }

  /** What the summary of this run does not tell. */
  explain({ failure, isComplete, report }: RunResult, remainder: string | undefined): ReadonlyArray<string> {
    const file = this.options.durable
    const lines: Array<string> = []
    const { known } = this.marks!
    const gone = known - this.met
    if (this.isRead && gone > 0) {
      lines.push(`${Format.plural(gone, "message")} in ${file} ${gone === 1 ? "is" : "are"} in ${this.name} no longer`)
    }
    if (this.late > 0 && this.before("due") + this.before("claimed") > 0) {
      lines.push(
        `${Format.plural(this.late, "message")} that would be left out now ${this.late === 1 ? "was" : "were"} put into ${file} by an earlier run, and not taken out: for those that wait there is mailrace outbox cancel`
      )
    }
    if (this.others > 0) {
      lines.push(
        `${Format.plural(this.others, "attempt")} of these ${this.others === 1 ? "was" : "were"} for other mails in ${file}`
      )
    }
    const lostBefore = lost.reduce((sum, state) => sum + this.before(state), 0)
    if (lostBefore > 0) {
      lines.push(
        `in earlier runs ${Format.plural(lostBefore, "message")} failed for good: mailrace outbox list --db ${file}`
      )
    }
    const { missed } = this.marks!
    if (missed > 0) {
      lines.push(
        `in earlier runs ${Format.plural(missed, "recipient")} of messages that others got ${missed === 1 ? "was" : "were"} refused: mailrace outbox list --db ${file} --json`
      )
    }
    if (remainder !== undefined) lines.push(remainder)
    if (failure !== undefined) return lines
    const again = this.options.again ? "run the same command again without --again" : "run the same command again"
    if (!isComplete) lines.push(`${again} to go on`)
    else if (remainder !== undefined) lines.push(`${again} then, or mailrace outbox run`)
    else if (report.total === 0) {
      lines.push(known === 0 ? Conclusion.nothingToSend(report.dropped) : "nothing was left to send")
    }
    return lines
  }

  private before(state: Parameters<InputMarks["states"]["get"]>[0]): number {
    return this.marks!.states.get(state) ?? 0
  }

  get name(): string {
    return this.options.input === "-" ? "standard input" : this.options.input
  }
}
