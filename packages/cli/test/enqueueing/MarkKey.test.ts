import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import * as MarkKey from "../../src/enqueueing/MarkKey.ts"
import { nastyText } from "../support/text.ts"

const count = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1e9 }))

describe("MarkKey", () => {
  it.prop(
    "reads back whatever it wrote, with any file and any path",
    {
      number: count,
      index: count,
      line: count,
      file: nastyText,
      path: nastyText,
      which: Schema.Literals(["line", "file"]),
      isFirst: Schema.Boolean
    },
    ({ file, index, isFirst, line, number, path, which }) => {
      const key: MarkKey.MarkKey = {
        series: { source: MarkKey.sourceOf(path), number: number + 1 },
        index,
        line: which === "line" ? line : index + 1,
        file: which === "file" ? file : undefined,
        fingerprint: 0x77aa01fe,
        path: isFirst && path !== "" ? path : undefined
      }
      assert.deepStrictEqual(MarkKey.parse(MarkKey.format(key)), key)
    },
    { arbitrary: { runs: 500 } }
  )

  it("reads keys of older versions and no foreign ones", () => {
    const older = { series: { source: "5f0c9a1e", number: 1 }, index: 12, fingerprint: 0x77aa01fe, path: undefined }
    assert.deepStrictEqual(MarkKey.parse("send:5f0c9a1e:12:77aa01fe"), { ...older, line: 13, file: undefined })
    assert.deepStrictEqual(MarkKey.parse("send:5f0c9a1e:12@40:77aa01fe"), { ...older, line: 40, file: undefined })
    assert.deepStrictEqual(MarkKey.parse("send:5f0c9a1e:12=a: b.eml:77aa01fe"), {
      ...older,
      line: 13,
      file: "a: b.eml"
    })
    for (const key of [
      undefined,
      "",
      "order 1",
      "send:5f0c9a1e:12:77aa01f",
      "send:5f0c9a1e::77aa01fe",
      "resend:5f0c9a1e:1:77aa01fe"
    ])
      assert.isUndefined(MarkKey.parse(key))
  })
})
