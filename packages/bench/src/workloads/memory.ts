/** A long stream: the configuration bounds memory, whatever the source's length. */
import * as Effect from "effect/Effect"
import * as BenchReport from "../BenchReport.ts"
import { Lab } from "../Lab.ts"
import type { Workload } from "../Workload.ts"
import { ratio } from "../Statistics.ts"

const workload = "memory"

const contestant = "mailrace-speculative"

const long = (rows: ReadonlyArray<BenchReport.Row>) =>
  BenchReport.find(rows, { workload, contestant, messages: 1_000_000 })

export const memory: Workload = {
  name: workload,
  title: "A million messages",
  description:
    "1,000,000 messages of 1 KB from a generator, each unlike all others and made on demand, against 50,000 of the same.",
  run: Effect.gen(function* () {
    const lab = yield* Lab
    return yield* lab.race({
      workload,
      variant: "a million",
      contenders: [
        { contestant, variant: "50,000", content: "generated", messages: 50_000, samples: true },
        {
          contestant,
          variant: "1,000,000",
          content: "generated",
          messages: 1_000_000,
          samples: true,
          rounds: lab.pace.quick ? 1 : 2
        }
      ]
    })
  }),
  targets: [
    {
      id: "memory.rss",
      statement: "largest resident set over 1,000,000 messages",
      target: 200,
      direction: "atMost",
      unit: "MB",
      measure: (rows) => {
        const bytes = long(rows)?.rssPeakBytes
        return bytes === undefined || bytes === null ? undefined : bytes / 1e6
      }
    },
    {
      id: "memory.rate",
      statement: "the rate over 1,000,000 messages, as a share of that over 50,000",
      target: 0.9,
      unit: "×",
      measure: (rows) =>
        ratio(
          long(rows)?.ratePerSecond,
          BenchReport.find(rows, { workload, contestant, messages: 50_000 })?.ratePerSecond
        )
    }
  ],
  plots: (rows) => [
    {
      kind: "line",
      title: "Memory over time",
      x: { label: "seconds" },
      y: { label: "MB" },
      series:
        (long(rows)?.samples ?? []).length === 0
          ? []
          : [
              {
                name: "resident set",
                points: long(rows)!.samples!.map(({ ms, rssBytes }) => [ms / 1000, rssBytes / 1e6] as const)
              },
              {
                name: "heap",
                points: long(rows)!.samples!.map(({ heapBytes, ms }) => [ms / 1000, heapBytes / 1e6] as const)
              }
            ]
    },
    {
      kind: "line",
      title: "Messages over time",
      x: { label: "seconds" },
      y: { label: "messages accepted" },
      series:
        (long(rows)?.samples ?? []).length === 0
          ? []
          : [
              {
                name: contestant,
                points: long(rows)!.samples!.map(({ messages, ms }) => [ms / 1000, messages] as const)
              }
            ]
    }
  ]
}
