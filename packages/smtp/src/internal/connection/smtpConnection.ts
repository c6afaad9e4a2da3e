/**
 * One TCP connection that speaks SMTP: bytes in and out, replies in order, a deadline, TLS on demand.
 *
 * It is the last stop of a message on its way out, and the first of the relay's reply on its way back. It does not interpret
 * commands: the handshake uses `exchange`, one command and one reply at a time, and the pipeline then receives every reply
 * through `receive`.
 *
 * `WriteBuffer` gathers small writes, `ContentWriter` sends large content in slices, `ReplyDecoder` assembles replies,
 * `Deadline` notices silence. This module connects them to the socket and reports the connection's one end.
 */
import type * as Composed from "mailrace/Composed"
import * as MailError from "mailrace/MailError"
import type * as Reply from "mailrace/Reply"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Net from "node:net"
import * as Tls from "node:tls"
import { ContentWriter } from "./contentWriter.ts"
import { type Bound, Deadline, type Limit } from "./deadline.ts"
import { tlsUpgrade } from "./tlsUpgrade.ts"
import { WriteBuffer } from "./writeBuffer.ts"
import * as ConnectionEnd from "./connectionEnd.ts"
import { ReplyDecoder } from "../../ReplyDecoder.ts"

/** Receives replies and events. */
export interface Receiver {
  /** A whole reply has arrived. Replies that arrive in one chunk come one after the other. */
  readonly onReply: (reply: Reply.Reply) => void
  /** All replies of one chunk have been handed on. */
  readonly onBatchEnd: () => void
  /** The peer has taken what was written. */
  readonly onDrain: () => void
  /** The connection has ended; called once, and nothing after it. */
  readonly onEnd: (ending: ConnectionEnd.ConnectionEnd) => void
  /** The current limit of silence; `undefined` if nothing is awaited. */
  readonly limit: () => Limit | undefined
  /** By when what is under way must be over, whatever its progress. */
  readonly bound?: (() => Bound | undefined) | undefined
}

/** Watches what is said, for a transcript. */
export interface Recorder {
  /** Commands were written, each with its line ending. */
  readonly wrote: (text: string) => void
  /** Content was given to the socket. */
  readonly wroteContent: (octets: number) => void
  /** The relay's bytes arrived. */
  readonly received: (bytes: Uint8Array) => void
  /** The connection goes on over TLS. */
  readonly secured: (protocol: string | null, cipher: string, isVerified: boolean) => void
  /** Takes these texts out of all that follows. */
  readonly conceal: (secrets: ReadonlyArray<string>) => void
  /** The connection ended after `octets` of content that was cut off, if any was. */
  readonly ended: (ending: ConnectionEnd.ConnectionEnd, octets: number | undefined) => void
}

/** How many unsolicited replies are kept; more are a violation. */
const maxUnclaimed = 16

export class SmtpConnection {
  private socket: Net.Socket
  private buffer: WriteBuffer
  private content: ContentWriter
  private decoder = oneByOneDecoder()
  private receiver: Receiver | undefined
  /** Replies that arrived before anybody received them. */
  private readonly unclaimed: Array<Reply.Reply> = []
  /** True if the bytes at hand completed a reply. */
  private hasReplied = false
  private readonly deadline = new Deadline(
    () => this.receiver?.limit(),
    () => this.socket,
    (ending) => this.destroy(ending),
    () => this.receiver?.bound?.()
  )
  /** Why the connection ended, once it has. */
  ending: ConnectionEnd.ConnectionEnd | undefined
  /** Watches what is said, if the transport keeps a transcript. */
  readonly recorder: Recorder | undefined

  constructor(socket: Net.Socket, recorder?: Recorder) {
    this.socket = socket
    this.recorder = recorder
    this.buffer = new WriteBuffer(socket)
    this.content = new ContentWriter(this.buffer, this.awaitProgress)
    socket.setNoDelay(true)
    this.listen(socket)
  }

  /** This machine's address on the connection. */
  get localAddress(): string {
    return this.socket.localAddress ?? "127.0.0.1"
  }

  /** True if the channel is encrypted. */
  get isEncrypted(): boolean {
    return this.socket instanceof Tls.TLSSocket
  }

  /** True if the channel is encrypted and the relay's certificate and its name are verified; the handshake sets it. */
  isVerified = false

  /** True if there are unsolicited replies. */
  get hasUnclaimedReplies(): boolean {
    return this.unclaimed.length > 0 || !this.decoder.isIdle
  }

