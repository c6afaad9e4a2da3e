/**
 * Decides when messages to one relay may go: all gates together, in their order.
 *
 * Tenant, lane, circuit, the relay's limits, its pace and its window. A message is *admitted* when all of them let it, *begins*
 * when the transport is about to write its first command, and *ends* with what its outcome shows about the relay.
 *
 * Pure: the caller passes the time in milliseconds since 1970, on a scale that does not jump.
 *
 * @since 0.1.0
 */

import type { AskedLimits } from "./AskedLimits.ts"
import { CircuitBreaker, type State as CircuitState } from "./CircuitBreaker.ts"
import { CongestionWindow } from "./CongestionWindow.ts"
import type { Feedback } from "./Feedback.ts"
import type { Change } from "./FlowChange.ts"
import type * as FlowOptions from "./FlowOptions.ts"
import { AskedGate } from "./internal/askedGate.ts"
import { PaceController, type Phase } from "./PaceController.ts"
import { type ByteRoom, type Cost, oneMessage, type Rate, RateLimit, type Saved } from "./RateLimit.ts"

/**
 * The facts about a message before it is sent.
 *
 * @since 0.1.0
 */
export interface Facts {
  readonly tenant: string
  readonly lane: string
  readonly cost: Cost
}

/**
 * The reason for which a message waits.
 *
 * @since 0.1.0
 */
export type Gate = "tenant" | "lane" | "circuit" | "rate" | "pace" | "window"

/**
 * A reason for which messages wait.
 *
 * @since 0.1.0
 */
export interface Wait {
  readonly gate: Gate
  /** The tenant or lane; absent for the relay's own gates. */
  readonly key: string | undefined
  /** Since when messages wait for it, in milliseconds since 1970. */
  readonly since: number
  /** When the next one may go; infinite if that depends on the relay. */
  readonly until: number
  /** The relay's words, where it asked for the wait. */
  readonly reply?: string | undefined
}

/**
 * A message that was admitted.
 *
 * @since 0.1.0
 */
export interface Admission {
  readonly facts: Facts
  readonly admittedAt: number
  /** Its numbers for the relay's pace, its lane's pace, and the window. */
  readonly pace: number
  readonly lanePace: number
  readonly number: number
  /** The demands of a reply on its relay and its lane. */
  readonly asked: ReadonlyArray<AskedGate>
  /** The state of its lane, so that it is not looked up again; `undefined` if the lane has none. */
  readonly lane: LaneFlow | undefined
}

const nothingAsked: ReadonlyArray<AskedGate> = []

/** A gate that held nothing back for this many milliseconds is not waited for any more. */
const recentMs = 2_000

/**
 * How long messages were held back by a gate, over all.
 *
 * @since 0.1.0
 */
export interface Held {
  readonly gate: Gate
  /** The tenant or lane; absent for the relay's own gates. */
  readonly key: string | undefined
  readonly ms: number
}

/**
 * How far a relay's own gates are open at a moment, and those of the lanes that are slowed down.
 *
 * @since 0.2.0
 */
export interface Gates {
  /** Messages that were let through and have not ended. */
  readonly inFlight: number
  /** The most messages on their way at once: infinite while the relay does not complain, 0 while nothing may go. */
  readonly window: number
  /** The pace in messages a second; infinite while the relay does not complain. */
  readonly perSecond: number
  readonly phase: Phase
  readonly circuit: CircuitState
  /** The lanes with a window or a pace of their own, by name. */
  readonly lanes: ReadonlyArray<LaneGates>
}

/**
 * How far the gates of a lane are open.
 *
 * @since 0.2.0
 */
export interface LaneGates extends Pick<Gates, "window" | "perSecond" | "phase"> {
  readonly lane: string
}

/** Messages wait for a gate, or did. */
interface Episode {
  readonly gate: Gate
  readonly key: string | undefined
  since: number
  /** When it was last known that they wait, and until when they have to. */
  seenAt: number
  until: number
  /** The length of earlier episodes. */
  before: number
  /** True if the wait was reported as a change. */
  isReported: boolean
}

