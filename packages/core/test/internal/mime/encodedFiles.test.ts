import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import { EncodedFiles, maxBytes } from "../../../src/internal/mime/encodedFiles.ts"

const chunk = new Uint8Array(8 * 1024 * 1024)

describe("encodedFiles", () => {
  it("keeps a file from the second time on that it is asked for, and records it once at a time", () => {
    const files = new EncodedFiles()
    assert.isUndefined(files.record("a", 10))
    const recording = files.record("a", 10)!
    assert.isUndefined(files.record("a", 10))
    recording.add(chunk)
    assert.isUndefined(files.get("a"))
    recording.end()
    recording.abandon()
    assert.deepStrictEqual(files.get("a"), [chunk])
    assert.isUndefined(files.get("b"))
  })

  it("keeps nothing of a file that was not read to its end, and tries again", () => {
    const files = new EncodedFiles()
    files.record("a", 10)
    const recording = files.record("a", 10)!
    recording.add(chunk)
    recording.abandon()
    recording.end()
    assert.isUndefined(files.get("a"))
    assert.isDefined(files.record("a", 10))
  })

  it("keeps no file that is larger than all that may be kept", () => {
    const files = new EncodedFiles()
    files.record("a", maxBytes + 1)
    assert.isUndefined(files.record("a", maxBytes + 1))
  })

  it.prop(
    "never exceeds its capacity and evicts the least recently used file",
    [Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 15 }))))],
    ([asked]) => {
      const files = new EncodedFiles()
      const used: Array<string> = []
      for (const name of asked.map(String)) {
        if (files.get(name) === undefined) {
          // The first time, it is only noted that the file was asked for.
          const recording = files.record(name, chunk.length) ?? files.record(name, chunk.length)!
          recording.add(chunk)
          recording.end()
        }
        if (used.includes(name)) used.splice(used.indexOf(name), 1)
        used.push(name)
        assert.isAtMost(files.bytes, maxBytes)
      }
      const kept = used.slice(-Math.floor(maxBytes / chunk.length))
      for (const name of used) assert.strictEqual(files.get(name) !== undefined, kept.includes(name), name)
    }
  )
})
