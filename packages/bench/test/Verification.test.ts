import { assert, describe, it } from "@effect/vitest"
import * as Digest from "@mailrace/testing/Digest"
import { problemOf } from "../src/Verification.ts"

const bytes = (text: string) => Buffer.from(text)

const sent = Digest.of([bytes("one"), bytes("two")])

describe("Verification", () => {
  it("has nothing to say when everything arrived, in whatever order", () => {
    const arrived = Digest.of([bytes("two"), bytes("one")])
    assert.isUndefined(problemOf({ messages: 2, sent, arrived, countOnly: false }))
  })

  it("tells of a message that is missing or doubled", () => {
    for (const contents of [["one"], ["one", "two", "two"]]) {
      const arrived = Digest.of(contents.map(bytes))
      assert.include(problemOf({ messages: 2, sent, arrived, countOnly: true }), `${contents.length} arrived`)
    }
  })

  it("tells of a byte that is not the same, unless the sink keeps no bytes", () => {
    const arrived = Digest.of([bytes("one"), bytes("twO")])
    assert.include(problemOf({ messages: 2, sent, arrived, countOnly: false }), "byte for byte")
    assert.isUndefined(problemOf({ messages: 2, sent, arrived, countOnly: true }))
  })
})
