/**
 * A queue that any entry may leave, as links between the entries.
 *
 * A `Set` does the same, but each time that it grows or is tidied up it leaves its table behind. One that has reached the old
 * generation keeps what had been in it alive until that is collected: up to 1.4 MB of messages that were over, promoted with
 * each scavenge, and 4 µs of the sender's CPU a message.
 */

/** An entry, which waits in at most one line. */
export interface Waiter {
  line: WaitingLine<this> | undefined
  previous: this | undefined
  next: this | undefined
}

/** A queue that anybody may leave. */
export class WaitingLine<A extends Waiter> {
  /** The longest waiting entry. */
  first: A | undefined
  /** The latest entry. */
  last: A | undefined
  /** The number of entries. */
  size = 0

  /** Lines up behind the others. */
  add(waiter: A): void {
    waiter.line = this as WaitingLine<typeof waiter>
    waiter.previous = this.last
    if (this.last === undefined) this.first = waiter
    else this.last.next = waiter
    this.last = waiter
    this.size++
  }

  /** Leaves, from wherever in the line; nothing happens if it is not there. */
  delete(waiter: A): void {
    if (waiter.line !== this) return
    const { next, previous } = waiter
    if (previous === undefined) this.first = next
    else previous.next = next
    if (next === undefined) this.last = previous
    else next.previous = previous
    waiter.line = waiter.previous = waiter.next = undefined
    this.size--
  }

  /** Empties the line and returns all that were in it, in their order. */
  takeAll(): ReadonlyArray<A> {
    const all: Array<A> = []
    for (let waiter = this.first; waiter !== undefined; waiter = this.first) {
      this.delete(waiter)
      all.push(waiter)
    }
    return all
  }
}
