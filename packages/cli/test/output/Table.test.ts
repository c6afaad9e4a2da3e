import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as Table from "../../src/output/Table.ts"

interface Row {
  readonly id: string
  readonly name: string
  readonly note: string
}

const columns: ReadonlyArray<Table.Column<Row>> = [
  { title: "ID", cell: ({ id }) => id },
  { title: "NAME", cell: ({ name }) => name, min: 6 },
  { title: "N", cell: ({ name }) => String(name.length), align: "right" },
  { title: "NOTE", cell: ({ note }) => note, min: 10, isOptional: true }
]

const rows: ReadonlyArray<Row> = [
  { id: "1", name: "short", note: "a note that is rather long" },
  { id: "22", name: "a-name-of-some-length", note: "" }
]

const draw = (width: number | undefined) => Table.render(columns, rows, { colors: false, columns: width }).split("\n")

describe("Table", () => {
  it("is as wide as its content", () => {
    assert.deepStrictEqual(draw(undefined), [
      "ID  NAME                    N  NOTE",
      "1   short                   5  a note that is rather long",
      "22  a-name-of-some-length  21",
      ""
    ])
  })

  it("shrinks the widest column first, and leaves one out before the others are cut to nothing", () => {
    assert.deepStrictEqual(draw(45).slice(0, 3), [
      "ID  NAME                N  NOTE",
      "1   short               5  a note that is r…",
      "22  a-name-of-some-l…  21"
    ])
    assert.deepStrictEqual(draw(28).slice(0, 3), [
      "ID  NAME      N  NOTE",
      "1   short     5  a note th…",
      "22  a-name…  21"
    ])
    assert.deepStrictEqual(draw(26).slice(0, 3), [
      "ID  NAME                N",
      "1   short               5",
      "22  a-name-of-some-l…  21"
    ])
  })

  it("lets no cell move the cursor", () => {
    const bad = [{ id: "1", name: "\u001B[2Jx", note: "a\nb" }]
    assert.notMatch(Table.render(columns, bad, { colors: false, columns: 80 }), /\u001B|a\nb/)
  })

  it.prop(
    "is never wider than the terminal",
    [Schema.Array(Schema.Struct({ id: Schema.String, name: Schema.String, note: Schema.String })), Schema.Int],
    ([rows, n]) => {
      const width = 1 + (Math.abs(n) % 120)
      const lines = Table.render(columns, rows, { colors: false, columns: width }).split("\n")
      assert.isTrue(lines.every((line) => [...line].length < width || width === 1))
      assert.strictEqual(lines.length, rows.length + 2)
    }
  )
})
