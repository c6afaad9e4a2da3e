/**
 * Enqueues a campaign as a stream, and measures the disk space that it takes.
 *
 * Each run fills a file of its own. The file is measured once it is closed, when its log is empty.
 */
import * as Outbox from "@mailrace/outbox/Outbox"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { statSync } from "node:fs"
import { performance } from "node:perf_hooks"
import type { Batch, Elsewhere, MakeContestant } from "../Contestant.ts"
import * as Campaign from "../internal/campaign.ts"
import { tempFolder } from "../internal/tempFolder.ts"

export const make: MakeContestant = async () => {
  const folder = tempFolder()
  let files = 0
  return {
    concurrency: 256,
    leastBatch: 1000,
    warmsUp: false,
    send: async (batch) => {
      const path = `${folder.path}/campaign-${files++}.db`
      const filled = await Effect.runPromise(Effect.provide(fill(batch), Outbox.layerSqlite(path)))
      let own = 0
      for (const mail of Campaign.mails(batch.first, batch.count)) own += Campaign.ownBytes(mail)
      return { ...filled, storedBytesPerMessage: (statSync(path).size - own) / batch.count }
    },
    close: async () => folder.remove()
  }
}

const fill = (batch: Batch): Effect.Effect<Elsewhere, unknown, Outbox.Outbox> =>
  Effect.gen(function* () {
    const mails = Stream.fromIterable({ [Symbol.iterator]: () => Campaign.mails(batch.first, batch.count) })
    const cpuBefore = process.cpuUsage()
    const begin = performance.now()
    let rssPeakBytes = 0
    let left = batch.count
    yield* Stream.runForEach(Outbox.enqueueAll(mails, { render: true }), (receipt) =>
      Effect.sync(() => {
        if (receipt._tag === "Receipt") batch.accepted(undefined)
        else batch.failed(receipt.error.message)
        if (left-- % 10_000 === 0) rssPeakBytes = Math.max(rssPeakBytes, process.memoryUsage.rss())
      })
    )
    const cpu = process.cpuUsage(cpuBefore)
    return { elapsedMs: performance.now() - begin, cpuMicros: cpu.user + cpu.system, rssPeakBytes }
  })
