import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import { type Address, AddressRace } from "../../../src/internal/open/addressRace.ts"
import { AddressRecord } from "../../../src/internal/open/addressRecord.ts"
import * as Arbitraries from "../../support/arbitraries.ts"

const v4 = (n: number): Address => ({ address: `192.0.2.${n}`, family: 4 })
const v6 = (n: number): Address => ({ address: `2001:db8::${n}`, family: 6 })

/** The order in which addresses are tried when each hangs, with the times. */
const tried = (race: AddressRace<string>, from = 0): ReadonlyArray<readonly [string, number]> => {
  const all: Array<readonly [string, number]> = []
  let now = from
  while (race.changesIn(now) !== Number.POSITIVE_INFINITY) {
    now += race.changesIn(now)
    all.push([race.next(now)!.address, now])
  }
  return all
}

const made = (addresses: ReadonlyArray<Address>, record = new AddressRecord()): AddressRace<string> => {
  const race = new AddressRace<string>(record)
  race.add(addresses)
  return race
}

describe("AddressRace", () => {
  it("takes the families in turn, a quarter of a second apart, in the resolver's order", () => {
    assert.deepStrictEqual(tried(made([v6(1), v6(2), v6(3), v4(1), v4(2)])), [
      ["2001:db8::1", 0],
      ["192.0.2.1", 250],
      ["2001:db8::2", 500],
      ["192.0.2.2", 750],
      ["2001:db8::3", 1000]
    ])
    assert.deepStrictEqual(
      tried(made([v4(1), v4(2), v6(1)])).map(([address]) => address),
      ["192.0.2.1", "2001:db8::1", "192.0.2.2"]
    )
  })

  it("begins the next at once when one fails, and not before its time otherwise", () => {
    const race = made([v4(1), v4(2), v4(3)])
    assert.strictEqual(race.next(0)!.address, "192.0.2.1")
    assert.isUndefined(race.next(249))
    race.failed("192.0.2.1", "refused", 10)
    assert.strictEqual(race.next(10)!.address, "192.0.2.2")
    assert.isUndefined(race.next(259))
    assert.strictEqual(race.next(260)!.address, "192.0.2.3")
    assert.isFalse(race.isLost)
    race.failed("192.0.2.3", "refused", 300)
    race.failed("192.0.2.2", "no route", 300)
    assert.isTrue(race.isLost)
    assert.deepStrictEqual(race.failures, [
      { address: "192.0.2.1", problem: "refused" },
      { address: "192.0.2.3", problem: "refused" },
      { address: "192.0.2.2", problem: "no route" }
    ])
  })

  it("takes addresses that come late, each once", () => {
    const race = made([v4(1)])
    race.next(0)
    race.failed("192.0.2.1", "refused", 5)
    assert.isTrue(race.isLost)
    race.add([v4(1), v6(1)])
    assert.isFalse(race.isLost)
    assert.strictEqual(race.next(50)!.address, "2001:db8::1")
    assert.strictEqual(race.size, 2)
  })

  it("tries what lately failed, or lost with a head start, last", () => {
    const record = new AddressRecord()
    const first = made([v6(1), v4(1), v4(2)], record)
    first.next(0)
    first.next(250)
    first.connected("192.0.2.1", 280)
    assert.deepStrictEqual(
      tried(made([v6(1), v4(1), v4(2)], record), 1_000).map(([address]) => address),
      ["192.0.2.1", "192.0.2.2", "2001:db8::1"]
    )
    // Ten minutes later it is like any other.
    assert.strictEqual(tried(made([v6(1), v4(1)], record), 601_000)[0]![0], "2001:db8::1")
  })

  it("what has connected again is no longer doubtful, and a later loser keeps its place", () => {
    const record = new AddressRecord()
    record.failed("192.0.2.1", 0)
    const race = made([v4(1), v4(2)], record)
    assert.strictEqual(race.next(1)!.address, "192.0.2.2")
    race.next(251)
    race.connected("192.0.2.1", 300)
    assert.isFalse(record.isDoubtful("192.0.2.1", 300))
    assert.isTrue(record.isDoubtful("192.0.2.2", 300))
    const other = made([v4(3), v4(4)], record)
    other.next(0)
    other.next(250)
    other.connected("192.0.2.3", 260)
    assert.isFalse(record.isDoubtful("192.0.2.4", 260))
  })

  it("tries no more than 32 addresses", () => {
    const race = made(Array.from({ length: 40 }, (_, n) => v4(n)))
    assert.lengthOf(tried(race), 32)
  })

  it("remembers no more than 64 failures", () => {
    const record = new AddressRecord()
    for (let n = 0; n < 100; n++) record.failed(`a${n}`, n)
    assert.isFalse(record.isDoubtful("a35", 100))
    assert.isTrue(record.isDoubtful("a36", 100))
  })

  it.prop(
    "every address is tried once, whatever fails and whenever, and none begins less than 250 ms after one that goes on",
    [
      Arbitrary.array(Arbitraries.pick([v4(1), v4(2), v4(3), v6(1), v6(2), v6(3)]), { minLength: 1, maxLength: 8 }),
      Arbitrary.array(Arbitraries.int(0, 600), { minLength: 8, maxLength: 8 })
    ],
    ([addresses, failAfter]) => {
      const race = made(addresses)
      const failAt = new Map<string, number>()
      const begun: Array<string> = []
      let lastBegin = Number.NEGATIVE_INFINITY
      let hasFailedSince = true
      for (let now = 0; !race.isLost; now++) {
        for (const [address, at] of failAt)
          if (at === now) {
            failAt.delete(address)
            race.failed(address, "x", now)
            hasFailedSince = true
          }
        const next = race.next(now)
        if (next === undefined) continue
        assert.isTrue(hasFailedSince || now - lastBegin >= 250)
        lastBegin = now
        hasFailedSince = false
        begun.push(next.address)
        failAt.set(next.address, now + 1 + failAfter[begun.length - 1]!)
      }
      assert.deepStrictEqual(begun.toSorted(), [...new Set(addresses.map(({ address }) => address))].toSorted())
      assert.lengthOf(race.failures, begun.length)
    }
  )
})
