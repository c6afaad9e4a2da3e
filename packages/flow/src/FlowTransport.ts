/**
 * Flow control over a `MailTransport`: a transport that holds messages back until they may go.
 *
 * Limits hold at the relay, counted at the first octet of MAIL: a message is admitted in its turn, and asked once more right
 * before its first command (`MailTransport.Gate`). While the messages of one lane or tenant wait, those of others go. To find
 * them, `sendAll` reads ahead, at most `lookAhead`; when that is full of messages that must wait, the source waits.
 *
 * @example
 * ```ts
 * import * as FlowTransport from "@mailrace/flow/FlowTransport"
 * import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
 * import * as Layer from "effect/Layer"
 *
 * export const relay = FlowTransport.layer({
 *   rate: ["14/s", "50000/d"],
 *   lanes: { "gmail.com": { rate: ["5/s"] } }
 * }).pipe(Layer.provide(SmtpTransport.layerUrl("smtp://mail.example.com:587")))
 * ```
 *
 * @since 0.1.0
 */

import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Address from "mailrace/Address"
import type * as Composed from "mailrace/Composed"
import * as MailError from "mailrace/MailError"
import { type Gate, MailTransport, type Receipt, type SendOptions } from "mailrace/MailTransport"
import { FairQueue } from "./FairQueue.ts"
import type * as Feedback from "./Feedback.ts"
import * as FlowChange from "./FlowChange.ts"
import {
  type Gates,
  type Admission,
  type Facts,
  FlowControl,
  type Held,
  type MakeRate,
  type Wait
} from "./FlowControl.ts"
import * as FlowMetrics from "./FlowMetrics.ts"
import * as FlowOptions from "./FlowOptions.ts"
import { Passage } from "./internal/passage.ts"
import { steadyTime } from "./internal/steadyTime.ts"
import type { LedgerError } from "./Ledgers.ts"
import * as LoadGuard from "./LoadGuard.ts"
import { RateLeasing } from "./RateLeasing.ts"
import type { Saved } from "./RateLimit.ts"

/**
 * The state of flow control, for display.
 *
 * @since 0.1.0
 */
export interface Status {
  /** Messages that wait. */
  readonly waiting: number
  /** Their content in bytes. */
  readonly waitingBytes: number
  /** Messages that were let through and have not ended. */
  readonly inFlight: number
  /** Why messages wait, and since when. */
  readonly waits: ReadonlyArray<Wait>
  /** How long messages were held back up to now, by gate. */
  readonly held: ReadonlyArray<Held>
  /** How far the gates are open. */
  readonly gates: Gates
}

/**
 * Flow control beside sending.
 *
 * @since 0.1.0
 */
export class Flow extends Context.Service<
  Flow,
  {
    readonly status: Effect.Effect<Status>
    /** Asks the gates of the callers of all waiting messages again; those that may not go any more leave. */
    readonly reconsider: Effect.Effect<void>
    /** The counts of limits of more than a minute, to be kept over a restart. */
    readonly save: Effect.Effect<Readonly<Record<string, Saved>>>
    /** Adds counts that were kept. */
    readonly restore: (saved: Readonly<Record<string, Saved>>) => Effect.Effect<void>
  }
>()("@mailrace/flow/Flow") {}

