/**
 * Two independent MIME readers, brought to one shape so that what they read can be compared with what was sent.
 */
import { domainToASCII } from "node:url"
import { simpleParser, type AddressObject } from "mailparser"
import PostalMime, { decodeWords, type Address } from "postal-mime"

/** What a reader finds in a message. */
export interface Read {
  readonly subject: string
  readonly from: ReadonlyArray<string>
  readonly to: ReadonlyArray<string>
  readonly cc: ReadonlyArray<string>
  readonly replyTo: ReadonlyArray<string>
  readonly text: string
  readonly html: string
  readonly attachments: ReadonlyArray<{
    readonly filename: string | undefined
    readonly cid: string | undefined
    readonly inline: boolean
    readonly type: string
    readonly base64: string
  }>
  /** Values of a field by its lower-case name, encoded-words decoded. */
  readonly header: (name: string) => ReadonlyArray<string>
}

/**
 * A mailbox as the readers are compared by: the quotes of a local part taken off, as both do, and the domain in ASCII,
 * which one of them turns back into Unicode.
 */
export const written = (name: string | undefined, address: string): string => {
  const at = address.lastIndexOf("@")
  const local = address
    .slice(0, at)
    .replace(/^"(.*)"$/, "$1")
    .replace(/\\(.)/g, "$1")
  return `${name ?? ""} <${local}@${domainToASCII(address.slice(at + 1))}>`
}

/**
 * A text without the line breaks at its end, which readers add and take away at will, and with line feeds within.
 */
export const settled = (text: string): string => text.replace(/\r\n?/g, "\n").replace(/\n+$/, "")

/** Reads with mailparser (nodemailer's sister). */
export const readWithMailparser = async (raw: Uint8Array): Promise<Read> => {
  const mail = await simpleParser(Buffer.from(raw), {
    skipHtmlToText: true,
    skipTextToHtml: true,
    skipImageLinks: true,
    skipTextLinks: true
  })
  const list = (found: AddressObject | ReadonlyArray<AddressObject> | undefined) =>
    [found ?? []].flat().flatMap((one) => one.value.map(({ address, name }) => written(name, address ?? "")))
  return {
    subject: mail.subject ?? "",
    from: list(mail.from),
    to: list(mail.to),
    cc: list(mail.cc),
    replyTo: list(mail.replyTo),
    text: settled(mail.text ?? ""),
    html: settled(mail.html || ""),
    attachments: mail.attachments.map((one) => ({
      filename: one.filename,
      cid: one.cid,
      inline: one.contentDisposition === "inline",
      type: one.contentType,
      base64: one.content.toString("base64")
    })),
    header: (name) =>
      mail.headerLines
        .filter(({ key }) => key === name)
        .map(({ line }) => decodeWords(line.replace(/\r?\n(?=[ \t])/g, "").replace(/^[^:]*: ?/, "")))
  }
}

/** Reads with postal-mime. */
export const readWithPostalMime = async (raw: Uint8Array): Promise<Read> => {
  const mail = await PostalMime.parse(raw, { attachmentEncoding: "arraybuffer", rfc822Attachments: true })
  const list = (found: ReadonlyArray<Address> | undefined) =>
    (found ?? []).map(({ address, name }) => written(name, address ?? ""))
  return {
    subject: mail.subject ?? "",
    from: list(mail.from === undefined ? [] : [mail.from]),
    to: list(mail.to),
    cc: list(mail.cc),
    replyTo: list(mail.replyTo),
    text: settled(mail.text ?? ""),
    html: settled(mail.html ?? ""),
    attachments: mail.attachments.map((one) => ({
      filename: one.filename ?? undefined,
      cid: one.contentId?.replace(/^<|>$/g, ""),
      inline: one.disposition === "inline",
      type: one.mimeType,
      base64: Buffer.from(one.content as ArrayBuffer).toString("base64")
    })),
    header: (name) => mail.headers.filter(({ key }) => key === name).map(({ value }) => decodeWords(value))
  }
}

/** What a message on the wire must look like, whatever is in it (RFC 5322 §2.1.1, §2.3). */
export const wireProblem = (raw: Uint8Array): string | undefined => {
  const text = Buffer.from(raw).toString("latin1")
  if (!text.endsWith("\r\n")) return "does not end with CRLF"
  if (/\r(?!\n)|(?<!\r)\n/.test(text)) return "holds a bare CR or LF"
  if (/[^\t\r\n\x20-\x7e]/.test(text)) return "holds a byte that is not printable ASCII"
  return text.split("\r\n").some((line) => line.length > 998) ? "holds a line over 998 octets" : undefined
}
