/**
 * A relay as RFC 5321, 2920 and 3030 describe it, without a socket: it reads what a client writes at once, judges
 * whether the client may write that now, and keeps its replies until the test hands them over.
 *
 * It behaves as Exim 4.96 where servers differ: a BDAT that is refused leaves the transaction open.
 */
import type * as Pipelining from "../../src/Pipelining.ts"

/** What the relay took responsibility for. */
export interface Taken {
  readonly from: string
  readonly to: ReadonlyArray<string>
  readonly content: string
}

/** The command that a reply belongs to; `test` for all of the self-test's. */
export type Kind = "rset" | "mail" | "rcpt" | "data" | "emptyContent" | "final" | "test"

/**
 * What a server does wrong with commands that come with the end of content: it stores them in the mail and runs them as
 * well, refuses each of them (503), or takes the mail and hangs up.
 */
export type DotFault = "stores" | "refuses" | "hangsUp"

/** A reply on its way to the client. */
export interface Pending {
  readonly kind: Kind
  readonly code: number
  /** The sender named in the MAIL before it, which tells whose reply it is. */
  readonly about: string
  /** It answers the end of DATA. */
  readonly isDot: boolean
  /** The length of the chunk that it answers, as one whose envelope was good. */
  readonly chunk: number
}

export interface ModelOptions {
  readonly mode: Pipelining.Mode
  readonly depth: number
  readonly maxSpeculativeSize: number
  readonly pauseMs: number
  /** What is said to each command in turn, where it could be said yes to; yes when used up. */
  readonly verdicts: ReadonlyArray<number>
  /** DATA without recipients is answered 354, as RFC 2920 §3.1 allows. */
  readonly goesAheadWithoutRecipients: boolean
  /** RSET is answered and does nothing, which is the same as a client that leaves it out. */
  readonly ignoresRset?: boolean | undefined
  readonly dotFault?: DotFault | undefined
  /** A refused chunk is not read as one: its lines are run as commands. */
  readonly runsRefusedChunks?: boolean | undefined
}

export class ModelServer {
  /** What the client must not do and did. */
  readonly illegal: Array<string> = []
  readonly taken: Array<Taken> = []
  readonly replies: Array<Pending> = []
  private readonly options: ModelOptions
  private verdict = 0
  private input = ""
  private reading: "commands" | "content" | "nothing" = "commands"
  private transaction: { readonly from: string; readonly to: Array<string> } | undefined
  private about = ""
  /** The command before was RSET, and nothing came in between. */
  private isFresh = false
  /** MAIL was refused, so what came along with it may be out of order without blame. */
  private isExcused = false
  /** The turn in which content was last written to its end. */
  private contentTurn = -1
  private turn = 0
  private lastFinalAt: number | undefined
  /** 421 was said, and nothing is read any more. */
  private isDead = false
  private hasTested = false
  /** Lines of the self-test's chunk that were run as commands. */
  strays = 0
  private largestAnswered = 0
  /** Commands came with the end of content, and the server hung up. */
  hasHungUp = false

  constructor(options: ModelOptions) {
    this.options = options
  }

  /** Begins a new turn: what is written in one turn leaves together. */
  next(): void {
    this.turn++
  }

  /** Hands over the next reply. */
  deliver(now: number): Pending {
    const reply = this.replies.shift()!
    if (reply.kind === "data" && this.reading === "nothing") this.reading = reply.code === 354 ? "content" : "commands"
    if (this.replies.length === 0 || reply.kind === "final") this.lastFinalAt = now
    this.largestAnswered = Math.max(this.largestAnswered, reply.chunk)
    return reply
  }

  /** Takes what the client writes. */
  write(text: string, now: number): void {
    this.input += text
    while (this.input !== "" && !this.isDead) {
      if (this.reading === "nothing") {
        this.illegal.push(`bytes between DATA and its reply: ${JSON.stringify(this.input.slice(0, 40))}`)
        return
      }
      if (this.reading === "content") {
        if (!this.content()) return
        continue
      }
      const end = this.input.indexOf("\r\n")
      if (end === -1) return
      const line = this.input.slice(0, end)
      this.input = this.input.slice(end + 2)
      this.command(line, now)
    }
  }

  /** Whether everything that was written made whole commands and contents. */
  get isComplete(): boolean {
    return this.input === "" && this.reading !== "content"
  }

