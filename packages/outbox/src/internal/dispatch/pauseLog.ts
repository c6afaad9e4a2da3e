/**
 * Logs which lanes are paused and resumed, by whichever process: otherwise a dispatcher would fall silent about those lanes.
 */
import * as Effect from "effect/Effect"
import type * as Duration from "effect/Duration"
import * as LogEvent from "mailrace/LogEvent"
import type { OutboxStore } from "../../OutboxStore.ts"

/** The most lanes that are named at once; the others are counted. */
const mostNamed = 10

/** Looks at once, and then at each interval. */
export const run = Effect.fnUntraced(function* (
  { name, pausedLanes }: Pick<OutboxStore, "name" | "pausedLanes">,
  interval: Duration.Input
): Effect.fn.Return<never> {
  let before: ReadonlySet<string> = new Set()
  while (true) {
    // The claimer reports a store that does not answer.
    const now = yield* Effect.orElseSucceed(
      Effect.map(pausedLanes, (lanes) => new Set(lanes)),
      () => before
    )
    yield* report("lane.paused", missing(now, before), name)
    yield* report("lane.resumed", missing(before, now), name)
    before = now
    yield* Effect.sleep(interval)
  }
})

const missing = (all: ReadonlySet<string>, others: ReadonlySet<string>): ReadonlyArray<string> =>
  [...all].filter((lane) => !others.has(lane))

const words = {
  "lane.paused": "paused: nothing more is sent from it until it is resumed",
  "lane.resumed": "resumed, and messages are sent from it"
}

const report = (event: keyof typeof words, lanes: ReadonlyArray<string>, outbox: string): Effect.Effect<void> => {
  const named = lanes.slice(0, mostNamed)
  const more = lanes.length - named.length
  const each = Effect.forEach(
    named,
    (lane) => LogEvent.info(event, `lane ${lane} of ${outbox} is ${words[event]}`, { lane, outbox }),
    { discard: true }
  )
  return more === 0
    ? each
    : Effect.andThen(
        each,
        LogEvent.info(event, `${more} more lanes of ${outbox} are ${event.slice("lane.".length)}`, {
          lanes: more,
          outbox
        })
      )
}