/**
 * Puts flow control before a transport. `relay` names the relay in errors, the log and metrics; it defaults to that of the options. Fails when an option cannot be used.
 *
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* (
  transport: MailTransport["Service"],
  options: FlowOptions.Options,
  relay = options.relay ?? "relay"
): Effect.fn.Return<Context.Context<MailTransport | Flow>, FlowOptions.FlowOptionsError, Scope.Scope> {
  const clock = yield* Clock.Clock
  const settings = yield* Effect.fromResult(FlowOptions.resolve(options, clock.currentTimeMillisUnsafe()))
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  const leasing =
    options.ledgers === undefined
      ? undefined
      : new RateLeasing(options.ledgers, settings, "outboxes", () => sender.granted())
  const sender = new FlowSender(
    transport,
    settings,
    relay,
    clock,
    yield* Effect.scope,
    (change) => fork(FlowChange.log(change, relay)),
    leasing?.makeRate
  )
  if (leasing !== undefined) yield* Effect.forkScoped(keptUp(leasing.run))
  yield* FlowMetrics.show(relay, transport.concurrency ?? 10, () => Effect.runSync(sender.flow.status).gates)
  if (settings.guard !== undefined) yield* LoadGuard.feed(settings.guard, () => Effect.runSync(sender.flow.reconsider))
  return Context.make(MailTransport, sender.transport).pipe(Context.add(Flow, sender.flow))
})

/** Leases until the end: a fault of the ledgers that waiting does not mend, as one that cannot be read, may be mended by somebody. */
const keptUp = (run: Effect.Effect<never, LedgerError>): Effect.Effect<never> =>
  Effect.catchCause(run, (cause) =>
    Cause.hasInterruptsOnly(cause)
      ? Effect.interrupt
      : Effect.andThen(
          Effect.logError(`limits cannot be leased, and messages wait: ${problemOf(cause)}`),
          Effect.delay(
            Effect.suspend(() => keptUp(run)),
            "5 seconds"
          )
        )
  )

const problemOf = (cause: Cause.Cause<LedgerError>): string =>
  Option.match(Cause.findErrorOption(cause), {
    onNone: () => MailError.describeThrown(Cause.squash(cause)),
    onSome: ({ message }) => message
  })

/**
 * Puts flow control before the transport that is provided. Fails when an option cannot be used.
 *
 * @since 0.1.0
 */
export const layer = (
  options: FlowOptions.Options
): Layer.Layer<MailTransport | Flow, FlowOptions.FlowOptionsError, MailTransport> =>
  Layer.effectContext(Effect.flatMap(MailTransport, (transport) => make(transport, options)))

/** A message that waits. */
interface Waiting {
  readonly facts: Facts
  readonly gate: Gate | undefined
  readonly go: (admission: Admission | undefined) => void
  remove: () => boolean
}

/** Inside an uninterruptible region. */
type MaskedOptions = SendOptions & { readonly restore: NonNullable<SendOptions["restore"]> }

const isMasked = (options: SendOptions | undefined): options is MaskedOptions => options?.restore !== undefined

class FlowSender {
  readonly transport: MailTransport["Service"]
  readonly flow: Flow["Service"]
  private readonly inner: MailTransport["Service"]
  private readonly relay: string
  private readonly clock: Clock.Clock
  private readonly now: () => number
  private readonly scope: Scope.Scope
  private readonly control: FlowControl
  private readonly settings: FlowOptions.Settings
  private readonly queue: FairQueue<Waiting>
  private readonly waiting = new Set<Waiting>()
  private waitingBytes = 0
  /** Changes that are not logged yet. */
  private readonly changes: Array<FlowChange.Change> = []
  /** Messages that wait to be composed. */
  private readonly admissions = new Set<() => void>()
  /** Until when a rule leaves the relay alone, where messages are refused meanwhile. */
  private pausedUntil = Number.NEGATIVE_INFINITY
  private isPumping = false
  /** When the queue is looked at next. */
  private wakesAt = Number.POSITIVE_INFINITY

  constructor(
    inner: MailTransport["Service"],
    settings: FlowOptions.Settings,
    relay: string,
    clock: Clock.Clock,
    scope: Scope.Scope,
    log: (change: FlowChange.Change) => void,
    makeRate?: MakeRate
  ) {
    this.inner = inner
    this.settings = settings
    this.relay = relay
    this.clock = clock
    this.now = steadyTime(clock)
    this.scope = scope
    const concurrency = inner.concurrency ?? 10
    this.control = new FlowControl(settings, concurrency, makeRate)
    this.control.onChange = (change) => {
      // While a limit is used up, no message ends that could report it.
      if (change._tag === "HeldBack" || change._tag === "LetGo") log(change)
      else this.changes.push(change)
    }
    this.queue = new FairQueue((tenant) => settings.tenants.get(tenant)?.weight ?? 1)
    const looksAhead = settings.lanes.size > 0 || settings.tenants.size > 0 || settings.asked === "lanes"
    this.transport = {
      ...inner,
      ...(looksAhead ? { concurrency: Math.max(concurrency, settings.lookAhead.messages) } : {}),
      admission: this.admission,
      send: (message, options) => this.send(message, options)
    }
    this.flow = {
      status: Effect.sync(() => ({
        waiting: this.queue.size,
        waitingBytes: this.waitingBytes,
        inFlight: this.control.inFlight,
        waits: this.queue.size === 0 ? [] : this.control.waiting(this.now()),
        held: this.control.held(this.now()),
        gates: this.control.gates(this.now())
      })),
      reconsider: Effect.sync(() => {
        for (const waiting of this.waiting) if (waiting.gate?.isOpen === false) this.leave(waiting)
        this.pump()
        this.admitNext()
      }),
      save: Effect.sync(() => this.control.save(this.now())),
      restore: (saved) => Effect.sync(() => this.control.restore(saved))
    }
  }

