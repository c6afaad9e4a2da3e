/**
 * Whether a relay can be sent content ahead of its envelope's replies.
 *
 * RFC 3030 wants MAIL and RCPT answered before BDAT. Most relays that are deployed accept more, but one that did not
 * consume the chunk of a BDAT that it refused would run a message's bytes as commands. So before anything is speculated
 * the relay is asked once: two transactions that must be refused, each with a chunk that would show itself if it were
 * read as commands. Exactly one reply a command, and refusals where they belong, is a pass.
 */
import type * as MailError from "mailrace/MailError"
import type * as Reply from "mailrace/Reply"
import * as Effect from "effect/Effect"
import type { SmtpConnection } from "./SmtpConnection.ts"

/** What was found, and in words why, when it is a no. */
export type Verdict = { readonly isSafe: true } | { readonly isSafe: false; readonly why: string }

/** How many transactions the test begins. */
export const mails = 2

/** How long the test waits at most, in milliseconds; a relay that swallows commands is found by its silence. */
const longestMs = 10_000

const chunk = "NOOP\r\nNOOP\r\nNOOP\r\n"
const refusedRecipient = "RCPT TO:<@@>\r\n"
const refusedContent = `BDAT ${chunk.length} LAST\r\n${chunk}`

const script =
  `RSET\r\nMAIL FROM:<>\r\n${refusedRecipient}${refusedContent}` +
  `RSET\r\nMAIL FROM:<@@>\r\n${refusedRecipient}${refusedContent}` +
  "RSET\r\n"

const isYes = (reply: Reply.Reply): boolean => reply.code >= 200 && reply.code < 300
const isNo = (reply: Reply.Reply): boolean => reply.code >= 400 && reply.code !== 421
const isEither = (reply: Reply.Reply): boolean => isYes(reply) || isNo(reply)

/** What each reply of the script must be, in order. Whether `MAIL FROM:<>` is liked depends on the relay. */
const expected: ReadonlyArray<readonly [command: string, fits: (reply: Reply.Reply) => boolean]> = [
  ["RSET", isYes],
  ["MAIL FROM:<>", isEither],
  ["RCPT TO:<@@>", isNo],
  ["BDAT after a refused RCPT", isNo],
  ["RSET after a refused BDAT", isYes],
  ["MAIL FROM:<@@>", isNo],
  ["RCPT after a refused MAIL", isNo],
  ["BDAT after a refused MAIL", isNo],
  ["the last RSET", isYes]
]

/**
 * Runs the test; `limitMs` is how long a command may take. After a no, the connection is in a state that nobody knows, and
 * must be closed. Fails when the connection ends meanwhile, which may be the test's doing or not.
 */
export const run = (connection: SmtpConnection, limitMs: number): Effect.Effect<Verdict, MailError.MailError> =>
  Effect.map(
    connection.collect(script, expected.length, "envelope", Math.min(limitMs, longestMs)),
    (replies): Verdict => {
      const wrong = expected.findIndex(([, fits], i) => !fits(replies[i]!))
      if (wrong !== -1) return { isSafe: false, why: `${expected[wrong]![0]} was answered ${replies[wrong]!.code}` }
      return connection.hasUnclaimedReplies
        ? { isSafe: false, why: "there were more replies than commands" }
        : { isSafe: true }
    }
  )
