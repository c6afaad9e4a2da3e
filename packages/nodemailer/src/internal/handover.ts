/**
 * Tracks how much of a message's content a transport has read, which decides the meaning of its silence.
 *
 * nodemailer reports that a connection was lost, but not when. So this module watches the stream from which the transport
 * reads the message. Once the transport has read its end, the server may have the message. Before that the server cannot have
 * it, because the end of the content is sent last.
 */
import type * as Composed from "mailrace/Composed"
import type * as MailError from "mailrace/MailError"
import * as Stream from "effect/Stream"
import type { MailMessage } from "nodemailer"
import { Readable } from "node:stream"

/** The transport's progress: it has not asked for the content, not begun it, begun it, or read its end. */
export type Stage = "connect" | "envelope" | "content" | "handedOver"

/** The content of one message on its way through a transport. */
export class Handover {
  /** True if the message passed nodemailer's own checks and reached the transport. */
  isDispatched = false
  /** The error of reading the content, if that failed. */
  problem: MailError.MailError | undefined
  /** The option `raw` of `sendMail`. */
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

  /** Watches each stream that the transport opens. Every stream after the first reads the content anew. */
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

  /** Large content goes in pieces, because one piece is handed over all at once. */
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
        // nodemailer changes the errors that it passes on, so it gets a new one.
        return new Error(error.message)
      })
    )
  }
}

const pieceBytes = 64 * 1024

function* pieces(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
}
