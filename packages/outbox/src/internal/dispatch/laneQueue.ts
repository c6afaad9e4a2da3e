/**
 * Lanes in the order in which they are claimed from.
 *
 * The order is a linked list. A `Map` keeps the places of deleted keys until it is tidied up, so that each look at
 * its first lanes would walk over thousands of them: lanes leave at the head all the time.
 */
import type { DueLane } from "../../OutboxStore.ts"

interface Place {
  readonly dueLane: DueLane
  before: Place | undefined
  after: Place | undefined
}

/** Lanes in order, each once. */
export class LaneQueue {
  private readonly places = new Map<string, Place>()
  private head: Place | undefined
  private tail: Place | undefined

  get size(): number {
    return this.places.size
  }

  has(lane: string): boolean {
    return this.places.has(lane)
  }

  /** Adds a lane at the end; one that is known keeps its place. */
  add(dueLane: DueLane): void {
    if (this.places.has(dueLane.lane)) return
    const place: Place = { dueLane, before: this.tail, after: undefined }
    if (this.tail === undefined) this.head = place
    else this.tail.after = place
    this.tail = place
    this.places.set(dueLane.lane, place)
  }

  delete(lane: string): void {
    const place = this.places.get(lane)
    if (place === undefined) return
    this.places.delete(lane)
    if (place.before === undefined) this.head = place.after
    else place.before.after = place.after
    if (place.after === undefined) this.tail = place.before
    else place.after.before = place.before
  }

  /** Lanes may be deleted on the way. */
  *[Symbol.iterator](): Iterator<DueLane> {
    for (let place = this.head; place !== undefined; place = place.after) yield place.dueLane
  }
}
