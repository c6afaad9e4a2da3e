import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { FairQueue } from "../src/FairQueue.ts"

const place = (lane: string, tenant = "", isUrgent = false) => ({ lane, tenant, isUrgent })

const always = () => 0

describe("FairQueue", () => {
  it("takes from the lanes in turn, and passes one that sleeps", () => {
    const queue = new FairQueue<string>()
    for (let i = 0; i < 100; i++) queue.add(`slow ${i}`, place("slow"))
    for (let i = 0; i < 3; i++) queue.add(`quick ${i}`, place("quick"))
    const wait = (item: string) => (item.startsWith("slow") && item !== "slow 0" ? 50 : 0)
    const taken = Array.from({ length: 5 }, () => queue.take(0, wait))
    assert.deepStrictEqual(taken, ["slow 0", "quick 0", "quick 1", "quick 2", undefined])
    assert.strictEqual(queue.wakesAt, 50)
    assert.strictEqual(queue.take(50, wait), "slow 1")
  })

  it("gives tenants shares by weight, and a late one none of the past", () => {
    const queue = new FairQueue<string>((tenant) => (tenant === "big" ? 3 : 1))
    for (let i = 0; i < 1000; i++) {
      queue.add("big", place(`lane ${i % 7}`, "big"))
      queue.add("small", place("one", "small"))
    }
    const first = Array.from({ length: 400 }, () => queue.take(0, always))
    assert.strictEqual(first.filter((tenant) => tenant === "big").length, 300)
    for (let i = 0; i < 100; i++) queue.add("late", place("one", "late"))
    const next = Array.from({ length: 100 }, () => queue.take(0, always))
    assert.isAtMost(next.filter((tenant) => tenant === "late").length, 21)
  })

  it("takes at most three urgent messages of four while others wait", () => {
    const queue = new FairQueue<string>()
    for (let i = 0; i < 20; i++) {
      queue.add("urgent", place("a", "", true))
      queue.add("normal", place("a"))
    }
    const taken = Array.from({ length: 16 }, () => queue.take(0, always))
    assert.strictEqual(taken.filter((item) => item === "urgent").length, 12)
    assert.strictEqual(taken[0], "urgent")
  })

  it.prop(
    "gives out every message once that was not taken back",
    [Schema.Array(Schema.Tuple([Schema.Int, Schema.Int, Schema.Boolean, Schema.Boolean]))],
    ([messages]) => {
      const queue = new FairQueue<number>()
      const removes = messages.map(([lane, tenant, isUrgent], i) =>
        queue.add(i, place(String(lane % 4), String(tenant % 3), isUrgent))
      )
      const kept = messages.flatMap(([, , , isRemoved], i) => (isRemoved && removes[i]!() ? [] : [i]))
      assert.strictEqual(queue.size, kept.length)
      const taken = kept.map(() => queue.take(0, always)!)
      assert.sameMembers(taken, kept)
      assert.strictEqual(queue.take(0, always), undefined)
      assert.isTrue(removes.every((remove) => !remove()))
    }
  )
})
