/**
 * How far a transport has come with a message's content, which decides what its silence means.
 *
 * nodemailer says that a connection was lost, but not when. So the stream that a transport reads the message from is
 * watched: once its end has been read, the server may have the message; before that it cannot have it, because the end
 * of the content is sent after it.
 */
import type * as Composed from "mailrace/Composed"
import type * as MailError from "mailrace/MailError"
import * as Stream from "effect/Stream"
import type { MailMessage } from "nodemailer"
import { Readable } from "node:stream"

/** Where a transport is: it has not asked for the content, not begun it, begun it, or read its end. */
export type Stage = "connect" | "envelope" | "content" | "handedOver"

/** The content of one message on its way through a transport. */
export class Handover {
  /** Whether the transport itself was reached, past nodemailer's own checks. */
  isDispatched = false
  /** Why the content could not be read, if that is what happened. */
  problem: MailError.MailError | undefined
  /** What `sendMail` takes as `raw`. */
  readonly raw: Buffer | Readable
  private readonly content: Composed.Content
  private readonly streams: Array<Readable> = []

  constructor(content: Composed.Content) {
    this.content = content
    this.raw = this.open()
  }

  get stage(): Stage {
    if (this.streams.some((stream) => stream.readableEnded)) return "handedOver"
    if (this.streams.some((stream) => stream.readableDidRead)) return "content"
    return this.streams.length > 0 ? "envelope" : "connect"
  }

  /** Watches each stream that the transport opens; each but the first reads the content anew. */
  watch<T>(message: MailMessage<T>["message"]): void {
    this.isDispatched = true
    const open = message.createReadStream.bind(message)
    message.createReadStream = (options) => {
      if (this.streams.length > 0) message.setRaw(this.open())
      const stream = open(options) as Readable
      this.streams.push(stream)
      return stream
    }
  }

  /** Large content goes in pieces, since what is written in one is all handed over at once. */
  private open(): Buffer | Readable {
    const { content } = this
    if (!(content instanceof Uint8Array)) return Readable.from(this.read(content), { objectMode: false })
    const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength)
    return bytes.length <= pieceBytes ? bytes : Readable.from(pieces(bytes), { objectMode: false })
  }

  private read(content: Composed.StreamedContent): AsyncIterable<Uint8Array> {
    return Stream.toAsyncIterable(
      Stream.mapError(content.stream, (error) => {
        this.problem = error
        // nodemailer writes into the errors that it hands on, so it gets one of its own.
        return new Error(error.message)
      })
    )
  }
}

const pieceBytes = 64 * 1024

function* pieces(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
}
