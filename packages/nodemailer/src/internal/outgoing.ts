/**
 * Converts a message that nodemailer compiled into one that Mailrace sends.
 */
import * as Address from "mailrace/Address"
import type * as Composed from "mailrace/Composed"
import * as MailError from "mailrace/MailError"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Readable } from "node:stream"
import * as Dsn from "./dsn.ts"
import { DataSize } from "./dataSize.ts"
import type { MailMessage, Message } from "./peer.ts"

/** Larger messages are streamed. */
const maxHeldBytes = 1024 * 1024

/** A message, and its size as DATA carries it. */
export interface Outgoing {
  readonly composed: Composed.Composed
  /** Bytes of the content with the dots that DATA doubles and its end, once the content was read. */
  readonly dataSize: () => number
}

/**
 * Reads a message. The rest of a large one is read while it is sent. Fails with `InvalidMessage`; `onUnreadable` gets the error
 * of a content that cannot be read, which only names it.
 */
export const compose = (
  mail: MailMessage,
  onUnreadable: (error: unknown) => void
): Effect.Effect<Outgoing, MailError.MailError> =>
  Effect.gen(function* () {
    const { data, message } = mail
    const unreadable = (error: unknown): MailError.MailError => {
      onUnreadable(error)
      return MailError.invalid("content", error instanceof Error ? error.message : String(error))
    }
    const given = message.getEnvelope()
    const [sender] = addresses(given.from)
    const from = sender ? yield* address("envelope.from", sender) : undefined
    const to = yield* Effect.forEach(addresses(given.to), (one, index) => address(`envelope.to[${index}]`, one))
    if (to.length === 0) return yield* Effect.fail(MailError.invalid("to", "No recipients defined"))
    const dsn = yield* Effect.fromResult(Dsn.read(data.dsn))
    const { head, rest } = yield* begin(message, unreadable)
    const bodyStart = endOfHeader(head)
    const size = new DataSize()
    const composed: Composed.Composed = {
      _tag: "Composed",
      messageId: message.messageId(),
      envelope: { from, to, dsn, requireTls: data.requireTLSExtensionEnabled },
      content:
        rest === undefined
          ? head
          : { _tag: "StreamedContent", stream: stream(message, { head, rest }, size, unreadable) },
      // The size of a streamed message is an estimate, where its author gives one.
      size: rest === undefined ? head.length : Number(given.size) || 0,
      utf8Headers: hasHighByte(head.subarray(0, bodyStart)),
      // After the head come attachments, which nodemailer encodes unless they are hand-made.
      eightBit: hasHighByte(head.subarray(bodyStart)) || (rest !== undefined && data.raw !== undefined)
    }
    return { composed, dataSize: () => (rest === undefined ? DataSize.of(head) : size.total) }
  })

/** A message of the app's own may give one recipient as a string, and addresses as objects. */
const addresses = (given: ReturnType<Message["getEnvelope"]>["to"] | false): ReadonlyArray<string> =>
  [given || []].flat().map((one) => (typeof one === "string" ? one : (one.address ?? "")))

/** True if another attempt can read the content: it is in memory, or no part is a Node stream. */
export const canBeReadAgain = (message: Message, { content }: Composed.Composed): boolean =>
  content instanceof Uint8Array || !hasStream(message)

const hasStream = (node: Message): boolean => {
  const { _raw: raw, childNodes = [], content } = node
  return isStream(content) || isStream(raw) || childNodes.some(hasStream)
}

const isStream = (content: unknown): boolean => typeof content === "object" && content !== null && "pipe" in content

const address = (field: string, text: string): Effect.Effect<Address.Address, MailError.MailError> =>
  Effect.fromResult(Result.mapError(Address.parse(text), (error) => MailError.invalid(field, error.message)))

interface Begun {
  readonly head: Buffer
  /** The rest after the head; `undefined` if there is none. */
  readonly rest: AsyncIterator<Buffer> | undefined
}

type Unreadable = (error: unknown) => MailError.MailError

const begin = (message: Message, unreadable: Unreadable): Effect.Effect<Begun, MailError.MailError> =>
  Effect.tryPromise({
    try: async () => {
      const pieces: AsyncIterator<Buffer> = message.createReadStream()[Symbol.asyncIterator]()
      const held: Array<Buffer> = []
      let size = 0
      while (size <= maxHeldBytes) {
        const next = await pieces.next()
        if (next.done) return { head: Buffer.concat(held), rest: undefined }
        held.push(next.value)
        size += next.value.length
      }
      return { head: Buffer.concat(held), rest: pieces }
    },
    catch: unreadable
  })

/** The first attempt continues after the head. A later one opens the message anew, which is not always possible. */
const stream = (
  message: Message,
  { head, rest }: { readonly head: Buffer; readonly rest: AsyncIterator<Buffer> },
  size: DataSize,
  unreadable: Unreadable
): Stream.Stream<Uint8Array, MailError.MailError> => {
  let isFirst = true
  return Stream.suspend(() => {
    size.restart()
    const pieces = isFirst
      ? Stream.concat(
          Stream.succeed(head),
          Stream.fromAsyncIterable({ [Symbol.asyncIterator]: () => rest }, unreadable)
        )
      : Stream.fromAsyncIterable<Buffer, MailError.MailError>(message.createReadStream() as Readable, unreadable)
    isFirst = false
    return Stream.map(pieces, (piece) => {
      size.add(piece)
      return piece
    })
  })
}

/** The index of the empty line. A message in `raw` is as its author wrote it, also with bare line feeds. */
const endOfHeader = (head: Buffer): number => {
  for (let at = head.indexOf(10); at !== -1; at = head.indexOf(10, at + 1))
    if (head[at + 1] === 10 || (head[at + 1] === 13 && head[at + 2] === 10)) return at
  return head.length
}

const hasHighByte = (bytes: Uint8Array): boolean => {
  for (let i = 0; i < bytes.length; i++) if (bytes[i]! > 127) return true
  return false
}
