/**
 * Gathers small writes into few large ones: the last stop before the socket.
 *
 * Commands and small contents are copied into a slab that is given to the socket in one piece: at once when the replies
 * that came together have been taken, else when the current turn of the event loop ends. So whatever was begun together
 * leaves together. (Fibers that wait for a session wake each in a task of its own; a flush at the end of each task, as a
 * microtask, made a write a message and halved the rate with 1,000 workers.) A large content is not copied.
 */
import type { Socket } from "node:net"

const slabSize = 64 * 1024

/** From this size in bytes, handing a buffer over is cheaper than copying it. */
const copyLimit = 16 * 1024

const noSlab = Buffer.allocUnsafeSlow(0)

export class WriteBuffer {
  private readonly socket: Socket
  /** Made with the first write: under TLS the plain socket's buffer never has one. */
  private slab = noSlab
  private begin = slabSize
  private end = slabSize
  private isScheduled = false
  /** The flush at the end of a turn, the current one's or the last. */
  private immediate: NodeJS.Immediate | undefined
  private isClosed = false

  constructor(socket: Socket) {
    this.socket = socket
  }

  /** Adds text, encoded as UTF-8. */
  text(text: string): void {
    const most = text.length * 3
    if (most > slabSize) {
      this.bytes(Buffer.from(text, "utf8"))
      return
    }
    this.reserve(most)
    this.end += this.slab.write(text, this.end)
  }

  /** Adds bytes; they must not change until they have been sent. */
  bytes(bytes: Uint8Array): void {
    if (bytes.length > copyLimit) {
      this.flush()
      if (!this.isClosed) this.socket.write(bytes)
      return
    }
    this.reserve(bytes.length)
    this.slab.set(bytes, this.end)
    this.end += bytes.length
  }

  /** Hands everything to the socket now. Returns false if the socket's own buffer is full. */
  readonly flush = (): boolean => {
    this.isScheduled = false
    if (this.isClosed) return false
    if (this.end === this.begin) return !this.socket.writableNeedDrain
    const keepsUp = this.socket.write(this.slab.subarray(this.begin, this.end))
    // If the kernel took all bytes at once, the slab is free; else the next piece goes behind this one.
    this.begin = this.end = this.socket.writableLength === 0 ? 0 : this.end
    return keepsUp
  }

  /** Drops everything not yet handed to the socket, and all that follows. */
  close(): void {
    this.isClosed = true
    clearImmediate(this.immediate)
    this.begin = this.end = slabSize
  }

  private reserve(length: number): void {
    if (slabSize - this.end < length) {
      this.flush()
      this.slab = Buffer.allocUnsafeSlow(slabSize)
      this.begin = this.end = 0
    }
    if (!this.isScheduled) {
      this.isScheduled = true
      this.immediate = setImmediate(this.flush)
    }
  }
}
