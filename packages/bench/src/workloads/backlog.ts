/** A long backlog in the outbox: the disk space that it takes, claims from it, and a dispatcher's start with it. */
import * as Effect from "effect/Effect"
import * as BenchReport from "../BenchReport.ts"
import { Lab } from "../Lab.ts"
import * as Plot from "../Plot.ts"
import type { Contender } from "../Race.ts"
import type { Target } from "../Target.ts"
import type { Workload } from "../Workload.ts"

const workload = "backlog"

const rows = {
  campaign: { variant: "campaign, enqueued", contestant: "mailrace-outbox-campaign" },
  claim: { variant: "claim 250", contestant: "mailrace-outbox-claim" },
  recovery: { variant: "start after a crash", contestant: "mailrace-outbox-recovery" }
}

const figure =
  (row: keyof typeof rows, value: (row: BenchReport.Row) => number | null | undefined): Target["measure"] =>
  (all) => {
    const found = BenchReport.find(all, { workload, ...rows[row] })
    return found === undefined ? undefined : (value(found) ?? undefined)
  }

export const backlog: Workload = {
  name: workload,
  title: "Outbox with a backlog",
  description:
    "A campaign of 1,000,000 mails from one template over 256 domains in a SQLite file (20,000 when quick). A stream enqueues them, each on the disk; the size of the file is then counted without the mails' own data, which is their recipients and the values for their template. Claims take 250 mails from such a file: a message of that row is a claim. A dispatcher starts on a file in which a dead one had claimed 100,000 mails (20,000 when quick): a message of that row is a start.",
  run: Effect.gen(function* () {
    const lab = yield* Lab
    const { quick } = lab.pace
    const all = quick ? 20_000 : 1_000_000
    const race = (contender: Contender & { readonly variant: string }) =>
      lab.race({ workload, variant: contender.variant, sink: "none", contenders: [{ ...contender, connections: 1 }] })
    const campaign = yield* race({ ...rows.campaign, messages: all, rounds: 1 })
    const claims = yield* race({ ...rows.claim, backlog: all, messages: quick ? 25 : 200 })
    const recovery = yield* race({ ...rows.recovery, backlog: quick ? 20_000 : 100_000, messages: 1 })
    return [...campaign, ...claims, ...recovery]
  }),
  targets: [
    {
      id: "backlog.stored",
      statement: "bytes that a mail of a campaign takes on the disk beyond its own data",
      target: 250,
      direction: "atMost",
      unit: "bytes",
      measure: figure("campaign", ({ storedBytesPerMessage }) => storedBytesPerMessage)
    },
    {
      id: "backlog.claim",
      statement: "claiming 250 mails from the backlog",
      target: 5,
      direction: "atMost",
      unit: "ms",
      measure: figure("claim", ({ p50Ms }) => p50Ms)
    },
    {
      id: "backlog.rss",
      statement: "resident set with the backlog, after filling it",
      target: 250,
      direction: "atMost",
      unit: "MB",
      measure: figure("claim", ({ rssPeakBytes }) => (rssPeakBytes === null ? null : rssPeakBytes / 1e6))
    },
    {
      id: "backlog.recovery",
      statement: "opening the file and putting back what a dead dispatcher had claimed",
      target: 2000,
      direction: "atMost",
      unit: "ms",
      measure: figure("recovery", ({ p50Ms }) => p50Ms)
    }
  ],
  plots: (all) => [Plot.timeBars(all), Plot.cpuBars(all, ({ variant }) => variant)]
}