  private command(line: string, now: number): void {
    const { mode } = this.options
    if (mode === "off" && this.replies.length > 0) this.illegal.push(`${line} before the reply to the command before`)
    const [, from] = /^MAIL FROM:<([^>]*)>$/.exec(line) ?? []
    const [, to] = /^RCPT TO:<([^>]*)>$/.exec(line) ?? []
    const [, length] = /^BDAT (\d+) LAST$/.exec(line) ?? []
    if (mode !== "overlap" && this.replies.some(({ isDot }) => isDot))
      this.illegal.push(`${line} behind the end of DATA`)
    if (this.replies.some(({ isDot }) => isDot) && this.dotFault(line, from !== undefined, to !== undefined)) return
    if (line === "RSET" && this.selfTest()) return
    if (line === "NOOP" && this.options.runsRefusedChunks === true) {
      this.strays++
      this.say("test", 250, true)
      return
    }
    if (line === "RSET") {
      this.begins(line)
      this.about = ""
      const code = this.say("rset", 250)
      if (code < 300 && this.options.ignoresRset !== true) this.transaction = undefined
      // Only a server that is about to close refuses RSET.
      if (code >= 300) this.isDead = true
      this.isExcused = false
      this.isFresh = true
      return
    }
    if (from !== undefined) this.mail(line, from)
    else if (to !== undefined) this.rcpt(line, to)
    else if (line === "DATA") this.data(line)
    else if (length !== undefined) this.bdat(line, Number(length), now)
    else this.illegal.push(`no command: ${JSON.stringify(line)}`)
    this.isFresh = false
  }

  /** A command came before the reply to the end of DATA. Tells whether nothing else is to be done about it. */
  private dotFault(line: string, isMail: boolean, isRcpt: boolean): boolean {
    const { dotFault } = this.options
    const isTogether = this.contentTurn === this.turn
    if (dotFault === "refuses") {
      this.about = /FROM:<([^>]*)>/.exec(line)?.[1] ?? this.about
      this.say(isMail ? "mail" : isRcpt ? "rcpt" : line === "RSET" ? "rset" : "data", 503, true)
      return true
    }
    if (dotFault === "stores" && isTogether) {
      const last = this.taken.pop()
      if (last !== undefined) this.taken.push({ ...last, content: `${last.content}.\r\n${line}\r\n` })
    }
    if (dotFault === "hangsUp" && isTogether) {
      this.replies.splice(this.replies.findIndex(({ isDot }) => isDot))
      this.hasHungUp = true
      this.isDead = true
      return true
    }
    return false
  }

  /** Answers the self-test, if that is what comes after RSET. Tells whether it was. */
  private selfTest(): boolean {
    const [text, chunk] =
      /^MAIL FROM:<[^>]*>\r\nRCPT TO:<@@>\r\nBDAT \d+ LAST\r\n((?:NOOP\r\n)+)/.exec(this.input) ?? []
    if (text === undefined) return false
    if (this.options.mode !== "speculative") this.illegal.push(`a self-test in mode ${this.options.mode}`)
    if (this.hasTested) this.illegal.push("a second self-test")
    if (this.replies.length > 0) this.illegal.push("a self-test before the replies of the transaction before")
    this.hasTested = true
    this.about = ""
    if (this.say("test", 250) >= 300) this.isDead = true
    const isMailTaken = this.say("test", 250) < 300
    this.say("test", isMailTaken ? 501 : 503, true)
    this.say("test", 503, true)
    const end = text.length - (this.options.runsRefusedChunks === true ? chunk!.length : 0)
    this.input = this.input.slice(end)
    // The RSET that follows ends it.
    if (this.options.runsRefusedChunks === true) return true
    this.input = this.input.slice("RSET\r\n".length)
    if (this.say("test", 250) >= 300) this.isDead = true
    this.transaction = undefined
    this.isExcused = false
    this.isFresh = true
    return true
  }

  private mail(line: string, from: string): void {
    if (from === "x@y") this.illegal.push(`${line} was content`)
    if (!this.isFresh) {
      this.begins(line)
      if (this.options.mode === "speculative" && this.replies.length > 0)
        this.illegal.push("MAIL without RSET before it")
    }
    this.about = from
    if (this.transaction !== undefined) {
      if (!this.isExcused && this.options.ignoresRset !== true) this.illegal.push(`${line} within a transaction`)
      this.isExcused = true
      this.say("mail", 503, true)
      return
    }
    const code = this.say("mail", 250)
    this.isExcused = code >= 300
    if (code < 300) this.transaction = { from, to: [] }
  }

