/**
 * Why a step of the session failed, from the greeting to the final reply: the cause and what to try.
 */
import type * as MailError from "mailrace/MailError"
import * as Reply from "mailrace/Reply"
import * as ReplyMeaning from "mailrace/ReplyMeaning"
import type { Settings } from "../../SmtpOptions.ts"
import type { Problem } from "./report.ts"

/** The protocol of a port that does not speak SMTP, as another connection has shown. */
export type Spoken = "tls" | "http" | "nothing"

/** The relay did not greet. */
export const ungreeted = (settings: Settings, error: MailError.MailError, spoken: Spoken): Problem => {
  const { host, port, timeouts } = settings
  const { reason } = error
  if (spoken === "tls")
    return {
      cause: `port ${port} wants TLS from the first byte, and so waits for the client instead of greeting it`,
      advice: [`use implicit TLS: \`mailrace probe smtps://${host}:${port}\``]
    }
  if (spoken === "http") return notSmtp(settings, "HTTP")
  switch (reason._tag) {
    case "Timeout":
      return {
        cause: `the relay takes the connection but says nothing for ${Math.round(timeouts.greeting)} ms`,
        advice: [
          "wait longer (raise the timeout of phase greeting): relays make clients that they do not know wait on purpose",
          "on the relay, look whether its processes hang or are used up: the system takes connections for a server that does not answer",
          "look for a load balancer or a container's port mapping without a server behind it",
          `listen yourself: \`nc -v ${host} ${port}\``
        ]
      }
    case "ConnectionLost":
      return {
        cause: `the relay closed the connection without a greeting (${reason.problem})`,
        advice: [
          "look whether the relay lets this client's address in (access lists, TCP wrappers, block lists)",
          "wait if the relay limits connections: others of this client may be open",
          `if the port wants TLS from the first byte, use smtps:// (465 does): \`mailrace probe smtps://${host}:${port}\``
        ]
      }
    case "ProtocolViolation": {
      const protocol = protocolOf(reason.problem)
      return protocol === undefined
        ? {
            cause: `what answers on port ${port} does not speak SMTP: ${reason.problem}`,
            advice: ["check the port: 587 and 465 are usual for sending, 25 between mail servers"]
          }
        : notSmtp(settings, protocol)
    }
    default:
      return error.reply === undefined
        ? { cause: reason.message, advice: [reason.remedy] }
        : refusedAtGreeting(settings, error.reply)
  }
}

