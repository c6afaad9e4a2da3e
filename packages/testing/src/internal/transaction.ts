/**
 * MAIL, RCPT, DATA and BDAT, and the content that follows them.
 *
 * Nothing is done a byte at a time: content ends are found with `indexOf`, content is passed on as ranges of the pieces
 * that arrived, and no string is made of an envelope that nobody wants.
 */
import type * as Fault from "../Fault.ts"
import type * as Inbox from "../Inbox.ts"
import { ContentCheck } from "./contentCheck.ts"
import { DotDecoder } from "./dotDecoder.ts"
import * as Envelope from "./envelope.ts"
import type { Intake } from "./mailbox.ts"
import { perform } from "./perform.ts"
import type { SessionView } from "./wire.ts"

const noParameters: Inbox.Path["parameters"] = {}

export class Transaction {
  readonly #session: SessionView
  readonly #intake: Intake
  readonly #decoder = new DotDecoder()
  readonly #check: ContentCheck | undefined
  #reading: "nothing" | "dots" | "chunk" = "nothing"
  /** MAIL was taken. */
  isOpen = false
  /** RCPTs taken. Addresses are kept apart, and only if someone wants them. */
  #recipients = 0
  #from: Inbox.Path | undefined
  #to: Array<Inbox.Path> = []
  /** MAILs taken on this connection (RFC 9422). */
  #begun = 0
  /** Content bytes, also of those not kept because there are too many. */
  #size = 0
  #contentBegun = false
  #chunked = false
  #chunkLeft = 0
  #chunkIsLast = false
  /** The reply to a chunk that is refused and is only being skipped. */
  #chunkRefusal: string | undefined
  /** A refused chunk has spoilt the transaction; only RSET helps. */
  #spoilt = false
  /** MAIL, RCPT or BDAT was refused, so that what was sent along with it may be out of order without blame. */
  #excused = false
  /** True if the final reply at hand reaches the client. */
  #answered = true
  /** The end of DATA was answered, and what had come before that is still to be refused. */
  #refusesWaiting = false
  /** Messages taken on this connection. */
  #taken = 0

