/**
 * Records what is said on one connection, for `SmtpOptions.transcript`.
 *
 * Bytes and commands come in as they pass `SmtpConnection`; lines without content and without credentials go out. The wire alone
 * tells what to leave out: BDAT says how many octets of content follow, AUTH begins a login, and the first reply but 334 ends it.
 */
import * as ConnectionEnd from "../connection/connectionEnd.ts"
import * as ReplyDecoder from "../../ReplyDecoder.ts"
import type * as Transcript from "../../Transcript.ts"
import type { Recorder } from "../connection/smtpConnection.ts"
import { printable } from "./printable.ts"

/** The most characters of a line that are recorded. */
const maxLength = 1_000

/** The most of the relay's line that is kept while it arrives; a longer one is not a reply. */
const longestLine = ReplyDecoder.maxLineLength + 2

/** A secret shorter than this is too common in other words to be taken out of them. */
const shortestSecret = 4

/** Records what is said on one connection. */
export class TranscriptRecorder implements Recorder {
  private readonly relay: string
  private readonly connection: number
  private readonly sink: Transcript.Sink
  private readonly onFailure: (problem: unknown) => void
  /** Secrets that the login has sent. */
  private readonly secrets = new Set<string>()
  private isLoggingIn = false
  /** How many octets of the chunk that the last BDAT announced are still to come. */
  private chunkLeft = 0
  private chunkLength = 0
  /** The relay's line as far as it has come. */
  private partial = ""
  private partialLength = 0
  private isBroken = false

  /** `onFailure` is called when the sink has thrown; from then on nothing is recorded. */
  constructor(relay: string, connection: number, sink: Transcript.Sink, onFailure: (problem: unknown) => void) {
    this.relay = relay
    this.connection = connection
    this.sink = sink
    this.onFailure = onFailure
  }

  /** Takes commands, each with its line ending; the chunk of a BDAT may follow in the same text. */
  wrote(text: string): void {
    let at = 0
    while (at < text.length) {
      if (this.chunkLeft > 0) {
        const taken = Math.min(this.chunkLeft, text.length - at)
        this.wroteContent(taken)
        at += taken
        continue
      }
      const found = text.indexOf("\r\n", at)
      const end = found === -1 ? text.length : found
      this.command(text.slice(at, end))
      at = end + 2
    }
  }

  /** Content has been given to the socket. */
  wroteContent(octets: number): void {
    if (this.chunkLeft === 0) return this.emit("client", `<${count(octets)} octets>`)
    this.chunkLeft -= octets
    if (this.chunkLeft <= 0) {
      this.chunkLeft = 0
      this.emit("client", `<${count(this.chunkLength)} octets>`)
    }
  }

  /** The relay's bytes have come. */
  received(bytes: Uint8Array): void {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1")
    let at = 0
    for (let end = text.indexOf("\n"); end !== -1; end = text.indexOf("\n", at)) {
      this.add(text, at, end)
      this.endLine()
      at = end + 1
    }
    this.add(text, at, text.length)
  }

  /** Notes something about the connection. */
  note(text: string): void {
    this.emit("note", text)
  }

  /** The connection goes on over TLS. Part of a line that came in clear is no part of what follows. */
  secured(protocol: string | null, cipher: string, isVerified: boolean): void {
    this.dropPartial()
    this.note(`${protocol ?? "TLS"}, ${cipher}, certificate ${isVerified ? "verified" : "not verified"}`)
  }

  /** Takes texts out of all that follows. */
  conceal(secrets: ReadonlyArray<string>): void {
    for (const secret of secrets) if (secret.length >= shortestSecret) this.secrets.add(secret)
  }

  /** The connection has ended. `octets` have gone out of content that was cut off. */
  ended(ending: ConnectionEnd.ConnectionEnd, octets: number | undefined): void {
    if (octets !== undefined) this.emit("client", `<${count(octets)} octets, cut off>`)
    if (this.partialLength > 0) this.endLine()
    const isQuoting = ending._tag === "Closing" || ending._tag === "Violation"
    this.note(
      this.isLoggingIn && isQuoting
        ? `the connection ended: ${ending._tag === "Closing" ? "the relay ended the session" : "the relay broke the protocol"}`
        : `the connection ended: ${ConnectionEnd.describe(ending)}`
    )
  }

  private command(line: string): void {
    if (this.isLoggingIn) return this.emit("client", "<credentials>")
    const chunk = /^BDAT (\d+)/i.exec(line)
    if (chunk !== null) this.chunkLeft = this.chunkLength = Number(chunk[1])
    const login = /^AUTH(?: ([A-Z0-9_-]{1,20}))?( .*)?$/i.exec(line)
    if (login === null) return this.emit("client", line)
    this.isLoggingIn = true
    const [, mechanism, initial] = login
    this.emit("client", ["AUTH", mechanism, initial && "<credentials>"].filter((part) => part).join(" "))
  }

  private add(text: string, start: number, end: number): void {
    const room = longestLine - this.partial.length
    if (room > 0) this.partial += text.slice(start, Math.min(end, start + room))
    this.partialLength += end - start
  }

  private endLine(): void {
    const isWhole = this.partialLength === this.partial.length
    const line = this.partial.endsWith("\r") ? this.partial.slice(0, -1) : this.partial
    const octets = `<${count(isWhole ? line.length : this.partialLength)} octets>`
    this.dropPartial()
    // A line that is cut off may repeat any of it.
    if (!isWhole) this.emit("relay", octets)
    else if (this.isLoggingIn) this.answerToLogin(line, octets)
    else this.emit("relay", decode(line))
  }

  /** The words of an answer may repeat what the client said. */
  private answerToLogin(line: string, octets: string): void {
    const [, code, separator, status] = /^([2-5]\d\d)(?:([ -])([245]\.\d{1,3}\.\d{1,3}(?= |$))?|$)/.exec(line) ?? []
    if (code === undefined) return this.emit("relay", octets)
    this.emit("relay", `${code}${separator ?? ""}${code === "334" ? "" : (status ?? "")}`.trimEnd())
    if (separator !== "-" && code !== "334") this.isLoggingIn = false
  }

  private dropPartial(): void {
    this.partial = ""
    this.partialLength = 0
  }

  private emit(by: Transcript.Line["by"], said: string): void {
    if (this.isBroken) return
    let text = said
    // The commands hold none, and a short password would be found in their addresses.
    if (by !== "client") for (const secret of this.secrets) text = text.replaceAll(secret, "<redacted>")
    const more = text.length - maxLength
    if (more > 0) text = `${text.slice(0, maxLength)} <${count(more)} more>`
    try {
      this.sink({ at: Date.now(), relay: this.relay, connection: this.connection, by, text: printable(text) })
    } catch (problem) {
      this.isBroken = true
      this.onFailure(problem)
    }
  }
}

/** A number with its thousands apart. */
const count = (n: number): string => String(n).replace(/\B(?=(?:\d{3})+$)/g, ",")

/** Relays speak ASCII or UTF-8; what is neither is read byte for byte. */
const decode = (latin1: string): string => {
  const text = Buffer.from(latin1, "latin1").toString("utf8")
  return text.includes("\ufffd") ? latin1 : text
}
