/**
 * The conversation with a relay, line by line, to find out why it does what it does.
 *
 * `SmtpOptions.transcript` takes each line as it is said. The content of messages is replaced by its length, as in `<1,204
 * octets>`. From AUTH to the reply that ends the login only verbs, mechanisms and codes are kept, in both directions, and the
 * login's words are removed from everything that follows. Control characters, and characters that hide or reverse letters, are
 * escaped, so that a line can be printed on a terminal.
 *
 * **Gotchas**
 *
 * A transcript holds addresses: those of senders and recipients, and whatever the relay says about them. Keep it as you keep the
 * list of recipients.
 *
 * @example
 * ```ts
 * import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
 * import * as Transcript from "@mailrace/smtp/Transcript"
 *
 * // 2026-11-27T20:22:51.123Z mail.example.com:25 1 C: EHLO client.example
 * export const relay = SmtpTransport.layer({
 *   host: "mail.example.com",
 *   transcript: (line) => console.error(Transcript.format(line))
 * })
 * ```
 *
 * @since 0.1.0
 */

/**
 * One line of the conversation, or a note about the connection.
 *
 * @since 0.1.0
 */
export interface Line {
  /** When it was said, in milliseconds since 1970. */
  readonly at: number
  /** The relay as `host:port`. */
  readonly relay: string
  /** The number of the connection, counted by the transport from 1. A connection that failed to open has one too. */
  readonly connection: number
  /** The speaker. `note` is Mailrace's own remark about the connection: its addresses, TLS, its end. */
  readonly by: "client" | "relay" | "note"
  /** One line without its line ending, at most 1,000 characters of it. */
  readonly text: string
}

/**
 * Takes the lines. It is called while the connection waits, so it must be quick. Once it has thrown, it is called no more, and a
 * warning is logged.
 *
 * @since 0.1.0
 */
export type Sink = (line: Line) => void

/**
 * A line as text without a line ending: the time in UTC, the relay, the connection, `C:`, `S:` or `*`, and what was said.
 *
 * @since 0.1.0
 */
export const format = ({ at, by, connection, relay, text }: Line): string =>
  `${new Date(at).toISOString()} ${relay} ${connection} ${marks[by]} ${text}`

const marks: { readonly [by in Line["by"]]: string } = { client: "C:", relay: "S:", note: "*" }
