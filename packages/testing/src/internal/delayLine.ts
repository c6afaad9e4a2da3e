/**
 * A queue of callbacks that run later, all by the same delay, in order: bytes in flight. One timer serves them all, so that a
 * long round trip costs no throughput.
 */
export class DelayLine {
  readonly #delayMs: number
  readonly #items: Array<{ readonly due: number; readonly run: () => void }> = []
  #head = 0
  #timer: NodeJS.Timeout | undefined

  constructor(delayMs: number) {
    this.#delayMs = delayMs
  }

  get isEmpty(): boolean {
    return this.#head === this.#items.length
  }

  push(run: () => void): void {
    this.#items.push({ due: performance.now() + this.#delayMs, run })
    if (this.#timer === undefined) this.#arm(this.#delayMs)
  }

  clear(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#items.length = 0
    this.#head = 0
  }

  #arm(ms: number): void {
    this.#timer = setTimeout(() => this.#deliver(), Math.max(0, ms))
  }

  #deliver(): void {
    this.#timer = undefined
    // A timer may be a little early; what is due within half a millisecond goes now rather than a whole one later.
    const now = performance.now() + 0.5
    while (this.#head < this.#items.length && this.#items[this.#head]!.due <= now) this.#items[this.#head++]!.run()
    if (this.#head === this.#items.length) {
      this.#items.length = 0
      this.#head = 0
    } else {
      this.#items.splice(0, this.#head)
      this.#head = 0
      this.#arm(this.#items[this.#head]!.due - now)
    }
  }
}
