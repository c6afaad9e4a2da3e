/**
 * The SMTP session of one connection (RFC 5321): reads lines, finds the command, keeps the order. Transactions are in
 * `transaction.ts`, logins in `login.ts`.
 */
import type * as Fault from "../Fault.ts"
import { Login } from "./login.ts"
import type { ResolvedExtensions } from "./options.ts"
import { perform } from "./perform.ts"
import type { Replies } from "./replies.ts"
import type { ServerState } from "./serverState.ts"
import { Transaction } from "./transaction.ts"
import type { SessionView, Wire } from "./wire.ts"

const maxLine = 16 * 1024
const lineFeed = 10
const carriageReturn = 13

/** The first four letters of a line as one upper-case number, so that a verb is found by one comparison. */
const verb = (name: string): number => Buffer.from(name).readInt32BE()
const upperCase = ~0x20202020
const EHLO = verb("EHLO")
const HELO = verb("HELO")
const MAIL = verb("MAIL")
const RCPT = verb("RCPT")
const DATA = verb("DATA")
const BDAT = verb("BDAT")
const RSET = verb("RSET")
const NOOP = verb("NOOP")
const QUIT = verb("QUIT")
const VRFY = verb("VRFY")
const HELP = verb("HELP")
const AUTH = verb("AUTH")
const STARTTLS = verb("STAR")

export class Session implements SessionView {
  readonly connection: Wire
  readonly server: ServerState
  readonly login: Login
  readonly transaction: Transaction
  extensions: ResolvedExtensions
  replies: Replies
  /** The name given with EHLO or HELO. */
  clientName: string | undefined
  /** True if the client has been greeted, or refused; before that, nothing is read. */
  isOpen = false
  /** True if everything but QUIT is refused, because the greeting was. */
  #shut = false
  /** A false offer in the reply to EHLO. */
  readonly #lies = new Set<string>()

  constructor(connection: Wire) {
    this.connection = connection
    this.server = connection.server
    this.extensions = this.server.config.extensions
    this.replies = this.server.replies
    this.login = new Login(this)
    this.transaction = new Transaction(this)
  }

  /** Says hello, once the connection is ready for it. */
  greet(): void {
    perform(this, "greeting", () => {
      this.isOpen = true
      this.reply("greeting", this.replies.greeting)
    })
  }

  reply(phase: Fault.Phase, text: string): void {
    this.connection.reply(phase, text)
  }

  /** Answers a violation of the protocol, and records it. */
  violation(problem: string, line: string, reply: string): void {
    this.server.violation(this.connection.id, problem, line)
    this.reply("noop", reply)
  }

  /** Forgets all that was said in clear (RFC 3207 §4.2). */
  forget(): void {
    this.clientName = undefined
    this.login.user = undefined
    this.transaction.clear()
  }

  /** A fault took the place of a step; `replied` tells whether the client was told so. */
  refused(phase: Fault.Phase, replied = false): void {
    if (phase === "greeting") {
      this.isOpen = true
      this.#shut = true
    } else this.transaction.refused(phase, replied)
  }

  /** Advertises an extension that is not honoured from now on. */
  lie(keyword: string): void {
    this.#lies.add(keyword)
    const name = lieNames[keyword]
    if (name === undefined) return
    this.extensions = { ...this.extensions, [name]: name === "auth" ? [] : false }
    if (name === "enhancedStatusCodes") this.replies = this.server.plainReplies
  }

  /** Takes one command or a stretch of content; gives where it stopped, `position` when it needs more. */
  consume(input: Buffer, position: number): number {
    if (!this.isOpen) return position
    if (this.transaction.readsContent) return this.transaction.consume(input, position)
    const feed = input.indexOf(lineFeed, position)
    if (feed === -1) {
      if (input.length - position > maxLine) {
        this.violation("a line longer than 16 KiB", "", this.replies.lineTooLong)
        this.connection.end()
      }
      return position
    }
    this.server.counters.commands++
    if (feed > position && input[feed - 1] === carriageReturn) this.#command(input, position, feed - 1, feed + 1)
    else this.violation("a command ended by a bare LF", input.toString("latin1", position, feed), this.replies.bareLf)
    return feed + 1
  }

