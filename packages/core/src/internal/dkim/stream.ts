/**
 * Signs streamed content. A signature stands at the beginning and depends on the end, so the content is read once for its hash
 * and once more at each attempt.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as Composed from "../../Composed.ts"
import * as MailError from "../../MailError.ts"
import * as RelaxedBody from "./relaxedBody.ts"
import * as RelaxedHeader from "./relaxedHeader.ts"

/** The parts of a message that are signed. */
export interface Digest {
  readonly header: string
  /** Base64, as in `bh=`. */
  readonly bodyHash: string
}

/** Reads all of the content and holds no more than its header. Fails with the content's own error. */
export const digest = (content: Composed.StreamedContent): Effect.Effect<Digest, MailError.MailError> =>
  Effect.suspend(() => {
    const reader = new Reader()
    return Effect.flatMap(
      Stream.runForEach(content.stream, (piece) => {
        reader.push(piece)
        return reader.problem === undefined ? Effect.void : Effect.fail(MailError.invalid("content", reader.problem))
      }),
      () => reader.end
    )
  })

/**
 * The content with fields before it. Content that changed since it was signed fails at its end, before the relay accepts it:
 * mail with a broken signature fares worse than mail without one.
 */
export const prepend = (
  fields: Uint8Array,
  content: Composed.StreamedContent,
  signed: Digest
): Composed.StreamedContent => ({
  _tag: "StreamedContent",
  stream: Stream.suspend(() => {
    const reader = new Reader()
    const check = Effect.flatMap(reader.end, (read) =>
      read.header === signed.header && read.bodyHash === signed.bodyHash
        ? Effect.void
        : Effect.fail(MailError.invalid("content", "it changed after it was signed; compose the mail again"))
    )
    const pieces = Stream.map(content.stream, (piece) => {
      reader.push(piece)
      return piece
    })
    return Stream.succeed(fields).pipe(Stream.concat(pieces), Stream.concat(Stream.fromEffectDrain(check)))
  })
})

/** The longest header; longer text is not a header. */
const longestHeader = 1024 * 1024

class Reader {
  problem: string | undefined
  /** The pieces of the header so far; `undefined` after its end. */
  private head: Array<Buffer> | undefined = []
  private headBytes = 0
  /** Their last three bytes, in which the empty line may have begun. */
  private headEnd: Buffer = Buffer.alloc(0)
  private split: RelaxedHeader.Split | undefined
  private readonly body = new RelaxedBody.RelaxedBody()

  push(piece: Uint8Array): void {
    if (this.head === undefined) return this.body.push(piece)
    const own = Buffer.from(piece)
    this.head.push(own)
    this.headBytes += own.length
    const sought = this.headEnd.length === 0 ? own : Buffer.concat([this.headEnd, own])
    if (sought.includes("\r\n\r\n")) this.readHead(this.head)
    else if (this.headBytes > longestHeader)
      this.problem = "its header does not end within 1 MiB, so it cannot be signed"
    else this.headEnd = Buffer.from(sought.subarray(-3))
  }

  /** Ends the content. */
  readonly end: Effect.Effect<Digest, MailError.MailError> = Effect.suspend(() => {
    if (this.head !== undefined) this.readHead(this.head)
    return this.problem === undefined && this.split !== undefined
      ? Effect.succeed({ header: this.split.header, bodyHash: this.body.digest() })
      : Effect.fail(MailError.invalid("content", this.problem ?? "it has no header"))
  })

  private readHead(pieces: ReadonlyArray<Buffer>): void {
    this.head = undefined
    // The first piece nearly always holds the whole header.
    const head = pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
    this.split = RelaxedHeader.split(head)
    if (this.split === undefined) this.problem = "its header has line ends other than CRLF, so it cannot be signed"
    else this.body.push(head.subarray(this.split.bodyStart))
  }
}