  /** Shared limits have new times. */
  granted(): void {
    this.queue.wakeAll()
    this.pump()
  }

  /** Waits while too much content waits, or the guard wants no more. */
  private readonly admission: Effect.Effect<void> = Effect.suspend(() => (this.isFull ? this.nextRoom : Effect.void))

  private get isFull(): boolean {
    return this.waitingBytes >= this.settings.lookAhead.bytes || this.settings.guard?.isIntakePaused === true
  }

  private readonly nextRoom: Effect.Effect<void> = Effect.andThen(
    Effect.callback<void>((resume) => {
      const wake = (): void => resume(Effect.void)
      this.admissions.add(wake)
      return Effect.sync(() => void this.admissions.delete(wake))
    }),
    Effect.suspend(() => this.admission)
  )

  /** Lets the next message be composed; the one after it when its size is known. */
  private admitNext(): void {
    if (this.admissions.size === 0 || this.isFull) return
    const [wake] = this.admissions
    this.admissions.delete(wake!)
    wake!()
  }

  private send(
    message: Composed.Composed,
    options: SendOptions | undefined
  ): Effect.Effect<Receipt, MailError.MailError> {
    return isMasked(options)
      ? this.sendMasked(message, options)
      : Effect.uninterruptibleMask((restore) => this.sendMasked(message, { ...options, restore }))
  }

  /** Sends inside an uninterruptible region, so that each admission has its end. */
  private sendMasked(message: Composed.Composed, options: MaskedOptions): Effect.Effect<Receipt, MailError.MailError> {
    return Effect.suspend(() => {
      if (options.gate?.isOpen === false) return this.gateOrSend(message, options)
      const now = this.now()
      if (now < this.pausedUntil) return Effect.fail(this.refusal(now)!)
      const facts = factsOf(message)
      if (this.queue.size === 0) {
        if (this.control.availableAt(facts, now) <= now) {
          this.admitNext()
          options.moments?.admitted(undefined)
          return this.sendAdmitted(message, options, this.control.admit(facts, now))
        }
        const refused = this.refusal(now)
        if (refused !== undefined) return Effect.fail(refused)
      }
      const turn = this.turn(facts, options)
      return Effect.flatMap(options.restore(turn), (admission) => {
        if (admission === undefined) return this.gateOrSend(message, options)
        options.moments?.admitted(this.control.heldBy(facts, now, this.now()))
        return this.sendAdmitted(message, options, admission)
      })
    })
  }

  /** A message that left the queue: its gate may fail, the circuit may be open, or it waits again. */
  private gateOrSend(message: Composed.Composed, options: MaskedOptions): Effect.Effect<Receipt, MailError.MailError> {
    return Effect.suspend(() => {
      const refused = this.refusal(this.now())
      if (refused !== undefined) return Effect.fail(refused)
      return Effect.andThen(options.restore(options.gate?.opened ?? Effect.void), this.sendMasked(message, options))
    })
  }

  /** The error while the circuit is open or a rule leaves the relay alone, because a stream's messages cannot wait for a relay that is dead. */
  private refusal(now: number): MailError.MailError | undefined {
    const { circuit } = this.control
    const isOpen = this.settings.hasCircuit && circuit.state(now) === "open"
    const closesAt = Math.max(this.pausedUntil, isOpen ? circuit.availableAt(now) : now)
    if (!isOpen && closesAt <= now) return undefined
    const retryAfter = Math.max(1, Math.ceil(closesAt - now))
    return MailError.make(new MailError.CircuitOpen({ relay: this.relay, retryAfter }))
  }

