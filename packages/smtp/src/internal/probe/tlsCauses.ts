/**
 * Why a TLS handshake failed, or its certificate is not to be trusted: the cause and what to try.
 */
import type * as MailError from "mailrace/MailError"
import type { Settings } from "../../SmtpOptions.ts"
import type { Encryption, Problem } from "./report.ts"

/** An error of Node's TLS: OpenSSL's own words are in `reason`. */
export type OpenSslError = Error & { readonly code?: string; readonly reason?: string }

/** The command that shows a relay's certificate. */
const openssl = ({ host, port, tlsMode }: Settings): string => {
  const address = host.includes(":") ? `[${host}]` : host
  const startTls = tlsMode === "implicit" ? "" : " -starttls smtp"
  return `\`openssl s_client -connect ${address}:${port}${startTls} -showcerts\``
}

/** A certificate that cannot be verified; its `problem` is OpenSSL's code. */
export const untrusted = (settings: Settings, facts: Encryption): Problem => {
  const { chain, daysLeft, expires, fingerprint256, name } = facts
  const issuer = chain.at(-1)?.issuer ?? "nobody"
  const look = `look at the certificate: ${openssl(settings)}`
  const pin = `for a relay of your own, trust this certificate alone: tlsVerify=false&tlsPin=${fingerprint256.replaceAll(":", "")} in its URL`
  switch (facts.problem) {
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return {
        cause: `the relay's certificate is for another name: it carries ${name.carried.join(", ") || "none"}, and ${name.wanted} is wanted`,
        advice: [
          `connect by a name that the certificate carries${name.carried.length === 0 ? "" : `, such as ${name.carried[0]}`}`,
          "if you know that this is the right relay, give that name as tlsName in its URL",
          look
        ]
      }
    case "CERT_HAS_EXPIRED":
      return {
        cause: `the relay's certificate expired ${daysLeft < -1 ? `${-daysLeft} days ago, ` : ""}on ${expires.slice(0, 10)}`,
        advice: [
          "have the relay's operator renew it (and restart the mail server, which may still hold the old one)",
          "check this machine's clock: `date -u`",
          look
        ]
      }
    case "CERT_NOT_YET_VALID":
      return {
        cause: "the time of the relay's certificate has not begun",
        advice: ["check this machine's clock: `date -u`", look]
      }
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
      return {
        cause: `the relay's certificate is self-signed, so that no authority vouches for it (${issuer})`,
        advice: ["have the relay use a certificate of an authority, such as Let's Encrypt", pin, look]
      }
    case "SELF_SIGNED_CERT_IN_CHAIN":
      return {
        cause: `the relay's certificate is signed by an authority that this machine does not know (${issuer})`,
        advice: [
          "trust that authority's certificate (`tls.ca`)",
          "if you do not know the authority, somebody may be listening in: a firewall or proxy that opens TLS signs with one of its own",
          look
        ]
      }
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
      return {
        cause: `the relay's certificate leads to no authority that this machine trusts (it is signed by ${issuer})`,
        advice: [
          "have the relay send the intermediate certificates too, if a public authority signed it",
          "trust the authority's certificate (`tls.ca`) if it is one of your own",
          look
        ]
      }
    default:
      return { cause: `the relay's certificate cannot be verified: ${facts.problem}`, advice: [look, pin] }
  }
}

/** The certificate matches no pin. */
export const notPinned = (problem: string): Problem => ({
  cause: problem,
  advice: [
    "compare it with the relay's new certificate if that was renewed, and pin that one",
    "if it was not renewed, do not send: this may not be your relay"
  ]
})

/** The certificate ends in a few days. */
export const expiresSoon = ({ daysLeft, expires }: Encryption): Problem => ({
  cause: `the relay's certificate ends in ${daysLeft} days, on ${expires.slice(0, 10)}`,
  advice: ["have the relay's operator renew it"]
})

