/**
 * One connection: bytes in, replies out, and everything that can happen to either on the way.
 *
 * The replies to a piece of input are collected in one string and written once, at the end of the piece. A connection can be
 * *blocked* (a reply is being delayed; input waits) or *deaf* (no answer ever again; input is dropped). Its timers end with it.
 */
import type * as net from "node:net"
import * as tls from "node:tls"
import type * as Fault from "../Fault.ts"
import type * as Inbox from "../Inbox.ts"
import { DelayLine } from "./delayLine.ts"
import { perform } from "./perform.ts"
import type { ServerState } from "./serverState.ts"
import { ReplyTwist } from "./replyTwist.ts"
import { Session } from "./session.ts"
import type { Wire } from "./wire.ts"

const nothing = Buffer.alloc(0)
/** Input that may wait while blocked, before reading from the socket stops. */
const maxWaiting = 256 * 1024
/** Replies that may wait to be sent, before reading stops. */
const maxUnsent = 1024 * 1024

export class Connection implements Wire {
  readonly id: number
  readonly server: ServerState
  readonly session: Session
  /** How the connection is encrypted, after the handshake. */
  tls: Inbox.TlsInfo | undefined
  readonly #raw: net.Socket
  #socket: net.Socket
  readonly #inbound: DelayLine | undefined
  readonly #outbound: DelayLine | undefined
  #input: Buffer = nothing
  #waiting: Array<Buffer> = []
  #out = ""
  readonly #twist: ReplyTwist | undefined
  #blocked = false
  #deaf = false
  #listening = false
  /** True if the client has closed its side. */
  #inputEnded = false
  /** Actions for when all replies so far are written. */
  #next: "nothing" | "end" | "tls" = "nothing"
  #timer: NodeJS.Timeout | undefined
  #sent = 0
  #received = 0

  constructor(id: number, server: ServerState, socket: net.Socket, onClosed: () => void) {
    this.id = id
    this.server = server
    this.#raw = socket
    this.#socket = socket
    const { latencyMs, quirks } = server.config
    this.#inbound = latencyMs > 0 ? new DelayLine(latencyMs / 2) : undefined
    this.#outbound = latencyMs > 0 ? new DelayLine(latencyMs / 2) : undefined
    this.#twist = server.twistsReplies
      ? new ReplyTwist(quirks, (text) => {
          this.#out += text
          this.flush()
        })
      : undefined
    this.session = new Session(this)
    socket.setNoDelay(true)
    socket.on("error", () => undefined)
    socket.on("close", () => {
      this.#closed()
      onClosed()
    })
    const { connectDelayMs, tls: tlsOptions } = server.config
    if (tlsOptions?.implicit !== true) this.#listen(socket)
    if (connectDelayMs > 0) this.block(connectDelayMs, () => this.#connect())
    else this.#connect()
    this.flush()
  }

  /** True if a reply has been made that the client cannot have seen yet. */
  get hasUnsent(): boolean {
    return this.#out !== "" || this.#outbound?.isEmpty === false
  }

  /** True if no more input is to be taken now, or ever. */
  get isStopped(): boolean {
    return this.#blocked || this.#deaf || this.#next !== "nothing"
  }

  /** Answers; the phase is for the quirks that change the replies of one. */
  reply(phase: Fault.Phase, text: string): void {
    this.#out += this.#twist === undefined ? text : this.#twist.apply(phase, text)
  }

  /** Runs a step and returns its replies instead of sending them. */
  capture(run: () => void): string {
    const before = this.#out
    this.#out = ""
    run()
    const text = this.#out
    this.#out = before
    return text
  }

  /** Adds bytes (as characters up to 255) to the replies, as they are. */
  emit(text: string): void {
    this.#out += text
  }

  /** Lets input wait for a time; then runs `resume` and goes on. */
  block(ms: number, resume: () => void): void {
    this.#blocked = true
    this.#timer = setTimeout(() => {
      this.#blocked = false
      resume()
      // The resumed work may block again, as the next byte of a drip does.
      if (this.#blocked) this.flush()
      else this.unblock()
    }, ms)
  }

  /** Lets input wait until the callback given to `start` is called. */
  blockUntil(start: (resume: () => void) => void): void {
    this.#blocked = true
    start(() => this.unblock())
  }

  /** Goes on with what has waited. */
  unblock(): void {
    this.#blocked = false
    this.#socket.resume()
    this.#run()
  }

  /** Sends a text one byte at each interval, then goes on. */
  drip(text: string, ms: number): void {
    this.#out += text.slice(0, 1)
    if (text.length > 1) this.block(ms, () => this.drip(text.slice(1), ms))
  }

  /** Never answers again. What arrives is read and dropped, or not even read. */
  hang(reads: boolean): void {
    this.#deaf = true
    if (reads) this.#listen(this.#socket)
    else this.#socket.pause()
  }

  /** Answers the client's first bytes of a handshake with a text in clear, and nothing after it. */
  garble(text: string): void {
    this.hang(true)
    this.#raw.once("data", () => this.#later(() => this.#write(text)))
  }

  /** Closes in order once the replies so far are written. */
  end(): void {
    this.#next = "end"
  }

  /** Tears the connection down once the replies so far are written. */
  reset(): void {
    this.#deaf = true
    this.flush()
    this.#later(() => this.#raw.resetAndDestroy())
  }

  /** Begins a handshake once the replies so far are written. */
  upgrade(): void {
    this.#next = "tls"
  }

