/**
 * Fills the timeline of a run: the phases of each accepted message from the transport, the other figures at intervals.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { MailTransport } from "mailrace/MailTransport"
import * as Sampler from "mailrace/Sampler"
import type { ConnectionStats } from "./Meter.ts"
import type { Status } from "./FlowWaits.ts"
import type { Tally } from "../results/Tally.ts"
import { Timeline } from "../results/Timeline.ts"

type Transport = MailTransport["Service"]

/** Records one run, from its creation. */
export class TimelineRecorder {
  readonly timeline = new Timeline()
  /** When the run started, in milliseconds since 1970. */
  readonly startedAt: number
  private readonly clock: Clock.Clock
  private readonly start: bigint
  private readonly usedAtStart = Sampler.readUnsafe()

  constructor(clock: Clock.Clock) {
    this.clock = clock
    this.startedAt = clock.currentTimeMillisUnsafe()
    this.start = clock.monotonicTimeNanosUnsafe()
  }

  /** Records the phases of the messages that a transport sends. */
  watch(transport: Transport): Transport {
    return {
      ...transport,
      send: (message, options) =>
        Effect.suspend(() => {
          const begun = performance.now()
          return Effect.tap(transport.send(message, options), (receipt) =>
            Effect.sync(() => this.timeline.accepted(receipt, performance.now() - begun))
          )
        })
    }
  }

  /** Ends an interval of the timeline with the figures of the moment. */
  sample(tally: Tally, connections: ConnectionStats, flow: Status | undefined): Effect.Effect<void> {
    return Effect.map(connections.stats, ({ busy, open, waiting }) => {
      const used = Sampler.readUnsafe()
      this.timeline.sample({
        atMs: Number(this.clock.monotonicTimeNanosUnsafe() - this.start) / 1_000_000,
        counts: { ...tally.counts },
        retries: tally.retries,
        cpuMs: used.cpuMs - this.usedAtStart.cpuMs,
        rssBytes: used.rss,
        loopActiveMs: used.loopActiveMs - this.usedAtStart.loopActiveMs,
        open,
        busy,
        queued: waiting,
        closedGates: flow?.waits.length ?? 0
      })
    })
  }

  /** Runs `sample` at the end of each interval, forever. */
  repeat(sample: Effect.Effect<void>): Effect.Effect<never> {
    return Effect.forever(
      Effect.andThen(
        Effect.suspend(() => Effect.sleep(this.timeline.lengthMs)),
        sample
      )
    )
  }
}
