import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import * as Base64 from "../../../src/internal/mime/base64.ts"

const byLines = (bytes: Uint8Array): string =>
  (
    Buffer.from(bytes)
      .toString("base64")
      .match(/.{1,76}/g) ?? []
  ).join("\r\n")

const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 167) ^ (i >> 5))

const AnyLength = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40_000 }))

describe("base64", () => {
  it("is Node's, in lines of 76, for every length around a line's and a block's", () => {
    const lengths = [...Array(250).keys(), 57 * 256 - 1, 57 * 256, 57 * 256 + 1, 57 * 256 + 57, 57 * 512, 57 * 512 + 58]
    for (const length of lengths) {
      const encoded = Base64.encode(bytes(length))
      assert.strictEqual(Buffer.from(encoded).toString("latin1"), byLines(bytes(length)), `${length} bytes`)
      assert.strictEqual(encoded.length, Base64.encodedLength(length))
    }
  })

  it.prop("encodes a view into a larger buffer", [AnyLength, Schema.Literals([0, 1, 7])], ([length, offset]) => {
    const view = bytes(length + offset + 9).subarray(offset, offset + length)
    assert.strictEqual(Buffer.from(Base64.encode(view)).toString("latin1"), byLines(view))
  })

  it.prop(
    "does not depend on where the chunks are cut",
    [
      Arbitrary.array(Arbitrary.schema(Schema.Union([AnyLength, Schema.Literals([0, 1, 56, 57, 58])])), {
        maxLength: 8
      })
    ],
    ([lengths]) => {
      const encoder = new Base64.LineEncoder()
      const chunks = lengths.map(bytes)
      const out = [...chunks.map((chunk) => encoder.push(chunk)), encoder.end()]
      const whole = Buffer.concat(chunks)
      assert.strictEqual(Buffer.concat(out).toString("latin1"), byLines(whole))
      assert.strictEqual(encoder.size, whole.length)
    }
  )
})
