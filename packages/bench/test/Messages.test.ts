import { assert, describe, it } from "@effect/vitest"
import * as Messages from "../src/Messages.ts"

describe("Messages", () => {
  it("have exactly the size that was asked for, CRLF at every line's end, and a line that begins with a dot", () => {
    for (const messageBytes of [512, 1024, 10_240, 1_048_576]) {
      const content = Buffer.from(Messages.make({ messageBytes, content: "generated" }).content(7)).toString("latin1")
      assert.strictEqual(content.length, messageBytes)
      assert.isTrue(content.endsWith("\r\n"))
      assert.isFalse(/[^\r]\n|\r[^\n]/.test(content))
      assert.include(content, "\r\n.")
      assert.isTrue(content.split("\r\n").every((line) => line.length <= 78))
    }
  })

  it("are each unlike all others when generated, and repeat after the ring when prebuilt", () => {
    const generated = Messages.make({ messageBytes: 1024, content: "generated" })
    assert.notDeepEqual(generated.content(1), generated.content(1_000_001))
    const prebuilt = Messages.make({ messageBytes: 1024, content: "prebuilt" })
    assert.strictEqual(prebuilt.content(1), prebuilt.content(1 + prebuilt.ring))
    assert.notDeepEqual(prebuilt.content(1), prebuilt.content(2))
  })

  it("look the same at a glimpse", () => {
    for (const content of ["generated", "prebuilt"] as const) {
      const messages = Messages.make({ messageBytes: 1024, content })
      for (const index of [0, 3, 5000]) assert.deepStrictEqual(messages.glimpse(index), messages.content(index))
    }
  })

  it("go to as many recipients as were asked for, each another", () => {
    const { envelope } = Messages.make({ messageBytes: 1024, content: "prebuilt", recipients: 50 })
    assert.strictEqual(new Set(envelope(3).to).size, 50)
  })
})
