import { assert, describe, it } from "@effect/vitest"
import { NameQuestions } from "../../../src/internal/open/nameQuestions.ts"

describe("NameQuestions", () => {
  it("asks for both families together, and is content with the answer", () => {
    const questions = new NameQuestions(0, 5_000)
    assert.deepStrictEqual(questions.due(0), [0])
    assert.strictEqual(questions.changesIn(0), 100)
    questions.answered(0)
    assert.deepStrictEqual(questions.due(50), [])
    assert.isTrue(questions.isOver(50))
    assert.isUndefined(questions.failure(50))
    assert.strictEqual(questions.changesIn(50), Number.POSITIVE_INFINITY)
  })

  it("asks for each family alone where there is no answer after a tenth of a second", () => {
    const questions = new NameQuestions(0, 5_000)
    questions.due(0)
    assert.deepStrictEqual(questions.due(99), [])
    assert.deepStrictEqual(questions.due(100), [4, 6])
    assert.deepStrictEqual(questions.due(200), [])
    assert.strictEqual(questions.changesIn(200), 4_800)
    questions.answered(4)
    // The other family may still come.
    assert.isFalse(questions.isOver(300))
    questions.failed(6, "EAI_AGAIN")
    assert.isFalse(questions.isOver(300))
    assert.isTrue(questions.isOver(5_000))
    assert.isUndefined(questions.failure(5_000))
  })

  it("asks for each family alone where both together fail for now", () => {
    const questions = new NameQuestions(0, 5_000)
    questions.due(0)
    questions.failed(0, "EAI_AGAIN")
    assert.deepStrictEqual(questions.due(1), [4, 6])
    questions.failed(4, "ENOTFOUND")
    questions.failed(6, "EAI_AGAIN")
    assert.isTrue(questions.isOver(2))
    assert.strictEqual(questions.failure(2), "EAI_AGAIN")
  })

  it("takes a name that does not exist at its word", () => {
    const together = new NameQuestions(0, 5_000)
    together.due(0)
    together.failed(0, "ENOTFOUND")
    assert.deepStrictEqual(together.due(1), [])
    assert.strictEqual(together.failure(1), "ENOTFOUND")
    const apart = new NameQuestions(0, 5_000)
    apart.due(0)
    apart.due(100)
    apart.failed(4, "EAI_ADDRFAMILY")
    assert.isFalse(apart.isOver(100))
    apart.failed(6, "EAI_NODATA")
    assert.strictEqual(apart.failure(100), "ENOTFOUND")
  })

  it("gives up when the time is over", () => {
    const questions = new NameQuestions(1_000, 20)
    questions.due(1_000)
    assert.strictEqual(questions.changesIn(1_000), 20)
    assert.strictEqual(questions.failure(1_019), undefined)
    assert.isTrue(questions.isOver(1_020))
    assert.strictEqual(questions.failure(1_020), "TIMEOUT")
  })
})
