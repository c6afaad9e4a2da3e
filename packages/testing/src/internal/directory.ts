/** Messages as files in a directory, a few written at a time and none waited for. */
import * as fs from "node:fs"
import * as path from "node:path"

const maxWriting = 16
const maxQueued = 1000

export class Directory {
  readonly #path: string
  readonly #queue: Array<{ readonly name: string; readonly content: Uint8Array }> = []
  #next = 1
  #writing = 0
  #waiting: Array<() => void> = []
  /** True if a file could not be written, as on a full disk; nothing more can be promised then. */
  isBroken = false

  constructor(directory: string) {
    this.#path = directory
    fs.mkdirSync(directory, { recursive: true })
    // Numbers go on after those that are there, so that a second run overwrites nothing.
    for (const name of fs.readdirSync(directory)) {
      const number = /^(\d{8,})\.eml$/.exec(name)
      if (number) this.#next = Math.max(this.#next, Number(number[1]) + 1)
    }
  }

  get isBusy(): boolean {
    return this.#queue.length >= maxQueued
  }

  write(content: Uint8Array): void {
    this.#queue.push({ name: `${String(this.#next++).padStart(8, "0")}.eml`, content })
    this.#pump()
  }

  /** Calls back once when nothing is queued any more. */
  drained(resume: () => void): void {
    if (this.#queue.length === 0) resume()
    else this.#waiting.push(resume)
  }

  async close(): Promise<void> {
    while (this.#writing > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  #pump(): void {
    while (this.#writing < maxWriting && this.#queue.length > 0) {
      const { name, content } = this.#queue.shift()!
      this.#writing++
      fs.writeFile(path.join(this.#path, name), content, { mode: 0o600 }, (error) => {
        this.#writing--
        if (error) this.isBroken = true
        this.#pump()
        if (this.#queue.length > 0) return
        for (const resume of this.#waiting.splice(0)) resume()
      })
    }
  }
}
