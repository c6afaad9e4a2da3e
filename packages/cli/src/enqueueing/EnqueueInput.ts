/**
 * Puts an input's mails into the outbox and says what becomes of each.
 *
 * Mails meet in a few group commits, some hundreds at once, and are answered in their order. A line that is no mail, or
 * a mail that the outbox refuses, is told of and passed over, or ends the intake, as the user wants.
 */
import type { EnqueueOptions } from "@mailrace/outbox/EnqueueOptions"
import type * as Outbox from "@mailrace/outbox/Outbox"
import type { OutboxError } from "@mailrace/outbox/OutboxError"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Sendable } from "mailrace/Mailer"
import type * as MailError from "mailrace/MailError"
import { CommandError } from "../CommandError.ts"
import {
  addressesOf,
  type BadEntry,
  describe,
  type DroppedEntry,
  type Entry,
  type MailEntry,
  originOf
} from "../input/Entry.ts"
import type { OnBadLine } from "../sending/SendRun.ts"
import type { Service } from "../outbox/OutboxLocation.ts"
import * as Storable from "./Storable.ts"
import * as Printable from "../output/printable.ts"

/** A mail and its place in the input, from 0, bad lines counted too. */
export interface IndexedEntry {
  readonly entry: MailEntry
  readonly index: number
}

/** What is done with a mail: it is enqueued, it is in already, it is bad, or all must end. */
export type Decision = Result.Result<EnqueueOptions | "known", BadEntry | CommandError>

/** How an intake goes. */
export interface Options {
  readonly entries: Stream.Stream<Entry, CommandError>
  readonly outbox: Service
  readonly onBadLine: OnBadLine
  readonly decide: (numbered: IndexedEntry) => Decision
  /** An entry was read. */
  readonly onRead?: ((entry: Entry) => void) | undefined
  /** Recipients were found to be left out, or warned of. */
  readonly onScreened: (entry: MailEntry | DroppedEntry, index: number) => Effect.Effect<void>
  readonly onStored: (receipt: Outbox.Receipt, numbered: IndexedEntry) => Effect.Effect<void, CommandError>
  readonly onBad: (entry: BadEntry, index: number) => Effect.Effect<void, CommandError>
  /** Writes a line for the user. */
  readonly say: (text: string) => Effect.Effect<void>
}

/** Takes the input in to its end, or until it is interrupted: what was answered until then is in. */
export const run = (options: Options): Effect.Effect<void, CommandError | OutboxError> =>
  Effect.suspend(() => {
    const { onBadLine, outbox } = options
    /** Mails handed over and not answered, oldest first. */
    const waiting: Array<Admitted> = []
    let answered = 0
    let warnings = 0
    let read = 0
    /** Why the input is given up; what came before goes in all the same. */
    let failure: CommandError | undefined
    const over = Deferred.makeUnsafe<void>()
    const giveUp = (error: CommandError) =>
      Effect.suspend(() => {
        failure ??= error
        return Deferred.succeed(over, undefined)
      })

    const refuse = Effect.fnUntraced(function* (entry: BadEntry, index: number) {
      const problem = describe(entry)
      if (onBadLine === "auto" && index === 0 && entry.malformed) {
        const remedy = "check that the input has this format (--format); --on-bad-line skip passes over bad lines"
        return yield* new CommandError({ problem, remedy })
      }
      if (onBadLine === "abort") {
        return yield* new CommandError({
          problem,
          remedy: "correct it, or pass over bad lines with --on-bad-line skip"
        })
      }
      warnings++
      if (warnings <= maxWarnings) {
        yield* options.say(
          `skipped ${Printable.line(problem)}${warnings === maxWarnings ? "\nfurther bad lines are only counted" : ""}`
        )
      }
      yield* options.onBad(entry, index)
    })

    /** The mails of a chunk that are to be enqueued. */
    const admit = Effect.fnUntraced(function* (entries: ReadonlyArray<Entry>) {
      const admitted: Array<Admitted> = []
      for (const entry of entries) {
        if (failure !== undefined) break
        const index = read++
        options.onRead?.(entry)
        if (entry._tag === "BadEntry") {
          yield* Effect.catch(refuse(entry, index), giveUp)
          continue
        }
        if (entry.screened !== undefined) yield* options.onScreened(entry, index)
        if (entry._tag === "DroppedEntry") continue
        const numbered = { entry, index }
        const decision = options.decide(numbered)
        if (Result.isFailure(decision)) {
          const { failure } = decision
          yield* failure._tag === "CommandError" ? giveUp(failure) : Effect.catch(refuse(failure, index), giveUp)
        } else if (decision.success !== "known") {
          const storable = yield* Effect.result(Storable.make(entry))
          if (Result.isSuccess(storable)) {
            const { mail, render } = storable.success
            admitted.push({ ...numbered, mail, options: { ...decision.success, render } })
          } else yield* Effect.catch(refuse(unfit(entry, storable.failure), index), giveUp)
        }
      }
      for (const one of admitted) waiting.push(one)
      return admitted
    })

    const mails = options.entries.pipe(
      Stream.interruptWhen(Deferred.await(over)),
      Stream.mapAccumArrayEffect(
        () => undefined,
        (_, entries) => Effect.map(admit(entries), (admitted) => [undefined, admitted] as const)
      ),
      Stream.map(({ mail }) => mail),
      Stream.catch((error) => Stream.fromEffectDrain(giveUp(error)))
    )
    const answering = Stream.runForEach(
      outbox.enqueueAll(mails, (_, index) => waiting[index - answered]!.options),
      (answer) => {
        const numbered = waiting.shift()!
        answered++
        return answer._tag === "Receipt"
          ? options.onStored(answer, numbered)
          : Effect.catch(refuse(unfit(numbered.entry, answer.error), numbered.index), giveUp)
      }
    )
    return Effect.andThen(
      answering,
      Effect.suspend(() => (failure === undefined ? Effect.void : Effect.fail(failure)))
    )
  })

/** The most bad lines that are complained about one by one. */
const maxWarnings = 20

/** A mail that is to be enqueued. */
interface Admitted extends IndexedEntry {
  readonly mail: Sendable
  readonly options: EnqueueOptions
}

/** A mail that cannot be made, or that the outbox does not take. */
const unfit = (entry: MailEntry, { reason }: MailError.MailError | OutboxError): BadEntry => {
  const { end, line, place } = entry
  const isInvalid = reason._tag === "InvalidMessage" || reason._tag === "InvalidMail"
  return {
    _tag: "BadEntry",
    line,
    end,
    place,
    field: isInvalid ? reason.field : undefined,
    origin: isInvalid ? originOf(entry, reason.field) : undefined,
    to: addressesOf(entry).join(", ") || undefined,
    problem: isInvalid ? reason.problem : reason.message,
    malformed: false
  }
}
