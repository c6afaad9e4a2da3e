/**
 * A run of the dispatcher as the command shows it: deliveries counted, written down and drawn, and a report at the end.
 *
 * At a first Ctrl-C nothing more is begun, what is on its way ends in order, and what was claimed beyond that is given
 * back. At a second one the process ends at once; what was on its way then is found by the next run and sent again.
 */
import type { AttemptedMail } from "@mailrace/outbox/Dispatcher"
import { isOutboxError } from "@mailrace/outbox/OutboxError"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Delivery from "mailrace/Delivery"
import { MailTransport } from "mailrace/MailTransport"
import type * as RetryPolicy from "mailrace/RetryPolicy"
import { CommandError } from "../CommandError.ts"
import { Interrupts } from "../Interrupts.ts"
import * as Format from "../output/format.ts"
import * as DeliveryLog from "../output/DeliveryLog.ts"
import * as Progress from "../output/Progress.ts"
import * as Rate from "../sending/Rate.ts"
import type { ConnectionStats } from "../sending/Meter.ts"
import type { Result } from "../sending/RunState.ts"
import type { Sign } from "../sending/Signing.ts"
import { type UntriedEnd, untriedWords } from "../sending/Tally.ts"
import { DispatchState } from "./DispatchState.ts"
import * as OutboxLocation from "../outbox/OutboxLocation.ts"
import * as Printable from "../output/printable.ts"
import * as UnattemptedMails from "./UnattemptedMails.ts"

/** How a mail is called in reports. */
export interface Name {
  readonly index: number
  readonly id: string
  /** As in `line 3`. */
  readonly place: string
}

/** A run as what feeds it sees it. */
export interface RunContext {
  readonly state: DispatchState
  readonly progress: Progress.Progress
  readonly note: (line: DeliveryLog.Line) => Effect.Effect<void>
}

/** How a run goes. */
export interface Options {
  readonly outbox: OutboxLocation.Service
  readonly link: ConnectionStats
  readonly progress: Progress.Mode
  readonly retry: RetryPolicy.RetryPolicy
  readonly concurrency?: number | undefined
  readonly rate?: Rate.Rate | undefined
  /** Signs each message as it goes out. */
  readonly sign?: Sign | undefined
  readonly deliveries?: DeliveryLog.DeliveryLog | undefined
  /** Whether it ends when nothing is due any more. */
  readonly ends: boolean
  /**
   * Puts mails in while others go out, once this process is the dispatcher. The run does not end before. Nothing goes
   * out before it says `ready`, or ends.
   */
  readonly feed?: ((moment: RunContext, ready: () => void) => Effect.Effect<void, CommandError>) | undefined
  /** Keeps the run's backlog true, beside it. */
  readonly watch?: ((moment: RunContext) => Effect.Effect<void>) | undefined
  readonly nameOf: (mail: Pick<AttemptedMail, "id" | "mailId" | "idempotencyKey" | "state">) => Name
  /** Runs at a second Ctrl-C with what is known by then, and ends the process. */
  readonly onStopped: (result: Result) => Effect.Effect<void>
}

/** Sends what is due. */
export const run = Effect.fnUntraced(function* (options: Options) {
  const interrupts = yield* Interrupts
  const state = new DispatchState(options.link, yield* Clock.Clock, options.ends)
  state.backlog.isExact = options.feed === undefined
  const working = Effect.gen(function* () {
    const progress = yield* Progress.run(options.progress, state.snapshot)
    const note = (line: DeliveryLog.Line): Effect.Effect<void> =>
      options.deliveries === undefined ? Effect.void : Effect.catch(options.deliveries.add(line), state.giveUp)
    const moment: RunContext = { state, progress, note }
    yield* Effect.forkScoped(Effect.andThen(interrupts.first, stop(moment)), { startImmediately: true })
    yield* Effect.forkScoped(Effect.andThen(interrupts.second, abandon(options, moment)), { startImmediately: true })
    if (options.watch !== undefined) yield* Effect.forkScoped(options.watch(moment))
    yield* dispatch(options, moment)
  })
  yield* Effect.scoped(working)
  if (options.deliveries !== undefined) yield* Effect.catch(options.deliveries.flush, state.giveUp)
  return yield* state.result
})

