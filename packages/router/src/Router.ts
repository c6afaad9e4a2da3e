/**
 * Several relays behind one `MailTransport`, chosen by weight, rules and health.
 *
 * The first route that matches a message names the relays that it may go by; without a matching route that is all of them.
 * Among these the primary relays take turns by weight, and a full one is passed over. Backup relays get messages only while
 * no primary one is usable.
 *
 * **Failover.** A relay that cannot be reached, refuses the session or the login, or falls silent is left alone for 1 s, and
 * for up to 15 s if it stays so (60 s after a fault that does not mend itself, as a wrong password). A relay that has not
 * answered yet gets two messages at once, and one after a rest, which a second follows if the first has no end in 15 s; so a
 * relay that hangs holds up few, and is back within 30 s of its health. A message that was there goes to another relay at
 * once, within the same attempt.
 *
 * - A message that a relay refused, for good or for now, is not offered to another one in that attempt.
 * - A message whose outcome is unknown is never offered to another one.
 * - A message that needs what a relay does not offer (SIZE, SMTPUTF8, REQUIRETLS) goes to one that does.
 *
 * If no relay is usable, messages wait for up to `waitLimit` and then fail with `CircuitOpen`, which is retryable. If all relays
 * have faults that do not mend themselves, messages fail at once with such a fault.
 *
 * @example
 * ```ts
 * import * as Router from "@mailrace/router/Router"
 * import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
 *
 * // Three of four messages go by `big`; `spare` is for the day on which both are down, and for the tenant "acme".
 * export const transport = Router.layer({
 *   relays: [
 *     { name: "big", weight: 3, transport: SmtpTransport.layerUrl("smtp://127.0.0.1:2525") },
 *     { name: "small", transport: SmtpTransport.layerUrl("smtp://127.0.0.1:2526") },
 *     { name: "spare", class: "backup", transport: SmtpTransport.layerUrl("smtp://127.0.0.1:2527") }
 *   ],
 *   routes: [{ tenant: "acme", relays: ["spare"] }]
 * })
 * ```
 *
 * @since 0.1.0
 */

import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as LogEvent from "mailrace/LogEvent"
import type * as Composed from "mailrace/Composed"
import * as MailError from "mailrace/MailError"
import { MailTransport, type Receipt, type SendOptions } from "mailrace/MailTransport"
import { checked, type Checked } from "./internal/checkedOptions.ts"
import { type Relay as RelayState, RelayGroup, take } from "./internal/relayGroup.ts"
import { RelayHealth, trialMs } from "./internal/relayHealth.ts"
import { laneOf, matcher } from "./internal/routing.ts"
import * as Verdict from "./internal/verdict.ts"
import type { RouterError } from "./RouterError.ts"
import type { Capabilities, Options, Relay, Route } from "./RouterOptions.ts"

export type { Capabilities, Options, Relay, Route } from "./RouterOptions.ts"

/**
 * The router's knowledge of a relay.
 *
 * @since 0.1.0
 */
export interface RelayStatus {
  readonly name: string
  /**
   * `proven` answered its last message; `unproven` has not answered yet, or was disturbed; `down` is left alone; `trial`
   * gets one message, whose end decides.
   */
  readonly health: "unproven" | "proven" | "down" | "trial"
  /** The messages on their way. */
  readonly inFlight: number
  /** The messages that ended there, whatever the answer. */
  readonly answered: number
  /** The last failure of the relay itself, in words; absent if there was none. */
  readonly lastFailure: string | undefined
}

/**
 * A router at work.
 *
 * @since 0.1.0
 */
export class Router extends Context.Service<
  Router,
  {
    /** The state of each relay, in the order of the options. */
    readonly status: Effect.Effect<ReadonlyArray<RelayStatus>>
    /** The number of messages that wait for a relay. */
    readonly waiting: Effect.Effect<number>
  }
>()("@mailrace/router/Router") {}

/**
 * Finds the fault of options before a router is made.
 *
 * @since 0.1.0
 */
export const check = (options: {
  readonly relays: ReadonlyArray<Omit<Relay, "transport">>
  readonly routes?: ReadonlyArray<Route> | undefined
}): Result.Result<void, RouterError> => Result.map(checked(options), () => undefined)

/**
 * Makes a router and its transport. Fails with `RouterError` if the options contradict each other, and with the error of a
 * relay's layer.
 *
 * @since 0.1.0
 */