  // A pipeline writes through these; see `SmtpPipeline.Wire`.
  readonly write = (text: string): void => {
    this.recorder?.wrote(text)
    this.buffer.text(text)
  }
  readonly writeBytes = (bytes: Uint8Array): void => {
    this.recorder?.wroteContent(bytes.length)
    this.buffer.bytes(bytes)
  }
  readonly isWritable = (): boolean => !this.socket.writableNeedDrain

  /** Sends content in pieces no faster than the peer takes them, then calls back, with the problem if there was one. */
  readonly stream = (content: Composed.StreamedContent, onEnd: (problem?: { readonly cause: unknown }) => void): void =>
    this.content.stream(content, (problem) =>
      this.guarded(() => {
        if (problem === undefined) this.contentIsOut()
        onEnd(problem)
      })
    )

  /** Sends bytes in slices no faster than the peer takes them, then calls back; never when the connection ends before. */
  readonly writeSlices = (bytes: Uint8Array, onEnd: () => void): void =>
    this.content.slices(bytes, () => {
      this.contentIsOut()
      onEnd()
    })

  /** From now on an empty line among the replies is a violation, because commands go out in groups. */
  beginGroups(): void {
    this.decoder.skipsEmptyLines = false
  }

  /** Hands replies to a receiver from now on, earlier ones first. */
  receive(receiver: Receiver): void {
    this.receiver = receiver
    for (const reply of this.unclaimed.splice(0)) receiver.onReply(reply)
    if (this.ending !== undefined) receiver.onEnd(this.ending)
    this.deadline.restart()
  }

  /** Sends the text, if any, and returns the next reply; fails if none arrives within the limit. */
  exchange(
    text: string | undefined,
    phase: MailError.Phase,
    limitMs: number
  ): Effect.Effect<Reply.Reply, MailError.MailError> {
    return Effect.map(this.collect(text, 1, phase, limitMs), ([reply]) => reply!)
  }

  /** The same for a group of commands and as many replies. */
  collect(
    text: string | undefined,
    count: number,
    phase: MailError.Phase,
    limitMs: number
  ): Effect.Effect<ReadonlyArray<Reply.Reply>, MailError.MailError> {
    return Effect.callback((resume) => {
      const early = text === undefined ? undefined : this.unclaimed[0]
      if (early !== undefined) {
        // Taken for the reply to the next command, it would shift all later replies.
        const ending = unasked(early)
        this.destroy(ending)
        resume(Effect.fail(ConnectionEnd.toError(ending, phase)))
        return
      }
      this.decoder.isWhole = phase === "ehlo" || phase === "auth"
      const limit: Limit = { limitMs, ending: { _tag: "Silent", phase, limitMs } }
      const replies: Array<Reply.Reply> = []
      const finish = (effect: Effect.Effect<ReadonlyArray<Reply.Reply>, MailError.MailError>) => {
        this.receiver = undefined
        this.decoder.isWhole = false
        resume(effect)
      }
      this.receive({
        onReply: (reply) => {
          if (replies.length < count) replies.push(reply)
          else this.keep(reply)
        },
        onBatchEnd: () => {
          if (replies.length >= count) finish(Effect.succeed(replies))
        },
        onDrain: () => {},
        // The relay's own words outrank the way the connection ended.
        onEnd: (ending) =>
          finish(replies.length >= count ? Effect.succeed(replies) : Effect.fail(ConnectionEnd.toError(ending, phase))),
        limit: () => limit
      })
      if (this.ending !== undefined) return
      if (text !== undefined) this.write(text)
      if (replies.length >= count) finish(Effect.succeed(replies))
      return Effect.sync(() => {
        this.receiver = undefined
      })
    })
  }

  /**
   * Upgrades the connection to TLS. Refuses if the peer has sent unsolicited bytes in clear: they would be taken for part of
   * the encrypted session (CVE-2021-33515 and similar). `onStart` sees the socket before its handshake.
   */
  upgrade(
    options: Tls.ConnectionOptions,
    limitMs: number,
    check: (socket: Tls.TLSSocket) => Error | undefined,
    onStart?: (socket: Tls.TLSSocket) => void
  ): Effect.Effect<Tls.TLSSocket, MailError.MailError> {
    return Effect.callback((resume) => {
      if (this.hasUnclaimedReplies) {
        resume(Effect.fail(injected()))
        return
      }
      this.unlisten(this.socket)
      const abort = tlsUpgrade(
        this.socket,
        options,
        limitMs,
        check,
        (upgraded) => {
          if (Result.isSuccess(upgraded)) this.continueOver(upgraded.success)
          else this.destroy({ _tag: "Lost", problem: upgraded.failure.reason.message })
          resume(Effect.fromResult(upgraded))
        },
        onStart
      )
      return Effect.sync(abort)
    })
  }

  /** Takes bytes that have arrived; they may be overwritten afterwards. */
  readonly take = (chunk: Uint8Array): void => this.guarded(() => this.takeUnsafe(chunk))

