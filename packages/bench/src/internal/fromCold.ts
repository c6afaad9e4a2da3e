/**
 * A contestant that begins each batch without a connection.
 */
import { performance } from "node:perf_hooks"
import type { Contestant, Elsewhere, MakeContestant } from "../Contestant.ts"

/** Makes the contestant anew for each batch. Connecting is timed; making it ready and closing its connections are not. */
export const fromCold = async (
  spec: Parameters<MakeContestant>[0],
  messages: Parameters<MakeContestant>[1],
  make: MakeContestant
): Promise<Contestant> => {
  const { close, concurrency } = await make(spec, messages)
  await close()
  return {
    concurrency,
    leastBatch: spec.connections,
    warmsUp: false,
    send: async (batch): Promise<Elsewhere> => {
      const fresh = await make(spec, messages)
      const cpuBefore = process.cpuUsage()
      const begin = performance.now()
      await fresh.send(batch)
      const elapsedMs = performance.now() - begin
      const { system, user } = process.cpuUsage(cpuBefore)
      await fresh.close()
      return { elapsedMs, cpuMicros: user + system, rssPeakBytes: process.memoryUsage.rss() }
    },
    close: async () => {}
  }
}
