/**
 * The self-test of pipelining on a connection that carries nothing else, and the mode that `auto` takes then.
 */
import type * as MailError from "mailrace/MailError"
import * as Effect from "effect/Effect"
import type { Capabilities } from "../../Capabilities.ts"
import type { SmtpConnection } from "../connection/smtpConnection.ts"
import * as SmtpCommand from "../protocol/command.ts"
import * as Pipelining from "../../Pipelining.ts"
import type { Settings } from "../../SmtpOptions.ts"
import * as SpeculationTest from "../session/speculationTest.ts"
import type { PipeliningReport, Problem } from "./report.ts"

/** The verdict without the test; `undefined` if the test decides. */
export const withoutTest = (capabilities: Capabilities, carried: number): PipeliningReport | undefined => {
  const skipped = (mode: Pipelining.Mode, why: string): PipeliningReport => ({ selfTest: "skipped", mode, why })
  const mode = Pipelining.offered("auto", capabilities)
  if (mode === "off") return skipped(mode, "the relay does not offer PIPELINING")
  if (mode === "envelope") return skipped(mode, "the relay does not offer CHUNKING")
  const { maxMessages } = capabilities
  if (maxMessages !== undefined && maxMessages <= SpeculationTest.fewMessages)
    return skipped("envelope", `the relay allows ${maxMessages} messages a session, too few for a self-test to pay`)
  if (maxMessages !== undefined && maxMessages <= carried)
    return skipped(mode, "the test messages have used the session up; the relay offers PIPELINING and CHUNKING")
  return undefined
}

/**
 * Runs the test, which ends the session. QUIT follows it in the place of DATA: no NOOP that stands in the test's chunk is
 * answered as QUIT is, by 221, and no relay counts it as an error.
 */
export const run = (connection: SmtpConnection, settings: Settings): Effect.Effect<PipeliningReport> => {
  const test = new SpeculationTest.SpeculationTest(SpeculationTest.nullSender, 0)
  const limitMs = Math.min(settings.timeouts.command, SpeculationTest.longestMs)
  return connection.collect(test.text + SmtpCommand.quit, SpeculationTest.replies + 1, "envelope", limitMs).pipe(
    Effect.map((replies): PipeliningReport => {
      const problem = replies
        .map((reply, index) =>
          index < SpeculationTest.replies
            ? test.take(reply)
            : reply.code !== 221
              ? "a chunk of a BDAT that it refused was run as commands"
              : undefined
        )
        .find((problem) => problem !== undefined)
      return problem === undefined
        ? { selfTest: "passed", mode: "speculative", why: "the relay keeps content apart from commands" }
        : failed(problem)
    }),
    Effect.catch((error) => Effect.succeed(failed(describe(error))))
  )
}

/** What a failed self-test means for the sender. */
export const concern = ({ why }: PipeliningReport): Problem => ({
  cause: `the relay offers CHUNKING but gets BDAT wrong: ${why}`,
  advice: [
    "nothing needs to be done to send: Mailrace sends each message's content after its envelope's replies (mode envelope), which is slower over a long way",
    "report it to the relay's operator: a refused BDAT must consume its chunk (RFC 3030 §2)",
    "look for a proxy on the way that offers what it does not understand"
  ]
})

const failed = (why: string): PipeliningReport => ({ selfTest: "failed", mode: "envelope", why })

const describe = ({ reason }: MailError.MailError): string => {
  switch (reason._tag) {
    case "Timeout":
      return "it fell silent during the self-test"
    case "ConnectionLost":
      return "it closed the connection during the self-test"
    default:
      return reason.message
  }
}
