/**
 * The two sides of a connection as each sees the other: a session answers through a `Wire`; transactions, logins and
 * faults act on a `SessionView`. So the modules that make a connection up do not import each other.
 */
import type * as Fault from "../Fault.ts"
import type * as Inbox from "../Inbox.ts"
import type { ResolvedExtensions } from "./options.ts"
import type { Replies } from "./replies.ts"
import type { ServerState } from "./serverState.ts"

/** A connection as its session sees it. */
export interface Wire {
  readonly id: number
  readonly server: ServerState
  /** How the connection is encrypted, after the handshake. */
  readonly tls: Inbox.TlsInfo | undefined
  /** True while a reply is made that the client cannot have seen yet. */
  readonly hasUnsent: boolean
  /** True while no more input is taken. */
  readonly isStopped: boolean
  readonly reply: (phase: Fault.Phase, text: string) => void
  readonly capture: (run: () => void) => string
  readonly emit: (text: string) => void
  readonly block: (ms: number, resume: () => void) => void
  readonly blockUntil: (start: (resume: () => void) => void) => void
  readonly drip: (text: string, ms: number) => void
  readonly hang: (reads: boolean) => void
  readonly garble: (text: string) => void
  readonly end: () => void
  readonly reset: () => void
  readonly upgrade: () => void
  readonly flush: () => void
}

/** A session as its transaction, its login and the fault script see it. */
export interface SessionView {
  readonly connection: Wire
  readonly server: ServerState
  readonly extensions: ResolvedExtensions
  readonly replies: Replies
  /** The name given with EHLO or HELO. */
  readonly clientName: string | undefined
  readonly login: { readonly user: string | undefined }
  readonly transaction: {
    readonly isOpen: boolean
    readonly sender: string | undefined
    readonly recipients: ReadonlyArray<string>
    readonly unanswered: (step: () => void) => void
  }
  readonly reply: (phase: Fault.Phase, text: string) => void
  /** Answers a violation of the protocol and records it. */
  readonly violation: (problem: string, line: string, reply: string) => void
  /** Answers an unknown command. */
  readonly unknown: (input: Buffer, start: number, end: number) => void
  /** Advertises an extension that is not honoured. */
  readonly lie: (keyword: string) => void
  /** A fault took the place of a step. */
  readonly refused: (phase: Fault.Phase, replied?: boolean) => void
}