export const make = <E = never, R = never>(
  options: Options<E, R>
): Effect.Effect<
  { readonly router: Router["Service"]; readonly transport: MailTransport["Service"] },
  RouterError | E,
  R | Scope.Scope
> =>
  Effect.gen(function* () {
    const checkedOptions = yield* Effect.fromResult(checked(options))
    const scope = yield* Effect.scope
    const clock = yield* Clock.Clock
    const transports = yield* Effect.forEach(options.relays, ({ transport }) => open(transport))
    const switchboard = new Switchboard(checkedOptions, transports, {
      isSticky: options.stickyLanes === true,
      waitLimitMs: Duration.toMillis(options.waitLimit ?? Duration.seconds(10)),
      now: () => Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000,
      wallClock: () => clock.currentTimeMillisUnsafe(),
      after: (milliseconds, effect) =>
        Effect.forkIn(Effect.andThen(Effect.sleep(milliseconds), effect), scope).pipe(Effect.asVoid)
    })
    return {
      router: Router.of({
        status: Effect.sync(() => switchboard.status),
        waiting: Effect.sync(() => switchboard.waiting)
      }),
      transport: MailTransport.of({
        concurrency: switchboard.concurrency,
        send: (message, sendOptions) =>
          sendOptions?.restore === undefined
            ? Effect.uninterruptibleMask((restore) => switchboard.send(message, { ...sendOptions, restore }))
            : switchboard.send(message, sendOptions as Sending)
      })
    }
  })

/**
 * A router as the `MailTransport` of a program, and `Router` to look at it.
 *
 * @since 0.1.0
 */
export const layer = <E = never, R = never>(
  options: Options<E, R>
): Layer.Layer<MailTransport | Router, RouterError | E, R> =>
  Layer.effectContext(
    Effect.map(make(options), ({ router, transport }) =>
      Context.make(Router, router).pipe(Context.add(MailTransport, transport))
    )
  )

const open = <E, R>(
  transport: MailTransport["Service"] | Layer.Layer<MailTransport, E, R>
): Effect.Effect<MailTransport["Service"], E, R | Scope.Scope> =>
  Layer.isLayer(transport)
    ? Effect.map(Layer.build(transport as Layer.Layer<MailTransport, E, R>), Context.get(MailTransport))
    : Effect.succeed(transport as MailTransport["Service"])

type Sending = SendOptions & { readonly restore: NonNullable<SendOptions["restore"]> }

interface Situation {
  readonly isSticky: boolean
  readonly waitLimitMs: number
  readonly now: () => number
  /** Cheaper than `now`, for what is asked of each message; it may jump. */
  readonly wallClock: () => number
  /** Runs an effect later, unless the router is closed before. */
  readonly after: (milliseconds: number, effect: Effect.Effect<void>) => Effect.Effect<void>
}

/** A relay with its transport. */
interface Line extends RelayState {
  readonly transport: MailTransport["Service"]
  readonly capabilities: Capabilities
  lastFailure: MailError.MailError | undefined
  /** When its rest ends, in milliseconds. */
  restsUntil: number
}

const wholeTrip: ReadonlyArray<Line> = []

/** The relays and the messages between them. */
class Switchboard {
  readonly concurrency: number
  private readonly lines: ReadonlyArray<Line>
  private readonly groups = new Map<string, RelayGroup>()
  private readonly routes: ReadonlyArray<{
    readonly matches: (message: Composed.Composed) => boolean
    readonly lines: ReadonlyArray<Line>
  }>
  private readonly everywhere: RelayGroup
  private readonly situation: Situation
  private readonly isPicky: boolean

  constructor(options: Checked, transports: ReadonlyArray<MailTransport["Service"]>, situation: Situation) {
    this.situation = situation
    this.lines = options.relays.map((relay, index) => {
      const transport = transports[index]!
      return {
        name: relay.name,
        weight: relay.weight,
        isBackup: relay.isBackup,
        capabilities: relay.capabilities,
        room: relay.concurrency ?? transport.concurrency ?? 10,
        transport,
        health: new RelayHealth(),
        inFlight: 0,
        pass: 0,
        lastFailure: undefined,
        restsUntil: 0
      }
    })
    const inUse = this.lines.filter(({ weight }) => weight > 0)
    const room = (isBackup: boolean): number =>
      inUse.reduce((sum, line) => (line.isBackup === isBackup ? sum + line.room : sum), 0)
    this.concurrency = Math.max(1, room(false), room(true))
    this.isPicky = inUse.some(({ capabilities }) => Object.keys(capabilities).length > 0)
    this.everywhere = this.groupOf(inUse)
    this.routes = options.routes.map((route) => ({
      matches: matcher(route),
      lines: inUse.filter(({ name }) => route.relays.includes(name))
    }))
  }