const dispatch = Effect.fnUntraced(function* (options: Options, moment: RunContext) {
  const { state } = moment
  const transport = yield* MailTransport
  const started = Deferred.makeUnsafe<void>()
  const ready = Deferred.makeUnsafe<void>()
  const course: RunProgress = {
    ...moment,
    relayWatch: new RelayWatch(moment, options.ends),
    waits: new Map(),
    saidOf: new Set()
  }
  const untried = yield* UnattemptedMails.make(options.outbox, options.deliveries !== undefined, (mail) =>
    endUntried(mail, options, course)
  )
  const sending = options.outbox.run({
    concurrency: concurrencyOf(options, transport),
    retry: options.retry,
    // A run that ends does not want to wait for the next look to see that it may.
    poll: options.ends ? "200 millis" : undefined,
    until: () => (state.isFed && options.ends ? "idle" : "never"),
    onStart: (_, status) => {
      state.status = status
      return Effect.andThen(Deferred.succeed(started, undefined), Deferred.await(ready))
    },
    onDelivery: (delivery, attempt) => end(delivery, attempt, options, course),
    onUntried: untried.add
  })
  const begin = (): void => void Deferred.doneUnsafe(ready, Effect.void)
  const feeding = Effect.andThen(Deferred.await(started), options.feed?.(moment, begin) ?? Effect.void)
  const fiber = yield* Effect.forkChild(
    Effect.all(
      [
        Effect.provideService(
          OutboxLocation.explained(sending),
          MailTransport,
          state.addressed.watch(counted(options, transport, course))
        ),
        Effect.tap(feeding, () =>
          Effect.sync(() => {
            state.isFed = true
            begin()
          })
        )
      ],
      { concurrency: "unbounded", discard: true }
    )
  )
  yield* Effect.raceFirst(Fiber.await(fiber), Deferred.await(state.enough))
  // Waits until what was begun has ended and is recorded, and the rest is given back.
  yield* Fiber.interrupt(fiber)
  const exit = yield* Fiber.await(fiber)
  yield* untried.end
  if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return
  const error = Cause.squash(exit.cause)
  if (error instanceof CommandError) return yield* state.giveUp(error)
  if (isOutboxError(error)) return yield* state.giveUp(OutboxLocation.explain(error))
  return yield* Effect.failCause(exit.cause as Cause.Cause<never>)
})

/** A run as its own parts see it. */
interface RunProgress extends RunContext {
  readonly relayWatch: RelayWatch
  /** How long messages waited for their slot, by Message-ID, in milliseconds. */
  readonly waits: Map<string, number>
  /** Ends without an attempt that the user was told of. */
  readonly saidOf: Set<UntriedEnd>
}

/** An attempt has ended. */
const end = (
  whole: Delivery.Delivery,
  attempt: AttemptedMail,
  options: Options,
  { note, relayWatch, state, waits }: RunProgress
): Effect.Effect<void> => {
  const waited = whole.messageId === undefined ? undefined : waits.get(whole.messageId)
  if (waited !== undefined) waits.delete(whole.messageId!)
  // As without an outbox, where a message begins when the rate lets it.
  const delivery = waited === undefined ? whole : { ...whole, durationMs: whole.durationMs - waited }
  const name = options.nameOf(attempt)
  const outcome = state.end(delivery, attempt, name.place)
  const noted =
    options.deliveries === undefined ? Effect.void : note(DeliveryLog.lineOf(delivery, name.index, name.id, outcome))
  if (delivery._tag === "Accepted") return relayWatch.isDown ? Effect.andThen(noted, relayWatch.up) : noted
  const { reason } = delivery.error
  // Without TLS or a login, what is sent after it is refused as well (RFC 3207 §4, RFC 4954 §6).
  if (options.ends && (reason._tag === "TlsFailed" || reason._tag === "AuthenticationFailed")) {
    return Effect.andThen(noted, state.giveUp(new CommandError({ problem: reason.message, remedy: reason.remedy })))
  }
  return reason._tag === "ConnectFailed" ? Effect.andThen(noted, relayWatch.down(reason.message)) : noted
}