  constructor(session: SessionView) {
    this.#session = session
    this.#intake = session.server.mailbox.intake()
    this.#check = session.server.config.checkContent
      ? new ContentCheck(this.#intake, (problem) => session.server.violation(session.connection.id, problem, ""))
      : undefined
  }

  get readsContent(): boolean {
    return this.#reading !== "nothing"
  }

  /** The sender's address, when there is a transaction. */
  get sender(): string | undefined {
    return this.#from?.address
  }

  /** The addresses of the recipients taken so far. */
  get recipients(): ReadonlyArray<string> {
    return this.#to.map((path) => path.address)
  }

  /** RSET (RFC 5321 §4.1.1.5). */
  reset(): void {
    this.clear()
    this.#session.reply("rset", this.#session.replies.ok)
  }

  /** Ends the transaction, whatever its outcome. */
  clear(): void {
    this.#reading = "nothing"
    this.isOpen = false
    this.#recipients = 0
    this.#from = undefined
    if (this.#to.length > 0) this.#to = []
    this.#size = 0
    this.#contentBegun = false
    this.#chunked = false
    this.#chunkRefusal = undefined
    this.#spoilt = false
    this.#excused = false
    this.#intake.clear()
  }

  /** Runs a step whose answer does not reach the client. */
  unanswered(step: () => void): void {
    this.#answered = false
    step()
    this.#answered = true
  }

  /** A fault took the place of a step; `replied` tells whether the client was told so. */
  refused(phase: Fault.Phase, replied: boolean): void {
    if (phase === "mail" || phase === "rcpt") this.#excused = true
    else if (phase === "bdat") this.#spoil()
    else if (phase === "final" && replied) this.clear()
    else if (phase === "final") this.unanswered(() => void this.#session.connection.capture(() => this.#accept()))
  }

  /** MAIL (RFC 5321 §4.1.1.2). */
  mail(input: Buffer, start: number, end: number): void {
    const path = Envelope.findPath(input, start, end, " FROM:")
    if (path === -1) return this.#session.unknown(input, start, end)
    if (!this.#session.server.script.concerns("mail")) return this.#mail(input, path, end)
    const from = Envelope.addressOf(input, path, Math.max(path, Envelope.scanPath(input, path, end, true)))
    perform(this.#session, "mail", () => this.#mail(input, path, end), { from })
  }

  #mail(input: Buffer, start: number, end: number): void {
    const session = this.#session
    const { config } = session.server
    const { replies } = session
    if (session.clientName === undefined) return this.#disorder("MAIL before EHLO", replies.outOfOrder)
    if (this.isOpen || this.#spoilt) return this.#disorder("MAIL within a transaction", replies.nestedMail)
    this.#excused = true
    if (config.requireTls && session.connection.tls === undefined) return session.reply("mail", replies.needTls)
    if (config.requireAuth && session.login.user === undefined) return session.reply("mail", replies.needAuth)
    const pathEnd = Envelope.scanPath(input, start, end, true)
    if (pathEnd === -1) return session.reply("mail", replies.badSender)
    const { mailMax } = session.extensions.limits
    if (mailMax !== undefined && this.#begun >= mailMax) {
      session.reply("mail", replies.tooManyTransactions)
      return session.connection.end()
    }
    let parameters = noParameters
    if (pathEnd !== end) {
      const encrypted = session.connection.tls !== undefined
      const parsed = this.#parameters(input, pathEnd, end, Envelope.mailParameters(session.extensions, encrypted))
      if (parsed === undefined) return
      parameters = parsed
    }
    if (!("SMTPUTF8" in parameters) && Envelope.hasEightBit(input, start, pathEnd)) {
      return session.violation("a sender beyond ASCII without SMTPUTF8", "MAIL", replies.needUtf8)
    }
    if (config.maxMessageSize > 0 && Number(parameters["SIZE"] ?? 0) > config.maxMessageSize) {
      return session.reply("mail", replies.tooLarge)
    }
    this.isOpen = true
    this.#excused = false
    this.#begun++
    if (session.server.describes) this.#from = { address: Envelope.addressOf(input, start, pathEnd), parameters }
    session.reply("mail", replies.sender)
  }

  /** RCPT (RFC 5321 §4.1.1.3). */
  rcpt(input: Buffer, start: number, end: number): void {
    const path = Envelope.findPath(input, start, end, " TO:")
    if (path === -1) return this.#session.unknown(input, start, end)
    if (!this.#session.server.script.concerns("rcpt")) return this.#rcpt(input, path, end)
    const to = Envelope.addressOf(input, path, Math.max(path, Envelope.scanPath(input, path, end, false)))
    perform(this.#session, "rcpt", () => this.#rcpt(input, path, end), { to: [to] })
  }

  #rcpt(input: Buffer, start: number, end: number): void {
    const session = this.#session
    const { replies } = session
    if (!this.isOpen || this.#spoilt || this.#chunked) return this.#disorder("RCPT out of order", replies.outOfOrder)
    const pathEnd = Envelope.scanPath(input, start, end, false)
    if (pathEnd === -1) {
      this.#excused = true
      return session.reply("rcpt", replies.badRecipient)
    }
    let parameters = noParameters
    if (pathEnd !== end) {
      const parsed = this.#parameters(input, pathEnd, end, Envelope.rcptParameters(session.extensions))
      if (parsed === undefined) return
      parameters = parsed
    }
    if (
      this.#from !== undefined &&
      !("SMTPUTF8" in this.#from.parameters) &&
      Envelope.hasEightBit(input, start, pathEnd)
    ) {
      return session.violation("a recipient beyond ASCII without SMTPUTF8", "RCPT", replies.needUtf8)
    }
    const { rcptMax } = session.extensions.limits
    if (rcptMax !== undefined && this.#recipients >= rcptMax) {
      this.#excused = true
      return session.reply("rcpt", replies.tooManyRecipients)
    }
    this.#recipients++
    if (session.server.describes) this.#to.push({ address: Envelope.addressOf(input, start, pathEnd), parameters })
    session.reply("rcpt", replies.recipient)
  }

  /** DATA (RFC 5321 §4.1.1.4). */
  data(): void {
    const { replies, server } = this.#session
    if (this.#chunked || this.#spoilt) return this.#disorder("DATA after BDAT", replies.outOfOrder)
    if (this.#recipients === 0) {
      if (this.isOpen && this.#excused) return this.#session.reply("data", replies.noRecipients)
      return this.#disorder("DATA without recipients", replies.outOfOrder)
    }
    const normal = () => {
      if (server.mailbox.isFull()) return this.#session.reply("data", replies.full)
      this.#reading = "dots"
      this.#decoder.reset()
      this.#check?.reset()
      this.#session.reply("data", replies.go)
    }
    if (server.script.concerns("data")) perform(this.#session, "data", normal)
    else normal()
  }

  /** BDAT (RFC 3030 §2). */
  bdat(input: Buffer, start: number, end: number): void {
    const session = this.#session
    const { quirks } = session.server.config
    if (!session.extensions.chunking || quirks.unknownBdat === true) return session.unknown(input, start, end)
    const [, size, last] = /^.{4} (\d{1,15})( LAST)?$/i.exec(input.toString("latin1", start, end)) ?? []
    if (size === undefined) {
      session.violation("BDAT without a size", input.toString("latin1", start, end), session.replies.syntax)
      return session.connection.end()
    }
    const refusal = this.#refusalOfChunk()
    if (refusal !== undefined && quirks.unreadRefusedChunk === true) {
      this.#spoil()
      return session.reply("bdat", refusal)
    }
    this.#chunkLeft = Number(size)
    this.#chunkIsLast = last !== undefined
    this.#chunkRefusal = refusal
    if (refusal === undefined && !this.#chunked) this.#check?.reset()
    this.#reading = "chunk"
    if (this.#chunkLeft === 0) this.#endChunk()
  }

  #refusalOfChunk(): string | undefined {
    const { replies, server } = this.#session
    if (this.#spoilt) return replies.outOfOrder
    if (this.#recipients > 0) return server.mailbox.isFull() ? replies.full : undefined
    if (!this.#excused) this.#session.server.violation(this.#session.connection.id, "BDAT without recipients", "BDAT")
    return this.isOpen ? replies.noRecipients : replies.outOfOrder
  }

  /** Takes content; gives where it stopped. */
  consume(input: Buffer, position: number): number {
    const { connection, server } = this.#session
    if (!this.#contentBegun && this.#chunkRefusal === undefined) {
      if (this.#reading === "dots" && connection.hasUnsent) return this.#early(input)
      this.#contentBegun = true
      if (server.script.concerns("content")) {
        perform(this.#session, "content", () => undefined)
        if (connection.isStopped) return position
      }
    }
    if (this.#reading === "dots") {
      const end = this.#decoder.write(input, position, this)
      if (end === -1) return input.length
      const { behindDot } = server.config.quirks
      const isFollowed = end < input.length
      // The dot's own line stays in the message with what is behind it.
      if (behindDot === "store" && isFollowed) this.write(input, Math.max(position, end - 3), input.length)
      if (behindDot === "close" && isFollowed) {
        this.#reading = "nothing"
        this.refused("final", false)
        connection.end()
        return input.length
      }
      this.#final()
      return end
    }
    const end = Math.min(input.length, position + this.#chunkLeft)
    if (this.#chunkRefusal === undefined) this.write(input, position, end)
    this.#chunkLeft -= end - position
    if (this.#chunkLeft === 0) this.#endChunk()
    return end
  }

  /** Refuses what came before the reply to the end of DATA, if that was just given; gives where whole commands end. */
  refuseWaiting(input: Buffer, position: number): number {
    if (!this.#refusesWaiting) return position
    this.#refusesWaiting = false
    let at = position
    for (let feed = input.indexOf(10, at); feed !== -1; feed = input.indexOf(10, at)) {
      const { replies, server } = this.#session
      if (server.transcribes) {
        server.record(this.#session.connection.id, "client", input.toString("utf8", at, feed).trimEnd())
      }
      this.#session.reply("noop", replies.aheadOfReply)
      at = feed + 1
    }
    return at
  }

  /** Takes a range of decoded content. */
  write(bytes: Buffer, start: number, end: number): void {
    const { maxMessageSize } = this.#session.server.config
    this.#size += end - start
    if (maxMessageSize > 0 && this.#size > maxMessageSize) this.#intake.clear()
    else (this.#check ?? this.#intake).write(bytes, start, end)
  }

  /** As Postfix from 3.9 on: content before the 354 is a broken or hostile client. */
  #early(input: Buffer): number {
    this.#session.violation("content before the 354", "DATA", this.#session.replies.earlyContent)
    this.clear()
    this.#session.connection.end()
    return input.length
  }

  #endChunk(): void {
    const { connection, replies, server } = this.#session
    this.#reading = "nothing"
    const refusal = this.#chunkRefusal
    this.#chunkRefusal = undefined
    const { closeAfterChunk } = server.config.quirks
    if (refusal !== undefined) {
      this.#spoil()
      this.#session.reply("bdat", refusal)
      if (closeAfterChunk !== undefined) connection.end()
      return
    }
    const normal = () => {
      this.#chunked = true
      if (this.#chunkIsLast) this.#final()
      else this.#session.reply("bdat", replies.chunk)
    }
    if (server.script.concerns("bdat")) perform(this.#session, "bdat", normal)
    else normal()
    if (closeAfterChunk === "every" || (closeAfterChunk === "refused" && this.#spoilt)) connection.end()
  }

  #final(): void {
    const { connection, server } = this.#session
    this.#reading = "nothing"
    const { largestAnsweredChunk = Number.POSITIVE_INFINITY } = server.config.quirks
    if (this.#chunked && this.#size > largestAnsweredChunk) {
      this.refused("final", false)
      return connection.hang(true)
    }
    if (server.script.concerns("final")) perform(this.#session, "final", () => this.#accept())
    else this.#accept()
  }

  #accept(): void {
    const { connection, login, replies, server } = this.#session
    const phase = this.#chunked ? "bdat" : "final"
    const { maxMessageSize } = server.config
    if (maxMessageSize > 0 && this.#size > maxMessageSize) {
      this.clear()
      return this.#session.reply(phase, replies.tooLarge)
    }
    const from = this.#from
    const to = this.#to
    const chunked = this.#chunked
    this.#to = []
    server.accepted(this.#answered)
    this.#intake.finish(
      (content) => ({
        connection: connection.id,
        from: from ?? { address: "", parameters: noParameters },
        to,
        content,
        chunked,
        tls: connection.tls,
        user: login.user,
        receivedAt: Date.now()
      }),
      this.#answered
    )
    this.clear()
    this.#session.reply(phase, replies.accepted)
    this.#refusesWaiting = !chunked && server.config.quirks.behindDot === "refuse"
    if (++this.#taken === server.config.quirks.closeAfterMessages) connection.end()
    if (server.mailbox.isBusy()) connection.blockUntil((resume) => server.mailbox.drained(resume))
  }

  /** A chunk was refused: nothing more of this transaction counts, unless the server is as Exim. */
  #spoil(): void {
    this.#excused = true
    this.#reading = "nothing"
    this.#chunkRefusal = undefined
    if (this.#session.server.config.quirks.openAfterRefusedChunk === true) return
    this.#spoilt = true
    this.#intake.clear()
  }

  #disorder(problem: string, reply: string): void {
    if (!this.#excused || problem.startsWith("MAIL")) {
      this.#session.server.violation(this.#session.connection.id, problem, "")
    }
    this.#session.reply("noop", reply)
  }

  #parameters(
    input: Buffer,
    start: number,
    end: number,
    allowed: ReadonlyMap<string, RegExp>
  ): Inbox.Path["parameters"] | undefined {
    const parsed = Envelope.parseParameters(input.toString("utf8", start, end), allowed)
    if (!Envelope.isRefusal(parsed)) return parsed
    this.#excused = true
    const { replies } = this.#session
    const reply = parsed.reply === "syntax" ? replies.syntax : replies.unknownParameter
    this.#session.violation(parsed.problem, input.toString("utf8", start, end), reply)
    return undefined
  }
}
