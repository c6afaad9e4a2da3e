import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as BenchReport from "../src/BenchReport.ts"
import { report, row } from "./support/rows.ts"

describe("BenchReport", () => {
  it.effect.prop("reads any report as it was written", { any: BenchReport.BenchReport }, ({ any }) =>
    Effect.gen(function* () {
      const read = yield* BenchReport.parse(BenchReport.format(any))
      // JSON has one zero.
      assert.deepStrictEqual(JSON.stringify(read), JSON.stringify(any))
    })
  )

  it.effect("refuses a malformed report and names the field", () =>
    Effect.gen(function* () {
      const broken = JSON.stringify({ ...report(), rows: [{ ...row(), ratePerSecond: "fast" }] })
      const error = yield* Effect.flip(BenchReport.parse(broken))
      assert.include(error.message, "ratePerSecond")
    })
  )

  it("finds rows by any of their fields", () => {
    const rows = [row({ rttMs: 5 }), row({ rttMs: 20, contestant: "nodemailer" }), row({ rttMs: 20 })]
    assert.strictEqual(BenchReport.find(rows, { rttMs: 20, contestant: "mailrace-speculative" }), rows[2])
    assert.strictEqual(BenchReport.select(rows, { rttMs: 20 }).length, 2)
    assert.isUndefined(BenchReport.find(rows, { rttMs: 80 }))
  })
})
