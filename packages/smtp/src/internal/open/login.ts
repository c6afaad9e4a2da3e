/**
 * The login of a session (RFC 4954): the strongest mechanism that both sides know, and another where the relay offers one that
 * it cannot do.
 *
 * Servers offer CRAM-MD5 and SCRAM over stores that hold only hashes, and refuse every password by them (535), or break off. So
 * after a refusal of either, after 504, garbage or the end of the connection, the next mechanism is tried, on a new connection
 * where the old one has ended. The first error is the one reported. There is no next one:
 *
 * - after 534 (too weak for the policy), 538 (TLS is missing), 4yz, and a server that could not prove that it knows the
 *   password, which may be an impostor;
 * - that is PLAIN or LOGIN, where the password could be read: they are tried after others only over TLS with a certificate that
 *   was verified or pinned, or with `allowInsecureAuth`.
 *
 * `LoginRecord` keeps what a transport's connections have found, so that one of them tries and the others know.
 */
import * as MailError from "mailrace/MailError"
import * as ReplyMeaning from "mailrace/ReplyMeaning"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import type { Capabilities } from "../../Capabilities.ts"
import type { SmtpConnection } from "../connection/smtpConnection.ts"
import type { Settings } from "../../SmtpOptions.ts"
import * as SmtpAuth from "../../SmtpAuth.ts"
import { exchange, isImpostor } from "./saslExchange.ts"
import { step } from "./step.ts"

/** How long nobody logs in after a password was refused for good, in milliseconds. Each further try may lock the account. */
const refusalMs = 60_000

/** Facts about the login that a transport's connections share. */
export class LoginRecord {
  /** The mechanism by which a login succeeded last. */
  mechanism: SmtpAuth.Mechanism | undefined
  /** The mechanisms that the relay offers and cannot do. */
  readonly unfit = new Set<SmtpAuth.Mechanism>()
  private readonly turn = Semaphore.makeUnsafe(1)
  private refusal: { readonly error: MailError.MailError; readonly until: number } | undefined

  /** Lets one connection after the other log in until one has. */
  inTurn<A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.suspend(() => (this.mechanism === undefined ? this.turn.withPermits(1)(effect) : effect))
  }

  /** Fails where a password was refused for good a moment ago. */
  readonly check: Effect.Effect<void, MailError.MailError> = Effect.flatMap(Clock.currentTimeMillis, (now) =>
    this.refusal !== undefined && now < this.refusal.until ? Effect.fail(this.refusal.error) : Effect.void
  )

  /** The mechanisms in the order in which to try them. */
  inOrder(offered: ReadonlyArray<SmtpAuth.Mechanism>): ReadonlyArray<SmtpAuth.Mechanism> {
    const { mechanism, unfit } = this
    const fit = offered.filter((candidate) => candidate !== mechanism && !unfit.has(candidate))
    return mechanism !== undefined && offered.includes(mechanism) ? [mechanism, ...fit] : fit.length > 0 ? fit : offered
  }

  succeeded(mechanism: SmtpAuth.Mechanism): void {
    this.mechanism = mechanism
    this.refusal = undefined
  }

  /** A password that has worked is refused for another reason, such as too many sessions. */
  refused(error: MailError.MailError, now: number): void {
    this.unfit.clear()
    if (this.mechanism === undefined) this.refusal = { error, until: now + refusalMs }
  }
}

/** The tries of one session, over all connections that they take. */
export class LoginAttempt {
  private readonly tried = new Set<SmtpAuth.Mechanism>()
  private hasRenewed = false
  private token: Redacted.Redacted<string> | undefined
  private first: MailError.MailError | undefined
  /** True if there is another try, and it needs a new connection. */
  needsConnection = false

  /** The same, and takes it as done. */
  takeReconnect(): boolean {
    const { needsConnection } = this
    this.needsConnection = false
    return needsConnection
  }