  get status(): ReadonlyArray<RelayStatus> {
    return this.lines.map(({ health, inFlight, lastFailure, name }) => ({
      name,
      health: health.health,
      inFlight,
      answered: health.answers,
      lastFailure: lastFailure?.message
    }))
  }

  get waiting(): number {
    let sum = 0
    for (const group of this.groups.values()) sum += group.waiters
    return sum
  }

  /** Sends a message by the relays in turn until one has an answer for it. Runs uninterruptibly, but for its waits. */
  send(message: Composed.Composed, options: Sending): Effect.Effect<Receipt, MailError.MailError> {
    return Effect.suspend(() => this.seek(this.groupFor(message), message, options, wholeTrip, undefined))
  }

  private groupFor(message: Composed.Composed): RelayGroup {
    const route = this.routes.length === 0 ? undefined : this.routes.find(({ matches }) => matches(message))
    if (route === undefined && !this.isPicky) return this.everywhere
    const lines = route?.lines ?? (this.everywhere.relays as ReadonlyArray<Line>)
    if (!this.isPicky) return this.groupOf(lines)
    const able = lines.filter(({ capabilities }) => offers(capabilities, message))
    // Without an able relay any of them says what is missing.
    return this.groupOf(able.length > 0 ? able : lines)
  }

  private groupOf(lines: ReadonlyArray<Line>): RelayGroup {
    const key = lines.map(({ name }) => name).join("\n")
    let group = this.groups.get(key)
    if (group === undefined) this.groups.set(key, (group = new RelayGroup(lines, this.situation.isSticky)))
    return group
  }

  private seek(
    group: RelayGroup,
    message: Composed.Composed,
    options: Sending,
    tried: ReadonlyArray<Line>,
    last: MailError.MailError | undefined
  ): Effect.Effect<Receipt, MailError.MailError> {
    const seeker = {
      tried,
      isUrgent: options.priority === "urgent",
      key: this.situation.isSticky ? laneOf(message) : ""
    }
    const choice = group.choose(seeker)
    if (typeof choice !== "string") {
      take(choice)
      return this.attempt(choice as Line, group, message, options, tried, last)
    }
    if (choice === "none") return Effect.fail(last!)
    if (choice === "down" && group.isGivenUp) return Effect.fail(this.unavailable(group, last))
    const wait = Effect.callback<Line | undefined>((resume) => {
      let granted: Line | undefined
      const leave = group.wait({
        ...seeker,
        resume: (relay) => {
          granted = relay as Line | undefined
          resume(Effect.succeed(granted))
        }
      })
      return Effect.sync(() => {
        leave()
        if (granted !== undefined) this.ended(granted)
      })
    })
    return Effect.flatMap(options.restore(wait), (line) =>
      line === undefined
        ? Effect.fail(this.unavailable(group, last))
        : this.attempt(line, group, message, options, tried, last)
    )
  }

  /** Makes one attempt at a relay on which a place is taken. */
  private attempt(
    line: Line,
    group: RelayGroup,
    message: Composed.Composed,
    options: Sending,
    tried: ReadonlyArray<Line>,
    last: MailError.MailError | undefined
  ): Effect.Effect<Receipt, MailError.MailError> {
    const { answers, trials } = line.health
    const begunAt = this.situation.wallClock()
    return Effect.matchCauseEffect(line.transport.send(message, options), {
      onSuccess: (receipt) => {
        const isBack = line.health.health === "trial"
        this.answered(line, answers, trials)
        return isBack
          ? Effect.as(LogEvent.info("relay.back", `relay ${line.name} is back`, { relay: line.name }), receipt)
          : Effect.succeed(receipt)
      },
      onFailure: (cause) => {
        const failure = Cause.findError(cause)
        if (failure._tag === "Failure") {
          line.health.ended("unknown", answers, 0, 0, trials)
          this.ended(line)
          return Effect.failCause(cause)
        }
        const error = failure.success
        const { askedMs, end, mayGoElsewhere } = Verdict.ofError(error)
        if (end === "failed" || end === "disturbed") line.lastFailure = error
        const isDown = line.health.ended(
          end,
          answers,
          askedMs,
          Math.max(0, this.situation.wallClock() - begunAt),
          trials
        )
        const settled = isDown ? this.rest(line, error) : Effect.void
        this.ended(line)
        if (!mayGoElsewhere) return Effect.andThen(settled, Effect.fail(error))
        // A fault that may mend itself is the better answer of several.
        const worst = last !== undefined && last.isRetryable && !error.isRetryable ? last : error
        return Effect.andThen(
          settled,
          Effect.suspend(() => this.seek(group, message, options, [...tried, line], worst))
        )
      }
    })
  }

