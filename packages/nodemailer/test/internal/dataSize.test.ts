import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import DataStream from "nodemailer/lib/smtp-connection/data-stream.js"
import { DataSize } from "../../src/internal/dataSize.ts"

/** What nodemailer reports for the same pieces. */
const theirs = (pieces: ReadonlyArray<Buffer>): Promise<number> =>
  new Promise((resolve, reject) => {
    const stream = new DataStream()
    stream.on("error", reject)
    stream.on("end", () => resolve(stream.outByteCount))
    stream.resume()
    for (const piece of pieces) stream.write(piece)
    stream.end()
  })

describe("DataSize", () => {
  it.effect.prop(
    "is what nodemailer sends by DATA, wherever the content is cut",
    { texts: Schema.Array(Schema.Array(Schema.Literals(["\r", "\n", "\r\n", ".", "\r\n.", "a"]))) },
    Effect.fnUntraced(function* ({ texts }) {
      const pieces = ["x", ...texts.map((text) => text.join(""))].map((text) => Buffer.from(text))
      const size = new DataSize()
      for (const piece of pieces) size.add(piece)
      const expected = yield* Effect.promise(() => theirs(pieces))
      assert.deepStrictEqual([size.total, DataSize.of(Buffer.concat(pieces))], [expected, expected])
      size.restart()
      assert.strictEqual(size.total, 3)
    })
  )
})