  private takeUnsafe(chunk: Uint8Array): void {
    this.hasReplied = false
    this.recorder?.received(chunk)
    const violation = this.decoder.push(chunk, this.onReply)
    if (violation !== undefined) {
      this.destroy({ _tag: "Violation", problem: violation })
      return
    }
    this.receiver?.onBatchEnd()
    this.buffer.flush()
    if (this.hasReplied) this.deadline.restart()
  }

  /** Sends a last command, waits briefly for its reply, and closes. */
  quit(text: string, limitMs: number): Effect.Effect<void> {
    return Effect.ensuring(
      Effect.ignore(this.exchange(text, "quit", limitMs)),
      Effect.sync(() => this.destroy())
    )
  }

  /** Starts counting silence, because something is awaited from now on. */
  readonly awaitProgress = (): void => this.deadline.restart()

  /** Closes at once; the first reason given is the one that counts. */
  destroy(ending: ConnectionEnd.ConnectionEnd = { _tag: "Closed" }): void {
    if (this.ending !== undefined) return
    this.ending = ending
    this.recorder?.ended(ending, this.content.octetsOut)
    this.deadline.stop()
    this.buffer.close()
    this.socket.destroy()
    try {
      this.receiver?.onEnd(ending)
    } catch {
      // An exception here has no connection left to end.
    }
    // Last, because the content that this breaks off would be reported as the reason.
    this.content.stop()
  }

  /** Runs a callback of a socket or a timer. An exception there would end the process and not the connection. */
  private guarded(run: () => void): void {
    try {
      run()
    } catch (defect) {
      this.destroy({ _tag: "Lost", problem: `Mailrace failed unexpectedly: ${MailError.describeThrown(defect)}` })
    }
  }

  private contentIsOut(): void {
    this.recorder?.wroteContent(this.content.octetsOut ?? 0)
    this.content.octetsOut = undefined
  }

  private continueOver(socket: Tls.TLSSocket): void {
    this.recorder?.secured(socket.getProtocol(), socket.getCipher().standardName, this.isVerified)
    this.socket = socket
    this.buffer = new WriteBuffer(socket)
    this.content = new ContentWriter(this.buffer, this.awaitProgress)
    this.decoder = oneByOneDecoder()
    this.listen(socket)
  }

  private listen(socket: Net.Socket): void {
    socket.on("data", this.take)
    socket.on("drain", this.onDrain)
    socket.on("end", this.onPeerEnd)
    socket.on("error", this.onError)
    socket.on("close", this.onClose)
  }

  private unlisten(socket: Net.Socket): void {
    socket.off("data", this.take)
    socket.off("drain", this.onDrain)
    socket.off("end", this.onPeerEnd)
    socket.off("error", this.onError)
    socket.off("close", this.onClose)
  }

  private readonly onReply = (reply: Reply.Reply): void => {
    this.hasReplied = true
    if (this.receiver !== undefined) this.receiver.onReply(reply)
    else this.keep(reply)
  }

  /** Keeps an early reply for the next caller. A few may come early, a flood may not. */
  private keep(reply: Reply.Reply): void {
    this.unclaimed.push(reply)
    if (this.unclaimed.length > maxUnclaimed) this.destroy(unasked(reply))
  }

  private readonly onDrain = (): void =>
    this.guarded(() => {
      this.content.drained()
      this.receiver?.onDrain()
      this.buffer.flush()
      this.deadline.restart()
    })

  private readonly onPeerEnd = (): void => this.destroy({ _tag: "Lost", problem: "the relay closed the connection" })
  private readonly onError = (error: Error): void => this.destroy({ _tag: "Lost", problem: error.message })
  private readonly onClose = (): void => this.destroy({ _tag: "Lost", problem: "the connection was closed" })
}

/** Classifies an unsolicited reply: 421 means that the relay is closing (RFC 5321 §3.8), any other is a violation. */
const unasked = (reply: Reply.Reply): ConnectionEnd.ConnectionEnd =>
  reply.code === 421
    ? { _tag: "Closing", reply }
    : { _tag: "Violation", problem: "the relay sent a reply to no command", reply }

const injected = (): MailError.MailError =>
  MailError.make(
    new MailError.TlsFailed({
      problem:
        "the relay sent more in clear after it agreed to STARTTLS; somebody may be tampering with the connection",
      hint: "use another network, or the port with implicit TLS (465)"
    })
  )

/** A decoder for the time in which one reply at a time is awaited. */
const oneByOneDecoder = (): ReplyDecoder => {
  const decoder = new ReplyDecoder()
  decoder.skipsEmptyLines = true
  return decoder
}
