/**
 * The messages of an input that earlier runs of `send --durable` put into the outbox, and what a run decides by them.
 */
import type { State } from "@mailrace/outbox/OutboxEntry"
import * as Result from "effect/Result"
import { CommandError } from "../CommandError.ts"
import { type DroppedEntry, type IndexedEntry, placeOf } from "../input/Entry.ts"
import * as Format from "../text/format.ts"
import type { Decision } from "./EnqueueInput.ts"
import type { IndexedMessage, InputMarks } from "./InputMarks.ts"

/** The names of the input and the outbox, as the user knows them. */
export interface Names {
  readonly input: string
  readonly outbox: string
}

/** The states of messages that no relay took and that are not tried again. */
const lost = ["rejected", "expired", "dead", "cancelled"] as const

/** After this many messages that are stored already and have not changed, the input counts as the same. */
const enoughMet = 50_000

/** The messages of earlier runs. */
export class EarlierMessages {
  readonly marks: InputMarks
  private readonly names: Names
  /** Messages of the input that were in already. */
  private met = 0
  /** Those of them that would be dropped now. */
  private metTooLate = 0
  private changed = false

  constructor(marks: InputMarks, names: Names) {
    this.marks = marks
    this.names = names
  }

  /** Recognises the input by its first messages; returns a sentence about earlier runs, if there were any. */
  recognise(first: ReadonlyArray<IndexedMessage>, again: boolean): string | undefined {
    this.marks.recognise(first)
    const history = this.history ?? this.resemblance
    if (!again) return history
    this.marks.sendAgain()
    return history === undefined ? undefined : `${history}; as --again asks, they are sent again`
  }

  /** Decides whether a message is enqueued. */
  decide(indexed: IndexedEntry): Decision {
    switch (this.marks.check(indexed)) {
      case "new":
        return Result.succeed({ idempotencyKey: this.marks.keyOf(indexed) })
      case "known":
        this.met++
        return Result.succeed("known")
      case "changed": {
        this.changed = true
        const place = `${placeOf(indexed.entry)} of ${this.names.input}`
        return Result.fail(
          new CommandError({
            problem: `${place} makes a different message from the one in ${this.names.outbox}${this.origin}: the input or a flag has changed since`,
            remedy: `run the command with both as they were; to send all of the changed input, including what was sent already, add --again or name another file in --durable`
          })
        )
      }
    }
  }

  /** True if an earlier run enqueued a message that would be dropped now, so that it is too late to drop it. */
  isTooLateToDrop(entry: DroppedEntry, index: number): boolean {
    if (this.marks.check({ entry, index }) === "new") return false
    this.met++
    this.metTooLate++
    return true
  }

  /** True once a message turned out to differ from the one that is in. */
  get isChanged(): boolean {
    return this.changed
  }

  /** True once enough earlier messages were met in the input to take it for the same. */
  get areMet(): boolean {
    return this.met >= Math.min(this.marks.known, enoughMet)
  }

  /** How many messages are in a state, as the outbox had them at the start. */
  count(state: State): number {
    return this.marks.states.get(state) ?? 0
  }

  /** A sentence about what is in from earlier runs, for the start. */
  private get history(): string | undefined {
    const { known } = this.marks
    const { input, outbox } = this.names
    if (known === 0) return undefined
    const states = (["accepted", ...lost] as const).map((state) => [this.count(state), state] as const)
    const counts = [...states, [this.count("due") + this.count("claimed"), "waiting"] as const]
      .filter(([count]) => count > 0)
      .map(([count, state]) => `${Format.count(count)} ${state}`)
      .join(", ")
    return this.origin === ""
      ? `${Format.plural(known, "message")} of ${input} ${known === 1 ? "is" : "are"} in ${outbox} already: ${counts}`
      : `${outbox} holds these messages already${this.origin}: ${counts}; ${input} continues there`
  }

  /** A sentence about messages that a new input shares with an earlier one, for the start: they are sent once more. */
  private get resemblance(): string | undefined {
    const { resemblance } = this.marks
    if (resemblance === undefined) return undefined
    const { first, path, shared } = resemblance
    const messages = `${Format.count(shared)} of the first ${Format.plural(first, "message")} of ${this.names.input}`
    return `${messages} ${shared === 1 ? "is" : "are"} in ${this.names.outbox} already, from ${path}; because the others are not, this is a different input, and all of it is sent`
  }

  /** Where the same input was read before, if that was elsewhere. */
  private get origin(): string {
    const { movedFrom } = this.marks
    return movedFrom === undefined ? "" : `, from ${movedFrom}`
  }

  /** Sentences about earlier messages, for the end. */
  remarks(isReadToEnd: boolean): ReadonlyArray<string> {
    const { input, outbox } = this.names
    const { known, missed } = this.marks
    const lines: Array<string> = []
    const gone = known - this.met
    if (isReadToEnd && gone > 0) {
      lines.push(`${Format.plural(gone, "message")} in ${outbox} ${gone === 1 ? "is" : "are"} no longer in ${input}`)
    }
    if (this.metTooLate > 0 && this.count("due") + this.count("claimed") > 0) {
      lines.push(
        `${Format.plural(this.metTooLate, "message")} that would be dropped now ${this.metTooLate === 1 ? "was" : "were"} put into ${outbox} by an earlier run and not taken out; to withdraw those that wait, use mailrace outbox cancel`
      )
    }
    const failed = lost.reduce((sum, state) => sum + this.count(state), 0)
    if (failed > 0) {
      lines.push(
        `${Format.plural(failed, "message")} of earlier runs failed for good; list them with mailrace outbox list --db ${outbox}`
      )
    }
    if (missed > 0) {
      lines.push(
        `in earlier runs the relay refused ${Format.plural(missed, "recipient")} of messages that it took for others; list them with mailrace outbox list --db ${outbox} --json`
      )
    }
    return lines
  }
}
