/**
 * Feeds an input into the outbox while the dispatcher sends from it.
 *
 * A feed passes through three phases. While `matching`, it meets the messages of earlier runs, and nothing is sent, so
 * that nothing is if the input has changed. Once enough of them are met it is `sending`: the dispatcher sends beside it.
 * When the input has ended by itself it is `complete`.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { AttachmentsFrom } from "mailrace/AttachmentFile"
import * as Stream from "effect/Stream"
import type { CommandError } from "../CommandError.ts"
import type { RunContext } from "../dispatching/DispatchTask.ts"
import type { OnBadLine } from "../input/BadLines.ts"
import type { DroppedEntry, Entry, IndexedEntry, MailEntry } from "../input/Entry.ts"
import type { Input } from "../input/Input.ts"
import * as OutboxLocation from "../outbox/OutboxLocation.ts"
import * as DeliveryLog from "../output/DeliveryLog.ts"
import * as ScreeningNotes from "../output/ScreeningNotes.ts"
import type { EarlierMessages } from "./EarlierMessages.ts"
import * as EnqueueInput from "./EnqueueInput.ts"
import { recogniseFirst } from "./recognition.ts"

/** The options: the input and its outbox. */
export interface Options {
  readonly input: Input
  readonly outbox: OutboxLocation.Service
  readonly earlier: EarlierMessages
  readonly onBadLine?: OnBadLine | undefined
  /** Sends the whole input again. */
  readonly again: boolean
}

/** The input of one run. */
export class DurableFeed {
  /** Messages that this run enqueued. */
  stored = 0
  private readonly options: Options
  private phase: "matching" | "sending" | "complete" = "matching"
  /** Entries read, bad ones counted too. */
  private read = 0
  private readUpTo = 0

  constructor(options: Options) {
    this.options = options
  }

  /** True if the input was read to its end. */
  get isComplete(): boolean {
    return this.phase === "complete"
  }

  /** Enqueues what is not in yet; calls `ready` when messages may be sent. */
  run(context: RunContext, ready: () => void): Effect.Effect<void, CommandError> {
    const { earlier, input, onBadLine, outbox } = this.options
    const { progress, record, state } = context
    state.backlog.due += earlier.marks.dueNow
    const sendIfMet = (): void => {
      if (this.phase !== "matching" || !earlier.areMet) return
      this.phase = "sending"
      ready()
    }
    const enqueueing = EnqueueInput.run({
      entries: Stream.interruptWhen(this.recognised(context), Deferred.await(state.enough)),
      outbox,
      onBadLine,
      onRead: (entry) => this.onRead(entry, context),
      decide: (indexed: IndexedEntry) => {
        const decision = earlier.decide(indexed)
        sendIfMet()
        return decision
      },
      onScreened: (entry: MailEntry | DroppedEntry, index: number) => {
        if (entry._tag === "DroppedEntry" && earlier.isTooLateToDrop(entry, index)) return Effect.sync(sendIfMet)
        return ScreeningNotes.report(entry, index, { tally: state.tally.screening, record, log: progress.log })
      },
      onStored: ({ duplicate }) =>
        Effect.sync(() => {
          if (duplicate) return
          this.stored++
          state.backlog.due++
        }),
      onBad: (entry, index) => {
        state.tally.badEntry(entry)
        return record(DeliveryLog.lineBad(entry, index))
      },
      log: progress.log
    }).pipe(Effect.provideService(AttachmentsFrom, input.attachmentsFrom))
    return Effect.matchEffect(OutboxLocation.asCommandErrors(enqueueing), {
      onFailure: (error) => this.onFailure(error, context),
      onSuccess: () =>
        Effect.sync(() => {
          if (!Deferred.isDoneUnsafe(state.enough)) this.phase = "complete"
          this.close(context)
        })
    })
  }

  private recognised({ progress }: RunContext): Input["entries"] {
    const { again, earlier, input } = this.options
    return recogniseFirst(input.entries, earlier.marks, (first) =>
      Effect.suspend(() => {
        const history = earlier.recognise(first, again)
        return history === undefined ? Effect.void : progress.log(history)
      })
    )
  }

  /** Messages read before a line that ends the run are still sent, as without `--durable`. */
  private onFailure(error: CommandError, context: RunContext): Effect.Effect<void, CommandError> {
    if (this.phase === "matching") return Effect.fail(error)
    const { state } = context
    return Effect.suspend(() => {
      this.close(context)
      if (this.options.earlier.isChanged) return state.giveUp(error)
      state.fail(error)
      return Effect.void
    })
  }

  private onRead(entry: Entry, { state }: RunContext): void {
    this.read++
    this.readUpTo = entry.end
    state.backlog.coming = Math.max(0, this.expected - Math.max(this.read, this.options.earlier.marks.known))
  }

  /** How many entries the input is expected to have: known for files of one message each, else estimated from bytes. */
  private get expected(): number {
    const { size, unit } = this.options.input
    if (size === undefined || this.readUpTo === 0) return 0
    return unit === "entries" ? size : Math.round((size / this.readUpTo) * this.read)
  }

  /** No more comes from the input. */
  private close({ state }: RunContext): void {
    state.backlog.coming = 0
    state.backlog.isExact = true
  }
}
