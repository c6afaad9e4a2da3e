/**
 * The extensions of a relay in words, from its reply to EHLO.
 */
import type { Extension } from "./report.ts"

const meanings: { readonly [keyword: string]: string } = {
  "8BITMIME": "bodies may have bytes above 127 (RFC 6152)",
  AUTH: "clients may log in (RFC 4954)",
  BINARYMIME: "bodies may be binary (RFC 3030)",
  CHUNKING: "content may go by BDAT, in chunks of known length (RFC 3030)",
  DELIVERBY: "a message may say until when it is worth delivering (RFC 2852)",
  DSN: "senders may ask for delivery status notifications (RFC 3461)",
  ENHANCEDSTATUSCODES: "replies carry a precise status such as 4.7.1 (RFC 2034)",
  ETRN: "a site may ask for its waiting mail (RFC 1985)",
  EXPN: "mailing lists may be expanded (RFC 5321 §3.5)",
  FUTURERELEASE: "a message may be held until a later time (RFC 4865)",
  HELP: "the relay knows HELP (RFC 5321 §4.1.1.8)",
  LIMITS: "the relay tells how much one session may send (RFC 9422)",
  "MT-PRIORITY": "messages may have priorities (RFC 6710)",
  PIPELINING: "commands may be sent in groups (RFC 2920)",
  REQUIRETLS: "a message may ask to travel over TLS only (RFC 8689)",
  SIZE: "the relay tells how large a message may be (RFC 1870)",
  SMTPUTF8: "addresses and headers may hold UTF-8 (RFC 6531)",
  STARTTLS: "the session may go on over TLS (RFC 3207)",
  VRFY: "addresses may be looked up (RFC 5321 §3.5)",
  XCLIENT: "trusted clients may pass on whom they speak for (Postfix)",
  XFORWARD: "trusted clients may pass on where a message came from (Postfix)"
}

/** Reads the text of a reply to EHLO; its first line is the greeting. */
export const extensionsOf = (ehlo: string): ReadonlyArray<Extension> =>
  ehlo
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const [word = "", ...parameters] = line
        .trim()
        .replace(/^AUTH=/i, "AUTH ")
        .split(/\s+/)
      const keyword = word.toUpperCase()
      if (keyword === "") return []
      return [{ keyword, parameters, meaning: meanings[keyword] ?? "an extension that Mailrace does not use" }]
    })

/**
 * True if something on the way has blotted out a keyword: firewalls that inspect SMTP put X in the place of what they do not
 * want the client to see, as in `250-XXXXXXXA`.
 */
export const hasBlottedKeyword = (ehlo: string): boolean => /^X{4,}[A-Z]?$/m.test(ehlo)
