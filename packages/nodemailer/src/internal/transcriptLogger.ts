/**
 * Gives the conversation with the relay to nodemailer's `logger`.
 *
 * As with nodemailer, `logger` alone hears about connections, and with `debug` or `transactionLog` about each line of both sides.
 * Other than nodemailer's, the lines never hold a password or content.
 */
import type * as SmtpOptions from "@mailrace/smtp/SmtpOptions"
import type * as Transcript from "@mailrace/smtp/Transcript"
import { getLogger } from "nodemailer/lib/shared/index.js"
import type { TransportOptions } from "./transportOptions.ts"

/** The relay's options with the logger as a transcript, beside one that the app asks for itself. */
export const withLogger = (
  relay: SmtpOptions.Options,
  { component = "mailrace", debug, logger, transactionLog }: TransportOptions
): SmtpOptions.Options => {
  if (!logger) return relay
  const { transcript } = relay
  const log = getLogger({ logger }, { component })
  const isWhole = Boolean(debug) || Boolean(transactionLog)
  const onLine: Transcript.Sink = (line) => {
    const { by, connection, text } = line
    const sid = String(connection)
    if (by === "note") log.info({ tnx: "network", sid }, text)
    else if (isWhole) log.debug({ tnx: by === "client" ? "client" : "server", sid }, text)
    transcript?.(line)
  }
  return { ...relay, transcript: onLine }
}
