/**
 * Chooses among messages of different priority that wait in one lane.
 *
 * Each class gets its share of a claim: 16 high, 4 normal, 1 bulk. A random part of one share offsets each class, so
 * that even a lane whose messages are claimed one at a time gives bulk its turn: about one in thirty.
 */

const weights = [16, 4, 1] as const

/** Takes at most `limit` from the classes by their weights, keeping the order within a class. */
export const choose = <A>(
  classes: ReadonlyArray<ReadonlyArray<A>>,
  limit: number,
  random: () => number = Math.random
): ReadonlyArray<A> => {
  const waiting = classes.filter((mails) => mails.length > 0)
  if (waiting.length === 1) return waiting[0]!.slice(0, limit)
  return classes
    .flatMap((mails, priority) => {
      const offset = random()
      return mails.map((mail, rank) => ({ mail, turn: (rank + 1 - offset) / weights[priority]! }))
    })
    .sort((a, b) => a.turn - b.turn)
    .slice(0, limit)
    .map(({ mail }) => mail)
}