/** The end of an episode, as far as it is known. */
const endOf = ({ seenAt, until }: Episode, now: number): number =>
  Math.min(now, Math.max(seenAt, Number.isFinite(until) ? until : seenAt))

/** A wait for a limit is reported as a change from this many milliseconds on. */
const reportedFromMs = 60_000

/** A complaint is the lane's own if the others had so many successes and no complaint in so long. */
const othersMs = 10_000
const othersFine = 3

/**
 * Makes the limits of a relay, a lane or a tenant.
 *
 * @since 0.1.0
 */
export type MakeRate = (name: string, rates: FlowOptions.ReadRates) => Rate

interface LaneFlow {
  readonly rate: Rate | undefined
  pace: PaceController | undefined
  complainedAt: number
  succeeded: number
}

/**
 * The gates of one relay.
 *
 * @since 0.1.0
 */
export class FlowControl {
  /** Called once at each change. */
  onChange: (change: Change) => void = () => {}
  readonly circuit = new CircuitBreaker()
  readonly pace = new PaceController()
  readonly window = new CongestionWindow()
  private readonly settings: FlowOptions.Settings
  private readonly concurrency: number
  private readonly makeRate: MakeRate
  private readonly rate: Rate | undefined
  private readonly hasRecipientLimits: boolean
  private readonly tenants = new Map<string, Rate | undefined>()
  private readonly lanes = new Map<string, LaneFlow>()
  /** The demands of replies on lanes, and under `undefined` on the relay. */
  private readonly asked = new Map<string | undefined, AskedGate>()
  private readonly episodes = new Map<string, Episode>()
  private readonly phases = new Map<string | undefined, Phase>()
  private next = 1
  private deferrals = 0
  /** The only lane that has complained since the relay was slowed down. */
  private suspect: string | undefined
  /** Messages of other lanes that the relay has taken since. */
  private acquitting = 0
  /** The number of waits that were reported as changes. */
  private reported = 0

  /**
   * `concurrency` is the most messages on their way at once. `makeRate` makes the limits of a name (`relay`, `lane:…`,
   * `tenant:…`); it defaults to limits that this process keeps.
   */
  constructor(settings: FlowOptions.Settings, concurrency: number, makeRate: MakeRate = localRate) {
    this.settings = settings
    this.concurrency = concurrency
    this.makeRate = makeRate
    this.rate = makeRate("relay", settings.relay)
    this.hasRecipientLimits = this.counts("recipients")
  }

  /** True if a limit has to be asked once more when an admitted message begins. */
  get isSpaced(): boolean {
    const { lanes, relay, tenants } = this.settings
    return relay.limits.length > 0 || lanes.size > 0 || tenants.size > 0 || this.asked.size > 0
  }

  /** True if the end of a message may let another one of its lane go. */
  get isAskedToWait(): boolean {
    return this.asked.size > 0
  }

  /** The limits and weights of tenants, by name. */
  get tenantRates(): ReadonlyMap<string, FlowOptions.ReadRates> {
    return this.settings.tenants
  }

  /** True if a limit counts bytes, so that messages have to be weighed. */
  get countsBytes(): boolean {
    return this.counts("bytes")
  }

  /** True if a limit counts recipients, so that those of a message have to be known. */
  countsRecipients(now: number): boolean {
    if (this.hasRecipientLimits) return true
    for (const gate of this.asked.values()) if (gate.countsRecipients(now)) return true
    return false
  }

  /** The number of messages that were admitted and have not ended. */
  get inFlight(): number {
    return this.window.inFlight
  }

