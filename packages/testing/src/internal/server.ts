/** What the connections of one test server share: its choices, its mailbox, its counts, and who waits for them. */
import * as net from "node:net"
import * as tls from "node:tls"
import type * as Fault from "../Fault.ts"
import { Connection } from "./connection.ts"
import { FaultScript } from "./faultScript.ts"
import * as Mailbox from "./mailbox.ts"
import type { Config } from "./options.ts"
import * as Replies from "./replies.ts"

/** Counts since the start or the last reset; `open` and `peak` of connections are never reset. */
export interface Counters {
  connections: number
  open: number
  peak: number
  messages: number
  unanswered: number
  commands: number
  bytesReceived: number
  faults: number
  violations: number
}

/** Something a client must not do. */
export interface ProtocolError {
  /** The connection, counted from 1. */
  readonly connection: number
  readonly problem: string
  /** The line at fault, cut to 200 characters; empty where there is none. */
  readonly line: string
}

/** One line that was said. */
export interface TranscriptLine {
  readonly connection: number
  readonly by: "client" | "server"
  readonly line: string
}

/** One connection, open or closed. */
export interface ConnectionInfo {
  /** Counted from 1. */
  readonly id: number
  /** What the client called itself in EHLO or HELO. */
  clientName: string | undefined
  /** Whether the client said QUIT. */
  quit: boolean
  open: boolean
}

const maxNoted = 10_000

export class Server {
  readonly config: Config
  readonly replies: Replies.Replies
  readonly plainReplies: Replies.Replies
  readonly mailbox: Mailbox.Mailbox
  readonly transcribes: boolean
  /** Whether a quirk changes replies on their way out. */
  readonly twistsReplies: boolean
  script: FaultScript
  counters: Counters = { ...noCounts }
  violations: Array<ProtocolError> = []
  transcript: Array<TranscriptLine> = []
  connections = new Map<number, ConnectionInfo>()
  readonly #listener: net.Server
  readonly #live = new Set<Connection>()
  readonly #watchers = new Set<() => void>()
  readonly #secureContext: tls.SecureContext | undefined
  #nextId = 1

  /** Throws when a directory for messages cannot be made. */
  constructor(config: Config, secureContext: tls.SecureContext | undefined) {
    this.config = config
    this.#secureContext = secureContext
    this.plainReplies = Replies.make(config.name, false)
    this.replies = config.extensions.enhancedStatusCodes ? Replies.make(config.name, true) : this.plainReplies
    this.mailbox = Mailbox.make(config.mailbox, config.onMessage)
    this.transcribes = config.transcript
    const { doubleReply, lateReply, replyPadding } = config.quirks
    this.twistsReplies = doubleReply !== undefined || lateReply !== undefined || replyPadding !== undefined
    this.script = new FaultScript(config.faults, config.seed, config.decide)
    this.#listener = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket))
  }

  /** Whether anyone wants to know addresses. */
  get describes(): boolean {
    return this.mailbox.describes || !this.script.isEmpty
  }

  get port(): number {
    const address = this.#listener.address()
    return typeof address === "object" && address !== null ? address.port : 0
  }

  /** Starts to listen; rejects as `listen` does. */
  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#listener.once("error", reject)
      this.#listener.listen(this.config.port, this.config.host, 1024, () => {
        this.#listener.off("error", reject)
        resolve()
      })
    })
  }

  /** Breaks off every connection and stops listening; resolves when no socket and no file is open. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#listener.close(() => resolve()))
    const gone = new Promise<void>((resolve) => {
      const stop = this.watch(() => {
        if (this.#live.size > 0) return
        stop()
        resolve()
      })
    })
    for (const connection of this.#live) connection.destroy()
    this.changed()
    await Promise.all([closed, gone])
    await this.mailbox.close()
  }

  /** From now on, these faults. */
  setFaults(faults: ReadonlyArray<Fault.Fault>): void {
    this.script = new FaultScript(faults, this.config.seed, this.config.decide)
  }

  /** Forgets everything that was taken, counted and noted. */
  reset(): void {
    this.mailbox.reset()
    this.violations = []
    this.transcript = []
    for (const info of this.connections.values()) if (!info.open) this.connections.delete(info.id)
    this.counters = { ...noCounts, open: this.counters.open, peak: this.counters.open }
    this.changed()
  }

  /** Calls back at each change until the returned function is called. */
  watch(callback: () => void): () => void {
    this.#watchers.add(callback)
    return () => this.#watchers.delete(callback)
  }

  /** Tells those who watch; connections call it once a piece of input. */
  changed(): void {
    if (this.#watchers.size > 0) for (const callback of this.#watchers) callback()
  }

  /** Counts a message. */
  accepted(answered: boolean): void {
    if (answered) this.counters.messages++
    else this.counters.unanswered++
  }

  violation(connection: number, problem: string, line: string): void {
    this.counters.violations++
    if (this.violations.length < maxNoted) this.violations.push({ connection, problem, line: line.slice(0, 200) })
  }

  record(connection: number, by: "client" | "server", line: string): void {
    if (this.transcript.length < maxNoted) this.transcript.push({ connection, by, line })
  }

  greeted(connection: number, clientName: string): void {
    const info = this.connections.get(connection)
    if (info !== undefined) info.clientName = clientName
  }

  quit(connection: number): void {
    const info = this.connections.get(connection)
    if (info !== undefined) info.quit = true
  }

  /** How a connection is encrypted. */
  tlsSocketOptions(): tls.TLSSocketOptions {
    const { alpn } = this.config.tls ?? {}
    return {
      isServer: true,
      ...(this.#secureContext === undefined ? {} : { secureContext: this.#secureContext }),
      ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] })
    }
  }

  connectionClosed(connection: Connection): void {
    this.#live.delete(connection)
    this.counters.open--
    const info = this.connections.get(connection.id)
    if (info !== undefined) info.open = false
    this.changed()
  }

  #accept(socket: net.Socket): void {
    const id = this.#nextId++
    this.counters.connections++
    this.counters.open++
    this.counters.peak = Math.max(this.counters.peak, this.counters.open)
    if (this.connections.size < maxNoted) {
      this.connections.set(id, { id, clientName: undefined, quit: false, open: true })
    }
    this.#live.add(new Connection(id, this, socket))
    this.changed()
  }
}

const noCounts: Counters = {
  connections: 0,
  open: 0,
  peak: 0,
  messages: 0,
  unanswered: 0,
  commands: 0,
  bytesReceived: 0,
  faults: 0,
  violations: 0
}
