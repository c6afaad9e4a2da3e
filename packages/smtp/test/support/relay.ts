/** Messages, and transports to a test server. */
import type { TestServerService } from "@mailrace/testing/TestServer"
import * as Address from "mailrace/Address"
import * as Composed from "mailrace/Composed"
import type * as MailError from "mailrace/MailError"
import { MailTransport, type Receipt } from "mailrace/MailTransport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import type * as Scope from "effect/Scope"
import type * as SmtpAuth from "../../src/SmtpAuth.ts"
import type * as SmtpOptions from "../../src/SmtpOptions.ts"
import * as SmtpTransport from "../../src/SmtpTransport.ts"

/** What a message may differ in. */
export interface MessageOptions {
  readonly from?: string | undefined
  readonly to?: ReadonlyArray<string> | undefined
  readonly content?: string | Uint8Array | undefined
}

/** The n-th message, unlike all others in envelope and content. */
export const message = (n: number, options: MessageOptions = {}): Composed.Composed => {
  const content = options.content ?? `Subject: ${n}\r\n\r\nQUIT\r\n.\r\nthis is ${n}\r\n`
  return Composed.make({
    id: String(n),
    messageId: `<${n}@test.example>`,
    envelope: {
      from: options.from === "" ? undefined : Address.fromStringUnsafe(options.from ?? `from-${n}@test.example`),
      to: (options.to ?? [`to-${n}@test.example`]).map(Address.fromStringUnsafe)
    },
    content: typeof content === "string" ? Buffer.from(content, "latin1") : content
  })
}

/** The same with its content as a stream of these pieces. */
export const streamed = (
  n: number,
  pieces: ReadonlyArray<Uint8Array>,
  options: MessageOptions = {}
): Composed.Composed => ({
  ...message(n, options),
  content: { _tag: "StreamedContent", stream: Stream.fromIterable(pieces) },
  size: pieces.reduce((sum, piece) => sum + piece.length, 0)
})

/** A transport and what is told about it. */
export interface Relay {
  readonly send: (message: Composed.Composed) => Effect.Effect<Receipt, MailError.MailError>
  readonly transport: MailTransport["Service"]
  readonly smtp: SmtpTransport.SmtpTransport["Service"]
}

/** Opens a transport to a server, in clear unless the options say otherwise. */
export const open = (
  server: Pick<TestServerService, "host" | "port">,
  options: Partial<SmtpOptions.Options> = {}
): Effect.Effect<Relay, never, Scope.Scope> =>
  SmtpTransport.make({
    host: server.host,
    port: server.port,
    tls: { mode: "off" },
    name: "client.example",
    ...options
  }).pipe(
    Effect.orDie,
    Effect.map((context) => {
      const transport = Context.get(context, MailTransport)
      // That a relay was found out is what many tests are about, and no news in their output.
      const send: MailTransport["Service"]["send"] = (message, sendOptions) =>
        Effect.provideService(transport.send(message, sendOptions), References.MinimumLogLevel, "Error")
      return {
        send: (message) => send(message),
        transport: MailTransport.of({ ...transport, send }),
        smtp: Context.get(context, SmtpTransport.SmtpTransport)
      }
    })
  )

/** Sends so many messages at once. */
export const sendMany = (relay: Relay, count: number, concurrency = count) =>
  Effect.forEach(
    Array.from({ length: count }, (_, n) => message(n)),
    relay.send,
    { concurrency }
  )

/** A name and a password. */
export const password = (username: string, secret: string): SmtpAuth.Credentials => ({
  username,
  password: Redacted.make(secret)
})
