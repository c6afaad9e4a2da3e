import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"
import * as Address from "../../../src/Address.ts"
import { AddressSet, domainKey, keyOf } from "../../../src/internal/address/addressSet.ts"

const key = (address: string) => keyOf(Address.fromStringUnsafe(address))

describe("addressSet", () => {
  it.prop(
    "contains exactly what was added",
    [
      Arbitrary.array(
        Arbitrary.schema(Schema.Union([Schema.String, Schema.Literals(["", "a", "b", "aa", "ab", "ba"])])),
        { maxLength: 200 }
      )
    ],
    ([keys]) => {
      const set = new AddressSet()
      const known = new Set<string>()
      for (const one of keys) {
        assert.strictEqual(set.has(one), known.has(one))
        assert.strictEqual(set.add(one), !known.has(one))
        known.add(one)
        assert.isTrue(set.has(one))
        assert.strictEqual(set.size, known.size)
      }
    }
  )

  it("holds a million distinct addresses in 17 MB", () => {
    const set = new AddressSet()
    for (let i = 0; i < 1_000_000; i++) if (!set.add(`person${i}@example${i % 97}.org`)) assert.fail(`${i} was there`)
    for (let i = 0; i < 1_000_000; i += 7) if (!set.has(`person${i}@example${i % 97}.org`)) assert.fail(`${i} is lost`)
    for (let i = 0; i < 1_000_000; i++) if (set.has(`person${i}@example.com`)) assert.fail(`${i} is made up`)
    assert.strictEqual(set.size, 1_000_000)
    assert.isBelow(set.bytes, 17_000_000)
  })

  it("compares addresses as lists do", () => {
    assert.strictEqual(key("Ann@EXAMPLE.org"), key("ann@example.org"))
    assert.strictEqual(key('"ann.b"@example.org'), key("ann.b@example.org"))
    assert.strictEqual(key('"a\\n\\n"@example.org'), key("ann@example.org"))
    assert.strictEqual(key('"änn"@example.org'), key("änn@example.org"))
    assert.strictEqual(key('"a\\ b"@example.org'), key('"a b"@example.org'))
    assert.strictEqual(key("ann@BÜCHER.example"), key("ann@xn--bcher-kva.example"))
    assert.strictEqual(key("\u00e9@example.org"), key("e\u0301@example.org"))
    assert.strictEqual(domainKey("Bücher.Example"), "xn--bcher-kva.example")
    assert.notStrictEqual(key('"a b"@example.org'), key("ab@example.org"))
    assert.notStrictEqual(key('"a..b"@example.org'), key("a.b@example.org"))
    assert.notStrictEqual(key('"a\\"b"@example.org'), key('"ab"@example.org'))
    assert.notStrictEqual(key("a+b@example.org"), key("a@example.org"))
  })
})
