/**
 * The time of the current turn of the event loop.
 *
 * A chunk of replies ends dozens of messages and begins as many, each of which asks for the time about ten times. One reading
 * serves them all: it is forgotten as soon as the callback that first asked for it has returned to the event loop.
 */

let reading: number | undefined

const forget = (): void => {
  reading = undefined
}

const resolved = Promise.resolve()

/** Milliseconds on the scale of `performance.now()`. */
export const turnTime = (): number => {
  if (reading === undefined) {
    reading = performance.now()
    void resolved.then(forget)
  }
  return reading
}
