import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type { Entry } from "../../src/input/Entry.ts"

/** How bytes are cut. */
export const sizes = Schema.Array(Schema.Int)

/** Cuts bytes into pieces of the given sizes, again and again until nothing is left. */
export const cut = (bytes: Uint8Array, sizes: ReadonlyArray<number>): Array<Uint8Array> => {
  const pieces: Array<Uint8Array> = []
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes.length === 0 ? bytes.length : 1 + Math.abs(Math.trunc(sizes[turn % sizes.length]!) % 64)
    pieces.push(bytes.subarray(at, at + size))
    at += size
  }
  return pieces
}

/** Runs a reader over a text that comes in one piece, or in pieces of the given sizes. */
export const read = <E>(
  reader: (bytes: Stream.Stream<Uint8Array>) => Stream.Stream<Entry, E>,
  input: string | Uint8Array,
  sizes: ReadonlyArray<number> = []
): Effect.Effect<ReadonlyArray<Entry>, E> =>
  Stream.runCollect(reader(Stream.fromIterable(cut(typeof input === "string" ? Buffer.from(input) : input, sizes))))