  private rcpt(line: string, to: string): void {
    if (this.transaction === undefined) {
      if (!this.isExcused || this.options.mode === "off") this.illegal.push(`${line} without a transaction`)
      this.say("rcpt", 503, true)
      return
    }
    if (this.say("rcpt", 250) < 300) this.transaction.to.push(to)
  }

  private data(line: string): void {
    this.reading = "nothing"
    if (this.transaction === undefined || this.transaction.to.length === 0) {
      if (this.options.mode === "off") this.illegal.push(`${line} without recipients`)
      const goesAhead = this.transaction !== undefined && this.options.goesAheadWithoutRecipients
      this.say("data", goesAhead ? 354 : 503, !goesAhead)
    } else {
      this.say("data", 354)
    }
  }

  /** Refuses content before its end and goes, as a relay may that has seen enough. Tells whether it could. */
  refuseEarly(): boolean {
    if (this.reading !== "content" || this.input === "" || this.isDead) return false
    this.say("final", 554, true)
    this.isDead = true
    return true
  }

  /** Reads DATA content. Tells whether it has come to its end. */
  private content(): boolean {
    const text = `\r\n${this.input}`
    const end = text.indexOf("\r\n.\r\n")
    if (end === -1) return false
    const raw = text.slice(2, end + 2)
    this.input = text.slice(end + 5)
    this.reading = "commands"
    this.contentTurn = this.turn
    const { from, to } = this.transaction!
    this.transaction = undefined
    if (to.length === 0) {
      if (raw !== "") this.illegal.push("content for nobody")
      this.say("emptyContent", 554, true)
    } else {
      this.take(from, to, raw.replaceAll(/(^|\r\n)\./g, "$1"))
    }
    return true
  }

  private bdat(line: string, length: number, now: number): void {
    const { maxSpeculativeSize, mode, pauseMs } = this.options
    if (mode !== "speculative") this.illegal.push(`${line} in mode ${mode}`)
    if (!this.hasTested) this.illegal.push(`${line} without a self-test`)
    const isTrial = (chunk: number): boolean => chunk > 1.25 * this.largestAnswered
    if (isTrial(length) && this.replies.some(({ chunk }) => isTrial(chunk)))
      this.illegal.push(`${line} beside another that is a trial`)
    if (length > maxSpeculativeSize) this.illegal.push(`${line} is too long to run ahead`)
    if (this.lastFinalAt === undefined) this.illegal.push(`${line} on a connection that has carried nothing`)
    else if (!this.replies.some(({ kind }) => kind === "final") && now - this.lastFinalAt > pauseMs)
      this.illegal.push(`${line} after a pause`)
    if (this.input.length < length) this.illegal.push(`${line} without its chunk`)
    const content = this.input.slice(0, length)
    this.input = this.input.slice(length)
    const open = this.transaction
    if (open === undefined || open.to.length === 0) {
      this.say("final", 503, true)
    } else if (this.take(open.from, open.to, content, length)) {
      this.transaction = undefined
    }
    const underway = this.replies.filter(({ kind }) => kind === "final").length
    if (underway > this.options.depth) this.illegal.push(`${underway} transactions are on their way`)
  }

  private take(from: string, to: ReadonlyArray<string>, content: string, chunk?: number): boolean {
    const isYes = this.say("final", 250, false, chunk ?? 0, chunk === undefined) < 300
    if (isYes) this.taken.push({ from, to: [...to], content })
    return isYes
  }

  /** A first command of a transaction: may it be written now? */
  private begins(line: string): void {
    const { mode } = this.options
    const [outstanding] = this.replies
    if (outstanding === undefined) return
    if (mode === "speculative") {
      if (!this.hasTested) this.illegal.push(`${line} ahead of replies without a self-test`)
      return
    }
    const joins = this.replies.length === 1 && outstanding.kind === "final" && this.contentTurn === this.turn
    if (mode !== "overlap" || !joins) this.illegal.push(`${line} before the replies of the transaction before`)
  }

  /** Answers with the next verdict where a yes is possible, and gives the code. */
  private say(kind: Kind, usual: number, isSettled = false, chunk = 0, isDot = false): number {
    const code = isSettled ? usual : (this.options.verdicts[this.verdict++] ?? usual)
    this.replies.push({ kind, code: code === 0 ? usual : code, about: this.about, chunk, isDot })
    if (code === 421) this.isDead = true
    return code === 0 ? usual : code
  }
}
