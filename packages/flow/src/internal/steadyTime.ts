/**
 * The time in milliseconds since 1970, on a scale that does not go back when the clock is set back.
 *
 * The machine's clock is read once a turn of the event loop: a chunk of replies ends dozens of messages and begins as many, each
 * of which asks for the time four times, and the clock was a fifth of what flow control cost a message. Another clock, as of a
 * test, may be set between two questions and is read each time.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"

/** Gives the time by a clock. */
export const steadyTime = (clock: Clock.Clock): (() => number) => {
  let latest = Number.NEGATIVE_INFINITY
  let setBackMs = 0
  const read = (): number => {
    const now = clock.currentTimeMillisUnsafe() + setBackMs
    if (now >= latest) return (latest = now)
    setBackMs += latest - now
    return latest
  }
  if (clock !== Context.get(Context.empty(), Clock.Clock)) return read
  let isRead = false
  const forget = (): void => {
    isRead = false
  }
  return () => {
    if (isRead) return latest
    isRead = true
    // Runs as soon as the callback that asked has returned to the event loop.
    queueMicrotask(forget)
    return read()
  }
}