  /** The earliest time, from `now` on, at which the relay's own gates let a message through. */
  relayAvailableAt(now: number, cost: Cost = oneMessage): number {
    const { circuit, pace, rate, settings } = this
    if (settings.hasCircuit) {
      const at = circuit.availableAt(now)
      if (at > now) return this.wait("circuit", undefined, now, at)
    }
    if (this.room(now) < 1)
      return this.wait("window", undefined, now, this.window.opensAt(now) ?? Number.POSITIVE_INFINITY)
    if (rate !== undefined) {
      const at = rate.availableAt(now, cost)
      if (at > now) return this.wait("rate", undefined, now, at)
    }
    if (this.asked.size > 0) {
      const at = this.asked.get(undefined)?.availableAt(now, cost) ?? now
      if (at > now) return this.wait("rate", undefined, now, at)
    }
    if (settings.isAdaptive) {
      const at = pace.availableAt(now)
      if (at > now) return this.wait("pace", undefined, now, at)
    }
    return now
  }

  /** The earliest time, from `now` on, at which the message's tenant and lane let it through. */
  ownAvailableAt({ cost, lane: laneName, tenant }: Facts, now: number): number {
    const tenantAt = this.tenantAvailableAt(tenant, cost, now)
    if (tenantAt > now) return tenantAt
    const lane = this.laneOf(laneName)
    const at = Math.max(
      lane?.rate?.availableAt(now, cost) ?? now,
      lane?.pace?.availableAt(now) ?? now,
      this.asked.size === 0 ? now : (this.asked.get(laneName)?.availableAt(now, cost) ?? now)
    )
    return at > now ? this.wait("lane", laneName, now, at) : now
  }

  /** The earliest time, from `now` on, at which a tenant's limits let a message through. */
  tenantAvailableAt(tenant: string, cost: Cost, now: number): number {
    if (this.settings.tenants.size === 0) return now
    const at = this.tenantRate(tenant)?.availableAt(now, cost) ?? now
    return at > now ? this.wait("tenant", tenant, now, at) : now
  }

  /** The earliest time, from `now` on, at which all gates let the message through. */
  availableAt(facts: Facts, now: number): number {
    const own = this.ownAvailableAt(facts, now)
    return own > now ? own : this.relayAvailableAt(now, facts.cost)
  }

  /**
   * The number of messages, of this many recipients each (1 by default), that the relay's circuit, limits and pace let through
   * from `now` until `until`, about.
   */
  relayCountUntil(now: number, until: number, recipients = 1): number {
    if (this.settings.hasCircuit && this.circuit.availableAt(now) > now) return 0
    return Math.min(
      this.rate?.countUntil(now, until, recipients) ?? Number.POSITIVE_INFINITY,
      this.asked.get(undefined)?.countUntil(now, until, recipients) ?? Number.POSITIVE_INFINITY,
      pacedUntil(this.pace, now, until)
    )
  }

  /** The number of messages, of this many recipients each (1 by default), that a lane's limits and pace let through, about. */
  laneCountUntil(name: string, now: number, until: number, recipients = 1): number {
    const lane = this.laneOf(name, false)
    const asked = this.asked.get(name)?.countUntil(now, until, recipients) ?? Number.POSITIVE_INFINITY
    if (lane === undefined) return asked
    return Math.min(
      asked,
      lane.rate?.countUntil(now, until, recipients) ?? Number.POSITIVE_INFINITY,
      pacedUntil(lane.pace, now, until)
    )
  }

  /** The number of messages, of this many recipients each (1 by default), that a tenant's limits let through, about. */
  tenantCountUntil(tenant: string, now: number, until: number, recipients = 1): number {
    return this.tenantRate(tenant)?.countUntil(now, until, recipients) ?? Number.POSITIVE_INFINITY
  }

  /** The bytes that the relay's limits let through from `now` until `until`. */
  relayBytesUntil(now: number, until: number): ByteRoom {
    return this.rate?.bytesUntil(now, until) ?? anyBytes
  }

  /** The bytes that a tenant's limits let through from `now` until `until`. */
  tenantBytesUntil(tenant: string, now: number, until: number): ByteRoom {
    return this.tenantRate(tenant)?.bytesUntil(now, until) ?? anyBytes
  }

