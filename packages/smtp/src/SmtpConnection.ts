/**
 * One TCP connection that speaks SMTP: bytes in and out, replies in order, a deadline, TLS when asked for.
 *
 * It knows neither what a command means nor what comes next. The handshake talks through `exchange`, one command and
 * one reply at a time; the pipeline afterwards takes every reply itself through `receive`.
 *
 * There is one timer a connection: it is set when something is awaited, and looks at the last progress when it fires,
 * so that a reply costs no timer. Progress is a whole reply, or bytes that the peer takes: who sends a reply byte by
 * byte is as good as silent.
 */
import type * as Composed from "mailrace/Composed"
import * as MailError from "mailrace/MailError"
import type * as Reply from "mailrace/Reply"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type * as Net from "node:net"
import * as Tls from "node:tls"
import { WriteBuffer } from "./internal/writeBuffer.ts"
import * as Ending from "./Ending.ts"
import * as LineEndings from "./LineEndings.ts"
import { ReplyDecoder } from "./ReplyDecoder.ts"
import * as SmtpTls from "./SmtpTls.ts"

/** Who takes what comes. */
export interface Receiver {
  readonly onReply: (reply: Reply.Reply) => void
  /** All replies that came together have been handed on. */
  readonly onBatchEnd: () => void
  /** The peer has taken what was written. */
  readonly onDrain: () => void
  readonly onEnd: (ending: Ending.Ending) => void
  /** How long silence is bearable now, in milliseconds, and what to call it; nothing when nothing is awaited. */
  readonly deadline: () => { readonly limitMs: number; readonly ending: Ending.Ending } | undefined
}

/** How much of a large content is given to the socket at once, in bytes. */
const sliceSize = 65_536

/** How many replies that nobody asked for are kept; more are a violation. */
const maxUnclaimed = 16

/** One TCP connection that speaks SMTP. */
export class SmtpConnection {
  private socket: Net.Socket
  private buffer: WriteBuffer
  private decoder = new ReplyDecoder()
  private receiver: Receiver | undefined
  /** Replies that came while nobody took them. */
  private readonly unclaimed: Array<Reply.Reply> = []
  private timer: NodeJS.Timeout | undefined
  private timerEnd = 0
  private progressAt = performance.now()
  private bytesTaken = 0
  /** Whether the bytes at hand completed a reply. */
  private hasReplied = false
  private streaming: Fiber.Fiber<unknown, unknown> | undefined
  private waitingForDrain: (() => void) | undefined
  /** Why the connection ended, once it has. */
  ending: Ending.Ending | undefined

  constructor(socket: Net.Socket) {
    this.socket = socket
    this.buffer = new WriteBuffer(socket)
    socket.setNoDelay(true)
    this.listen(socket)
  }

  /** Whether the channel is encrypted. */
  get isEncrypted(): boolean {
    return this.socket instanceof Tls.TLSSocket
  }

  /** Whether the channel is encrypted and the relay's certificate and its name are verified. */
  get isVerified(): boolean {
    return this.socket instanceof Tls.TLSSocket && this.socket.authorized
  }

  /** Whether the peer said more than was asked. */
  get hasUnclaimedReplies(): boolean {
    return this.unclaimed.length > 0 || !this.decoder.isIdle
  }

  readonly write = (text: string): void => this.buffer.text(text)
  readonly writeBytes = (bytes: Uint8Array): void => this.buffer.bytes(bytes)
  readonly isWritable = (): boolean => !this.socket.writableNeedDrain

  /** Sends content in pieces no faster than the peer takes them. */
  readonly stream = (
    content: Composed.StreamedContent,
    onEnd: (problem?: { readonly cause: unknown }) => void
  ): void => {
    const encoder = new LineEndings.LineEncoder(true)
    // In slices too: of one large write nothing shows how far the peer has come.
    const send = (bytes: Uint8Array): Effect.Effect<void> =>
      Effect.callback((resume) => this.writeSlices(bytes, () => resume(Effect.void)))
    const all = Effect.andThen(
      Stream.runForEach(content.stream, (piece) => send(encoder.push(piece))),
      Effect.suspend(() => send(encoder.end()))
    )
    this.streaming = Effect.runFork(all)
    this.streaming.addObserver((exit) => {
      this.streaming = undefined
      onEnd(exit._tag === "Success" ? undefined : { cause: Cause.squash(exit.cause) })
      this.awaitProgress()
    })
  }

  /** Sends bytes in slices no faster than the peer takes them, then calls back; never when the connection ends before. */
  readonly writeSlices = (bytes: Uint8Array, onEnd: () => void): void => {
    let at = 0
    const next = (): void => {
      while (at < bytes.length) {
        this.buffer.bytes(bytes.subarray(at, at + sliceSize))
        at += sliceSize
        if (!this.buffer.flush()) {
          this.waitingForDrain = next
          return
        }
      }
      onEnd()
      this.awaitProgress()
    }
    next()
  }

