/** Texts of HTTP responses, as long as they may be, and longer. */
import { assert, describe, it } from "vitest"
import * as BoundedText from "../../src/internal/boundedText.ts"

describe("boundedText", () => {
  it("reads a text whole", async () => {
    assert.strictEqual(await BoundedText.read(new Response("mode: enforce ü"), 64), "mode: enforce ü")
    assert.strictEqual(await BoundedText.read(new Response("x".repeat(64)), 64), "x".repeat(64))
    assert.strictEqual(await BoundedText.read(new Response(null), 64), "")
  })

  it("reads no more of an endless text than it may, and closes it", async () => {
    let pulled = 0
    let isClosed = false
    const endless = new ReadableStream({
      pull: (controller) => {
        pulled++
        controller.enqueue(new Uint8Array(10))
      },
      cancel: () => {
        isClosed = true
      }
    })
    const error = await BoundedText.read(new Response(endless), 64).catch((thrown: unknown) => thrown)
    assert.match(String(error), /longer than 64 bytes/)
    assert.isBelow(pulled, 12)
    assert.isTrue(isClosed)
  })
})
