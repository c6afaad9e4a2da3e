/**
 * From a TCP connection (`SmtpDial`) to one that mail may be sent over: greeting, EHLO, STARTTLS, EHLO again, AUTH.
 *
 * Each step takes the proof of the step before it as its argument and gives its own, so that a wrong order does not
 * type-check: logging in takes an `Identified`, and only greeting, encryption and EHLO produce one.
 */
import * as MailError from "mailrace/MailError"
import * as Reply from "mailrace/Reply"
import * as ReplyMeaning from "mailrace/ReplyMeaning"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Capabilities from "../../Capabilities.ts"
import * as SmtpAuth from "../../SmtpAuth.ts"
import * as ClientName from "../protocol/clientName.ts"
import * as SmtpCommand from "../protocol/command.ts"
import type { SmtpConnection } from "../connection/smtpConnection.ts"
import type { Settings } from "../../SmtpOptions.ts"
import * as SmtpTls from "../../SmtpTls.ts"

/** The relay has greeted, and knows nothing of the client yet. */
export interface Greeted {
  readonly step: "greeted"
  readonly connection: SmtpConnection
  /** What the relay said of itself. */
  readonly greeting: string
}

/** Both have said who they are; what the relay offers is known. */
export interface Identified {
  readonly step: "identified"
  readonly connection: SmtpConnection
  readonly greeting: string
  readonly capabilities: Capabilities.Capabilities
  /** What the relay replied to EHLO; to HELO nothing is kept. */
  readonly offer: string
  /** Why the session goes on in clear although the relay offered TLS; absent otherwise. */
  readonly tlsFailure?: string | undefined
}

/** Mail may be sent. */
export interface Ready {
  readonly step: "ready"
  readonly connection: SmtpConnection
  readonly greeting: string
  readonly capabilities: Capabilities.Capabilities
  /** How the client logged in, if it did. */
  readonly mechanism: SmtpAuth.Mechanism | undefined
  /** Why the session is in clear although the relay offered TLS; absent otherwise. */
  readonly tlsFailure?: string | undefined
}

/** Takes a fresh connection through all steps. */
export const establish = (
  connection: SmtpConnection,
  settings: Settings,
  memory: SmtpTls.Memory
): Effect.Effect<Ready, MailError.MailError> =>
  Effect.gen(function* () {
    if (settings.tlsMode === "implicit") yield* encrypt(connection, settings, memory)
    const greeted = yield* awaitGreeting(connection, settings)
    const identified = yield* identify(greeted, settings)
    const secured = yield* secure(identified, settings, memory)
    return yield* authenticate(secured, settings)
  })

/** Awaits the greeting (RFC 5321 §4.3.1). */
export const awaitGreeting = (
  connection: SmtpConnection,
  settings: Settings
): Effect.Effect<Greeted, MailError.MailError> =>
  connection.exchange(undefined, "greeting", settings.timeouts.greeting).pipe(
    Effect.flatMap((reply) =>
      reply.code === 220
        ? Effect.succeed<Greeted>({ step: "greeted", connection, greeting: reply.text })
        : Effect.fail(refused(settings, `${settings.relay} does not accept this connection`, reply))
    ),
    Effect.withSpan("greeting")
  )

/** Says EHLO, and HELO to a relay that does not know it (RFC 5321 §4.1.1.1). */
export const identify = Effect.fnUntraced(function* ({ connection, greeting }: Greeted, settings: Settings) {
  const limitMs = settings.timeouts.command
  const name = settings.name ?? ClientName.literal(connection.localAddress)
  const identified = (capabilities: Capabilities.Capabilities, offer: string): Identified => ({
    step: "identified",
    connection,
    greeting,
    capabilities,
    offer
  })
  const reply = yield* connection.exchange(SmtpCommand.ehlo(name), "ehlo", limitMs)
  if (reply.code === 250) {
    const offered = Capabilities.fromReply(reply)
    // The promise is kept over a verified channel only (RFC 8689 §4.1); in clear anybody could have made it.
    return identified({ ...offered, requireTls: offered.requireTls && connection.isVerified }, reply.text)
  }
  if (!Reply.isPermanent(reply)) return yield* notIdentified(settings, name, reply)
  const second = yield* Effect.result(connection.exchange(SmtpCommand.helo(name), "ehlo", limitMs))
  const isUnknown = reply.code === 500 || reply.code === 502
  if (Result.isFailure(second)) return yield* isUnknown ? second.failure : notIdentified(settings, name, reply)
  if (second.success.code === 250) return identified(Capabilities.none, "")
  // A relay that knows EHLO, refuses the name and then closes has said why before.
  return yield* notIdentified(settings, name, isUnknown || second.success.code !== 421 ? second.success : reply)
}, Effect.withSpan("ehlo"))

