/** The destination of accepted messages: the modes of `Inbox.Mode` behind one interface. */
import { crc32 } from "node:zlib"
import * as Digest from "../Digest.ts"
import type * as Inbox from "../Inbox.ts"
import { Directory } from "./directory.ts"

/** Takes the bytes of one connection's messages, one message at a time. */
export interface Intake {
  /** Takes a range of bytes; what is kept is copied. */
  readonly write: (bytes: Buffer, start: number, end: number) => void
  /** Bytes taken since the last `finish` or `clear`. */
  readonly size: number
  /** Ends the message. `describe` gives its envelope and is called only when someone wants it. */
  readonly finish: (describe: Describe, answered: boolean) => void
  /** Forgets what was taken of the message. */
  readonly clear: () => void
}

/** Completes a message from its content. */
export type Describe = (content: Uint8Array) => Inbox.Message

export interface Mailbox {
  readonly intake: () => Intake
  /** True if envelopes are wanted at all. */
  readonly describes: boolean
  /** True if no more can be kept. */
  readonly isFull: () => boolean
  /** True if too much waits for the disk; `drained` tells when it no longer does. */
  readonly isBusy: () => boolean
  readonly drained: (resume: () => void) => void
  readonly messages: ReadonlyArray<Inbox.Message>
  readonly unanswered: ReadonlyArray<Inbox.Message>
  readonly digest: Digest.Digest
  readonly reset: () => void
  /** Resolves when nothing waits for the disk. */
  readonly close: () => Promise<void>
}

/** Opens the mailbox of a mode; throws when a directory cannot be made. */
export const make = (mode: Inbox.Mode, onMessage: ((message: Inbox.Message) => void) | undefined): Mailbox => {
  switch (mode.type) {
    case "keep":
      return makeKeeping(mode.maxMessages ?? 100_000, onMessage)
    case "directory":
      return makeDirectory(mode.path, onMessage)
    case "discard":
      return new Discarding(mode.digest ?? false, onMessage)
  }
}

const makeKeeping = (max: number, onMessage: ((message: Inbox.Message) => void) | undefined): Mailbox => {
  const state = { messages: [] as Array<Inbox.Message>, unanswered: [] as Array<Inbox.Message> }
  const store = (message: Inbox.Message, answered: boolean) => {
    if (answered) state.messages.push(message)
    else state.unanswered.push(message)
    onMessage?.(message)
  }
  return {
    intake: () => new Collector(store),
    describes: true,
    isFull: () => state.messages.length + state.unanswered.length >= max,
    isBusy: () => false,
    drained: (resume) => resume(),
    get messages() {
      return state.messages
    },
    get unanswered() {
      return state.unanswered
    },
    get digest() {
      return Digest.of(state.messages.map((message) => message.content))
    },
    reset: () => {
      state.messages = []
      state.unanswered = []
    },
    close: () => Promise.resolve()
  }
}

const makeDirectory = (path: string, onMessage: ((message: Inbox.Message) => void) | undefined): Mailbox => {
  const directory = new Directory(path)
  let digest = Digest.empty
  const store = (message: Inbox.Message) => {
    directory.write(message.content)
    digest = Digest.add(digest, message.content)
    onMessage?.(message)
  }
  return {
    intake: () => new Collector(store),
    describes: true,
    isFull: () => directory.isBroken,
    isBusy: () => directory.isBusy,
    drained: (resume) => directory.drained(resume),
    messages: [],
    unanswered: [],
    get digest() {
      return digest
    },
    reset: () => {
      digest = Digest.empty
    },
    close: () => directory.close()
  }
}

/** Collects the bytes of a message. */
class Collector implements Intake {
  readonly #store: (message: Inbox.Message, answered: boolean) => void
  #parts: Array<Buffer> = []
  size = 0

  constructor(store: (message: Inbox.Message, answered: boolean) => void) {
    this.#store = store
  }

  write(bytes: Buffer, start: number, end: number): void {
    // A copy, because the piece read from the socket may hold many messages and would live as long as any of them.
    this.#parts.push(Buffer.from(bytes.subarray(start, end)))
    this.size += end - start
  }

  finish(describe: Describe, answered: boolean): void {
    const content = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts, this.size)
    this.clear()
    this.#store(describe(content), answered)
  }

  clear(): void {
    this.#parts = []
    this.size = 0
  }
}

/** Counts messages; plain mutable fields, for this is the fast one. */
class Discarding implements Mailbox {
  readonly messages: ReadonlyArray<Inbox.Message> = []
  readonly unanswered: ReadonlyArray<Inbox.Message> = []
  readonly describes: boolean
  readonly digests: boolean
  readonly #onMessage: ((message: Inbox.Message) => void) | undefined
  count = 0
  bytes = 0
  sum = 0
  xor = 0

  constructor(digests: boolean, onMessage: ((message: Inbox.Message) => void) | undefined) {
    this.digests = digests
    this.describes = onMessage !== undefined
    this.#onMessage = onMessage
  }

  get digest(): Digest.Digest {
    return { messages: this.count, bytes: this.bytes, sum: this.sum, xor: this.xor >>> 0 }
  }

  intake(): Intake {
    return new Counter(this, this.#onMessage === undefined ? undefined : new Collector(this.#onMessage))
  }

  isFull(): boolean {
    return false
  }

  isBusy(): boolean {
    return false
  }

  drained(resume: () => void): void {
    resume()
  }

  reset(): void {
    this.count = 0
    this.bytes = 0
    this.sum = 0
    this.xor = 0
  }

  async close(): Promise<void> {}
}

class Counter implements Intake {
  readonly #mailbox: Discarding
  readonly #collector: Collector | undefined
  #crc = 0
  size = 0

  constructor(mailbox: Discarding, collector: Collector | undefined) {
    this.#mailbox = mailbox
    this.#collector = collector
  }

  write(bytes: Buffer, start: number, end: number): void {
    this.size += end - start
    if (this.#mailbox.digests) this.#crc = crc32(bytes.subarray(start, end), this.#crc)
    this.#collector?.write(bytes, start, end)
  }

  finish(describe: Describe, answered: boolean): void {
    if (answered) {
      const mailbox = this.#mailbox
      mailbox.count++
      mailbox.bytes += this.size
      mailbox.sum = (mailbox.sum + this.#crc) % Digest.modulus
      mailbox.xor ^= this.#crc
    }
    this.size = 0
    this.#crc = 0
    this.#collector?.finish(describe, answered)
  }

  clear(): void {
    this.size = 0
    this.#crc = 0
    this.#collector?.clear()
  }
}