/** A mail has ended without an attempt. */
const endUntried = (
  { end, entry, id, mailId }: UnattemptedMails.Found,
  options: Options,
  { note, progress, saidOf, state }: RunProgress
): Effect.Effect<void> => {
  const { idempotencyKey } = entry ?? {}
  const name = options.nameOf({ id, mailId, idempotencyKey, state: end === "expired" ? "expired" : "dead" })
  state.endUntried(id, end, name.place)
  const noted = entry === undefined ? Effect.void : note(DeliveryLog.lineUntried(name.index, name.id, end, entry))
  if (saidOf.has(end)) return noted
  saidOf.add(end)
  return Effect.andThen(
    noted,
    progress.say(`${name.place}: ${untriedWords[end].example}; further ones are only counted`)
  )
}

/** Tells the user once that the relay is gone, and once that it is back. */
class RelayWatch {
  isDown = false
  private readonly moment: RunContext
  private readonly ends: boolean

  /** `ends`: whether the run ends when all is put off. */
  constructor(moment: RunContext, ends: boolean) {
    this.moment = moment
    this.ends = ends
  }

  down(problem: string): Effect.Effect<void> {
    if (this.isDown) return Effect.void
    this.isDown = true
    const comfort = this.ends
      ? "nothing is lost: what is put off waits in the outbox for the next run"
      : "nothing is lost, it is tried again until it is back"
    return this.moment.progress.say(`the relay cannot be reached: ${Printable.line(problem)}; ${comfort}`)
  }

  get up(): Effect.Effect<void> {
    this.isDown = false
    return this.moment.progress.say("the relay is back")
  }
}

/** A transport that counts what is on its way, signs it and keeps the rate. */
const counted = (
  { rate, sign }: Options,
  transport: MailTransport["Service"],
  { state, waits }: RunProgress
): MailTransport["Service"] => {
  const slot = rate === undefined ? undefined : Rate.slots(rate)
  return {
    ...transport,
    send: (message, options) => {
      const sent = Effect.suspend(() => {
        state.inFlight++
        return Effect.ensuring(
          sign === undefined
            ? transport.send(message, options)
            : Effect.flatMap(sign(message), (signed) => transport.send(signed, options)),
          Effect.sync(() => state.inFlight--)
        )
      })
      if (slot === undefined) return sent
      const turn = options?.restore === undefined ? slot : options.restore(slot)
      return Effect.suspend(() => {
        const since = performance.now()
        return Effect.flatMap(turn, () => {
          waits.set(message.messageId, (waits.get(message.messageId) ?? 0) + performance.now() - since)
          return sent
        })
      })
    }
  }
}

/** Mails that wait for their slot are claimed, so under a rate no more are taken than it lets through in two seconds. */
const concurrencyOf = (
  { concurrency, rate }: Pick<Options, "concurrency" | "rate">,
  transport: MailTransport["Service"]
): number | undefined => {
  const usual = concurrency ?? transport.concurrency
  return rate === undefined ? usual : Math.min(usual ?? 10, Math.max(1, Math.ceil(rate * 2)))
}

const stop = ({ progress, state }: RunContext): Effect.Effect<void> =>
  Effect.andThen(
    state.stop,
    progress.say("stopping: what is on its way is finished first; press Ctrl-C again to stop at once")
  )

const abandon = Effect.fnUntraced(function* (options: Options, { progress, state }: RunContext) {
  if (options.deliveries !== undefined) yield* Effect.ignore(options.deliveries.flush)
  yield* progress.say(
    `stopped: what was on its way (${Format.plural(state.inFlight, "message")}) may have arrived; the next run sends it again, under the same Message-ID`
  )
  const unrecorded = state.status?.unrecorded ?? 0
  if (unrecorded > 0) {
    yield* progress.say(
      `${Format.plural(unrecorded, "message")} ${unrecorded === 1 ? "was" : "were"} accepted, but that is not recorded yet; the next run sends them again if it is not by then`
    )
  }
  yield* progress.end
  yield* Effect.flatMap(state.result, options.onStopped)
})
