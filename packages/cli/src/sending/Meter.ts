/**
 * Measures the cost of a run so far: time, CPU, memory and connections.
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Report from "../results/Report.ts"
import type { RelayNow } from "../results/RunStatus.ts"
import type { Tally } from "../results/Tally.ts"

/** The connections to the relays, as a run shows them. */
export interface ConnectionStats {
  /** Each relay now. */
  readonly relays: Effect.Effect<ReadonlyArray<RelayNow>>
  readonly stats: Effect.Effect<
    Report.Connections & {
      /** Sessions that are open now. */
      readonly open: number
      /** Sessions that carry messages now. */
      readonly busy: number
      /** Messages that wait for a session. */
      readonly waiting: number
      /** Since and until when messages wait because no connection may be opened. */
      readonly connectionsHeld: { readonly since: number; readonly until: number } | undefined
      readonly pipelining: string | undefined
      readonly speculationRefused: string | undefined
      readonly tlsFailure: string | undefined
    }
  >
}

/** The connections of several relays, or of one relay over time, as those of one. */
export const sumOf = (all: ReadonlyArray<ConnectionStats>): ConnectionStats => ({
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
        connectionsHeld: each
          .flatMap(({ connectionsHeld }) => connectionsHeld ?? [])
          .sort((a, b) => a.since - b.since)
          .at(0),
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
  private readonly cpuAtStart = process.cpuUsage()

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
      const cpu = process.cpuUsage(this.cpuAtStart)
      return Report.make(tally, {
        durationMs: this.durationMs,
        connections: stats,
        pipelining: stats.pipelining ?? "none",
        steppedDown: stats.speculationRefused,
        tlsFailure: stats.tlsFailure,
        cpuMicros: cpu.user + cpu.system,
        rssPeakBytes: process.resourceUsage().maxRSS * 1024
      })
    })
  }
}
