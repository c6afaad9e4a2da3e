/**
 * Sends claimed messages through `Mailer.sendAll` and settles their outcomes.
 *
 * A message that failed temporarily is first tried again within its claim, at the times of the quick policy. While it
 * waits, it occupies no connection; otherwise a lane that is answered 451 would fill them all with waiting messages,
 * and every other lane would stand still.
 */
import * as Feedback from "@mailrace/flow/Feedback"
import type { FlowControl } from "@mailrace/flow/FlowControl"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as AttachmentFile from "mailrace/AttachmentFile"
import type * as Delivery from "mailrace/Delivery"
import type * as MailError from "mailrace/MailError"
import * as Mailer from "mailrace/Mailer"
import * as Reply from "mailrace/Reply"
import type { Composed } from "mailrace/Composed"
import type { Gate, MailTransport } from "mailrace/MailTransport"
import * as RetryPolicy from "mailrace/RetryPolicy"
import * as Backoff from "../../Backoff.ts"
import * as Lane from "../../Lane.ts"
import type { OutboxError } from "../../OutboxError.ts"
import type { ClaimedRow, DispatcherLease, Settlement } from "../../OutboxStore.ts"
import type * as Payload from "../../Payload.ts"
import * as AttemptTrace from "./attemptTrace.ts"
import * as settlement from "./settlement.ts"
import type { BeginGate } from "./beginGate.ts"
import { guarded } from "./guardedSending.ts"
import type { ClaimedMails } from "./claimedMails.ts"
import type { Begun, LaneScheduler } from "./laneScheduler.ts"
import type { DispatchSignal } from "./dispatchSignal.ts"
import * as ClaimAttempts from "./claimAttempts.ts"

/** The collaborators and settings of `Sending`. */
export interface Dependencies {
  readonly lease: DispatcherLease
  readonly claimedMails: ClaimedMails
  readonly scheduler: LaneScheduler
  readonly gate: BeginGate
  readonly signal: DispatchSignal
  readonly codec: Payload.PayloadCodec
  readonly concurrency: number
  /** The limits on what is sent, if there are any. */
  readonly flow: FlowControl | undefined
  readonly clock: Clock.Clock
  readonly rules: settlement.Rules
  /** The quick retries. */
  readonly retry: RetryPolicy.RetryPolicy | undefined
  /** Runs with each message whose outcome is being recorded. */
  readonly onEnded: (tried: ClaimAttempts.ClaimAttempts) => Effect.Effect<void>
}

/** Starts without messages. When the scope closes, messages that wait for a quick retry are recorded as they stand. */
export const make = (dependencies: Dependencies): Effect.Effect<Sending, never, Scope.Scope> =>
  Effect.gen(function* () {
    const sending = new Sending(dependencies, yield* Effect.scope)
    yield* Effect.addFinalizer(() => sending.concludeAll)
    return sending
  })

/** The sending pipeline of a dispatcher. */
export class Sending {
  private readonly lease: Dependencies["lease"]
  private readonly claimedMails: Dependencies["claimedMails"]
  private readonly scheduler: Dependencies["scheduler"]
  private readonly gate: Dependencies["gate"]
  private readonly signal: Dependencies["signal"]
  private readonly codec: Dependencies["codec"]
  private readonly concurrency: Dependencies["concurrency"]
  private readonly flow: Dependencies["flow"]
  private readonly clock: Dependencies["clock"]
  private readonly rules: Dependencies["rules"]
  private readonly onEnded: Dependencies["onEnded"]
  private readonly scope: Scope.Scope
  private readonly retry: RetryPolicy.RetryPolicy
  /** Messages on their way by their id. */
  private readonly begun = new Map<string, { readonly begun: Begun; readonly mailId: string | undefined }>()
  /** Messages tried in this claim and not recorded, by their seq. */
  private readonly tried = new Map<number, ClaimAttempts.ClaimAttempts>()
  /**
   * Messages that were begun, not sent, and belong to another dispatcher by now, by their Message-ID; true if they
   * were refused.
   */
  private readonly lost = new Map<string, boolean>()
  private wantMails: (() => void) | undefined
  private isOffering = false
  private isComplete = false

  constructor(dependencies: Dependencies, scope: Scope.Scope) {
    this.lease = dependencies.lease
    this.claimedMails = dependencies.claimedMails
    this.scheduler = dependencies.scheduler
    this.gate = dependencies.gate
    this.signal = dependencies.signal
    this.codec = dependencies.codec
    this.concurrency = dependencies.concurrency
    this.flow = dependencies.flow
    this.clock = dependencies.clock
    this.rules = dependencies.rules
    this.onEnded = dependencies.onEnded
    this.scope = scope
    this.retry = dependencies.retry ?? RetryPolicy.defaultPolicy
  }

