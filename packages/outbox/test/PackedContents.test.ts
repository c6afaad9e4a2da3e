import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { packContents, unpackContents } from "../src/internal/store/packedContents.ts"
import type { Content } from "../src/internal/store/storedContent.ts"

/** A text, or bytes of a length that begin somewhere in the memory that they are a view of. */
const anyContents = Schema.Array(
  Schema.Union([
    Schema.String,
    Schema.Struct({ length: Schema.Literals([0, 1, 1000, 16_383, 16_384, 40_000]), offset: Schema.Literals([0, 8]) })
  ])
)

const bytes = (length: number, offset: number, seed: number): Uint8Array =>
  Uint8Array.from({ length: offset + length }, (_, i) => (i * 31 + seed) & 255).subarray(offset)

describe("PackedContents", () => {
  it.prop("pass a thread's port unchanged", [anyContents], ([shapes]) => {
    const contents = shapes.map((shape, i): Content =>
      typeof shape === "string" ? shape : bytes(shape.length, shape.offset, i)
    )
    const arrived = unpackContents(structuredClone(packContents(contents)))
    assert.deepStrictEqual(
      arrived.map((content) => (typeof content === "string" ? content : [...content])),
      contents.map((content) => (typeof content === "string" ? content : [...content]))
    )
  })

  it("do not carry along the memory of which they are views", () => {
    const file = new Uint8Array(1_000_000)
    const { apart, bytes } = packContents([file.subarray(0, 100), file.subarray(100, 50_100), file.subarray(7, 107)])
    assert.strictEqual(bytes.buffer.byteLength, 200)
    assert.strictEqual((apart[1] as Uint8Array).buffer.byteLength, 50_000)
  })
})
