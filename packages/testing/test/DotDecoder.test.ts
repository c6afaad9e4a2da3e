import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { ContentCheck } from "../src/internal/contentCheck.ts"
import { DotDecoder } from "../src/internal/dotDecoder.ts"

/** Bytes in which the marks that matter are common. */
const Bytes = Schema.Array(Schema.Literals([13, 10, 46, 46, 65, 0, 255])).check(Schema.isMaxLength(40))
const Cuts = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 6 }))).check(Schema.isMaxLength(20))

/** The sender's side, written the slow and obvious way (RFC 5321 §4.5.2). */
const stuff = (content: ReadonlyArray<number>): Buffer => {
  const out: Array<number> = []
  let lineStart = true
  for (const [index, byte] of content.entries()) {
    if (lineStart && byte === 46) out.push(46)
    out.push(byte)
    lineStart = byte === 10 && content[index - 1] === 13
  }
  return Buffer.from([...out, ...(lineStart ? [] : [13, 10]), 46, 13, 10])
}

const cut = (bytes: Buffer, sizes: ReadonlyArray<number>): ReadonlyArray<Buffer> => {
  const pieces: Array<Buffer> = []
  let at = 0
  for (const size of sizes) {
    pieces.push(bytes.subarray(at, at + size))
    at += size
  }
  return [...pieces, bytes.subarray(at)].filter((piece) => piece.length > 0)
}

const decode = (decoder: DotDecoder, pieces: ReadonlyArray<Buffer>) => {
  const out: Array<Buffer> = []
  const sink = {
    write: (bytes: Buffer, start: number, end: number) => void out.push(Buffer.from(bytes.subarray(start, end)))
  }
  for (const [index, piece] of pieces.entries()) {
    const end = decoder.write(piece, 0, sink)
    if (end !== -1)
      return { content: Buffer.concat(out), rest: Buffer.concat([piece.subarray(end), ...pieces.slice(index + 1)]) }
  }
  return undefined
}

describe("DotDecoder", () => {
  it.prop(
    "decodes stuffed content and what follows it, however it is cut",
    [Bytes, Cuts],
    ([content, cuts]) => {
      const next = Buffer.from("QUIT\r\n")
      const decoder = new DotDecoder()
      const stuffed = stuff(content)
      const result = decode(decoder, cut(Buffer.concat([stuffed, next]), cuts))
      const ended = content.length >= 2 && content.at(-1) === 10 && content.at(-2) === 13
      const expected = content.length === 0 || ended ? content : [...content, 13, 10]
      assert.deepStrictEqual([...(result?.content ?? [])], [...expected])
      assert.strictEqual(result?.rest.toString(), "QUIT\r\n")
    },
    { arbitrary: { runs: 2000 } }
  )

  it("begins anew after a reset", () => {
    const decoder = new DotDecoder()
    assert.strictEqual(decode(decoder, [Buffer.from("a\r\n.\r\n")])?.content.toString(), "a\r\n")
    decoder.reset()
    assert.strictEqual(decode(decoder, [Buffer.from(".\r\n")])?.content.toString(), "")
  })

  it("does not end at a dot between bare line feeds", () => {
    assert.strictEqual(decode(new DotDecoder(), [Buffer.from("a\n.\nb\r\n")]), undefined)
  })
})

describe("ContentCheck", () => {
  it.prop(
    "reports exactly the contents with a lone CR before another byte or a lone LF",
    [Bytes, Cuts],
    ([content, cuts]) => {
      const bytes = Buffer.from([...content, 65])
      const problems: Array<string> = []
      const check = new ContentCheck({ write: () => undefined }, (problem) => problems.push(problem))
      for (const piece of cut(bytes, cuts)) check.write(piece, 0, piece.length)
      const lone = /\r(?!\n)|(?<!\r)\n/.test(bytes.toString("latin1"))
      assert.strictEqual(problems.length, lone ? 1 : 0)
    },
    { arbitrary: { runs: 1000 } }
  )
})