  /** The bytes that a lane's limits let through from `now` until `until`. */
  laneBytesUntil(name: string, now: number, until: number): ByteRoom {
    return this.laneOf(name, false)?.rate?.bytesUntil(now, until) ?? anyBytes
  }

  /** Admits a message. */
  admit(facts: Facts, now: number): Admission {
    const { cost } = facts
    if (this.reported > 0) this.reportLetGo(facts)
    if (this.settings.hasCircuit) this.circuit.begin(now)
    this.rate?.admit(now, cost)
    if (this.settings.tenants.size > 0) this.tenantRate(facts.tenant)?.admit(now, cost)
    const lane = this.laneOf(facts.lane)
    lane?.rate?.admit(now, cost)
    const asked = this.asked.size === 0 ? nothingAsked : this.askedOf(facts.lane)
    for (const gate of asked) gate.admit(now, cost)
    this.window.inFlight++
    const { isAdaptive } = this.settings
    return {
      facts,
      admittedAt: now,
      pace: isAdaptive ? this.pace.begin(now) : 0,
      lanePace: lane?.pace?.begin(now) ?? -1,
      number: this.next++,
      asked,
      lane
    }
  }

  /** The earliest time, from `now` on, at which an admitted message may begin. */
  beginsAt({ admittedAt, asked, facts: { cost, tenant }, lane }: Admission, now: number): number {
    let at = this.rate?.beginsAt(now, cost, admittedAt) ?? now
    for (const gate of asked) at = Math.max(at, gate.beginsAt(now, cost))
    if (lane?.rate !== undefined) at = Math.max(at, lane.rate.beginsAt(now, cost, admittedAt))
    if (this.settings.tenants.size === 0) return at
    return Math.max(at, this.tenants.get(tenant)?.beginsAt(now, cost, admittedAt) ?? now)
  }

  /** An admitted message begins. */
  begin({ admittedAt, asked, facts: { cost, tenant }, lane }: Admission, now: number): void {
    this.rate?.begin(now, cost, admittedAt)
    for (const gate of asked) gate.begin(now, cost)
    lane?.rate?.begin(now, cost, admittedAt)
    if (this.settings.tenants.size > 0) this.tenants.get(tenant)?.begin(now, cost, admittedAt)
  }

  /** An admitted message turns out to have this many bytes. Gives the admission with them. */
  weigh(admission: Admission, bytes: number): Admission {
    const { admittedAt, facts } = admission
    const more: Cost = { recipients: 0, bytes: bytes - facts.cost.bytes }
    if (more.bytes === 0) return admission
    this.rate?.correct(more, admittedAt)
    this.tenants.get(facts.tenant)?.correct(more, admittedAt)
    this.lanes.get(facts.lane)?.rate?.correct(more, admittedAt)
    return { ...admission, facts: { ...facts, cost: { ...facts.cost, bytes } } }
  }

  /** An admitted message ends; `undefined` if nothing was learned, as from an interrupt. */
  end(admission: Admission, feedback: Feedback | undefined, now: number): void {
    if (feedback === undefined) this.circuit.abandoned()
    else {
      this.learn(admission, feedback, now)
      for (const limits of feedback.asked ?? []) this.heed(limits, limits.lane ?? admission.facts.lane, now)
    }
    for (const gate of admission.asked) gate.inFlight--
    this.window.inFlight--
  }

  /** Why messages wait, and since when; the longest wait first. */
  waiting(now: number): ReadonlyArray<Wait> {
    return [...this.episodes.values()]
      .filter((episode) => now - endOf(episode, now) <= recentMs)
      .map(({ gate, key, since, until }) => ({ gate, key, since, until }))
      .sort((a, b) => a.since - b.since)
  }

