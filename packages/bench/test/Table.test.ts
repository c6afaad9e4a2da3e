import { assert, describe, it } from "@effect/vitest"
import * as Figure from "../src/Figure.ts"
import * as Table from "../src/Table.ts"
import { row } from "./support/rows.ts"

describe("Figure", () => {
  it("shows three digits that count", () => {
    const cases: ReadonlyArray<readonly [number | null, string]> = [
      [0, "0"],
      [0.0123, "0.012"],
      [0.5, "0.5"],
      [1.234, "1.23"],
      [9.999, "10"],
      [12.34, "12.3"],
      [99.96, "100"],
      [999.4, "999"],
      [999.9, "1,000"],
      [1234, "1,230"],
      [9994, "9,990"],
      [12_345, "12.3k"],
      [999_499, "999k"],
      [1_000_000, "1M"],
      [null, "–"],
      [Number.NaN, "–"]
    ]
    for (const [value, text] of cases) assert.strictEqual(Figure.format(value), text, String(value))
  })
})

describe("Table", () => {
  it("puts every column under its heading", () => {
    const lines = Table.rows([row(), row({ contestant: "nodemailer", ratePerSecond: 7, p50Ms: null })]).split("\n")
    const at = lines[0]!.indexOf("msg/s") + "msg/s".length
    assert.strictEqual(lines[1]!.slice(0, at).trimEnd().endsWith("50k"), true)
    assert.strictEqual(lines[2]!.slice(0, at).endsWith("7"), true)
  })

  it("leaves out columns that have no figure in any row", () => {
    const heads = (...of: ReadonlyArray<Parameters<typeof row>[0]>) => Table.rows(of.map(row)).split("\n")[0]!
    assert.notInclude(heads({}, {}), "stored")
    assert.include(heads({}, { storedBytesPerMessage: 240 }), "stored B/msg")
  })

  it("tells how far the runs lie apart, and nothing about a single run", () => {
    assert.strictEqual(Table.spread(row({ ratePerSecond: 100, runs: [80, 100, 120] })), "±20%")
    assert.strictEqual(Table.spread(row({ runs: [80] })), "–")
  })

  it("marks a target that is missed", () => {
    const base = { id: "a", statement: "s", target: 2, direction: "atMost", unit: "ms" } as const
    const text = Table.targets([
      { ...base, value: 3, met: false },
      { ...base, value: null, met: null }
    ])
    assert.match(text, /MISSED {2}s {2,}3 ms {2}≤ 2 ms/)
    assert.match(text, /– {7}s {2}not measured/)
  })
})
