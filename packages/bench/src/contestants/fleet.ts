/**
 * Measures dispatchers that share an outbox in PostgreSQL when one is killed, joins or leaves, when the server restarts,
 * and when there is nothing to do. Each is a process of its own, with the heartbeat and lease of the defaults.
 */
import * as Effect from "effect/Effect"
import { setTimeout as sleep } from "node:timers/promises"
import type { Batch, MakeContestant } from "../Contestant.ts"
import * as Fleet from "../internal/fleet.ts"
import { timed, type StepClock } from "../internal/timed.ts"

type Step = (fleet: Fleet.Fleet, clock: StepClock) => Promise<void>

export const make: MakeContestant = async ({ contestant }) => {
  const fleet = await Fleet.make()
  const first = fleet.start()
  const name = contestant.replace("mailrace-fleet-", "")
  await fleet.shared(1)
  return {
    concurrency: 1,
    leastBatch: 1,
    warmsUp: false,
    send: async (batch: Batch) =>
      name === "idle" ? idle(fleet, batch) : timed(batch, (clock) => Effect.promise(() => steps[name]!(fleet, clock))),
    close: async () => {
      first.signal("SIGTERM")
      await first.ended()
      await fleet.close()
    }
  }
}

/** The number of messages that are on their way meanwhile. */
const load = 300

const steps: { readonly [name: string]: Step } = {
  kill: async (fleet, clock) => {
    const other = fleet.start()
    await fleet.shared(2)
    await fleet.enqueue(load)
    const begin = clock.begin()
    other.signal("SIGKILL")
    await fleet.shared(1)
    clock.end(begin)
    await fleet.drained()
  },
  join: async (fleet, clock) => {
    await fleet.enqueue(load)
    const other = fleet.start()
    await fleet.present(2)
    const begin = clock.begin()
    await fleet.shared(2)
    clock.end(begin)
    other.signal("SIGTERM")
    await other.ended()
    await fleet.shared(1)
    await fleet.drained()
  },
  leave: async (fleet, clock) => {
    const other = fleet.start()
    await fleet.shared(2)
    await fleet.enqueue(load)
    const begin = clock.begin()
    other.signal("SIGTERM")
    await fleet.shared(1)
    clock.end(begin)
    await other.ended()
    await fleet.drained()
  },
  restart: async (fleet, clock) => {
    await fleet.enqueue(2 * load)
    await fleet.restartPostgres()
    const begin = clock.begin()
    await fleet.moves()
    clock.end(begin)
    await fleet.drained()
    await fleet.shared(1)
  }
}

/**
 * The time over which transactions are counted for one figure, in milliseconds: several polls and beats. The server adds
 * them up once a second.
 */
const windowMs = 5000

/**
 * The time after which the counters include the transactions of a join, in milliseconds: an idle session reports them after
 * 10 s at the latest.
 */
const settlingMs = 10_000

/** The mean time between two transactions of one of two dispatchers, for each window. */
const idle = async (fleet: Fleet.Fleet, batch: Batch) => {
  const other = fleet.start()
  await fleet.shared(2)
  await sleep(settlingMs)
  let elapsedMs = 0
  let before = await fleet.transactions()
  for (let left = batch.count; left > 0; left--) {
    const begin = performance.now()
    await sleep(windowMs)
    const after = await fleet.transactions()
    const between = (2 * (performance.now() - begin)) / (after - before)
    before = after
    elapsedMs += between
    batch.accepted(between)
  }
  other.signal("SIGTERM")
  await other.ended()
  await fleet.shared(1)
  return { elapsedMs, cpuMicros: 0, rssPeakBytes: process.memoryUsage.rss() }
}