  /** The gate that held a message back for the longest part of its wait since `since`; `undefined` if none is known. */
  heldBy({ lane, tenant }: Facts, since: number, now: number): Gate | undefined {
    let longest = 0
    let held: Gate | undefined
    for (const episode of this.episodes.values()) {
      const { gate, key } = episode
      if (key !== undefined && key !== (gate === "tenant" ? tenant : lane)) continue
      const ms = endOf(episode, now) - Math.max(since, episode.since)
      if (ms > longest) {
        longest = ms
        held = gate
      }
    }
    return held
  }

  /** How long messages were held back, by gate; the longest first. */
  held(now: number): ReadonlyArray<Held> {
    return [...this.episodes.values()]
      .map((episode) => ({
        gate: episode.gate,
        key: episode.key,
        ms: episode.before + endOf(episode, now) - episode.since
      }))
      .sort((a, b) => b.ms - a.ms)
  }

  /** How far the gates are open. Lanes that nothing slows down are left out. */
  gates(now: number): Gates {
    const lanes = [...this.lanes]
      .flatMap(([lane, { pace }]) =>
        pace === undefined || pace.phase === "open"
          ? []
          : [{ lane, window: Number.POSITIVE_INFINITY, perSecond: pace.rate, phase: pace.phase }]
      )
      .sort((a, b) => (a.lane < b.lane ? -1 : 1))
    return {
      inFlight: this.inFlight,
      window: this.window.size(now),
      perSecond: this.pace.rate,
      phase: this.pace.phase,
      circuit: this.circuit.state(now),
      lanes
    }
  }

  /** The counts to keep over a restart, by `relay`, `lane:…` and `tenant:…`. */
  save(now: number): Readonly<Record<string, Saved>> {
    return Object.fromEntries(this.kept().map(([name, rate]) => [name, rate.save(now)]))
  }

  /** Adds what was kept. */
  restore(saved: Readonly<Record<string, Saved>>): void {
    for (const [name, rate] of this.kept()) rate.restore(saved[name] ?? {})
  }

  /** Keeps to what a reply asks for. */
  private heed(limits: AskedLimits, laneName: string, now: number): void {
    if (this.settings.asked === "lanes" && limits.isOfRelay) return
    const lane = limits.about === "lane" ? laneName : undefined
    // How many connections a relay has is the transport's affair.
    const heeded = lane === undefined ? { slowTo: limits.slowTo, forMs: limits.forMs } : limits
    if (heeded.slowTo === undefined && (lane === undefined || limits.connections === undefined)) return
    for (const [name, gate] of this.asked) if (gate.isOver(now)) this.asked.delete(name)
    let gate = this.asked.get(lane)
    if (gate === undefined) {
      gate = new AskedGate()
      this.asked.set(lane, gate)
    }
    if (!gate.heed(heeded, now)) return
    const { connections } = lane === undefined ? {} : limits
    this.onChange({ _tag: "LimitsAsked", lane, slowTo: limits.slowTo, atOnce: connections, forMs: limits.forMs })
  }

  private counts(counted: "bytes" | "recipients"): boolean {
    const { lanes, relay, tenants } = this.settings
    return [relay, ...lanes.values(), ...tenants.values()].some(({ limits }) =>
      limits.some(({ unit }) => unit === counted)
    )
  }

  private askedOf(lane: string): ReadonlyArray<AskedGate> {
    return [this.asked.get(undefined), this.asked.get(lane)].filter((gate) => gate !== undefined)
  }

  private kept(): ReadonlyArray<readonly [name: string, rate: RateLimit]> {
    const { lanes, tenants } = this.settings
    const all: ReadonlyArray<readonly [string, Rate | undefined]> = [
      ["relay", this.rate],
      ...[...lanes.keys()].map((name) => [`lane:${name}`, this.laneOf(name)?.rate] as const),
      ...[...tenants.keys()].map((name) => [`tenant:${name}`, this.tenantRate(name)] as const)
    ]
    return all.flatMap(([name, rate]) => (rate instanceof RateLimit ? [[name, rate] as const] : []))
  }

