/**
 * The order in which lanes are claimed from.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { LaneQueue } from "../src/internal/dispatch/laneQueue.ts"

const lanes = 5

/** Adds the lane of a number below `lanes`, and deletes that of a higher one. */
const Steps = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 * lanes - 1 })))

const names = (queue: LaneQueue) => [...queue].map(({ lane }) => lane)

describe("LaneQueue", () => {
  it.prop("keeps lanes in the order in which they were added, each once", { steps: Steps }, ({ steps }) => {
    const queue = new LaneQueue()
    let model: ReadonlyArray<string> = []
    for (const step of steps) {
      const isAdded = step < lanes
      const bucket = step % lanes
      const lane = `lane ${bucket}`
      if (isAdded) queue.add({ bucket, lane })
      else queue.delete(lane)
      if (!isAdded) model = model.filter((known) => known !== lane)
      else if (!model.includes(lane)) model = [...model, lane]
      assert.deepStrictEqual(names(queue), model)
      assert.deepStrictEqual([queue.size, queue.has(lane)], [model.length, isAdded])
    }
  })

  it("allows the deletion of lanes during iteration", () => {
    const queue = new LaneQueue()
    for (let i = 0; i < 5; i++) queue.add({ bucket: i, lane: `lane ${i}` })
    const seen: Array<string> = []
    for (const { lane } of queue) {
      seen.push(lane)
      queue.delete(lane)
    }
    assert.deepStrictEqual([seen.length, queue.size, names(queue)], [5, 0, []])
  })
})
