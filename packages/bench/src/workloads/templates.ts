/** Templates and attachments: composing a campaign, from data to bytes. */
import * as Effect from "effect/Effect"
import * as BenchReport from "../BenchReport.ts"
import { Lab } from "../Lab.ts"
import * as Plot from "../Plot.ts"
import type { Workload } from "../Workload.ts"

const workload = "templates"

const campaign = "text + html"

const attached = "1 MB attachment"

/** 57 bytes of an attachment become a line of 78 bytes in base64. */
const encodedBytes = 78 / 57

const of = (rows: ReadonlyArray<BenchReport.Row>, variant: string, contestant: string) =>
  BenchReport.find(rows, { workload, variant, contestant })

export const templates: Workload = {
  name: workload,
  title: "Templates",
  description:
    "A mail of text and HTML, rendered from a compiled template against the same mail composed by nodemailer; and a mail with an attachment of 1 MB, where bytes a second are those of the encoded mail (the target counts the attachment's own). Mails are made one after the other; nothing is sent.",
  run: Effect.gen(function* () {
    const lab = yield* Lab
    const rendered = yield* lab.race({
      workload,
      variant: campaign,
      sink: "none",
      contenders: ["mailrace-template", "nodemailer-composer"].map((contestant) => ({
        contestant,
        content: "composed",
        shape: "text+html",
        connections: 1
      }))
    })
    const encoded = yield* lab.race({
      workload,
      variant: attached,
      sink: "none",
      contenders: ["mailrace-attachment", "nodemailer-attachment"].map((contestant) => ({
        contestant,
        connections: 1,
        rounds: 2
      }))
    })
    return [...rendered, ...encoded]
  }),
  targets: [
    {
      id: "templates.render",
      statement: "rendering a mail of text and html from a compiled template",
      target: 12,
      direction: "atMost",
      unit: "µs",
      measure: (rows) => of(rows, campaign, "mailrace-template")?.cpuMicrosPerMessage ?? undefined
    },
    {
      id: "templates.attachment",
      statement: "bytes of an attachment encoded a second",
      target: 500,
      unit: "MB/s",
      measure: (rows) => {
        const bytes = of(rows, attached, "mailrace-attachment")?.bytesPerSecond
        return bytes === undefined || bytes === null ? undefined : bytes / encodedBytes / 1e6
      }
    }
  ],
  plots: (rows) => [Plot.cpuBars(BenchReport.select(rows, { variant: campaign }))]
}
