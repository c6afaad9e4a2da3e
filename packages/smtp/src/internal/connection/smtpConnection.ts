/**
 * One TCP connection that speaks SMTP: bytes in and out, replies in order, a deadline, TLS when asked for.
 *
 * It is the last stop of a message on its way out, and the first of the relay's reply on its way back. It knows neither
 * what a command means nor what comes next: the handshake talks through `exchange`, one command and one reply at a time,
 * and the pipeline afterwards takes every reply itself through `receive`.
 *
 * What goes out is gathered by `WriteBuffer`, or sent in slices by `ContentWriter` when it is large; what comes in is put
 * together by `ReplyDecoder`; `Deadline` notices silence. Here they meet the socket, and the connection's one end.
 */
import type * as Composed from "mailrace/Composed"
import * as MailError from "mailrace/MailError"
import type * as Reply from "mailrace/Reply"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Net from "node:net"
import * as Tls from "node:tls"
import { ContentWriter } from "./contentWriter.ts"
import { Deadline, type Limit } from "./deadline.ts"
import { tlsUpgrade } from "./tlsUpgrade.ts"
import { WriteBuffer } from "./writeBuffer.ts"
import * as ConnectionEnd from "./connectionEnd.ts"
import { ReplyDecoder } from "../../ReplyDecoder.ts"

/** Who takes what comes. */
export interface Receiver {
  /** A whole reply has come; all that come in one piece are handed on one after the other. */
  readonly onReply: (reply: Reply.Reply) => void
  /** All replies that came together have been handed on. */
  readonly onBatchEnd: () => void
  /** The peer has taken what was written. */
  readonly onDrain: () => void
  /** The connection has ended; called once, and nothing after it. */
  readonly onEnd: (ending: ConnectionEnd.ConnectionEnd) => void
  /** How long silence is bearable now; nothing when nothing is awaited. */
  readonly limit: () => Limit | undefined
}

/** How many replies that nobody asked for are kept; more are a violation. */
const maxUnclaimed = 16

/** One TCP connection that speaks SMTP. */
export class SmtpConnection {
  private socket: Net.Socket
  private buffer: WriteBuffer
  private content: ContentWriter
  private decoder = new ReplyDecoder()
  private receiver: Receiver | undefined
  /** Replies that came while nobody took them. */
  private readonly unclaimed: Array<Reply.Reply> = []
  /** Whether the bytes at hand completed a reply. */
  private hasReplied = false
  private readonly deadline = new Deadline(
    () => this.receiver?.limit(),
    () => this.socket,
    (ending) => this.destroy(ending)
  )
  /** Why the connection ended, once it has. */
  ending: ConnectionEnd.ConnectionEnd | undefined

  constructor(socket: Net.Socket) {
    this.socket = socket
    this.buffer = new WriteBuffer(socket)
    this.content = new ContentWriter(this.buffer, this.awaitProgress)
    socket.setNoDelay(true)
    this.listen(socket)
  }

  /** Whether the channel is encrypted. */
  get isEncrypted(): boolean {
    return this.socket instanceof Tls.TLSSocket
  }

  /** Whether the channel is encrypted and the relay's certificate and its name are verified; the handshake sets it. */
  isVerified = false

  /** Whether the peer said more than was asked. */
  get hasUnclaimedReplies(): boolean {
    return this.unclaimed.length > 0 || !this.decoder.isIdle
  }

  // What a pipeline writes through; see `SmtpPipeline.Wire`.
  readonly write = (text: string): void => this.buffer.text(text)
  readonly writeBytes = (bytes: Uint8Array): void => this.buffer.bytes(bytes)
  readonly isWritable = (): boolean => !this.socket.writableNeedDrain

  /** Sends content in pieces no faster than the peer takes them, then calls back, with the problem if there was one. */
  readonly stream = (content: Composed.StreamedContent, onEnd: (problem?: { readonly cause: unknown }) => void): void =>
    this.content.stream(content, (problem) => this.guarded(() => onEnd(problem)))

  /** Sends bytes in slices no faster than the peer takes them, then calls back; never when the connection ends before. */
  readonly writeSlices = (bytes: Uint8Array, onEnd: () => void): void => this.content.slices(bytes, onEnd)

  /** Gives replies to a receiver from now on; those that nobody took come first. */
  receive(receiver: Receiver): void {
    this.receiver = receiver
    for (const reply of this.unclaimed.splice(0)) receiver.onReply(reply)
    if (this.ending !== undefined) receiver.onEnd(this.ending)
    this.deadline.restart()
  }

  /** Sends some text, if any, and takes the one reply that follows; fails when there is none within the limit. */
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
        // Taken for the answer to what is said next, it would put everything out of step.
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
        // What was said outranks how it ended.
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
   * Puts TLS over the connection. What the peer said in clear and nobody asked for is a reason to refuse: it would be
   * taken for part of the encrypted session (CVE-2021-33515 and its kin). `onStart` sees the socket before its handshake.
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
    const violation = this.decoder.push(chunk, this.onReply)
    if (violation !== undefined) {
      this.destroy({ _tag: "Violation", problem: violation })
      return
    }
    this.receiver?.onBatchEnd()
    this.buffer.flush()
    if (this.hasReplied) this.deadline.restart()
  }

  /** Says a last word, waits a little for its reply, and closes. */
  quit(text: string, limitMs: number): Effect.Effect<void> {
    return Effect.ensuring(
      Effect.ignore(this.exchange(text, "quit", limitMs)),
      Effect.sync(() => this.destroy())
    )
  }

  /** Something begins to be awaited, so that silence counts from now. */
  readonly awaitProgress = (): void => this.deadline.restart()

  /** Closes at once; the first reason given is the one that counts. */
  destroy(ending: ConnectionEnd.ConnectionEnd = { _tag: "Closed" }): void {
    if (this.ending !== undefined) return
    this.ending = ending
    this.deadline.stop()
    this.buffer.close()
    this.socket.destroy()
    try {
      this.receiver?.onEnd(ending)
    } catch {
      // Whatever breaks here has no connection left that it could end.
    }
    // Last, because content that breaks off would be taken for the reason.
    this.content.stop()
  }

  /** Runs what a socket or a timer calls, where an exception would end the process and not the connection. */
  private guarded(run: () => void): void {
    try {
      run()
    } catch (defect) {
      this.destroy({ _tag: "Lost", problem: `Mailrace failed unexpectedly: ${MailError.describeThrown(defect)}` })
    }
  }

  private continueOver(socket: Net.Socket): void {
    this.socket = socket
    this.buffer = new WriteBuffer(socket)
    this.content = new ContentWriter(this.buffer, this.awaitProgress)
    this.decoder = new ReplyDecoder()
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

  /** Keeps a reply for whoever asks next; a few may come early, a flood may not. */
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

/** What a reply means that nobody asked for: a farewell (RFC 5321 §3.8), or a relay that does not keep count. */
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