  /** Sends the messages of the scheduler, until `complete`. */
  get run(): Effect.Effect<void, OutboxError, MailTransport> {
    return this.mails.pipe(
      Mailer.sendAll({
        concurrency: this.concurrency,
        retry: RetryPolicy.none,
        onUnknown: "report",
        onDelivery: (delivery) => this.end(delivery)
      }),
      Stream.runDrain,
      // Enqueued messages contain their files. A row that names a file was not written by an outbox.
      Effect.provideService(AttachmentFile.AttachmentsFrom, AttachmentFile.policy("nowhere")),
      guarded(
        this.gate,
        ({ messageId }) => this.refuse(messageId),
        (message) => this.gateOf(message)
      )
    )
  }

  /** Wakes the pipeline: there may be messages to send. */
  readonly offer = (): void => {
    const want = this.wantMails
    this.wantMails = undefined
    want?.()
  }

  /** Wakes the pipeline once for all messages that end in this turn, so that it takes as many new ones together. */
  private offerSoon(): void {
    if (this.isOffering) return
    this.isOffering = true
    queueMicrotask(() => {
      this.isOffering = false
      this.offer()
    })
  }

  /** Ends the pipeline: no more messages will come. */
  complete(): void {
    this.isComplete = true
    this.offer()
  }

  /** The messages in the order in which they are sent. */
  private readonly mails: Stream.Stream<Mailer.Source, OutboxError> = Stream.fromPull(
    Effect.succeed(
      Effect.gen({ self: this }, function* () {
        const { scheduler, concurrency, gate, claimedMails, signal, lease } = this
        while (true) {
          yield* gate.opened
          const now = yield* Clock.currentTimeMillis
          const free = Math.max(1, concurrency - scheduler.sending)
          const begun = scheduler.take(Math.min(free, lease.holding?.left(concurrency) ?? free), now)
          lease.holding?.spend(begun.length, concurrency)
          const watched = begun.flatMap(({ row }) => (row.isWatched ? [row] : []))
          if (watched.length > 0) yield* claimedMails.persist(lease.begin(watched))
          const mails = begun.flatMap((one) => this.decode(one, now) ?? [])
          if (mails.length > 0) {
            if (scheduler.isLow) signal.wake()
            return mails as [Mailer.Source, ...Array<Mailer.Source>]
          }
          if (begun.length > 0) continue
          if (this.isComplete) return yield* Cause.done()
          const opensAt = scheduler.limitsOpenAt(now)
          yield* opensAt === undefined
            ? this.waitForMails
            : Effect.raceFirst(this.waitForMails, Effect.sleep(Math.max(1, Math.ceil(opensAt - now))))
        }
      })
    )
  )

  private readonly waitForMails = Effect.callback<void>((resume) => {
    this.wantMails = () => resume(Effect.void)
    return Effect.sync(() => {
      this.wantMails = undefined
    })
  })

  private decode(begun: Begun, now: number): Mailer.Source | undefined {
    const { row } = begun
    try {
      const { mailId, source } = this.codec.sourceUnsafe(row, row.id, settlement.owed(row))
      this.begun.set(row.id, { begun, mailId })
      return source
    } catch (error) {
      this.scheduler.end(begun, { _tag: "Neutral" }, now)
      this.claimedMails.settle(row, settlement.unreadable(row, error as Error, now), false)
      return undefined
    }
  }

  /** The gate of one message: the dispatcher's, and the limits' last look before its first command. */
  private gateOf({ id = "", size }: Composed): Gate {
    const { clock, flow, gate } = this
    const admitted = this.begun.get(id)?.begun.admission
    if (flow === undefined || admitted === undefined) return gate
    // Its size is known now; an unknown size is 0.
    const admission = flow.countsBytes && size > 0 ? flow.weigh(admitted, size) : admitted
    const wait = (): number => {
      const now = clock.currentTimeMillisUnsafe()
      return Math.ceil(flow.beginsAt(admission, now) - now)
    }
    const opened: Gate["opened"] = Effect.suspend(() => {
      const ms = wait()
      return ms > 0 ? Effect.andThen(Effect.sleep(ms), opened) : gate.opened
    })
    return {
      get isOpen() {
        return gate.isOpen && wait() <= 0
      },
      opened,
      begun: () => flow.begin(admission, clock.currentTimeMillisUnsafe())
    }
  }

  private refuse(messageId: string): boolean {
    if (!this.lost.has(messageId)) return false
    this.lost.set(messageId, true)
    return true
  }

