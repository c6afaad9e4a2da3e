/**
 * From a TCP connection (`dial.ts`) to one that mail may be sent over: greeting, EHLO, STARTTLS, EHLO again, AUTH.
 *
 * Each step takes the proof of the step before it as its argument and gives its own, so that a wrong order does not
 * type-check: logging in takes an `Identified`, and only greeting, encryption and EHLO produce one.
 */
import * as MailError from "mailrace/MailError"
import * as Reply from "mailrace/Reply"
import * as ReplyMeaning from "mailrace/ReplyMeaning"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Capabilities from "../../Capabilities.ts"
import type * as SmtpAuth from "../../SmtpAuth.ts"
import * as ClientName from "../protocol/clientName.ts"
import * as SmtpCommand from "../protocol/command.ts"
import type { SmtpConnection } from "../connection/smtpConnection.ts"
import * as Login from "./login.ts"
import { step } from "./step.ts"
import type { Settings } from "../../SmtpOptions.ts"
import * as SmtpTls from "../../SmtpTls.ts"

/** The relay has greeted, and knows nothing of the client yet. */
export interface Greeted {
  readonly step: "greeted"
  readonly connection: SmtpConnection
  /** The words of the relay's greeting. */
  readonly greeting: string
}

/** Client and relay have introduced themselves, and the relay's offers are known. */
export interface Identified {
  readonly step: "identified"
  readonly connection: SmtpConnection
  readonly greeting: string
  readonly capabilities: Capabilities.Capabilities
  /** The relay's reply to EHLO; a reply to HELO is not kept. */
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
  readonly offer: string
  /** How the client logged in, if it did. */
  readonly mechanism: SmtpAuth.Mechanism | undefined
  /** Why the session is in clear although the relay offered TLS; absent otherwise. */
  readonly tlsFailure?: string | undefined
}

/** Takes a fresh connection through all steps. */
export const establish = (
  connection: SmtpConnection,
  settings: Settings,
  memory: SmtpTls.Memory & { readonly login: Login.LoginRecord },
  attempt: Login.LoginAttempt
): Effect.Effect<Ready, MailError.MailError> =>
  Effect.gen(function* () {
    if (settings.tlsMode === "implicit") yield* encrypt(connection, settings, memory)
    const greeted = yield* awaitGreeting(connection, settings)
    const identified = yield* identify(greeted, settings)
    const secured = yield* secure(identified, settings, memory)
    return yield* authenticate(secured, settings, memory.login, attempt)
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
    step(settings.relay, "greeting")
  )

/** Says EHLO, and HELO to a relay that does not know it (RFC 5321 §4.1.1.1). */
export const identify = Effect.fnUntraced(
  function* ({ connection, greeting }: Greeted, settings: Settings) {
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
  },
  (identified, _, { relay }) => step(relay, "ehlo")(identified)
)

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
    // A passing lack of TLS is no reason to give a message up (454, RFC 3207 §4).
    return yield* Reply.isTransient(reply)
      ? withoutTls(settings, reply)
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
    step(settings.relay, "tls")
  )

/** Logs in, if the settings say so; never in clear unless told to (RFC 4954 §4). */
export const authenticate = (
  identified: Identified,
  settings: Settings,
  record: Login.LoginRecord = new Login.LoginRecord(),
  attempt: Login.LoginAttempt = new Login.LoginAttempt()
): Effect.Effect<Ready, MailError.MailError> =>
  Effect.map(Login.logIn(identified, settings, record, attempt), (mechanism): Ready => ({
    ...identified,
    step: "ready",
    mechanism
  }))

const withoutTls = ({ host, port, relay }: Settings, reply: Reply.Reply): MailError.MailError =>
  MailError.make(
    new MailError.ConnectFailed({ kind: "starttls", host, port, problem: `${relay} cannot do STARTTLS now`, reply })
  )

const refused = (
  { host, port }: Settings,
  problem: string,
  reply: Reply.Reply,
  hint?: string | undefined
): MailError.MailError =>
  MailError.make(new MailError.ConnectFailed({ kind: "greeting", host, port, problem, hint, reply }))
