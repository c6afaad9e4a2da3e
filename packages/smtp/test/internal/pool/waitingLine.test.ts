import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type Waiter, WaitingLine } from "../../../src/internal/pool/waitingLine.ts"

class Person implements Waiter {
  readonly name: number
  line: WaitingLine<this> | undefined
  previous: this | undefined
  next: this | undefined

  constructor(name: number) {
    this.name = name
  }
}

const people = 8

/** Even numbers line up, odd ones leave. */
const moves = Arbitrary.schema(
  Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 * people - 1 })))
)

describe("WaitingLine", () => {
  it.effect.prop(
    "is a set in the order of arrival, whoever leaves from wherever",
    [moves],
    ([given]) =>
      Effect.sync(() => {
        const line = new WaitingLine<Person>()
        const other = new WaitingLine<Person>()
        const all = Array.from({ length: people }, (_, name) => new Person(name))
        const model = new Set<Person>()
        for (const move of given) {
          const person = all[move >> 1]!
          if (move % 2 === 1) {
            line.delete(person)
            other.delete(person)
            model.delete(person)
          } else if (!model.has(person)) {
            line.add(person)
            model.add(person)
          }
          assert.strictEqual(line.size, model.size)
          assert.strictEqual(line.first, [...model][0])
        }
        assert.deepStrictEqual(
          line.takeAll().map(({ name }) => name),
          [...model].map(({ name }) => name)
        )
        assert.deepStrictEqual([line.size, line.first], [0, undefined])
        // Nobody who has left keeps another alive.
        for (const { next, previous } of all) assert.deepStrictEqual([next, previous], [undefined, undefined])
      }),
    { arbitrary: { runs: 200 } }
  )
})
