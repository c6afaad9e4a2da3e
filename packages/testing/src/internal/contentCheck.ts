/** Looks for CR and LF that do not stand together (RFC 5321 §2.3.8) while content passes through. */
import type { ByteSink } from "./dotDecoder.ts"

const lineFeed = 10
const carriageReturn = 13

export class ContentCheck implements ByteSink {
  readonly #next: ByteSink
  readonly #report: (problem: string) => void
  #reported = false
  /** True if the range before ended in CR. */
  #afterCr = false

  constructor(next: ByteSink, report: (problem: string) => void) {
    this.#next = next
    this.#report = report
  }

  /** Readies the check for the next content. */
  reset(): void {
    this.#reported = false
    this.#afterCr = false
  }

  write(bytes: Buffer, start: number, end: number): void {
    if (!this.#reported) this.#look(bytes, start, end)
    this.#next.write(bytes, start, end)
  }

  #look(bytes: Buffer, start: number, end: number): void {
    if (start === end) return
    const range = bytes.subarray(start, end)
    if (this.#afterCr && range[0] !== lineFeed) return this.#found("a bare CR in the content")
    for (let at = range.indexOf(lineFeed); at !== -1; at = range.indexOf(lineFeed, at + 1)) {
      if (at === 0 ? !this.#afterCr : range[at - 1] !== carriageReturn) return this.#found("a bare LF in the content")
    }
    const last = range.length - 1
    for (let at = range.indexOf(carriageReturn); at !== -1 && at < last; at = range.indexOf(carriageReturn, at + 1)) {
      if (range[at + 1] !== lineFeed) return this.#found("a bare CR in the content")
    }
    this.#afterCr = range[last] === carriageReturn
  }

  #found(problem: string): void {
    this.#reported = true
    this.#report(problem)
  }
}
