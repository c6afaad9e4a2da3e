/** Large messages: the cost of copying, where round trips no longer matter. */
import * as Effect from "effect/Effect"
import { Lab } from "../Lab.ts"
import * as Plot from "../Plot.ts"
import type { Workload } from "../Workload.ts"

const workload = "size"

const sizes = [
  { messageBytes: 1024, variant: "1 KB" },
  { messageBytes: 10_240, variant: "10 KB" },
  { messageBytes: 1_048_576, variant: "1 MB" }
]

export const size: Workload = {
  name: workload,
  title: "Message size",
  description:
    "Messages of 1 KB (not in short runs), 10 KB and 1 MB over 10 connections, no distance. Messages above 256 KB are never sent ahead of their envelope's replies.",
  run: Effect.gen(function* () {
    const lab = yield* Lab
    const rows = yield* Effect.forEach(lab.pace.quick ? sizes.slice(1) : sizes, ({ messageBytes, variant }) =>
      lab.race({
        workload,
        variant,
        contenders: [
          "mailrace-speculative",
          "mailrace-overlap",
          "mailrace-envelope",
          "nodemailer-pool",
          "smtp-source"
        ].map((contestant) => ({
          contestant,
          messageBytes,
          // With 320 messages of a megabyte in flight, this would measure memory.
          ...(messageBytes > 100_000 ? { concurrency: 20 } : {})
        }))
      })
    )
    return rows.flat()
  }),
  targets: [],
  plots: (rows) => [
    {
      kind: "line",
      title: "Throughput by message size",
      x: {
        label: "bytes a message",
        scale: "ordinal",
        format: (bytes) => (bytes < 1e6 ? `${Math.round(bytes / 1024)} KB` : `${Math.round(bytes / 1048576)} MB`)
      },
      y: { label: "MB of content a second", scale: "log" },
      series: Plot.lines(
        rows,
        (row) => nominal(row.variant),
        (row) => (row.bytesPerSecond ?? 0) / 1e6
      )
    },
    {
      kind: "line",
      title: "CPU by message and size",
      x: {
        label: "bytes a message",
        scale: "ordinal",
        format: (bytes) => (bytes < 1e6 ? `${Math.round(bytes / 1024)} KB` : `${Math.round(bytes / 1048576)} MB`)
      },
      y: Plot.cpuAxis,
      series: Plot.lines(
        rows,
        (row) => nominal(row.variant),
        (row) => row.cpuMicrosPerMessage
      )
    }
  ]
}

const nominal = (variant: string): number => sizes.find((each) => each.variant === variant)?.messageBytes ?? 0
