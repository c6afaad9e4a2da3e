/**
 * Puts an input's messages into the outbox and reports what becomes of each.
 *
 * Messages share a few group commits, some hundreds at once, and are answered in their order. The policy for bad lines
 * (`BadLines`) also covers messages that the outbox refuses.
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
import type { CommandError } from "../CommandError.ts"
import { BadLines, type OnBadLine } from "../input/BadLines.ts"
import { addressesOf, originOf } from "../input/Entry.ts"
import type { BadEntry, DroppedEntry, Entry, IndexedEntry, MailEntry } from "../input/Entry.ts"
import type { Service } from "../outbox/OutboxLocation.ts"
import * as Storable from "./Storable.ts"

/** Enqueues a message, skips one that is in already, refuses a bad one, or ends the input. */
export type Decision = Result.Result<EnqueueOptions | "known", BadEntry | CommandError>

/** The options for enqueueing. */
export interface Options {
  readonly entries: Stream.Stream<Entry, CommandError>
  readonly outbox: Service
  readonly onBadLine?: OnBadLine | undefined
  readonly decide: (indexed: IndexedEntry) => Decision
  /** Runs when an entry was read. */
  readonly onRead?: ((entry: Entry) => void) | undefined
  /** Runs when screening found something about an entry's recipients. */
  readonly onScreened: (entry: MailEntry | DroppedEntry, index: number) => Effect.Effect<void>
  readonly onStored: (receipt: Outbox.Receipt, indexed: IndexedEntry) => Effect.Effect<void, CommandError>
  readonly onBad: (entry: BadEntry, index: number) => Effect.Effect<void, CommandError>
  /** Prints a line for the user. */
  readonly log: (line: string) => Effect.Effect<void>
}

/** Enqueues the input to its end, or until it is interrupted: messages answered until then are in. */
export const run = (options: Options): Effect.Effect<void, CommandError | OutboxError> =>
  Effect.suspend(() => new Enqueueing(options).run)

/** A message that is to be enqueued. */
interface Admitted extends IndexedEntry {
  readonly mail: Sendable
  readonly options: EnqueueOptions
}

/** One input on its way into the outbox. */
class Enqueueing {
  private readonly options: Options
  private readonly badLines: BadLines
  /** Messages handed to the outbox and not answered, oldest first. */
  private readonly unanswered: Array<Admitted> = []
  private answered = 0
  private read = 0
  /** Why the input ends here; messages read before are still enqueued. */
  private failure: CommandError | undefined
  private readonly over = Deferred.makeUnsafe<void>()

  constructor(options: Options) {
    this.options = options
    this.badLines = new BadLines(options)
  }

  readonly run: Effect.Effect<void, CommandError | OutboxError> = Effect.suspend(() => {
    const { outbox } = this.options
    const receipts = outbox.enqueueAll(this.mails, (_, index) => this.unanswered[index - this.answered]!.options)
    return Effect.andThen(
      Stream.runForEach(receipts, (answer) => this.answer(answer)),
      Effect.suspend(() => (this.failure === undefined ? Effect.void : Effect.fail(this.failure)))
    )
  })

  private get mails(): Stream.Stream<Sendable> {
    return this.options.entries.pipe(
      Stream.interruptWhen(Deferred.await(this.over)),
      Stream.mapAccumArrayEffect(
        () => undefined,
        (_, entries) => Effect.map(this.admit(entries), (admitted) => [undefined, admitted] as const)
      ),
      Stream.map(({ mail }) => mail),
      Stream.catch((error) => Stream.fromEffectDrain(this.endInput(error)))
    )
  }

  /** Selects the messages of a chunk that are to be enqueued. */
  private readonly admit = (entries: ReadonlyArray<Entry>) =>
    Effect.gen({ self: this }, function* () {
      const admitted: Array<Admitted> = []
      for (const entry of entries) {
        if (this.failure !== undefined) break
        const index = this.read++
        this.options.onRead?.(entry)
        if (entry._tag === "BadEntry") {
          yield* this.refuse(entry, index)
          continue
        }
        if (entry.screened !== undefined) yield* this.options.onScreened(entry, index)
        if (entry._tag === "DroppedEntry") continue
        const indexed = { entry, index }
        const decision = this.options.decide(indexed)
        if (Result.isFailure(decision)) {
          const { failure } = decision
          yield* failure._tag === "CommandError" ? this.endInput(failure) : this.refuse(failure, index)
          continue
        }
        // Hundreds of thousands may be in already; an effect for each would cost as much as the look at its mark.
        if (decision.success === "known") continue
        const mail = yield* this.toAdmitted(indexed, decision.success)
        if (mail !== undefined) admitted.push(mail)
      }
      for (const one of admitted) this.unanswered.push(one)
      return admitted
    })

  private toAdmitted(indexed: IndexedEntry, options: EnqueueOptions): Effect.Effect<Admitted | undefined> {
    const { entry, index } = indexed
    return Effect.matchEffect(Storable.make(entry), {
      onFailure: (error) => Effect.as(this.refuse(asBadEntry(entry, error), index), undefined),
      onSuccess: ({ mail, render }) => Effect.succeed({ ...indexed, mail, options: { ...options, render } })
    })
  }

  private answer(answer: Outbox.Receipt | Outbox.Refusal): Effect.Effect<void, CommandError> {
    const indexed = this.unanswered.shift()!
    this.answered++
    return answer._tag === "Receipt"
      ? this.options.onStored(answer, indexed)
      : this.refuse(asBadEntry(indexed.entry, answer.error), indexed.index)
  }

  private refuse(entry: BadEntry, index: number): Effect.Effect<void> {
    const refused = Effect.andThen(this.badLines.entry(entry, index), this.options.onBad(entry, index))
    return Effect.catch(refused, (error) => this.endInput(error))
  }

  private endInput(error: CommandError): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.failure ??= error
      return Deferred.succeed(this.over, undefined)
    })
  }
}

/** A message that cannot be composed, or that the outbox refuses, as a bad entry. */
const asBadEntry = (entry: MailEntry, { reason }: MailError.MailError | OutboxError): BadEntry => {
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
