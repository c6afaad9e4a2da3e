/** Input for property tests that more than one file needs. */
import * as Arbitrary from "effect/Arbitrary"
import * as Schema from "effect/Schema"

/** A whole number of a range, its ends more often than the rest. */
export const int = (minimum: number, maximum: number): Arbitrary.Arbitrary<number> =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

/** One of the values; a value given twice comes twice as often. */
export const pick = <const A>(values: ReadonlyArray<A>): Arbitrary.Arbitrary<A> =>
  Arbitrary.map(int(0, values.length - 1), (index) => values[index]!)

/** A value of one of the arbitraries. */
export const oneOf = <A>(...choices: ReadonlyArray<Arbitrary.Arbitrary<A>>): Arbitrary.Arbitrary<A> =>
  Arbitrary.flatMap(int(0, choices.length - 1), (index) => choices[index]!)

/** Any bytes. */
export const bytes: Arbitrary.Arbitrary<Uint8Array> = Arbitrary.map(Arbitrary.array(int(0, 255)), (values) =>
  Uint8Array.from(values)
)

const crumbs = ["\r", "\n", "\r\n", ".", "..", "\r\n.", "\r\n.\r\n", "a", "bc", "\u00fc", "\0", "QUIT\r\n"].map(
  (text) => Buffer.from(text, "latin1")
)

/** Content made of what line endings and dots can go wrong with, and of any bytes. */
export const content: Arbitrary.Arbitrary<Uint8Array> = Arbitrary.map(
  Arbitrary.array(oneOf<Uint8Array>(pick(crumbs), pick(crumbs), bytes), { maxLength: 40 }),
  (pieces) => Buffer.concat(pieces)
)

/** Where to cut: the sizes of the pieces, taken round and round. */
export const cuts: Arbitrary.Arbitrary<ReadonlyArray<number>> = Arbitrary.array(int(1, 40), {
  minLength: 1,
  maxLength: 12
})

/** Cuts bytes into pieces of these sizes, used again from the first when they are used up. */
export const cut = (whole: Uint8Array, sizes: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const pieces: Array<Uint8Array> = []
  for (let start = 0, i = 0; start < whole.length; i++) {
    const end = start + sizes[i % sizes.length]!
    pieces.push(whole.subarray(start, end))
    start = end
  }
  return pieces
}
