/**
 * Measures the cost of a run so far: time, CPU, memory and connections.
 */
import type * as Clock from "effect/Clock"
import type { Held } from "@mailrace/flow/FlowControl"
import * as Effect from "effect/Effect"
import * as Sampler from "mailrace/Sampler"
import * as Report from "../results/Report.ts"
import type { RelayNow } from "../results/RunStatus.ts"
import type { Tally } from "../results/Tally.ts"
import type { Reason } from "./FlowWaits.ts"

/** The waits for a relay's own limits; a wait for the relay has its name as the key. */
export interface RelayLimits {
  readonly waits: ReadonlyArray<Reason>
  readonly held: ReadonlyArray<Held>
}

/** The connections to the relays, as a run shows them. */
export interface ConnectionStats {
  /** The waits for the relays' own limits: those of a configuration, and those on new connections. */
  readonly limits: Effect.Effect<RelayLimits>
  /** Asks the gates of the messages again that wait for a relay's own limits; those that may not go any more leave. */
  readonly reconsider: Effect.Effect<void>
  readonly relays: Effect.Effect<ReadonlyArray<RelayNow>>
  readonly stats: Effect.Effect<
    Report.Connections & {
      /** Sessions that are open now. */
      readonly open: number
      /** Sessions that carry messages now. */
      readonly busy: number
      /** Messages that wait for a session. */
      readonly waiting: number
      readonly pipelining: string | undefined
      readonly speculationRefused: string | undefined
      readonly tlsFailure: string | undefined
    }
  >
}

/** The connections of several relays, or of one relay over time, as those of one. */
export const sumOf = (all: ReadonlyArray<ConnectionStats>): ConnectionStats => ({
  limits: Effect.map(
    Effect.forEach(all, ({ limits }) => limits),
    (each) => ({ waits: each.flatMap(({ waits }) => waits), held: each.flatMap(({ held }) => held) })
  ),
  reconsider: Effect.forEach(all, ({ reconsider }) => reconsider, { discard: true }),
  relays: Effect.map(
    Effect.forEach(all, ({ relays }) => relays),
    (each) => each.flat()
  ),
  stats: Effect.map(
    Effect.forEach(all, ({ stats }) => stats),
    (each) => {
      const sum = (field: "opened" | "reused" | "peak" | "failed" | "open" | "busy" | "waiting"): number =>
        each.reduce((total, stats) => total + stats[field], 0)
      const texts = (field: "pipelining" | "speculationRefused" | "tlsFailure"): string | undefined => {
        const values = new Set(each.flatMap((stats) => (stats[field] === undefined ? [] : [stats[field]])))
        return values.size === 0 ? undefined : [...values].join("; ")
      }
      return {
        opened: sum("opened"),
        reused: sum("reused"),
        peak: sum("peak"),
        failed: sum("failed"),
        open: sum("open"),
        busy: sum("busy"),
        waiting: sum("waiting"),
        pipelining: texts("pipelining"),
        speculationRefused: texts("speculationRefused"),
        tlsFailure: texts("tlsFailure")
      }
    }
  )
})

/** Measures one run, from the creation of the meter. */
export class Meter {
  private readonly connections: ConnectionStats
  private readonly clock: Clock.Clock
  private readonly startedAt: bigint
  private readonly usedAtStart = Sampler.readUnsafe()

  constructor(connections: ConnectionStats, clock: Clock.Clock) {
    this.connections = connections
    this.clock = clock
    this.startedAt = clock.monotonicTimeNanosUnsafe()
  }

  /** The time since its creation. */
  get durationMs(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe() - this.startedAt) / 1_000_000
  }

  /** The report of a tally up to now. */
  report(tally: Tally): Effect.Effect<Report.Report> {
    return Effect.map(this.connections.stats, (stats) => {
      return Report.make(tally, {
        durationMs: this.durationMs,
        connections: stats,
        pipelining: stats.pipelining ?? "none",
        steppedDown: stats.speculationRefused,
        tlsFailure: stats.tlsFailure,
        cpuMicros: Math.round((Sampler.readUnsafe().cpuMs - this.usedAtStart.cpuMs) * 1000),
        rssPeakBytes: process.resourceUsage().maxRSS * 1024
      })
    })
  }
}
