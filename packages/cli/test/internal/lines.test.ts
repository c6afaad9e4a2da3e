import { assert, describe, it } from "@effect/vitest"
import { type Line, LineSplitter } from "../../src/internal/lines.ts"
import { cut, sizes } from "../support/chunks.ts"
import { nastyText } from "../support/text.ts"

const split = (text: string, sizes: ReadonlyArray<number>, maxBytes = 1_000_000): ReadonlyArray<Line> => {
  const splitter = new LineSplitter(maxBytes)
  const lines = cut(Buffer.from(text), sizes).flatMap((piece) => splitter.push(piece))
  return [...lines, ...splitter.finish()]
}

const textOf = (line: Line): string => Buffer.from(line.bytes!).toString()

describe("LineSplitter", () => {
  it.prop("gives the lines of any text, however it is cut", [nastyText, sizes], ([text, sizes]) => {
    const expected = text.split("\n").map((line) => line.replace(/\r$/, ""))
    if (expected.at(-1) === "" && !text.endsWith("\r")) expected.pop()
    assert.deepStrictEqual(split(text, sizes).map(textOf), expected)
  })

  it("numbers lines from 1 and knows where each ends", () => {
    const lines = split("a\r\n\nccc", [2])
    assert.deepStrictEqual(
      lines.map((line) => [textOf(line), line.number, line.end]),
      [
        ["a", 1, 3],
        ["", 2, 4],
        ["ccc", 3, 7]
      ]
    )
  })

  it("drops a line that is too long and reads the next", () => {
    const lines = split(`short\n${"x".repeat(100)}\nnext\n`, [7], 10)
    assert.deepStrictEqual(
      lines.map((line) => line.bytes?.length),
      [5, undefined, 4]
    )
  })
})