  private end(delivery: Delivery.Delivery): Effect.Effect<void> {
    const { begun, mailId } = this.begun.get(delivery.id)!
    this.begun.delete(delivery.id)
    const { row } = begun
    const wasRefused = this.lost.size > 0 && this.lost.get(row.messageId) === true
    if (this.lost.size > 0) this.lost.delete(row.messageId)
    return Effect.suspend(() => {
      const now = this.clock.currentTimeMillisUnsafe()
      if (wasRefused) {
        this.scheduler.end(begun, { _tag: "Neutral" }, now)
        this.offerSoon()
        return this.claimedMails.drop([row])
      }
      const learned = Feedback.fromDelivery(delivery)
      const closed = this.scheduler.end(
        begun,
        settlement.feedback(delivery, row.lane, learned),
        now,
        learned,
        replyOf(delivery)
      )
      this.offerSoon()
      const before = this.tried.get(row.seq)
      const own = AttemptTrace.withTraceId(delivery, row.trace)
      const whole = before === undefined ? own : ClaimAttempts.mergeAttempts(before, own, now)
      const tried = (settlement: Settlement): ClaimAttempts.ClaimAttempts => ({
        row: settlement.recipients === undefined ? row : { ...row, recipients: settlement.recipients },
        mailId,
        delivery: whole,
        settlement,
        attempts: (before?.attempts ?? 0) + 1,
        since: before?.since ?? now - delivery.durationMs
      })
      const accepted = settlement.accepted(row, whole, now)
      const ended =
        accepted === undefined
          ? Effect.flatMap(settlement.end(this.rules, row, whole, now), ({ error, settlement }) =>
              error === undefined ? this.conclude(tried(settlement)) : this.tryAgain(tried(settlement), error)
            )
          : this.conclude(tried(accepted))
      const traced =
        row.trace === undefined ? ended : Effect.andThen(AttemptTrace.record(row.trace, row.id, delivery), ended)
      return closed.length === 0 ? traced : Effect.andThen(traced, this.giveBack(closed))
    })
  }

  /** Tries a message again after a moment, if the policy and its lane allow it. */
  private tryAgain(tried: ClaimAttempts.ClaimAttempts, error: MailError.MailError): Effect.Effect<void> {
    const { row } = tried
    if (!error.isRetryable || error.reason._tag === "OutcomeUnknown") return this.conclude(tried)
    return Effect.flatMap(Backoff.wait(this.retry, tried.attempts, error), (wait) => {
      if (wait === undefined || this.tried.size >= mostWaiting) return this.conclude(tried)
      this.tried.set(row.seq, tried)
      const again = Effect.clockWith((clock) => {
        if (this.tried.get(row.seq) !== tried) return Effect.void
        // A lane that was asked to slow down gets no quick retries.
        if (this.scheduler.isClosed(row.lane, clock.currentTimeMillisUnsafe())) return this.conclude(tried)
        this.scheduler.putFirst(row)
        this.offer()
        return Effect.void
      })
      return Effect.asVoid(Effect.forkIn(Effect.delay(again, wait), this.scope))
    })
  }

  /** Records the outcome of a message at once; the effect reports it. */
  private conclude(tried: ClaimAttempts.ClaimAttempts): Effect.Effect<void> {
    if (this.tried.size > 0) this.tried.delete(tried.row.seq)
    this.claimedMails.settle(tried.row, tried.settlement, isAccepted(tried.delivery))
    return this.onEnded(tried)
  }

  readonly concludeAll: Effect.Effect<void> = Effect.suspend(() =>
    Effect.forEach([...this.tried.values()], (tried) => this.conclude(tried), { discard: true })
  )

  /** Gives up the waiting messages of buckets: drops them if the buckets are lost, else gives them back. */
  leave(buckets: ReadonlySet<number>, isLost: boolean): Effect.Effect<void> {
    return Effect.suspend(() => {
      const rows = this.scheduler.leave(buckets)
      const untried = rows.filter(({ seq }) => !this.tried.has(seq))
      const tried = [...this.tried.values()].filter(({ row }) => buckets.has(Lane.bucket(row.lane)))
      const concluded = Effect.forEach(tried, (one) => this.conclude(one), { discard: true })
      if (isLost) {
        for (const { begun } of this.begun.values()) {
          if (buckets.has(Lane.bucket(begun.row.lane))) this.lost.set(begun.row.messageId, false)
        }
      }
      if (untried.length === 0) return concluded
      return Effect.andThen(concluded, isLost ? this.claimedMails.drop(untried) : this.claimedMails.giveBack(untried))
    })
  }

  /** Gives back the waiting messages of a closed lane; records those that were tried already. */
  private giveBack(rows: ReadonlyArray<ClaimedRow>): Effect.Effect<void> {
    const tried = rows.flatMap(({ seq }) => this.tried.get(seq) ?? [])
    const untried = rows.filter(({ seq }) => !this.tried.has(seq))
    const concluded = Effect.forEach(tried, (one) => this.conclude(one), { discard: true })
    return untried.length === 0 ? concluded : Effect.andThen(concluded, this.claimedMails.giveBack(untried))
  }
}

/** The reply that put the message, or one of its recipients, off. */
const replyOf = (delivery: Delivery.Delivery): string | undefined => {
  const reply =
    delivery._tag === "Accepted"
      ? delivery.recipients.find(({ outcome }) => outcome === "deferred")?.reply
      : delivery.error.reply
  return reply && Reply.format(reply)
}

/** True if a relay has accepted the message for any recipient. */
const isAccepted = ({ _tag, recipients }: Delivery.Delivery): boolean =>
  _tag === "Accepted" || recipients.some(({ outcome }) => outcome === "accepted")

/** The largest number of messages that wait for a quick retry, so that there is room to claim others. */
const mostWaiting = 250