  /** The error to report: the first refusal, unless a later one says that the login may succeed later. */
  report(error: MailError.MailError): MailError.MailError {
    const isForNow = error.reason._tag === "AuthenticationFailed" && error.isRetryable
    return isForNow ? error : (this.first ?? error)
  }

  /** Makes this the error to report. */
  replaceFirst(error: MailError.MailError): void {
    this.first = error
  }

  /** The password, or the token as long as it was not refused. */
  secretOf(auth: SmtpAuth.Credentials): Effect.Effect<Redacted.Redacted<string>, MailError.MailError> {
    if (this.token !== undefined) return Effect.succeed(this.token)
    const secret = Effect.provideService(secretOf(auth), SmtpAuth.TokenWasRefused, this.hasRenewed)
    return Effect.tap(secret, (secret) =>
      Effect.sync(() => {
        if ("token" in auth) this.token = secret
      })
    )
  }

  /** Begins the next mechanism that was not tried; `undefined` if there is none. */
  begin(candidates: ReadonlyArray<SmtpAuth.Mechanism>): SmtpAuth.Mechanism | undefined {
    const mechanism = candidates.find((candidate) => !this.tried.has(candidate))
    if (mechanism !== undefined) this.tried.add(mechanism)
    return mechanism
  }

  /** True if a mechanism is left to try. */
  hasNext(candidates: ReadonlyArray<SmtpAuth.Mechanism>): boolean {
    return candidates.some((candidate) => !this.tried.has(candidate))
  }

  /** True if the same mechanism may be tried again. */
  mayRepeat(mechanism: SmtpAuth.Mechanism): boolean {
    return !this.tried.has(mechanism)
  }

  /** Puts a try off to a new connection. */
  postpone(mechanism: SmtpAuth.Mechanism): void {
    this.tried.delete(mechanism)
    this.needsConnection = true
  }

  /**
   * Tells whether to try on after a failed try, the same or another mechanism. `wasRefused` tells whether the relay had refused
   * another on this connection before.
   */
  mayGoOn(error: MailError.MailError, mechanism: SmtpAuth.Mechanism, wasRefused: boolean): boolean {
    // The relay's words outrank the way the connection ended.
    if (this.first === undefined || (this.first.reply === undefined && error.reply !== undefined)) this.first = error
    // The connection ended over the refusal before, and not over this try.
    if (wasRefused && error.reason._tag === "ConnectionLost") {
      this.tried.delete(mechanism)
      return true
    }
    // A token may have expired since it was made; a fresh one gets one more chance.
    if (SmtpAuth.usesToken(mechanism) && error.reply?.code === 535 && !this.hasRenewed) {
      this.hasRenewed = true
      this.token = undefined
      this.tried.delete(mechanism)
      return true
    }
    // A password transition is made by PLAIN (RFC 4954 §6).
    if (error.reply?.code === 432) for (const other of challenging) this.tried.add(other)
    return mayTryAnother(error, mechanism)
  }
}

/** The parts of a session that the login needs. */
interface Identified {
  readonly connection: SmtpConnection
  readonly capabilities: Capabilities
}

/** Logs in, and gives the mechanism; `undefined` if no login is wanted. */
export const logIn = (
  { capabilities, connection }: Identified,
  settings: Settings,
  record: LoginRecord,
  attempt: LoginAttempt
): Effect.Effect<SmtpAuth.Mechanism | undefined, MailError.MailError> => {
  const { auth } = settings
  if (auth === undefined) return Effect.undefined
  if (capabilities.auth.length === 0 && auth.whenNotOffered === "skip") return Effect.undefined
  if (!connection.isEncrypted && !settings.allowInsecureAuth) {
    return failed(
      `the connection to ${settings.relay} is not encrypted, so the password was not sent`,
      "use tls=required (STARTTLS, port 587) or smtps:// (port 465); allowInsecureAuth is for a link that nobody can listen to"
    )
  }
  const lack = incomplete(auth)
  if (lack !== undefined) return Effect.fail(lack)
  const offered = SmtpAuth.candidates(capabilities.auth, auth)
  if (offered.length === 0) return noneFits(settings.relay, capabilities.auth, auth)
  return record.inTurn(
    Effect.andThen(
      record.check,
      Effect.catch(tryEach({ connection, settings, auth, record, attempt }, offered), (error) =>
        conclude(error, auth, record, attempt)
      )
    )
  )
}

