import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Utf16 from "../src/Utf16.ts"

const pieces = Schema.Literals(["a", "\n", "\r\n", ",", "é", "€", "😀", "\u2028", "\0"])
const nastyText = Arbitrary.map(Arbitrary.array(Arbitrary.schema(pieces)), (parts) => parts.join(""))
const sizes = Schema.Array(Schema.Int)

/** Cuts bytes into pieces of the given sizes, again and again until nothing is left. */
const cut = (bytes: Uint8Array, sizes: ReadonlyArray<number>): Array<Uint8Array> => {
  const parts: Array<Uint8Array> = []
  for (let at = 0; at < bytes.length; at += parts.at(-1)!.length) {
    const size = sizes.length === 0 ? bytes.length : 1 + (Math.abs(sizes[parts.length % sizes.length]!) % 64)
    parts.push(bytes.subarray(at, at + size))
  }
  return parts
}

const converted = (bytes: Uint8Array, sizes: ReadonlyArray<number>) =>
  Stream.fromIterable(cut(bytes, sizes)).pipe(
    Utf16.toUtf8((problem, remedy) => new Error(`the list ${problem}; ${remedy}`)),
    Stream.runCollect,
    Effect.map((chunks) => Buffer.concat(chunks).toString())
  )

describe("UTF-16", () => {
  it.effect.prop(
    "becomes UTF-8 however its bytes are cut, with a mark in either order",
    { text: nastyText, sizes, isBig: Schema.Boolean },
    Effect.fnUntraced(function* ({ isBig, sizes, text }) {
      const little = Buffer.from(`\uFEFF${text}`, "utf16le")
      // A text of one NUL looks like UTF-32, which is not read.
      if (text.startsWith("\0")) return
      assert.strictEqual(yield* converted(isBig ? little.swap16() : little, sizes), text)
    })
  )

  it.effect.prop(
    "is not seen in UTF-8",
    { text: nastyText, sizes },
    Effect.fnUntraced(function* ({ sizes, text }) {
      if (/^[^]?\0/.test(text)) return
      assert.strictEqual(yield* converted(Buffer.from(text), sizes), text)
    })
  )

  it.effect("is refused where it has half of a character", () =>
    Effect.gen(function* () {
      for (const text of ["\uFEFFa\uD83D", "\uFEFFa\uDE00b"]) {
        const error = yield* Effect.flip(converted(Buffer.from(text, "utf16le"), [3]))
        assert.include(error.message, "the list is not valid UTF-16")
      }
    })
  )
})