  private room(now: number): number {
    const { guard, isAdaptive } = this.settings
    const most = guard === undefined ? this.concurrency : guard.room(this.concurrency)
    const free = most - this.window.inFlight
    return isAdaptive ? Math.min(free, this.window.room(now)) : free
  }

  private learn({ admittedAt, facts, lane, lanePace, number, pace }: Admission, feedback: Feedback, now: number): void {
    if (this.settings.hasCircuit) {
      if (feedback._tag !== "RelayFailure") {
        if (this.circuit.succeeded()) this.onChange({ _tag: "CircuitClosed" })
      } else if (this.circuit.failed(now)) {
        this.onChange({ _tag: "CircuitOpened", restMs: Math.ceil(this.circuit.availableAt(now) - now) })
      }
    }
    if (!this.settings.isAdaptive) return
    switch (feedback._tag) {
      case "Success":
      case "Neutral":
        this.deferrals = 0
        if (feedback._tag === "Success") this.acquit(facts.lane, now)
        this.window.succeeded(this.concurrency)
        this.pace.succeeded(pace, now, now - admittedAt)
        if (lane !== undefined) {
          lane.succeeded++
          if (lanePace >= 0) lane.pace?.succeeded(lanePace, now, now - admittedAt)
          if (lane.pace !== undefined) this.watch(facts.lane, lane.pace)
        }
        this.watch(undefined, this.pace)
        return
      case "RelayFailure":
        return
      case "Deferral":
        // Several in a row without a success are about more than their recipients.
        if (++this.deferrals >= 5) this.window.failed(number, this.next, now, 0)
        return
      case "Complaint":
        // A rule that knows the reply says what it asks for; guessing besides would slow down the others too.
        if (feedback.asked !== undefined) return
        if (feedback.about === "load") this.window.failed(number, this.next, now, feedback.askedMs)
        else this.slowDown(facts.lane, lanePace, pace, now)
    }
  }

  /**
   * The relay took a message of a lane. Where one lane's complaint has slowed down the relay because nothing was known of the others,
   * and they do well, it was the lane's own.
   */
  private acquit(name: string, now: number): void {
    const { suspect } = this
    if (suspect === undefined) return
    if (suspect === name) {
      this.suspect = undefined
      return
    }
    if (++this.acquitting < othersFine) return
    this.suspect = undefined
    const lane = this.laneOf(suspect, true)!
    lane.pace = new PaceController()
    lane.pace.complained(lane.pace.begin(now), now)
    this.watch(suspect, lane.pace)
    this.pace.reopen()
    if (this.phases.delete(undefined)) this.onChange({ _tag: "TakesAgain", lane: undefined })
  }

  /** Slows down the lane if the others do well, else the relay. */
  private slowDown(name: string, lanePace: number, pace: number, now: number): void {
    let others = 0
    let isShared = false
    const lane = this.laneOf(name, true)!
    for (const other of this.lanes.values()) {
      if (other === lane) continue
      others += other.succeeded
      if (now - other.complainedAt < othersMs) isShared = true
    }
    // A relay that has shown a limit complains about the lane whose turn it was; a lane with one of its own complains again.
    const isLimits = this.pace.phase !== "open" && now - lane.complainedAt >= othersMs
    lane.complainedAt = now
    lane.succeeded = 0
    if (isShared || (lane.pace === undefined && (others < othersFine || isLimits))) {
      this.suspect = isShared || (this.pace.phase !== "open" && this.suspect !== name) ? undefined : name
      this.acquitting = 0
      this.pace.complained(pace, now)
      this.watch(undefined, this.pace)
      return
    }
    if (lane.pace === undefined) {
      lane.pace = new PaceController()
      lane.pace.complained(lane.pace.begin(now), now)
    } else if (lanePace >= 0) lane.pace.complained(lanePace, now)
    this.watch(name, lane.pace)
  }

