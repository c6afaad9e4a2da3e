/**
 * All gates of flow control without a transport: the cost of asking tenant, lane, circuit, rates, pace and window whether a
 * message may go, and of reporting its outcome to them.
 */
import * as Feedback from "@mailrace/flow/Feedback"
import { FlowControl } from "@mailrace/flow/FlowControl"
import * as FlowOptions from "@mailrace/flow/FlowOptions"
import * as Result from "effect/Result"
import { performance } from "node:perf_hooks"
import type { Batch, MakeContestant } from "../Contestant.ts"

const rates = { rate: ["10000000/s", "1000000000/d"] }

export const make: MakeContestant = async () => {
  const settings = FlowOptions.resolve(
    {
      ...rates,
      lanes: { "lane0.test": rates, "lane1.test": rates },
      tenants: { acme: rates },
      adaptive: true,
      circuit: true
    },
    0
  )
  const control = new FlowControl(Result.getOrThrow(settings), 100)
  const cost = { recipients: 1, bytes: 1024 }
  const facts = Array.from({ length: 10 }, (_, n) => ({ tenant: "acme", lane: `lane${n}.test`, cost }))
  const send = async (batch: Batch): Promise<void> => {
    for (let index = batch.first; index < batch.first + batch.count; index++) {
      const begin = performance.now()
      const one = facts[index % facts.length]!
      if (control.availableAt(one, begin) > begin) batch.failed("it was held back")
      else {
        const admission = control.admit(one, begin)
        if (control.beginsAt(admission, begin) <= begin) control.begin(admission, begin)
        control.end(admission, Feedback.success, begin)
        batch.accepted(performance.now() - begin)
      }
    }
  }
  return { concurrency: 1, send, close: async () => {} }
}