  /** Gives replies to a receiver from now on; those that nobody took come first. */
  receive(receiver: Receiver): void {
    this.receiver = receiver
    for (const reply of this.unclaimed.splice(0)) receiver.onReply(reply)
    if (this.ending !== undefined) receiver.onEnd(this.ending)
    this.awaitProgress()
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
        this.finish(ending)
        resume(Effect.fail(Ending.toError(ending, phase)))
        return
      }
      const replies: Array<Reply.Reply> = []
      const finish = (effect: Effect.Effect<ReadonlyArray<Reply.Reply>, MailError.MailError>) => {
        this.receiver = undefined
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
          finish(replies.length >= count ? Effect.succeed(replies) : Effect.fail(Ending.toError(ending, phase))),
        deadline: () => ({
          limitMs,
          ending: { _tag: "Silent", phase, limitMs }
        })
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
   * taken for part of the encrypted session (CVE-2021-33515 and its kin).
   */
  upgrade(
    options: Tls.ConnectionOptions,
    limitMs: number,
    check: (socket: Tls.TLSSocket) => Error | undefined
  ): Effect.Effect<Tls.TLSSocket, MailError.MailError> {
    return Effect.callback((resume) => {
      if (!this.decoder.isIdle || this.unclaimed.length > 0) {
        resume(
          Effect.fail(
            MailError.make(
              new MailError.TlsFailed({
                problem: "the relay sent more in clear after it had agreed to STARTTLS; somebody may be tampering",
                hint: "use another network, or the port with implicit TLS (465)"
              })
            )
          )
        )
        return
      }
      const plain = this.socket
      this.unlisten(plain)
      const secured = Tls.connect({ ...options, socket: plain })
      const timer = setTimeout(() => {
        resume(Effect.fail(MailError.make(new MailError.Timeout({ phase: "tls", limitMs }))))
        secured.destroy()
      }, limitMs)
      const onProblem = (problem: Error) => {
        clearTimeout(timer)
        plain.destroy()
        this.finish({ _tag: "Lost", problem: problem.message })
        resume(Effect.fail(SmtpTls.handshakeError(problem)))
      }
      const onClose = () => onProblem(new Error("the relay closed the connection during the TLS handshake"))
      secured.once("error", onProblem)
      secured.once("close", onClose)
      secured.once("secureConnect", () => {
        const objection = check(secured)
        if (objection !== undefined) {
          secured.destroy(objection)
          return
        }
        clearTimeout(timer)
        secured.off("error", onProblem)
        secured.off("close", onClose)
        this.socket = secured
        this.buffer = new WriteBuffer(secured)
        this.decoder = new ReplyDecoder()
        this.listen(secured)
        resume(Effect.succeed(secured))
      })
      return Effect.sync(() => {
        clearTimeout(timer)
        secured.destroy()
      })
    })
  }

  /** Takes bytes that have arrived; they may be overwritten afterwards. */
  readonly take = (chunk: Uint8Array): void => {
    this.hasReplied = false
    const violation = this.decoder.push(chunk, this.onReply)
    if (violation !== undefined) {
      this.finish({ _tag: "Violation", problem: violation })
      return
    }
    this.receiver?.onBatchEnd()
    this.buffer.flush()
    if (this.hasReplied) this.awaitProgress()
  }

  /** Says a last word, waits a little for its reply, and closes. */
  quit(text: string, limitMs: number): Effect.Effect<void> {
    return Effect.ensuring(
      Effect.ignore(this.exchange(text, "quit", limitMs)),
      Effect.sync(() => this.destroy())
    )
  }

  /** Closes at once. */
  destroy(ending: Ending.Ending = { _tag: "Closed" }): void {
    this.finish(ending)
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
    if (this.unclaimed.length > maxUnclaimed) this.finish(unasked(reply))
  }

  private readonly onDrain = (): void => {
    this.progressAt = performance.now()
    const resume = this.waitingForDrain
    this.waitingForDrain = undefined
    resume?.()
    this.receiver?.onDrain()
    this.buffer.flush()
    this.awaitProgress()
  }

  private readonly onPeerEnd = (): void => this.finish({ _tag: "Lost", problem: "the relay closed the connection" })
  private readonly onError = (error: Error): void => this.finish({ _tag: "Lost", problem: error.message })
  private readonly onClose = (): void => this.finish({ _tag: "Lost", problem: "the connection was closed" })

  private finish(ending: Ending.Ending): void {
    if (this.ending !== undefined) return
    this.ending = ending
    clearTimeout(this.timer)
    this.buffer.close()
    this.socket.destroy()
    this.receiver?.onEnd(ending)
    // Last, because content that breaks off would be taken for the reason.
    if (this.streaming !== undefined) Effect.runFork(Fiber.interrupt(this.streaming))
  }

  /** Sees to it that the timer fires in time; called when something begins to be awaited, and after each reply. */
  readonly awaitProgress = (): void => {
    if (this.ending !== undefined) return
    const deadline = this.receiver?.deadline()
    if (deadline === undefined) return
    this.progressAt = performance.now()
    if (this.timer === undefined || this.timerEnd > this.progressAt + deadline.limitMs) this.arm(deadline.limitMs)
  }

  private arm(delayMs: number): void {
    clearTimeout(this.timer)
    this.timerEnd = performance.now() + delayMs
    this.timer = setTimeout(this.onTimer, Math.max(1, Math.ceil(delayMs)))
  }

  private readonly onTimer = (): void => {
    this.timer = undefined
    const deadline = this.receiver?.deadline()
    if (deadline === undefined || this.ending !== undefined) return
    // Bytes that the peer takes are progress too: a long content is answered only at its end. When all are taken, the
    // socket has said so (`onDrain`), and only the reply counts.
    const { bytesWritten, writableLength } = this.socket
    const taken = bytesWritten - writableLength
    if (writableLength > 0 && taken !== this.bytesTaken) {
      this.bytesTaken = taken
      this.progressAt = performance.now()
    }
    const rest = this.progressAt + deadline.limitMs - performance.now()
    if (rest > 0) this.arm(rest)
    else this.finish(deadline.ending)
  }
}

/** What a reply means that nobody asked for: a farewell (RFC 5321 §3.8), or a relay that does not keep count. */
const unasked = (reply: Reply.Reply): Ending.Ending =>
  reply.code === 421
    ? { _tag: "Closing", reply }
    : { _tag: "Violation", problem: "the relay answers without having been asked", reply }