/** The error for a reply to EHLO or HELO that is not a yes. Only 250 is one (RFC 5321 §4.1.1.1). */
const notIdentified = (settings: Settings, name: string, reply: Reply.Reply): MailError.MailError => {
  const { relay } = settings
  if (Reply.isPermanent(reply)) {
    const { about, remedy } = ReplyMeaning.of(reply, "ehlo")
    const problem = about === "client" ? `the client's name "${name}"` : "this client"
    return refused(settings, `${relay} does not accept ${problem}`, reply, remedy)
  }
  return Reply.isPositive(reply)
    ? refused(
        settings,
        `${relay} answered EHLO by ${reply.code} and not by 250, so its replies cannot be told apart`,
        reply,
        "check that the port speaks SMTP, or connect to the relay by another port (587, 465 or 25)"
      )
    : refused(
        settings,
        `${relay} does not accept ${reply.code === 421 ? "this client" : `the client's name "${name}"`} now`,
        reply
      )
}

/** Switches to TLS by STARTTLS where the mode wants it, and asks anew what is offered (RFC 3207 §4.2). */
const secure = Effect.fnUntraced(function* (
  identified: Identified,
  settings: Settings,
  memory: SmtpTls.Memory
): Effect.fn.Return<Identified, MailError.MailError> {
  const { capabilities, connection } = identified
  const { tlsMode } = settings
  if (tlsMode === "off" || tlsMode === "implicit") return identified
  if (!capabilities.startTls) {
    if (tlsMode !== "required") return identified
    return yield* MailError.make(
      new MailError.TlsFailed({
        problem: `${settings.relay} does not offer STARTTLS`,
        hint: "use the port with implicit TLS (smtps://, port 465), or tls=opportunistic if mail may go in clear"
      })
    )
  }
  const reply = yield* connection.exchange(SmtpCommand.startTls, "starttls", settings.timeouts.command)
  if (reply.code !== 220) {
    if (tlsMode === "opportunistic" && reply.code !== 421)
      return { ...identified, tlsFailure: `it refused STARTTLS: "${Reply.format(reply)}"` }
    // A passing lack of TLS is no reason to give a mail up (454, RFC 3207 §4).
    return yield* Reply.isTransient(reply)
      ? refused(settings, `${settings.relay} cannot do STARTTLS now`, reply)
      : MailError.make(
          new MailError.TlsFailed({ problem: `${settings.relay} refused STARTTLS: "${Reply.format(reply)}"` })
        )
  }
  yield* encrypt(connection, settings, memory)
  return yield* identify({ step: "greeted", connection, greeting: identified.greeting }, settings)
})

const encrypt = (
  connection: SmtpConnection,
  settings: Settings,
  memory: SmtpTls.Memory
): Effect.Effect<void, MailError.MailError> =>
  Effect.suspend(() => {
    const { host, tls, tlsMode } = settings
    const offered = memory.tlsSessions.offer(tls, host)
    return connection.upgrade(
      SmtpTls.connectionOptions(tls, tlsMode, host, memory.tlsContexts, offered),
      settings.timeouts.tls,
      (socket) => {
        const objection = SmtpTls.checkPins(tls.pins, socket)
        if (objection !== undefined) return objection
        connection.isVerified = SmtpTls.isVerified(socket, offered)
        memory.tlsSessions.watch(socket, tls, host, connection.isVerified)
        return undefined
      }
    )
  }).pipe(
    Effect.tap((socket) =>
      Effect.annotateCurrentSpan({
        "tls.protocol.version": socket.getProtocol() ?? "",
        "tls.cipher": socket.getCipher().standardName,
        "tls.resumed": socket.isSessionReused()
      })
    ),
    Effect.asVoid,
    Effect.withSpan("tls")
  )