const protocols: ReadonlyArray<readonly [name: string, beginning: RegExp]> = [
  ["SSH", /"SSH-/],
  ["HTTP", /"HTTP\/|"<(?:!doctype|html)/i],
  ["POP3", /"\+OK/],
  ["IMAP", /"\* (?:OK|BYE|PREAUTH)/],
  ["TLS", /"\\u001[56]\\u0003/]
]

const protocolOf = (problem: string): string | undefined =>
  protocols.find(([, beginning]) => beginning.test(problem))?.[0]

const notSmtp = ({ host, port }: Settings, protocol: string): Problem => ({
  cause: `what answers on port ${port} speaks ${protocol} and not SMTP`,
  advice: [
    "check the port: 587 and 465 are usual for sending, 25 between mail servers",
    `try the usual one: \`mailrace probe smtp://${host}:587\``
  ]
})

/**
 * The cause if a reply, at whatever step, says that this client has too many connections, whether for now (4yz) or as a matter of
 * policy (5yz).
 */
const tooMany = (reply: Reply.Reply): Problem | undefined =>
  ReplyMeaning.of({ ...reply, code: 421 }, "greeting").about === "connections"
    ? {
        cause: `the relay allows this client no more connections: "${Reply.format(reply)}"`,
        advice: [
          "lower `maxConnections`, in all programs that use this relay together",
          "close connections that nobody needs, or ask the relay's operator for a higher limit"
        ]
      }
    : undefined

/** The advice of the table of replies, which knows the words of many relays, and then the rest. */
const adviceOn = (
  reply: Reply.Reply,
  place: ReplyMeaning.Place,
  rest: ReadonlyArray<string>
): ReadonlyArray<string> => {
  const { remedy } = ReplyMeaning.of(reply, place)
  return remedy === undefined ? rest : [remedy, ...rest]
}

const refusedAtGreeting = (settings: Settings, reply: Reply.Reply): Problem => {
  const said = `"${Reply.format(reply)}"`
  const limited = tooMany(reply)
  if (limited !== undefined) return limited
  if (Reply.isTransient(reply))
    return {
      cause: `the relay takes no sessions now: ${said}`,
      advice: ["try again in some minutes", "if it stays so, ask the relay's operator, with this reply"]
    }
  return {
    cause: `the relay turns this client away: ${said}`,
    advice: adviceOn(reply, "greeting", [
      "read the reply: it often names a block list, or a link that says how to be let in",
      "look this machine's address up in the block lists, and check that it has a PTR record that leads back to it",
      `use the relay that is meant for your clients, with a login (port 587 or 465): \`mailrace probe smtp://USER@${settings.host}:587\``
    ])
  }
}

/** The relay did not accept the client's name. */
export const unidentified = (settings: Settings, error: MailError.MailError): Problem => {
  const { reply } = error
  if (reply === undefined) return broken(settings, error, "the reply to EHLO")
  const limited = tooMany(reply)
  if (limited !== undefined) return limited
  return Reply.isTransient(reply)
    ? {
        cause: `the relay goes on with nobody now: "${Reply.format(reply)}" to EHLO`,
        advice: ["try again in some minutes"]
      }
    : {
        cause: `the relay refuses the name that this client gives in EHLO${settings.name === undefined ? ", its address" : ` ("${settings.name}")`}: "${Reply.format(reply)}"`,
        advice: [
          "set `name` (name=… in the URL) to this machine's full host name, one that the DNS knows",
          "if the name is right, read the reply: the relay may refuse this client's address with it"
        ]
      }
}

/** The relay offers no STARTTLS; `isAnswered` tells that it would do it all the same. */
export const startTlsMissing = (settings: Settings, isBlotted: boolean, isAnswered: boolean): Problem =>
  isBlotted || isAnswered
    ? {
        cause: isBlotted
          ? "something between here and the relay blots STARTTLS out of the relay's offer (250-XXXXXXXA), so that mail would go in clear"
          : "the relay does STARTTLS although the offer that came here lacks it: something on the way strips it out, so that mail would go in clear",
        advice: [
          "switch off SMTP inspection in the firewall (Cisco: no inspect esmtp), or mail scanning in the virus scanner",
          `use a port with TLS from the first byte, which cannot be stripped: \`mailrace probe smtps://${settings.host}:465\``,
          "try from another network"
        ]
      }
    : {
        cause: "the relay does not offer STARTTLS on this port",
        advice: [
          `use the port with TLS from the first byte: \`mailrace probe smtps://${settings.host}:465\``,
          `use the port for clients: \`mailrace probe smtp://${settings.host}:587\``,
          "have the relay's operator switch TLS on, or use tls=opportunistic if mail may go in clear"
        ]
      }

/** The relay offers no TLS, and the mode lets mail go without. */
export const inClear: Problem = {
  cause: "the relay does not offer STARTTLS, so that mail to it goes in clear",
  advice: ["use a port with TLS (587 or 465), or have the relay's operator switch STARTTLS on"]
}

/** The relay offers STARTTLS and refuses it. */
export const startTlsRefused = (reply: Reply.Reply): Problem =>
  tooMany(reply) ?? {
    cause: Reply.isTransient(reply)
      ? `the relay offers STARTTLS but cannot do it now: "${Reply.format(reply)}"`
      : `the relay offers STARTTLS and then refuses it: "${Reply.format(reply)}"`,
    advice: [
      "tell the relay's operator: its certificate or key is missing or cannot be read, or its TLS is out of resources",
      ...(Reply.isTransient(reply) ? ["try again later"] : ["use the port with TLS from the first byte, 465"])
    ]
  }

export const loginFailed = (settings: Settings, error: MailError.MailError): Problem => {
  const { reason } = error
  if (reason._tag !== "AuthenticationFailed") return broken(settings, error, "the login")
  const { reply } = reason
  if (reply === undefined) return { cause: reason.message, advice: [reason.remedy] }
  const limited = tooMany(reply)
  if (limited !== undefined) return limited
  if (Reply.isTransient(reply))
    return {
      cause: `the relay cannot check logins now: "${Reply.format(reply)}"`,
      advice: [
        "try again later; after several wrong logins a relay may also hold new ones back for a while",
        "if it stays so, ask the relay's operator: what knows the passwords (LDAP, a database) does not answer"
      ]
    }
  return {
    cause: `the relay refused the login${reason.mechanism === undefined ? "" : ` by ${reason.mechanism}`}: "${Reply.format(reply)}"`,
    advice: adviceOn(reply, "auth", [
      "check the user and the password (special characters are percent-encoded in a URL)",
      "check which password the provider wants: many want an app password or an API key, some OAuth tokens alone",
      "check that the account may send by SMTP, and that it is not locked after too many attempts"
    ])
  }
}

/** The relay refused the envelope of a test message. */
export const envelopeRefused = (command: string, reply: Reply.Reply): Problem => {
  const place = command.startsWith("MAIL") ? "mail" : command.startsWith("RCPT") ? "rcpt" : "data"
  return (
    tooMany(reply) ?? {
      cause: `the relay refused ${command}: "${Reply.format(reply)}"`,
      advice: adviceOn(reply, place, usual(reply, place))
    }
  )
}

const usual = (reply: Reply.Reply, place: "mail" | "rcpt" | "data"): ReadonlyArray<string> => {
  if (Reply.isTransient(reply))
    return [
      "try again in some minutes: a relay that greylists refuses the first attempt on purpose",
      "if it stays so, read the reply: it names a limit, or a lookup that fails at the relay"
    ]
  return place === "mail"
    ? ["use a sender that this relay accepts for your account (verify its domain with the provider)"]
    : [
        "check the recipient's address",
        "if the relay refuses to relay, log in, or use the server that is meant for sending"
      ]
}

/** The relay refused the content of a test message. */
export const contentRefused = (reply: Reply.Reply): Problem =>
  tooMany(reply) ?? {
    cause: `the relay refused the content: "${Reply.format(reply)}"`,
    advice: adviceOn(
      reply,
      "final",
      Reply.isTransient(reply)
        ? ["try again in some minutes", "if it stays so, ask the relay's operator: a content filter may not answer"]
        : [
            "read the reply: it names a policy, a filter or a format",
            "try another recipient, to see whether it is about this one"
          ]
    )
  }

/** The connection broke, or fell silent, at a step that has no causes of its own. */
export const broken = (settings: Settings, error: MailError.MailError, step: string): Problem => {
  const { reason } = error
  switch (reason._tag) {
    case "Timeout":
      return {
        cause: `the relay was silent for ${Math.round(reason.limitMs)} ms when ${step} was due`,
        advice: [
          "look at the relay's load and at what it waits for: DNS lookups of this client, block lists, content filters",
          `raise the timeout of phase ${reason.phase} if it is slow by nature`
        ]
      }
    case "ConnectionLost":
    case "OutcomeUnknown":
      return {
        cause: `the relay closed the connection when ${step} was due (${reason.problem})`,
        advice: [
          "read the relay's log for this connection: a process of it may have crashed",
          "look for a firewall or proxy on the way that ends connections"
        ]
      }
    case "Throttled":
      return (
        tooMany(reason.reply) ?? {
          cause: `the relay ended the session when ${step} was due: "${Reply.format(reason.reply)}"`,
          advice: [
            "lower `maxConnections` and the rate, in all programs that use this relay together",
            "try again in some minutes"
          ]
        }
      )
    case "ProtocolViolation":
      return {
        cause: `the relay broke the protocol when ${step} was due: ${reason.message}`,
        advice: [`check that port ${settings.port} speaks SMTP`, "look for a proxy on the way that changes the session"]
      }
    default:
      return { cause: reason.message, advice: [reason.remedy] }
  }
}