  /** Waits for the message's turn; `undefined` if it is to leave the queue. */
  private turn(facts: Facts, options: SendOptions): Effect.Effect<Admission | undefined> {
    return Effect.callback<Admission | undefined>((resume) => {
      const waiting: Waiting = {
        facts,
        gate: options.gate,
        go: (admission) => resume(Effect.succeed(admission)),
        remove: () => false
      }
      waiting.remove = this.queue.add(waiting, {
        tenant: facts.tenant,
        lane: facts.lane,
        isUrgent: options.priority === "urgent"
      })
      this.waiting.add(waiting)
      this.waitingBytes += facts.cost.bytes
      this.pump()
      this.admitNext()
      return Effect.sync(() => this.withdraw(waiting))
    })
  }

  private sendAdmitted(
    message: Composed.Composed,
    options: MaskedOptions,
    admission: Admission
  ): Effect.Effect<Receipt, MailError.MailError> {
    const passage = new Passage(this.control, admission, this.now, options.gate, this.ended)
    const { gate, moments, priority, restore } = options
    const passed = { gate: this.control.isSpaced ? passage : gate, moments, priority, restore }
    // Cheaper than `onExit`, and as good inside an uninterruptible region.
    return Effect.matchCauseEffect(this.inner.send(message, passed), passage)
  }

  private readonly ended = (
    admission: Admission,
    feedback: Feedback.Feedback | undefined
  ): Effect.Effect<void> | undefined => {
    this.control.end(admission, feedback, this.now())
    if (this.settings.refusesPaused && feedback?.relayPauseMs !== undefined)
      this.pausedUntil = Math.max(this.pausedUntil, this.now() + feedback.relayPauseMs)
    if (this.control.isAskedToWait) this.queue.wakeAll()
    this.pump()
    return this.changes.length === 0 ? undefined : this.logChanges
  }

  private readonly logChanges: Effect.Effect<void> = Effect.suspend(() =>
    Effect.forEach(this.changes.splice(0), (change) => FlowChange.log(change, this.relay), { discard: true })
  )

  /** Lets through what may go, and looks again when the next may. */
  private pump(): void {
    // A message that is let through may end at once.
    if (this.isPumping) return
    this.isPumping = true
    try {
      this.letThrough()
    } finally {
      this.isPumping = false
    }
  }

  private letThrough(): void {
    const { control, queue } = this
    while (queue.size > 0) {
      const now = this.now()
      const relayAt = Math.max(this.pausedUntil, control.relayAvailableAt(now))
      if (relayAt > now) {
        if (this.refusal(now) === undefined) this.wakeAt(relayAt, now)
        else for (const waiting of this.waiting) this.leave(waiting)
        return
      }
      const waiting = queue.take(now, ({ facts }) => control.availableAt(facts, now))
      if (waiting === undefined) {
        this.wakeAt(queue.wakesAt, now)
        return
      }
      this.forget(waiting)
      waiting.go(control.admit(waiting.facts, now))
    }
  }

  private wakeAt(at: number, now: number): void {
    if (at >= this.wakesAt || at === Number.POSITIVE_INFINITY) return
    this.wakesAt = at
    const wake = Effect.sync(() => {
      if (this.wakesAt === at) this.wakesAt = Number.POSITIVE_INFINITY
      this.pump()
    })
    Effect.runFork(
      Effect.provideService(Effect.forkIn(Effect.delay(wake, Math.ceil(at - now)), this.scope), Clock.Clock, this.clock)
    )
  }

  private leave(waiting: Waiting): void {
    this.withdraw(waiting)
    waiting.go(undefined)
  }

  private withdraw(waiting: Waiting): void {
    if (waiting.remove()) this.forget(waiting)
  }

  private forget(waiting: Waiting): void {
    if (!this.waiting.delete(waiting)) return
    this.waitingBytes -= waiting.facts.cost.bytes
    this.admitNext()
  }
}

const factsOf = ({ envelope, size, tenant }: Composed.Composed): Facts => {
  const [first] = envelope.to
  return {
    tenant: tenant ?? "",
    lane: first === undefined ? "" : Address.domain(first).toLowerCase(),
    cost: { recipients: envelope.to.length, bytes: size }
  }
}