/** Logs in by the strongest mechanism that both sides know, never in clear unless told to (RFC 4954 §4). */
export const authenticate = (
  { capabilities, connection, greeting, tlsFailure }: Identified,
  settings: Settings
): Effect.Effect<Ready, MailError.MailError> => {
  const { auth } = settings
  const ready = (mechanism: SmtpAuth.Mechanism | undefined): Ready => ({
    step: "ready",
    connection,
    greeting,
    capabilities,
    mechanism,
    tlsFailure
  })
  if (auth === undefined) return Effect.succeed(ready(undefined))
  if (capabilities.auth.length === 0 && auth.whenNotOffered === "skip") return Effect.succeed(ready(undefined))
  if (!connection.isEncrypted && !settings.allowInsecureAuth) {
    return failed(
      `the connection to ${settings.relay} is not encrypted, so the password was not sent`,
      "use tls=required (STARTTLS, port 587) or smtps:// (port 465); allowInsecureAuth is for a link that nobody can listen to"
    )
  }
  const mechanism = SmtpAuth.choose(capabilities.auth, auth)
  if (mechanism === undefined) {
    const [given, other] = "token" in auth ? ["token", "password"] : ["password", "token"]
    return capabilities.auth.length === 0
      ? failed(
          `${settings.relay} offers no login on this connection`,
          "leave the user and the password out if the relay knows this machine by its address, or use port 587 or 465"
        )
      : SmtpAuth.named(auth) === undefined
        ? failed(
            `${settings.relay} offers only ${capabilities.auth.join(", ")}, which a ${given} does not fit`,
            `log in with a ${other}, if one of those takes it`
          )
        : failed(
            `${settings.relay} offers only ${capabilities.auth.join(", ")}, and none of them is chosen`,
            "name one of them in `auth.mechanism`, or leave `auth.mechanism` out"
          )
  }
  const attempt = Effect.flatMap(secretOf(auth), (secret) =>
    logIn(connection, settings, auth.username, secret, mechanism)
  )
  return attempt.pipe(
    // A token that was refused may have expired since it was made; a fresh one gets one more chance.
    Effect.catch((error) => ("token" in auth && error.reply?.code === 535 ? attempt : Effect.fail(error))),
    Effect.as(ready(mechanism)),
    Effect.withSpan("auth", { attributes: { "smtp.auth.mechanism": mechanism } })
  )
}

const logIn = Effect.fnUntraced(function* (
  connection: SmtpConnection,
  settings: Settings,
  username: string,
  secret: Redacted.Redacted<string>,
  mechanism: SmtpAuth.Mechanism
): Effect.fn.Return<void, MailError.MailError> {
  const login = SmtpAuth.begin(mechanism, username, secret, settings.host, settings.port)
  const said = [Redacted.value(secret), encode(Redacted.value(secret))]
  const say = (command: string, answer: string | undefined) => {
    if (answer !== undefined) said.push(answer)
    connection.recorder?.conceal(said)
    const line = [command, answer].filter((part) => part !== undefined && part !== "").join(" ")
    return Effect.mapError(connection.exchange(`${line}\r\n`, "auth", settings.timeouts.command), withoutQuotes)
  }
  const first = login.initial === undefined ? undefined : encode(login.initial)
  // A first answer too long for a command line waits for the relay's empty challenge (RFC 4954 §4).
  const fits = first !== undefined && first.length < 480
  let pending = fits ? undefined : login.initial
  let reply = yield* say(`AUTH ${mechanism}`, fits ? first : undefined)
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
    reply = yield* say("", Buffer.from(answer, "utf8").toString("base64"))
  }
  if (reply.code !== 235) {
    return yield* MailError.make(
      new MailError.AuthenticationFailed({
        problem: `${settings.relay} refused the login as the configured user by ${mechanism}`,
        mechanism,
        reply: { ...reply, text: without(said, reply.text) }
      })
    )
  }
  if (!login.isProved()) {
    return yield* MailError.make(
      new MailError.AuthenticationFailed({
        problem: "the relay did not prove that it knows the password",
        hint: "check that this is the right relay before you try again; an impostor could not prove it either",
        mechanism
      })
    )
  }
})

/** How often a relay may ask back in one login; the longest mechanism needs 3. */
const maxRounds = 10

const secretOf = (auth: SmtpAuth.Credentials): Effect.Effect<Redacted.Redacted<string>, MailError.MailError> =>
  "password" in auth
    ? Redacted.value(auth.password) === ""
      ? // No mechanism has a form for an empty password (RFC 4616 §2, RFC 5802 §2.2).
        failed("the configured user has no password", "give the password (`auth.password`), or leave the user out")
      : Effect.succeed(auth.password)
    : Effect.mapError(auth.token, () =>
        MailError.make(
          new MailError.AuthenticationFailed({
            problem: "the access token could not be obtained",
            hint: "look for the cause in the Effect in `auth.token`, which failed"
          })
        )
      )

const refused = (
  { host, port }: Settings,
  problem: string,
  reply: Reply.Reply,
  hint?: string | undefined
): MailError.MailError =>
  MailError.make(new MailError.ConnectFailed({ kind: "greeting", host, port, problem, hint, reply }))

const failed = (problem: string, hint: string): Effect.Effect<never, MailError.MailError> =>
  Effect.fail(MailError.make(new MailError.AuthenticationFailed({ problem, hint })))

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