  /** Reports a pace whose phase has changed; not of each pause of a relay that takes nothing. */
  private watch(lane: string | undefined, { phase, rate: perSecond }: PaceController): void {
    if (phase === "open") return
    const before = this.phases.get(lane) ?? "open"
    if (phase === before) return
    this.phases.set(lane, phase)
    if (phase === "searching" && before === "open") this.onChange({ _tag: "SlowedDown", lane, perSecond })
    else if (phase === "steady") this.onChange({ _tag: "RateFound", lane, perSecond })
    else if (phase === "stopped") this.onChange({ _tag: "Stopped", lane })
  }

  private tenantRate(name: string): Rate | undefined {
    if (this.tenants.has(name)) return this.tenants.get(name)
    const rates = this.settings.tenants.get(name)
    const rate = rates === undefined ? undefined : this.makeRate(`tenant:${name}`, rates)
    if (rates !== undefined) this.tenants.set(name, rate)
    return rate
  }

  /** The state of a lane, if it has limits, is to be followed, or is wanted. */
  private laneOf(name: string, isWanted = this.settings.isAdaptive): LaneFlow | undefined {
    const known = this.lanes.get(name)
    if (known !== undefined) return known
    const rates = this.settings.lanes.get(name)
    if (rates === undefined && !isWanted) return undefined
    if (this.lanes.size >= mostLanes) this.forgetLanes()
    const lane = {
      rate: rates === undefined ? undefined : this.makeRate(`lane:${name}`, rates),
      pace: undefined,
      complainedAt: Number.NEGATIVE_INFINITY,
      succeeded: 0
    }
    this.lanes.set(name, lane)
    return lane
  }

  /** Forgets lanes that have neither limits nor had trouble. */
  private forgetLanes(): void {
    for (const [name, { pace, rate }] of this.lanes)
      if (rate === undefined && pace === undefined) this.lanes.delete(name)
  }

  private wait(gate: Gate, key: string | undefined, now: number, until: number): number {
    const name = key === undefined ? gate : `${gate}:${key}`
    const episode = this.episodes.get(name)
    if (episode === undefined) {
      if (this.episodes.size < mostWaits)
        this.episodes.set(name, { gate, key, since: now, seenAt: now, until, before: 0, isReported: false })
      const begun = this.episodes.get(name)
      if (begun !== undefined) this.reportHeld(begun, now)
      return until
    }
    const end = endOf(episode, now)
    if (now - end > recentMs) {
      episode.before += end - episode.since
      episode.since = now
    }
    episode.seenAt = now
    episode.until = until
    this.reportHeld(episode, now)
    return until
  }

  /** Reports a long wait for a limit, once until a message goes. */
  private reportHeld(episode: Episode, now: number): void {
    const { gate, isReported, key, until } = episode
    if (isReported || until === Number.POSITIVE_INFINITY || until - now < reportedFromMs) return
    if (gate !== "rate" && gate !== "lane" && gate !== "tenant") return
    episode.isReported = true
    this.reported++
    this.onChange({ _tag: "HeldBack", gate, key, until })
  }

  private reportLetGo({ lane, tenant }: Facts): void {
    for (const episode of this.episodes.values()) {
      const { gate, isReported, key } = episode
      if (!isReported || (key !== undefined && key !== (gate === "tenant" ? tenant : lane))) continue
      episode.isReported = false
      this.reported--
      this.onChange({ _tag: "LetGo", gate: gate as "rate", key })
    }
  }
}

const pacedUntil = (pace: PaceController | undefined, now: number, until: number): number => {
  if (pace === undefined || pace.rate === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY
  const from = pace.availableAt(now)
  return from > until ? 0 : 1 + Math.floor(((until - from) * pace.rate) / 1000)
}

const anyBytes: ByteRoom = { bytes: Number.POSITIVE_INFINITY, isWhole: true }

/** The most lanes that are remembered. */
const mostLanes = 1_000

/** The most waits that are remembered. */
const mostWaits = 100

const localRate: MakeRate = (_, { limits, warmUp }) => new RateLimit(limits, warmUp)
