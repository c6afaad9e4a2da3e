import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Utf16 from "../../src/internal/utf16.ts"
import { cut, sizes } from "../support/chunks.ts"
import { nastyText } from "../support/text.ts"

const converted = (bytes: Uint8Array, sizes: ReadonlyArray<number>) =>
  Effect.map(Stream.runCollect(Utf16.toUtf8("list")(Stream.fromIterable(cut(bytes, sizes)))), (chunks) =>
    Buffer.concat(chunks).toString()
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
        assert.include(error.message, "list is not valid UTF-16")
      }
    })
  )
})
