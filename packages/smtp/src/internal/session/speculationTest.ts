/**
 * Finds out whether a connection's relay can be sent content ahead of its envelope's replies.
 *
 * RFC 3030 wants MAIL and RCPT answered before BDAT. Most relays that are deployed accept more, but one that did not
 * consume the chunk of a BDAT that it refused would run a message's bytes as commands. So before a connection speculates it
 * sends a transaction that must be refused, with a chunk that shows itself if it is read as commands. The test costs no
 * round trip: it stands before a message's envelope in the same group, which waits for its 354 anyway, and no content
 * has been sent when it fails.
 *
 * **Why it tells the truth.** The chunk is lines of NOOP, more of them than the group has replies after it. Run as
 * commands, all of them are answered, and the reply taken for DATA's is a NOOP's 250, which no DATA is answered by. So the
 * test is over only with the reply to that DATA.
 *
 * **Why it is one refused transaction.** A relay loses patience with a client that errs: Exim drops a connection at its
 * third error, and Postfix logs each. The test makes two: the recipient and the chunk. Its sender is the null one, so that
 * nobody hears of a relay that takes the message after all; where that is refused, the sender of the message behind it.
 */
import type * as Reply from "mailrace/Reply"
import * as SmtpCommand from "../protocol/command.ts"

/** The result, with the reason if it is negative. */
export type Verdict = { readonly isSafe: true } | { readonly isSafe: false; readonly why: string }

/** The number of transactions of the test; a relay that limits them counts it (RFC 9422 §4.1). */
export const mails = 1

/** A session that carries at most this many messages is not worth a test, which takes one of them. */
export const fewMessages = 3

/** The MAIL command of the null sender (RFC 5321 §4.5.5). */
export const nullSender = "MAIL FROM:<>\r\n"

/** The most recipients of the envelope behind the test; the chunk grows with them. */
export const maxRecipients = 100

/** The longest wait of the test in milliseconds; silence reveals a relay that swallows commands. */
export const longestMs = 10_000

/** Further lines of NOOP, for a relay that swallows some of them with the refused command. */
const spare = 8

const isYes = (reply: Reply.Reply): boolean => reply.code >= 200 && reply.code < 300
const isNo = (reply: Reply.Reply): boolean => reply.code >= 400 && reply.code !== 421
const isEither = (reply: Reply.Reply): boolean => isYes(reply) || isNo(reply)
/** A relay that does not know BDAT, or has it switched off, cannot have read its chunk (RFC 5321 §4.2.2). */
const isRefusedChunk = (reply: Reply.Reply): boolean =>
  isNo(reply) && reply.code !== 500 && reply.code !== 502 && reply.code !== 504

/** The expected replies in order. The sender may be accepted or refused. */
const expected: ReadonlyArray<readonly [command: string, fits: (reply: Reply.Reply) => boolean]> = [
  ["RSET", isYes],
  ["MAIL", isEither],
  ["RCPT TO:<@@>", isNo],
  ["BDAT after a refused RCPT", isRefusedChunk],
  ["RSET after a refused BDAT", isYes]
]

/** How many replies the test has of its own. */
export const replies = expected.length

/** One run of the test, on one connection. */
export class SpeculationTest {
  /** The commands and the chunk. What follows them finds no transaction open. */
  readonly text: string
  /** True if the relay refused the sender. */
  isSenderRefused = false
  private taken = 0

  /** `mail` is its MAIL command; the message behind the test has this many recipients. */
  constructor(mail: string, recipients: number) {
    // RSET, MAIL, each RCPT, and DATA are answered after the chunk.
    const chunk = "NOOP\r\n".repeat(recipients + 3 + spare)
    this.text = `${SmtpCommand.rset}${mail}RCPT TO:<@@>\r\n${SmtpCommand.bdatLast(chunk.length)}${chunk}${SmtpCommand.rset}`
  }

  /** True if the test has all replies of its own. */
  get isAnswered(): boolean {
    return this.taken === expected.length
  }

  /** True if the next reply is to one of the test's errors, or comes after it. */
  get hasErred(): boolean {
    return this.taken >= 2
  }

  /** Takes the next reply and returns its fault, if any. */
  take(reply: Reply.Reply): string | undefined {
    const [command, fits] = expected[this.taken++]!
    if (command === "MAIL") this.isSenderRefused = isNo(reply)
    return fits(reply) ? undefined : `${command} was answered ${reply.code}`
  }
}
