/**
 * Content that is too large for one write, sent no faster than the peer takes it.
 *
 * It goes in slices, so that the bytes taken by the peer show: they are the only progress before the final reply, and they tell
 * whether a connection broke in the middle.
 */
import type * as Composed from "mailrace/Composed"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as LineEndings from "../../LineEndings.ts"
import type { WriteBuffer } from "./writeBuffer.ts"

/** The size of a slice in bytes. */
const sliceSize = 65_536

/** Sends content that is too large for one write. */
export class ContentWriter {
  private readonly buffer: WriteBuffer
  private readonly onWritten: () => void
  private streaming: Fiber.Fiber<unknown, unknown> | undefined
  private waitingForDrain: (() => void) | undefined
  /** Octets given to the socket of the content that is on its way; `undefined` when none is. */
  octetsOut: number | undefined

  /** `onWritten` is called whenever the socket has been handed everything. */
  constructor(buffer: WriteBuffer, onWritten: () => void) {
    this.buffer = buffer
    this.onWritten = onWritten
  }

  /** Sends bytes as they are, then calls back; never when the connection ends before. */
  slices(bytes: Uint8Array, onEnd: () => void): void {
    let at = 0
    const before = this.octetsOut ?? 0
    const next = (): void => {
      while (at < bytes.length) {
        this.buffer.bytes(bytes.subarray(at, at + sliceSize))
        at += sliceSize
        this.octetsOut = before + Math.min(at, bytes.length)
        if (!this.buffer.flush()) {
          this.waitingForDrain = next
          return
        }
      }
      onEnd()
      this.onWritten()
    }
    next()
  }

  /** Sends a stream with its line endings put right and its dots doubled, then calls back, with the problem if any. */
  stream(content: Composed.StreamedContent, onEnd: (problem?: { readonly cause: unknown }) => void): void {
    const encoder = new LineEndings.LineEncoder(true)
    const send = (bytes: Uint8Array): Effect.Effect<void> =>
      Effect.callback((resume) => this.slices(bytes, () => resume(Effect.void)))
    const all = Effect.andThen(
      Stream.runForEach(content.stream, (piece) => send(encoder.push(piece))),
      Effect.suspend(() => send(encoder.end()))
    )
    this.streaming = Effect.runFork(all)
    this.streaming.addObserver((exit) => {
      this.streaming = undefined
      onEnd(exit._tag === "Success" ? undefined : { cause: Cause.squash(exit.cause) })
      this.onWritten()
    })
  }

  /** The peer has taken what was written. */
  drained(): void {
    const next = this.waitingForDrain
    this.waitingForDrain = undefined
    next?.()
  }

  /** Stops reading the rest of the content. */
  stop(): void {
    if (this.streaming !== undefined) Effect.runFork(Fiber.interrupt(this.streaming))
  }
}