  /** Writes the replies so far in one piece. */
  flush(): void {
    if (this.#out !== "") {
      const text = this.#out
      this.#out = ""
      if (this.server.transcribes) this.#record(text)
      this.#later(() => this.#write(text))
    }
    if (this.#blocked || this.#next === "nothing") return
    const next = this.#next
    this.#next = "nothing"
    if (next === "tls") {
      this.#blocked = true
      // Clear text sent ahead of the handshake is thrown away (RFC 3207 §5).
      this.#input = nothing
      // The client's first bytes after the reply belong to the TLS socket, which finds them in the raw one's buffer.
      this.#unlisten()
      this.#later(() => {
        this.#blocked = false
        perform(this.session, "tls", () => this.#handshake(() => this.session.forget()))
      })
    } else {
      this.#deaf = true
      this.#listen(this.#socket)
      this.#later(() => this.#socket.end())
    }
  }

  /** Breaks off at once. */
  destroy(): void {
    this.#raw.destroy()
  }

  #connect(): void {
    perform(this.session, "connect", () => {
      if (this.server.config.tls?.implicit !== true) return this.session.greet()
      perform(this.session, "tls", () => this.#handshake(() => this.session.greet()))
    })
    this.flush()
  }

  /** Reads from a socket. Not before a handshake, whose first bytes belong to the TLS socket. */
  #listen(socket: net.Socket): void {
    if (this.#listening) return
    this.#listening = true
    socket.on("data", (piece: Buffer) => {
      if (this.#inbound === undefined) this.#receive(piece)
      else this.#inbound.push(() => this.#receive(piece))
    })
    // A client that has said its last may still wait for answers, so its end waits for its turn too.
    socket.on("end", () => {
      if (this.#inbound === undefined) this.#ended()
      else this.#inbound.push(() => this.#ended())
    })
    socket.resume()
  }

  #unlisten(): void {
    this.#listening = false
    this.#raw.pause()
    this.#raw.removeAllListeners("data")
    this.#raw.removeAllListeners("end")
  }

  #ended(): void {
    this.#inputEnded = true
    if (this.#blocked) return
    this.end()
    this.flush()
  }

  #receive(piece: Buffer): void {
    this.server.counters.bytesReceived += piece.length
    this.#received += piece.length
    if (this.#deaf) return
    if (!this.session.isOpen) this.server.violation(this.id, "the client spoke before it was greeted", "")
    const { cutAfterReceived } = this.server.config.quirks
    if (cutAfterReceived !== undefined && this.#received >= cutAfterReceived) {
      const excess = this.#received - cutAfterReceived
      this.#take(excess === 0 ? piece : piece.subarray(0, piece.length - excess))
      this.#deaf = true
      this.#later(() => this.destroy())
    } else this.#take(piece)
  }

  #take(piece: Buffer): void {
    if (!this.#blocked) {
      this.#input = this.#input.length === 0 ? piece : Buffer.concat([this.#input, piece])
      this.#run()
      return
    }
    this.#waiting.push(piece)
    if (this.#waiting.reduce((sum, waiting) => sum + waiting.length, 0) > maxWaiting) this.#socket.pause()
  }

  #run(): void {
    if (this.#waiting.length > 0) {
      this.#input = Buffer.concat([this.#input, ...this.#waiting])
      this.#waiting = []
    }
    const input = this.#input
    let position = this.session.transaction.refuseWaiting(input, 0)
    while (position < input.length && !this.isStopped) {
      const next = this.session.consume(input, position)
      if (next === position) break
      // A delayed reply is given when the connection goes on, and refuses then what has come in the meantime.
      position = this.isStopped ? next : this.session.transaction.refuseWaiting(input, next)
      // A client that does not read is noticed after each reply, not after each piece of it.
      if (this.server.config.quirks.deafWhileReplying === true) this.flush()
    }
    this.#input = position === 0 ? input : position === input.length ? nothing : input.subarray(position)
    if (this.#inputEnded && !this.#blocked) this.end()
    this.flush()
    this.server.changed()
  }

  #write(text: string): void {
    if (this.#socket.destroyed || this.#socket.writableEnded) return
    const { cutAfterSent, deafWhileReplying } = this.server.config.quirks
    if (cutAfterSent !== undefined && this.#sent + text.length >= cutAfterSent) {
      this.#deaf = true
      this.#socket.end(text.slice(0, cutAfterSent - this.#sent), "latin1")
      this.#sent = cutAfterSent
      return
    }
    this.#sent += text.length
    if (this.#socket.write(text, "latin1") || this.#blocked) return
    // A client that writes and never reads must not fill the memory with replies.
    if (deafWhileReplying === true || this.#socket.writableLength > maxUnsent) {
      this.#blocked = true
      this.#socket.pause()
      this.#socket.once("drain", () => this.unblock())
    }
  }

  /** Runs a callback when the bytes written before are on their way. */
  #later(run: () => void): void {
    if (this.#outbound === undefined) run()
    else this.#outbound.push(run)
  }

  #record(text: string): void {
    for (const line of text.split("\r\n")) if (line !== "") this.server.record(this.id, "server", line)
  }

  #handshake(secured: () => void): void {
    this.#blocked = true
    const secure = new tls.TLSSocket(this.#raw, this.server.tlsSocketOptions())
    this.#socket = secure
    secure.on("error", () => this.#raw.destroy())
    secure.on("secure", () => {
      this.tls = {
        protocol: secure.getProtocol() ?? "",
        cipher: secure.getCipher().name,
        servername: (secure as { servername?: string | false }).servername || undefined,
        resumed: secure.isSessionReused(),
        alpn: secure.alpnProtocol || undefined
      }
      secured()
      this.unblock()
    })
    this.#listen(secure)
  }

  #closed(): void {
    this.#deaf = true
    clearTimeout(this.#timer)
    this.#twist?.stop()
    this.#inbound?.clear()
    this.#outbound?.clear()
    this.session.transaction.clear()
  }
}
