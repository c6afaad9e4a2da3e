/**
 * A message that is already written (RFC 5322), made ready to be sent. Its envelope is read from its header, Bcc and
 * Resent-Bcc are taken out, lines end with CRLF, and a message without a Message-ID gets one. The rest stays byte for byte.
 */
import * as LineEndings from "@mailrace/smtp/LineEndings"
import * as Result from "effect/Result"
import * as Address from "mailrace/Address"
import * as Composed from "mailrace/Composed"
import * as Mailbox from "mailrace/Mailbox"
import * as Utf8 from "./utf8.ts"

/** The fault of an invalid message. */
export interface EmlFault {
  readonly field: string | undefined
  readonly problem: string
}

/** Addresses that replace the envelope of the header. */
export interface EnvelopeOverride {
  readonly from?: Address.Address | undefined
  readonly to?: ReadonlyArray<Address.Address> | undefined
}

/** Makes a message ready for the wire. `makeId` gives the part of a Message-ID before the `@`. */
export const compose = (
  bytes: Uint8Array,
  override: EnvelopeOverride,
  makeId: () => string
): Result.Result<Composed.Composed, EmlFault> => {
  if (Utf8.isUtf16(bytes)) return Result.fail({ field: undefined, problem: Utf8.problemOf(bytes) })
  const content = LineEndings.forBdat(withoutMboxLine(Utf8.withoutMark(bytes)))
  const parsed = parseHeader(content)
  if (Result.isFailure(parsed)) return Result.fail(parsed.failure)
  const header = parsed.success
  const envelope = envelopeOf(header, override)
  if (Result.isFailure(envelope)) return Result.fail(envelope.failure)
  const { from, to } = envelope.success
  const known = header.fields.find((field) => field.name === "message-id")?.value.match(/<[^<>\s]+>/)?.[0]
  const messageId = known ?? `<${makeId()}@${from === undefined ? "localhost" : from.slice(from.lastIndexOf("@") + 1)}>`
  const kept = header.fields.filter((field) => !hiddenFields.has(field.name))
  return Result.succeed(
    Composed.make({
      messageId,
      envelope: { from, to },
      content: Buffer.concat([
        ...(known === undefined ? [Buffer.from(`Message-ID: ${messageId}\r\n`)] : []),
        ...kept.map((field) => content.subarray(field.start, field.end)),
        content.subarray(header.end)
      ]),
      eightBit: content.subarray(header.end).some(isNotAscii),
      utf8Headers: kept.some((field) => content.subarray(field.start, field.end).some(isNotAscii))
    })
  )
}

/** Fields that say who gets the message unknown to the others (RFC 5322 §3.6.3 and §3.6.6). */
const hiddenFields: ReadonlySet<string> = new Set(["bcc", "resent-bcc"])

interface Field {
  /** In lower case. */
  readonly name: string
  /** Unfolded (RFC 5322 §2.2.3), without spaces around it. */
  readonly value: string
  readonly start: number
  readonly end: number
}

interface Header {
  readonly fields: ReadonlyArray<Field>
  /** Where the empty line begins that ends the header, or the content ends. */
  readonly end: number
}

const parseHeader = (content: Uint8Array): Result.Result<Header, EmlFault> => {
  const fields: Array<Field> = []
  // A mark inside is no part of a field's name, and would be sent if it were passed over here.
  const text = new TextDecoder("utf-8", { ignoreBOM: true })
  let at = 0
  while (at < content.length && content[at] !== CR) {
    const start = at
    do at = lineEnd(content, at)
    while (content[at] === SPACE || content[at] === TAB)
    const raw = text.decode(content.subarray(start, at))
    const match = /^([!-9;-~]+)[ \t]*:([^]*)$/.exec(raw)
    if (match === null) {
      const line = new TextDecoder().decode(content.subarray(0, start)).split("\n").length
      return Result.fail({ field: undefined, problem: `line ${line} of the file is no header field; is it a mail?` })
    }
    fields.push({ name: match[1]!.toLowerCase(), value: match[2]!.replaceAll("\r\n", "").trim(), start, end: at })
  }
  return fields.length === 0
    ? Result.fail({ field: undefined, problem: "the file has no header; is it a mail?" })
    : Result.succeed({ fields, end: at })
}

const envelopeOf = (
  header: Header,
  override: EnvelopeOverride
): Result.Result<Composed.Composed["envelope"], EmlFault> => {
  const addresses = (name: string): Result.Result<ReadonlyArray<Address.Address>, EmlFault> => {
    const found: Array<Address.Address> = []
    for (const field of header.fields) {
      if (field.name !== name) continue
      const list = Mailbox.parseHeader(field.value)
      if (Result.isFailure(list)) return Result.fail({ field: name, problem: list.failure.message })
      // One by one: a call takes some 100,000 arguments, a header more addresses.
      for (const { address } of list.success) found.push(address)
    }
    return Result.succeed(found)
  }
  return Result.gen(function* () {
    const sender = override.from ?? (yield* addresses("sender"))[0] ?? (yield* addresses("from"))[0]
    if (sender === undefined) {
      return yield* Result.fail<EmlFault>({
        field: "from",
        problem: "the header names no sender; give one with --from"
      })
    }
    const to =
      override.to ??
      Address.distinct([...(yield* addresses("to")), ...(yield* addresses("cc")), ...(yield* addresses("bcc"))])
    if (to.length === 0) {
      return yield* Result.fail<EmlFault>({
        field: "to",
        problem: "the header names no recipient; give them with --to"
      })
    }
    return { from: sender, to }
  })
}

/** Some programs put mbox's separator in front of a single message. */
const withoutMboxLine = (bytes: Uint8Array): Uint8Array =>
  new TextDecoder().decode(bytes.subarray(0, 5)) === "From " ? bytes.subarray(bytes.indexOf(LF) + 1) : bytes

const lineEnd = (content: Uint8Array, from: number): number => {
  const at = content.indexOf(LF, from)
  return at === -1 ? content.length : at + 1
}

const isNotAscii = (byte: number): boolean => byte > 127

const LF = 10
const CR = 13
const TAB = 9
const SPACE = 32
