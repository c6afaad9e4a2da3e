import { assert, describe, it } from "@effect/vitest"
import type { Row } from "../src/BenchReport.ts"
import * as Target from "../src/Target.ts"
import * as Workloads from "../src/Workloads.ts"
import { row } from "./support/rows.ts"

const judge = (workload: string, rows: ReadonlyArray<Partial<Row>>) => {
  const { targets } = Workloads.all.find(({ name }) => name === workload)!
  const own = rows.map((fields) => row({ workload, ...fields }))
  return targets.map((each) => Target.evaluate(each, own)).map(({ id, met, value }) => ({ id, value, met }))
}

describe("the workloads of composing and keeping", () => {
  it("judges a template by its CPU time and an attachment by its own bytes, not by those of base64", () => {
    assert.deepStrictEqual(
      judge("templates", [
        { variant: "text + html", contestant: "nodemailer-composer", cpuMicrosPerMessage: 300 },
        { variant: "text + html", contestant: "mailrace-template", cpuMicrosPerMessage: 12 },
        { variant: "1 MB attachment", contestant: "nodemailer-attachment", bytesPerSecond: 1 },
        { variant: "1 MB attachment", contestant: "mailrace-attachment", bytesPerSecond: 663e6 }
      ]),
      [
        { id: "templates.render", value: 12, met: true },
        { id: "templates.attachment", value: 484.5, met: false }
      ]
    )
  })

  it("judges signatures by the clock and not by their CPU", () => {
    assert.deepStrictEqual(
      judge("dkim", [
        { contestant: "mailrace-dkim-ed25519", ratePerSecond: 20_000, cpuMicrosPerMessage: 100 },
        { contestant: "mailrace-dkim-rsa", ratePerSecond: 2500, cpuMicrosPerMessage: 300 },
        { contestant: "nodemailer-dkim-rsa", ratePerSecond: 1 }
      ]),
      [
        { id: "dkim.ed25519", value: 50, met: true },
        { id: "dkim.rsa", value: 400, met: false }
      ]
    )
  })

  it("judges the outbox by rows with full durability and not by those that are there to compare", () => {
    const enqueueing = "mailrace-outbox-enqueue"
    assert.deepStrictEqual(
      judge("outbox", [
        { variant: "enqueue, 8 KB", contestant: enqueueing, ratePerSecond: 1 },
        { variant: "enqueue, 256 callers", contestant: `${enqueueing}-normal`, ratePerSecond: 90_000 },
        { variant: "enqueue, 256 callers", contestant: enqueueing, ratePerSecond: 30_000 },
        { variant: "enqueue, one at a time", contestant: "disk-fsync", ratePerSecond: 9000 },
        { variant: "enqueue, one at a time", contestant: enqueueing, ratePerSecond: 1999 },
        { variant: "enqueue, send, settle", contestant: "mailrace-outbox", ratePerSecond: 12_000 }
      ]),
      [
        { id: "outbox.enqueue", value: 30_000, met: true },
        { id: "outbox.lone", value: 1999, met: false },
        { id: "outbox.whole", value: 12_000, met: true }
      ]
    )
  })

  it("demands at most nine tenths of the disk's rate from a sender that waits for each mail", () => {
    const lone = (fsync: number, rate: number) =>
      judge("outbox", [
        { variant: "enqueue, one at a time", contestant: "disk-fsync", ratePerSecond: fsync },
        { variant: "enqueue, one at a time", contestant: "mailrace-outbox-enqueue", ratePerSecond: rate }
      ]).find(({ id }) => id === "outbox.lone")!.met
    assert.deepStrictEqual(
      [lone(1000, 900), lone(1000, 899), lone(9000, 2000), lone(9000, 1999)],
      [true, false, true, false]
    )
  })

  it("judges a backlog by each of its rows", () => {
    assert.deepStrictEqual(
      judge("backlog", [
        { variant: "campaign, enqueued", contestant: "mailrace-outbox-campaign", storedBytesPerMessage: 250.5 },
        { variant: "claim 250", contestant: "mailrace-outbox-claim", p50Ms: 4, rssPeakBytes: 251e6 },
        { variant: "start after a crash", contestant: "mailrace-outbox-recovery", p50Ms: 900 }
      ]),
      [
        { id: "backlog.stored", value: 250.5, met: false },
        { id: "backlog.claim", value: 4, met: true },
        { id: "backlog.rss", value: 251, met: false },
        { id: "backlog.recovery", value: 900, met: true }
      ]
    )
  })
})
