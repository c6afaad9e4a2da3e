/**
 * One SASL exchange over a connection (RFC 4954 §4): AUTH, challenges and answers, and what the relay says in the end.
 */
import * as MailError from "mailrace/MailError"
import * as ReplyMeaning from "mailrace/ReplyMeaning"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { SmtpConnection } from "../connection/smtpConnection.ts"
import * as SmtpAuth from "../../SmtpAuth.ts"
import type { Settings } from "../../SmtpOptions.ts"

/** The problem of a login that the relay took without proving that it knows the password. */
const unproved = "the relay did not prove that it knows the password"

/** True if the relay did not know the password that it asked for. */
export const isImpostor = ({ reason }: MailError.MailError): boolean =>
  reason._tag === "AuthenticationFailed" && (reason.problem === unproved || reason.problem === SmtpAuth.wrongProof)

/** Logs in by one mechanism. */
export const exchange = Effect.fnUntraced(function* (
  connection: SmtpConnection,
  settings: Settings,
  username: string,
  secret: Redacted.Redacted<string>,
  mechanism: SmtpAuth.Mechanism
): Effect.fn.Return<void, MailError.MailError> {
  const login = SmtpAuth.begin(mechanism, username, secret, settings.host, settings.port)
  const said = [Redacted.value(secret), encode(Redacted.value(secret))]
  const send = (command: string, answer: string | undefined) => {
    if (answer !== undefined) said.push(answer)
    connection.recorder?.conceal(said)
    const line = [command, answer].filter((part) => part !== undefined && part !== "").join(" ")
    return Effect.mapError(connection.exchange(`${line}\r\n`, "auth", settings.timeouts.command), withoutQuotes)
  }
  const first = login.initial === undefined ? undefined : encode(login.initial)
  // A first answer too long for a command line waits for the relay's empty challenge (RFC 4954 §4).
  const fits = first !== undefined && first.length < 480
  let pending = fits ? undefined : login.initial
  let reply = yield* send(`AUTH ${mechanism}`, fits ? first : undefined)
  for (let round = 0; reply.code === 334; round++) {
    if (round === maxRounds) {
      const problem = "the relay asks for one more answer without end"
      return yield* MailError.make(new MailError.AuthenticationFailed({ problem, mechanism }))
    }
    const challenge = Buffer.from(reply.text, "base64").toString("utf8")
    const answer =
      pending ??
      (yield* Effect.mapError(login.answer(challenge), (problem) =>
        MailError.make(new MailError.AuthenticationFailed({ problem, mechanism }))
      ))
    pending = undefined
    reply = yield* send("", Buffer.from(answer, "utf8").toString("base64"))
  }
  if (reply.code !== 235) {
    const { retryAfter } = ReplyMeaning.of(reply, "auth")
    return yield* MailError.make(
      new MailError.AuthenticationFailed({
        problem: `${settings.relay} refused the login as the configured user by ${mechanism}`,
        mechanism,
        reply: { ...reply, text: without(said, reply.text) },
        ...(retryAfter === undefined ? {} : { retryAfter })
      })
    )
  }
  if (!login.isProved()) {
    return yield* MailError.make(
      new MailError.AuthenticationFailed({
        problem: unproved,
        hint: "check that this is the right relay before you try again; an impostor could not prove it either",
        mechanism
      })
    )
  }
})

/** The most challenges of one login; the longest mechanism needs 3. */
const maxRounds = 10

/** Base64, with `=` for an empty first answer (RFC 4954 §4). */
const encode = (text: string): string => (text === "" ? "=" : Buffer.from(text, "utf8").toString("base64"))

/** Removes secrets that the relay repeated, because an error must not hold them. */
const without = (secrets: ReadonlyArray<string>, text: string): string =>
  secrets.reduce((rest, secret) => (secret.length > 1 ? rest.replaceAll(secret, "<redacted>") : rest), text)

/** A malformed reply is partly quoted in the error. It may echo the credentials, so this drops the quote. */
const withoutQuotes = (error: MailError.MailError): MailError.MailError =>
  error.reason._tag === "ProtocolViolation"
    ? MailError.make(
        new MailError.ProtocolViolation({ problem: "the relay's answer to the login is not an SMTP reply" })
      )
    : error
