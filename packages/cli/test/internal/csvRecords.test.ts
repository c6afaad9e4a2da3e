import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { type CsvRecord, CsvRecords } from "../../src/internal/csvRecords.ts"
import { cut, sizes } from "../support/chunks.ts"
import { nastyText } from "../support/text.ts"

const records = (input: string | Uint8Array, sizes: ReadonlyArray<number> = [], maxBytes = 1_000_000) => {
  const parser = new CsvRecords(maxBytes)
  const found = cut(Buffer.from(input), sizes).flatMap((piece) => parser.push(piece))
  return { records: [...found, ...parser.finish()] as ReadonlyArray<CsvRecord>, overflow: parser.overflow }
}

const cellsOf = (input: string | Uint8Array, sizes?: ReadonlyArray<number>) =>
  records(input, sizes).records.map((record) => record.cells)

const quote = (cell: string): string => `"${cell.replaceAll('"', '""')}"`

describe("CsvRecords", () => {
  it.prop(
    "reads back whatever was written, however the bytes are cut",
    {
      rows: Arbitrary.array(Arbitrary.array(nastyText, { minLength: 1 })),
      sizes,
      endings: Arbitrary.array(Arbitrary.schema(Schema.Literals(["\n", "\r\n", "\r"])), { minLength: 1 })
    },
    ({ rows, sizes, endings }) => {
      const table = [["to", "name"], ...rows]
      const text = table.map((row, index) => row.map(quote).join(",") + endings[index % endings.length]).join("")
      assert.deepStrictEqual(cellsOf(text, sizes), table)
    }
  )

  it("ends a line at CR as well, and counts lines as an editor does", () => {
    const text = 'to,name\ra@x,b\r\nb@x,"c\rd\r\ne\nf"\r\rc@x,d\ne@x,"\r'
    for (const sizes of [[], [0], [1, 2]]) {
      const { records: found } = records(text, sizes)
      assert.deepStrictEqual(
        found.map(({ cells, line }) => [line, "problem" in cells ? cells.problem : cells.join("|")]),
        [
          [1, "to|name"],
          [2, "a@x|b"],
          [3, "b@x|c\rd\r\ne\nf"],
          [7, ""],
          [8, "c@x|d"],
          [9, "the double quote is never closed"]
        ]
      )
      assert.deepStrictEqual(found.at(-1)!.end, text.length)
    }
  })

  it("reads plain cells, empty ones too, with or without a last line end", () => {
    const expected = [
      ["to", "name"],
      ["a@x", ""],
      ["", "b"]
    ]
    assert.deepStrictEqual(cellsOf("to,name\na@x,\n,b\n"), expected)
    assert.deepStrictEqual(cellsOf("to,name\r\na@x,\r\n,b"), expected)
  })

  it("takes the delimiter that the first line uses", () => {
    assert.deepStrictEqual(cellsOf("to;name\na@x;b, c\n"), [
      ["to", "name"],
      ["a@x", "b, c"]
    ])
    assert.deepStrictEqual(cellsOf('to\tname\na@x\t"b\tc"\n', [0]), [
      ["to", "name"],
      ["a@x", "b\tc"]
    ])
  })

  it("drops a byte order mark", () => {
    assert.deepStrictEqual(cellsOf("\uFEFFto,name\n"), [["to", "name"]])
  })

  it("names the place of a fault and reads the records after it", () => {
    const text = 'to,name\na@x,b"c\n"d\ne"x,f\ng@x,h\n'
    assert.deepStrictEqual(cellsOf(text), [
      ["to", "name"],
      {
        line: 2,
        column: 6,
        problem: "a double quote inside a cell needs double quotes around the cell, and to be written twice"
      },
      { line: 4, column: 3, problem: "after a closing double quote the cell must end; write a quote inside as two" },
      ["g@x", "h"]
    ])
  })

  it("knows the line on which each record begins, after cells with line ends", () => {
    const lines = records('to,name\na@x,"1\n2\r\n3"\nb@x,c\n').records.map((record) => record.line)
    assert.deepStrictEqual(lines, [1, 2, 5])
  })

  it("says where a quote was opened that is never closed", () => {
    const last = records('to,name\na@x,"b\nc@x,d\ne@x,f').records.at(-1)!
    assert.deepStrictEqual(last.cells, {
      line: 2,
      column: 5,
      problem: "the double quote is never closed; it swallows the 2 lines after it"
    })
  })

  it("stops at a record longer than the limit instead of holding it", () => {
    const { overflow, records: found } = records(`to,name\na@x,"${"b\n".repeat(1000)}`, [40], 100)
    assert.strictEqual(found.length, 1)
    assert.deepInclude(overflow, { line: 2, column: 5 })
  })

  it("refuses one record that is not UTF-8, and its column", () => {
    const bytes = Buffer.concat([Buffer.from("to,name\na@x,J"), Buffer.of(0xfc), Buffer.from("rg\nb@x,c\n")])
    const [, bad, good] = cellsOf(bytes)
    assert.deepInclude(bad, { line: 2, column: 6 })
    assert.deepStrictEqual(good, ["b@x", "c"])
  })
})
