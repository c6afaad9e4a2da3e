/**
 * Recognises an input by its first messages, before any of them is enqueued.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Entry } from "../input/Entry.ts"
import type { Input } from "../input/Input.ts"
import type { InputMarks, IndexedMessage } from "./InputMarks.ts"

/** An input is recognised by this many messages at most. */
const firstMessages = 1000

/**
 * The same entries; `recognise` runs once with the first messages that arrive, before any of them is passed on. If
 * messages arrive one by one and another input holds them too, a few are held back until the two can be told apart.
 */
export const recogniseFirst = (
  entries: Input["entries"],
  marks: InputMarks,
  recognise: (first: ReadonlyArray<IndexedMessage>) => Effect.Effect<void>
): Input["entries"] =>
  entries.pipe(
    Stream.concat(Stream.succeed(undefined)),
    Stream.mapAccumArrayEffect(
      (): Recognition | undefined => ({ passed: 0, held: [] }),
      (state, chunk) => {
        const read = chunk.filter((entry) => entry !== undefined)
        if (state === undefined) return Effect.succeed([undefined, read] as const)
        const { held, passed } = state
        const all = [...held, ...read]
        const first: Array<IndexedMessage> = []
        all.forEach((entry, at) => entry._tag !== "BadEntry" && first.push({ entry, index: passed + at }))
        const isEnd = read.length < chunk.length
        if (!isEnd && first.length === 0)
          return Effect.succeed([{ passed: passed + all.length, held: [] }, all] as const)
        if (!isEnd && marks.mustSeeMore(first)) return Effect.succeed([{ passed, held: all }, []] as const)
        return Effect.as(recognise(first.slice(0, firstMessages)), [undefined, all] as const)
      }
    )
  )

/** The entries before the input is recognised. */
interface Recognition {
  /** Bad entries that were passed on, since they tell nothing about the input. */
  readonly passed: number
  readonly held: ReadonlyArray<Entry>
}