interface Trying {
  readonly connection: SmtpConnection
  readonly settings: Settings
  readonly auth: SmtpAuth.Credentials
  readonly record: LoginRecord
  readonly attempt: LoginAttempt
}

/** Tries one mechanism after the other, as far as this connection carries; fails with the last error. */
const tryEach = Effect.fnUntraced(function* (
  { attempt, auth, connection, record, settings }: Trying,
  offered: ReadonlyArray<SmtpAuth.Mechanism>
): Effect.fn.Return<SmtpAuth.Mechanism, MailError.MailError> {
  let last: MailError.MailError | undefined
  for (;;) {
    const mechanism = attempt.begin(record.inOrder(offered))
    if (mechanism === undefined) return yield* last ?? allRefused(settings.relay)
    if (isFallBack(mechanism, offered, auth) && !isTrusted(connection, settings)) {
      const error = untrusted(attempt.report(last ?? allRefused(settings.relay)), mechanism)
      attempt.replaceFirst(error)
      return yield* error
    }
    // A relay that closes over a refusal does so in the next turn, and a secret is not for a connection that has ended.
    if (last !== undefined) yield* nextTurn
    if (last !== undefined && connection.ending !== undefined) {
      attempt.postpone(mechanism)
      return yield* last
    }
    const tried = yield* Effect.result(
      Effect.flatMap(attempt.secretOf(auth), (secret) =>
        exchange(connection, settings, auth.username, secret, mechanism)
      ).pipe(step(settings.relay, "auth", { "smtp.auth.mechanism": mechanism }))
    )
    if (Result.isSuccess(tried)) {
      record.succeeded(mechanism)
      return mechanism
    }
    const error = tried.failure
    if (!attempt.mayGoOn(error, mechanism, last !== undefined)) return yield* error
    if (!attempt.mayRepeat(mechanism)) record.unfit.add(mechanism)
    if (!attempt.hasNext(record.inOrder(offered))) return yield* error
    if (error.reply === undefined || connection.ending !== undefined) {
      attempt.needsConnection = true
      return yield* error
    }
    last = error
  }
})

/** Waits until what has arrived meanwhile was read. */
const nextTurn: Effect.Effect<void> = Effect.callback((resume) => void setImmediate(() => resume(Effect.void)))

/** The error of the whole attempt; passes on one that a new connection may mend. */
const conclude = (
  error: MailError.MailError,
  auth: SmtpAuth.Credentials,
  record: LoginRecord,
  attempt: LoginAttempt
): Effect.Effect<never, MailError.MailError> => {
  if (attempt.needsConnection) return Effect.fail(error)
  const reported = attempt.report(error)
  const isFinal = reported.reply !== undefined && !reported.isRetryable
  return "password" in auth && isFinal
    ? Effect.flatMap(Clock.currentTimeMillis, (now) => {
        record.refused(reported, now)
        return Effect.fail(reported)
      })
    : Effect.fail(reported)
}

/** The mechanisms that ask the password of a store that can compute with it. */
const challenging: ReadonlyArray<SmtpAuth.Mechanism> = ["SCRAM-SHA-256", "CRAM-MD5"]

/** True if another mechanism may succeed after this error. */
const mayTryAnother = (error: MailError.MailError, mechanism: SmtpAuth.Mechanism): boolean => {
  const { reason, reply } = error
  const isChallenging = challenging.includes(mechanism)
  if (reason._tag === "AuthenticationFailed") {
    if (reply === undefined) return isChallenging && !isImpostor(error)
    return ReplyMeaning.of(reply, "auth").about === "mechanism" || (isChallenging && reply.code === 535)
  }
  return isChallenging && (reason._tag === "ConnectionLost" || reason._tag === "ProtocolViolation")
}

