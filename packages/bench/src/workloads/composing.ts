/** Composing alone: from the parts of a message to its bytes. */
import * as Effect from "effect/Effect"
import * as BenchReport from "../BenchReport.ts"
import { Lab } from "../Lab.ts"
import type { Shape } from "../Messages.ts"
import * as Plot from "../Plot.ts"
import type { Target } from "../Target.ts"
import type { Workload } from "../Workload.ts"

const workload = "composing"

const shapes: ReadonlyArray<{ readonly shape: Shape; readonly variant: string }> = [
  { shape: "text", variant: "text" },
  { shape: "text+html", variant: "text + html" },
  { shape: "html+attachment", variant: "html + 50 KB attachment" }
]

const cpu =
  (variant: string): Target["measure"] =>
  (rows) =>
    BenchReport.find(rows, { workload, contestant: "mailrace-composer", variant })?.cpuMicrosPerMessage ?? undefined

export const composing: Workload = {
  name: workload,
  title: "Composing",
  description:
    "Mails composed one after the other and discarded: plain text of 1 KB, the same with HTML, HTML with an attachment of 50 KB.",
  run: Effect.gen(function* () {
    const lab = yield* Lab
    const rows = yield* Effect.forEach(shapes, ({ shape, variant }) =>
      lab.race({
        workload,
        variant,
        sink: "none",
        contenders: ["mailrace-composer", "nodemailer-composer"].map((contestant) => ({
          contestant,
          content: "composed",
          shape,
          connections: 1
        }))
      })
    )
    return rows.flat()
  }),
  targets: [
    {
      id: "composing.text",
      statement: "composing a one-off text mail",
      target: 20,
      direction: "atMost",
      unit: "µs",
      measure: cpu("text")
    },
    {
      id: "composing.text+html",
      statement: "composing a one-off mail of text and html",
      target: 30,
      direction: "atMost",
      unit: "µs",
      measure: cpu("text + html")
    }
  ],
  plots: (rows) => [Plot.cpuBars(rows, (row) => row.variant)]
}
