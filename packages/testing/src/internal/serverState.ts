/** The state that the connections of one test server share: its options, its mailbox, its counts and its watchers. */
import type * as tls from "node:tls"
import type * as Fault from "../Fault.ts"
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
  /** The client's name in EHLO or HELO. */
  clientName: string | undefined
  /** True if the client said QUIT. */
  quit: boolean
  open: boolean
}

/** The most violations, transcript lines and connections that are remembered. */
export const maxNoted = 10_000

export class ServerState {
  readonly config: Config
  readonly replies: Replies.Replies
  readonly plainReplies: Replies.Replies
  readonly mailbox: Mailbox.Mailbox
  readonly transcribes: boolean
  /** True if a quirk changes replies on their way out. */
  readonly twistsReplies: boolean
  script: FaultScript
  counters: Counters = { ...noCounts }
  violations: Array<ProtocolError> = []
  transcript: Array<TranscriptLine> = []
  connections = new Map<number, ConnectionInfo>()
  readonly #watchers = new Set<() => void>()
  readonly #secureContext: tls.SecureContext | undefined

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
  }

  /** True if anyone wants to know addresses. */
  get describes(): boolean {
    return this.mailbox.describes || !this.script.isEmpty
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

  /** Wakes the watchers; connections call it once for each piece of input. */
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