/** True if the password would go by a mechanism that shows it, where the relay offers one that does not. */
const isFallBack = (
  mechanism: SmtpAuth.Mechanism,
  offered: ReadonlyArray<SmtpAuth.Mechanism>,
  auth: SmtpAuth.Credentials
): boolean =>
  (mechanism === "PLAIN" || mechanism === "LOGIN") &&
  SmtpAuth.named(auth) === undefined &&
  offered.some((other) => challenging.includes(other))

/** True if only the relay can read a password in clear, or the caller does not mind. */
const isTrusted = (connection: SmtpConnection, { allowInsecureAuth, tls }: Settings): boolean =>
  allowInsecureAuth || connection.isVerified || (connection.isEncrypted && (tls.pins?.length ?? 0) > 0)

const untrusted = ({ reason }: MailError.MailError, next: SmtpAuth.Mechanism): MailError.MailError =>
  MailError.make(
    new MailError.AuthenticationFailed({
      problem: `${"problem" in reason ? reason.problem : reason.message}; ${next} was not tried, because the relay's certificate is not verified`,
      hint: `check the user name and the password; if they are right, let the relay's certificate be verified, or choose ${next} with \`auth.mechanism\``,
      mechanism: "mechanism" in reason ? reason.mechanism : undefined,
      reply: "reply" in reason ? reason.reply : undefined
    })
  )

const allRefused = (relay: string): MailError.MailError =>
  MailError.make(new MailError.AuthenticationFailed({ problem: `${relay} refused each mechanism that it offers` }))

const noneFits = (
  relay: string,
  offered: ReadonlyArray<string>,
  auth: SmtpAuth.Credentials
): Effect.Effect<never, MailError.MailError> => {
  const [given, other] = "token" in auth ? ["token", "password"] : ["password", "token"]
  if (offered.length === 0)
    return failed(
      `${relay} offers no login on this connection`,
      "leave the user and the password out if the relay knows this machine by its address, or use port 587 or 465"
    )
  return SmtpAuth.named(auth) === undefined
    ? failed(
        `${relay} offers only ${offered.join(", ")}, which a ${given} does not fit`,
        `log in with a ${other}, if one of those takes it`
      )
    : failed(
        `${relay} offers only ${offered.join(", ")}, and none of them is chosen`,
        "name one of them in `auth.mechanism`, or leave it out"
      )
}

const secretOf = (auth: SmtpAuth.Credentials): Effect.Effect<Redacted.Redacted<string>, MailError.MailError> => {
  if ("token" in auth)
    return Effect.mapError(auth.token, () =>
      MailError.make(
        new MailError.AuthenticationFailed({
          problem: "the access token could not be obtained",
          hint: "look for the cause in the Effect in `auth.token`, which failed"
        })
      )
    )
  return Effect.succeed(auth.password)
}

/** The error of a password without a user or the other way round, for which no mechanism has a form (RFC 4616 §2, RFC 5802 §7). */
const incomplete = (auth: SmtpAuth.Credentials): MailError.MailError | undefined => {
  if ("token" in auth) return undefined
  if (Redacted.value(auth.password) === "")
    return refusal("the configured user has no password", "give the password (`auth.password`), or leave the user out")
  return auth.username === ""
    ? refusal("the configured password has no user", "give the user (`auth.username`), or leave the password out")
    : undefined
}

const refusal = (problem: string, hint: string): MailError.MailError =>
  MailError.make(new MailError.AuthenticationFailed({ problem, hint }))

const failed = (problem: string, hint: string): Effect.Effect<never, MailError.MailError> =>
  Effect.fail(refusal(problem, hint))