/**
 * The alert that OpenSSL names in an error's text, if any. With TLS 1.3 a relay may send one after the handshake has ended for
 * the client, as it does when it misses a client certificate (RFC 8446 §4.4.2.4).
 */
export const alertIn = (
  settings: Settings,
  text: string
): { readonly number: string; readonly problem: Problem } | undefined => {
  const number = /SSL alert number (\d+)/.exec(text)?.[1]
  if (number === undefined) return undefined
  const [name, advice] = alerts[number] ?? [`number ${number}`, readLog]
  return {
    number,
    problem: {
      cause: `the relay broke the handshake off with the TLS alert "${name}"`,
      advice: [advice, `see for yourself: ${openssl(settings)}`]
    }
  }
}

/** The handshake did not come to its end; `openSsl` is the error that Node gave, where it gave one. */
export const handshakeFailed = (
  settings: Settings,
  { reason }: MailError.MailError,
  openSsl: OpenSslError | undefined
): Problem => {
  const look = `see for yourself: ${openssl(settings)}`
  const isImplicit = settings.tlsMode === "implicit"
  if (reason._tag === "Timeout")
    return {
      cause: `the relay did not go on with the TLS handshake within ${Math.round(reason.limitMs)} ms`,
      advice: [
        "look at the relay's load: handshakes are what costs it most",
        "look for a firewall that drops large packets (the relay's certificate is one): a smaller MTU helps then",
        look
      ]
    }
  const code = openSsl?.code ?? ""
  const alert = alertIn(settings, openSsl?.message ?? "")
  if (code === "ERR_SSL_UNSUPPORTED_PROTOCOL" || alert?.number === "70")
    return {
      cause: `the relay speaks no TLS version that the policy ${settings.tls.policy ?? "balanced"} allows (${settings.tls.policy === "strict" ? "1.3 only" : "1.2 or 1.3"})`,
      advice: [
        settings.tls.policy === "strict"
          ? "use the TLS policy balanced, which allows 1.2"
          : "have the relay's operator switch TLS 1.2 or 1.3 on; older versions are broken (RFC 8996)",
        look
      ]
    }
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER" || code === "ERR_SSL_PACKET_LENGTH_TOO_LONG" || code === "EPROTO")
    return {
      cause: "the relay does not speak TLS at this point of the session",
      advice: [
        isImplicit
          ? `use STARTTLS: smtp://${settings.host}:${settings.port}?tls=required (port 465 alone has TLS from the first byte)`
          : "the relay agreed to STARTTLS and went on in clear: report that to its operator",
        look
      ]
    }
  if (alert !== undefined) return alert.problem
  if (reason._tag === "ConnectionLost")
    return {
      cause: `the relay closed the connection during the TLS handshake (${reason.problem})`,
      advice: [
        "read the relay's log for this connection: a missing key or certificate looks like this",
        "look for a firewall or proxy on the way that does not let TLS through",
        look
      ]
    }
  return { cause: reason.message, advice: [reason.remedy, look] }
}

const noCommonCipher =
  "compare the ciphers and groups (the relay found none in common, or none that fits its key), and ask its operator whether it demands a client certificate, which Mailrace does not have"
const readLog = "read the relay's log for this connection: it knows why"

/** The alerts that a server sends (RFC 8446 §6), and what to try. */
const alerts: { readonly [number: string]: readonly [name: string, advice: string] } = {
  "20": ["bad record mac", "try another network: something on the way changes the packets"],
  "40": ["handshake failure", noCommonCipher],
  "42": ["bad certificate", readLog],
  "47": ["illegal parameter", readLog],
  "50": ["decode error", readLog],
  "71": ["insufficient security", noCommonCipher],
  "80": [
    "internal error",
    "read the relay's log: its TLS is set up wrongly, often with a certificate that it cannot read"
  ],
  "112": ["unrecognized name", "connect by a name that the relay serves, or give it as tlsName in the relay's URL"],
  "116": ["certificate required", "use another relay or port: this one demands a client certificate"],
  "120": ["no application protocol", readLog]
}