  private answered(line: Line, answersBefore: number, trialsBefore: number): void {
    const wasProven = line.health.health === "proven"
    line.health.ended("answered", answersBefore, 0, 0, trialsBefore)
    line.inFlight--
    for (const group of this.groups.values()) {
      if (!wasProven && group.relays.includes(line)) group.endOutage()
      if (group.waiters > 0) group.resume()
    }
  }

  /** Gives back the place of a message. */
  private ended(line: Line): void {
    line.inFlight--
    this.resume()
  }

  private resume(): void {
    for (const group of this.groups.values()) group.resume()
  }

  /** Leaves a relay alone for its rest, and then lets one message try it. */
  private rest(line: Line, error: MailError.MailError): Effect.Effect<void> {
    const { after, now, waitLimitMs } = this.situation
    const { restMs } = line.health
    line.restsUntil = now() + restMs
    const log = LogEvent.warning(
      "relay.resting",
      `relay ${line.name} is left alone for ${Math.round(restMs / 100) / 10} s: ${error.message}; ${error.remedy}`,
      { relay: line.name, restMs, reason: error.reason._tag }
    )
    const rested = after(
      restMs,
      Effect.suspend(() => {
        const trial = line.health.rested(line.inFlight)
        this.resume()
        return after(
          trialMs,
          Effect.sync(() => {
            line.health.trialLasted(trial)
            this.resume()
          })
        )
      })
    )
    const outages = [...this.groups.values()].filter((group) => group.relays.includes(line) && !group.isUsable)
    const givingUp = Effect.forEach(outages, (group) => {
      const { outage } = group
      // Waiting does not mend a password or a certificate.
      if (this.permanentFault(group) !== undefined) return Effect.sync(() => group.giveUp())
      return after(
        waitLimitMs,
        Effect.sync(() => {
          if (group.outage === outage && !group.isUsable) group.giveUp()
        })
      )
    })
    return Effect.all([log, rested, givingUp], { discard: true })
  }

  /** The fault of a group none of whose relays will be usable before somebody corrects something. */
  private permanentFault(group: RelayGroup): MailError.MailError | undefined {
    const faults = (group.relays as ReadonlyArray<Line>).map(({ lastFailure }) => lastFailure)
    return faults.every((fault) => fault !== undefined && !fault.isRetryable) ? faults[0] : undefined
  }

  private unavailable(group: RelayGroup, last: MailError.MailError | undefined): MailError.MailError {
    if (last !== undefined && last.isRetryable) return last
    const permanent = last ?? this.permanentFault(group)
    if (permanent !== undefined) return permanent
    const lines = group.relays as ReadonlyArray<Line>
    const now = this.situation.now()
    const retryAfter = Math.max(100, Math.min(...lines.map(({ restsUntil }) => restsUntil)) - now)
    return MailError.make(
      new MailError.CircuitOpen({ relay: lines.map(({ name }) => name).join(", "), retryAfter: Math.ceil(retryAfter) })
    )
  }
}

/** True if a relay offers all that the message needs. */
const offers = (capabilities: Capabilities, { envelope, size, utf8Headers }: Composed.Composed): boolean =>
  (capabilities.size === undefined || size <= capabilities.size) &&
  (capabilities.smtpUtf8 !== false || (utf8Headers !== true && envelope.to.every(isAscii) && isAscii(envelope.from))) &&
  (capabilities.requireTls !== false || envelope.requireTls !== true) &&
  (capabilities.dsn !== false || envelope.dsn === undefined)

/** True if the local part is ASCII; a domain can be sent as A-labels. */
const isAscii = (address: string | undefined): boolean =>
  // oxlint-disable-next-line no-control-regex
  address === undefined || /^[\x00-\x7f]*@[^@]*$/.test(address)