  #command(input: Buffer, start: number, end: number, next: number): void {
    if (this.server.transcribes) this.server.record(this.connection.id, "client", input.toString("utf8", start, end))
    if (this.login.isUnderWay) return this.login.respond(input.toString("latin1", start, end))
    if (!this.extensions.pipelining && next < input.length && this.#pipelined(input, start, end)) return
    const code = end - start < 4 ? 0 : input.readInt32BE(start) & upperCase
    if (this.#shut && code !== QUIT) return this.reply("noop", this.replies.noService)
    switch (code) {
      case MAIL:
        return this.transaction.mail(input, start, end)
      case RCPT:
        return this.transaction.rcpt(input, start, end)
      case BDAT:
        return this.transaction.bdat(input, start, end)
      case DATA:
        if (end - start === 4) return this.transaction.data()
        break
      case RSET:
        if (end - start === 4) return this.#rset()
        break
      case EHLO:
      case HELO:
        return this.#hello(input.toString("latin1", start, end), code === EHLO)
      case NOOP:
        return this.#perform("noop", this.replies.ok)
      case QUIT:
        if (end - start === 4) return this.#quit()
        break
      case AUTH:
        return this.login.begin(input.toString("latin1", start, end))
      case STARTTLS:
        if (input.toString("latin1", start, end).toUpperCase() === "STARTTLS")
          return this.#startTls(input.length - next)
        break
      case VRFY:
        return this.reply("noop", this.replies.cannotVerify)
      case HELP:
        return this.reply("noop", this.replies.help)
    }
    this.unknown(input, start, end)
  }

  /** Answers a command that is not known, which may well be a piece of a message. */
  unknown(input: Buffer, start: number, end: number): void {
    this.violation("an unknown command", input.toString("utf8", start, end), this.replies.unknown)
  }

  /** Commands came ahead of their turn without PIPELINING. A connection that lied about it breaks off. */
  #pipelined(input: Buffer, start: number, end: number): boolean {
    this.server.violation(
      this.connection.id,
      "commands sent ahead without PIPELINING",
      input.toString("utf8", start, end)
    )
    if (!this.#lies.has("PIPELINING")) return false
    this.connection.hang(true)
    this.connection.end()
    return true
  }

  #perform(phase: Fault.Phase, reply: string): void {
    perform(this, phase, () => this.reply(phase, reply))
  }

  #rset(): void {
    if (!this.server.script.concerns("rset")) return this.transaction.reset()
    perform(this, "rset", () => this.transaction.reset())
  }

  #quit(): void {
    perform(this, "quit", () => {
      this.reply("quit", this.replies.goodbye)
      this.server.quit(this.connection.id)
      this.connection.end()
    })
  }

  #hello(line: string, extended: boolean): void {
    const name = line.slice(5).trim()
    if (name === "" || name.includes(" ")) {
      return this.violation("a greeting without a single name", line, this.replies.syntax)
    }
    const normal = () => {
      this.clientName = name
      this.server.greeted(this.connection.id, name)
      this.transaction.clear()
      this.reply("ehlo", extended ? this.#capabilities() : this.replies.helo)
    }
    if (extended) perform(this, "ehlo", normal)
    else normal()
  }

  #startTls(ahead: number): void {
    if (!this.extensions.starttls || this.connection.tls !== undefined) {
      return this.violation("STARTTLS without it being offered", "STARTTLS", this.replies.notImplemented)
    }
    perform(this, "starttls", () => {
      if (ahead > 0) this.server.violation(this.connection.id, "bytes in clear after STARTTLS", "STARTTLS")
      this.reply("starttls", this.replies.startTls)
      const { injectAfterStartTls } = this.server.config.quirks
      if (injectAfterStartTls !== undefined) this.connection.emit(`${injectAfterStartTls}\r\n`)
      this.connection.upgrade()
    })
  }

  /** The reply to EHLO (RFC 5321 §4.1.1.1). */
  #capabilities(): string {
    const { config } = this.server
    const encrypted = this.connection.tls !== undefined
    const { limits, ...offers } = this.extensions
    const auth = config.authNeedsTls && !encrypted ? [] : offers.auth
    const keywords = new Map<string, boolean>([
      ["PIPELINING", offers.pipelining],
      ["CHUNKING", offers.chunking || config.quirks.unknownBdat === true],
      ["SIZE", offers.size],
      ["8BITMIME", offers.eightBitMime],
      ["SMTPUTF8", offers.smtpUtf8],
      ["DSN", offers.dsn],
      ["ENHANCEDSTATUSCODES", offers.enhancedStatusCodes],
      ["STARTTLS", offers.starttls && !encrypted],
      ["AUTH", auth.length > 0],
      ["REQUIRETLS", offers.requireTls && encrypted],
      ["LIMITS", limits.mailMax !== undefined || limits.rcptMax !== undefined]
    ])
    for (const lie of this.#lies) keywords.set(lie, true)
    const lines = [config.name]
    for (const [keyword, offered] of keywords) {
      if (!offered) continue
      if (keyword === "SIZE") lines.push(`SIZE ${config.maxMessageSize}`)
      else if (keyword === "AUTH") lines.push(`AUTH ${(auth.length > 0 ? auth : ["PLAIN", "LOGIN"]).join(" ")}`)
      else if (keyword === "LIMITS") {
        const mail = limits.mailMax === undefined ? "" : ` MAILMAX=${limits.mailMax}`
        lines.push(`LIMITS${mail}${limits.rcptMax === undefined ? "" : ` RCPTMAX=${limits.rcptMax}`}`)
      } else lines.push(keyword)
    }
    return lines.map((line, index) => `250${index === lines.length - 1 ? " " : "-"}${line}\r\n`).join("")
  }
}

const lieNames: { readonly [keyword: string]: Exclude<keyof ResolvedExtensions, "limits"> } = {
  PIPELINING: "pipelining",
  CHUNKING: "chunking",
  SIZE: "size",
  "8BITMIME": "eightBitMime",
  SMTPUTF8: "smtpUtf8",
  DSN: "dsn",
  ENHANCEDSTATUSCODES: "enhancedStatusCodes",
  STARTTLS: "starttls",
  AUTH: "auth",
  REQUIRETLS: "requireTls"
}
