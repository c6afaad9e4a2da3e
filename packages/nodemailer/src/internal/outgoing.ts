/**
 * Converts a message that nodemailer compiled into one that Mailrace sends.
 */
import * as Address from "mailrace/Address"
import type * as Composed from "mailrace/Composed"
import * as MailError from "mailrace/MailError"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { MailMessage } from "nodemailer"
import type { Readable } from "node:stream"
import * as Dsn from "./dsn.ts"

type Message = MailMessage["message"]

/** Larger messages are streamed. */
const maxHeldBytes = 1024 * 1024

/** Reads a message. The rest of a large one is read while it is sent. Fails with `InvalidMessage`. */
export const compose = (
  mail: Pick<MailMessage, "data" | "message">
): Effect.Effect<Composed.Composed, MailError.MailError> =>
  Effect.gen(function* () {
    const { data, message } = mail
    const given = message.getEnvelope()
    const from = given.from ? yield* address("envelope.from", given.from) : undefined
    const to = yield* Effect.forEach(given.to, (one, index) => address(`envelope.to[${index}]`, one))
    if (to.length === 0) return yield* Effect.fail(MailError.invalid("to", "No recipients defined"))
    const { head, rest } = yield* begin(message)
    const bodyStart = endOfHeader(head)
    return {
      _tag: "Composed",
      messageId: message.messageId(),
      envelope: { from, to, dsn: Dsn.read(data.dsn), requireTls: data.requireTLSExtensionEnabled },
      content: rest === undefined ? head : { _tag: "StreamedContent", stream: stream(message, head, rest) },
      size: rest === undefined ? head.length : 0,
      utf8Headers: hasHighByte(head.subarray(0, bodyStart)),
      // After the head come attachments, which nodemailer encodes unless they are hand-made.
      eightBit: hasHighByte(head.subarray(bodyStart)) || (rest !== undefined && data.raw !== undefined)
    }
  })

/** True if another attempt can read the content: it is in memory, or no part is a Node stream. */
export const canBeReadAgain = (message: Message, { content }: Composed.Composed): boolean =>
  content instanceof Uint8Array || !hasStream(message)

const hasStream = (node: Message): boolean => {
  const { _raw: raw, childNodes, content } = node as Message & { readonly _raw?: unknown }
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

const begin = (message: Message): Effect.Effect<Begun, MailError.MailError> =>
  Effect.tryPromise({
    try: async () => {
      const pieces = (message.createReadStream() as Readable)[Symbol.asyncIterator]()
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
  head: Buffer,
  rest: AsyncIterator<Buffer>
): Stream.Stream<Uint8Array, MailError.MailError> => {
  let isFirst = true
  return Stream.suspend(() => {
    if (!isFirst) return Stream.fromAsyncIterable(message.createReadStream() as Readable, unreadable)
    isFirst = false
    return Stream.concat(
      Stream.succeed(head),
      Stream.fromAsyncIterable({ [Symbol.asyncIterator]: () => rest }, unreadable)
    )
  })
}

/** The index of the empty line. A message in `raw` is as its author wrote it, also with bare line feeds. */
const endOfHeader = (head: Buffer): number => {
  for (let at = head.indexOf(10); at !== -1; at = head.indexOf(10, at + 1))
    if (head[at + 1] === 10 || (head[at + 1] === 13 && head[at + 2] === 10)) return at
  return head.length
}

const unreadable = (error: unknown): MailError.MailError =>
  MailError.invalid("content", error instanceof Error ? error.message : String(error))

const hasHighByte = (bytes: Uint8Array): boolean => {
  for (let i = 0; i < bytes.length; i++) if (bytes[i]! > 127) return true
  return false
}
