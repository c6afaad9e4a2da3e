import { assert, describe, it } from "@effect/vitest"
import type { Row } from "../../src/BenchReport.ts"
import { relay } from "../../src/workloads/relay.ts"
import { row } from "../support/rows.ts"

const measured = (id: string, rows: ReadonlyArray<Row>): number | undefined =>
  relay.targets.find((target) => target.id === id)!.measure(rows)

const near = { workload: "relay", variant: "no think time" }

describe("relay", () => {
  it("compares with another commit by the median of the ratios of runs that were taken in turn", () => {
    const rows = [
      row({ ...near, runs: [10, 40, 30], cpuRuns: [6, 2, 3] }),
      row({ ...near, contestant: "mailrace-speculative@abc1234", runs: [20, 20, 20], cpuRuns: [2, 2, 2] })
    ]
    assert.strictEqual(measured("relay.against.near.rate", rows), 1.5)
    assert.strictEqual(measured("relay.against.near.cpu", rows), 1.5)
    assert.isUndefined(measured("relay.against.near.rate", rows.slice(0, 1)))
    assert.isUndefined(measured("relay.against.far.rate", rows))
  })

  it("compares TLS with clear by the median of the ratios of runs that were taken in turn", () => {
    const encrypted = row({ workload: "relay", variant: "no think time, TLS", cpuRuns: [24, 12, 13] })
    const clear = row({ workload: "relay", variant: "no think time, in turn with TLS", cpuRuns: [24, 10, 10] })
    assert.strictEqual(measured("relay.tls", [encrypted, clear]), 1.2)
    assert.isUndefined(measured("relay.tls", [encrypted]))
  })

  it("holds a burst against its bound", () => {
    const burst = { workload: "relay", variant: "burst of 40, 300 ms", contestant: "mailrace-auto" }
    assert.strictEqual(measured("relay.burst", [row({ ...burst, boundShare: 0.8 })]), 1.25)
    assert.isUndefined(measured("relay.burst", []))
  })
})
