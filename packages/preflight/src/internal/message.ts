/**
 * Finds what receivers would hold against a message itself, without asking anybody.
 */
import * as Address from "mailrace/Address"
import type * as Composed from "mailrace/Composed"
import * as Mailbox from "mailrace/Mailbox"
import type * as MailError from "mailrace/MailError"
import * as Preview from "mailrace/Preview"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Dmarc from "./dmarc.ts"
import { type Finding, finding } from "./finding.ts"
import * as Records from "./records.ts"

/** Facts beside the message. */
export interface Context {
  /** How closely the domain's DMARC record wants domains to match. */
  readonly strictness: Dmarc.Strictness
  /** Whether readers subscribed to it; what they asked for themselves (a receipt, a reset) needs no way off a list. */
  readonly isBulk: boolean
}

/** Fields that a message has at most once (RFC 5322 §3.6). */
const single = ["From", "Sender", "Reply-To", "To", "Cc", "Message-ID", "In-Reply-To", "References", "Subject", "Date"]

/** Gmail shows this many bytes of HTML; the rest is behind a link. */
const clippedAt = 102_400

/** The longest line (RFC 5322 §2.1.1). */
const longestLine = 998

/** Domains of mailbox providers, whose DMARC records forbid others to use them. */
const mailboxProviders =
  /^(?:gmail\.com|googlemail\.com|yahoo\.[a-z.]+|ymail\.com|rocketmail\.com|aol\.com|outlook\.[a-z.]+|hotmail\.[a-z.]+|live\.[a-z.]+|msn\.com|icloud\.com|me\.com|mac\.com|gmx\.[a-z]+|web\.de|mail\.ru)$/i

/** Looks at a message. Fails with what reading a streamed message fails with. */
export const check = (
  message: Composed.Composed,
  context: Context
): Effect.Effect<ReadonlyArray<Finding>, MailError.MailError> =>
  Effect.map(Preview.make(message), (preview) => {
    const fields = new Fields(preview.headers)
    const from = fromOf(fields)
    return [
      ...format(message, fields, from),
      ...(from.length === 1 ? [sender(from[0]!), alignment(message, fields, from[0]!, context)] : []),
      ...(context.isBulk ? [unsubscribe(fields), ...unsubscribeLink(preview, fields)] : []),
      size(preview)
    ]
  })

/** The fields of a header. */
class Fields {
  private readonly all: Preview.Preview["headers"]

  constructor(all: Preview.Preview["headers"]) {
    this.all = all
  }

  /** The values of a field, in order. */
  get(name: string): ReadonlyArray<string> {
    const wanted = name.toLowerCase()
    return this.all.flatMap(([one, value]) => (one.toLowerCase() === wanted ? value : []))
  }
}

/** The domains of From. */
const fromOf = (fields: Fields): ReadonlyArray<string> =>
  fields
    .get("From")
    .flatMap((value) => Result.getOrElse(Mailbox.parseHeader(value), () => []))
    .map(({ address }) => Address.domain(address).toLowerCase())

const format = (message: Composed.Composed, fields: Fields, from: ReadonlyArray<string>): ReadonlyArray<Finding> => {
  const faults: Array<Finding> = []
  const fault = (subject: string, found: string, remedy: string): void => {
    faults.push(finding("format", "problem", subject, found, remedy))
  }
  for (const name of single) {
    const count = fields.get(name).length
    if (count > 1) fault(name, `the field occurs ${count} times`, `give ${name} once (RFC 5322 §3.6)`)
  }
  if (fields.get("From").length > 0 && from.length !== 1)
    fault("From", `the field has ${from.length} addresses that can be read`, "give From exactly one address")
  for (const name of ["From", "Date", "Message-ID"])
    if (fields.get(name).length === 0) fault(name, "the field is missing", `give the message a ${name} (RFC 5322 §3.6)`)
  if (message.content instanceof Uint8Array && hasLongLine(message.content))
    fault(
      "body",
      `a line is longer than ${longestLine} bytes`,
      "wrap the lines, or encode the body as quoted-printable"
    )
  return faults.length > 0 ? faults : [finding("format", "ok", "header", "the fields are there, each once")]
}

const hasLongLine = (content: Uint8Array): boolean => {
  for (let start = 0; start < content.length;) {
    const found = content.indexOf(lineFeed, start)
    const end = found === -1 ? content.length : found
    const length = end - start - (content[end - 1] === carriageReturn ? 1 : 0)
    if (length > longestLine) return true
    start = end + 1
  }
  return false
}

const carriageReturn = 13
const lineFeed = 10

const sender = (domain: string): Finding =>
  mailboxProviders.test(domain)
    ? finding(
        "from",
        "problem",
        domain,
        "the sender is at a mailbox provider, which alone may send for its domain",
        "send from an address at a domain of your own, and put this one into Reply-To"
      )
    : finding("from", "ok", domain, "the sender is not at a mailbox provider")

const alignment = (message: Composed.Composed, fields: Fields, from: string, { strictness }: Context): Finding => {
  const signers = fields.get("DKIM-Signature").flatMap((value) => Records.tags(value).get("d")?.toLowerCase() ?? [])
  const envelope = message.envelope.from
  const returnDomain = envelope === undefined ? undefined : Address.domain(envelope).toLowerCase()
  const signer = signers.find((domain) => Dmarc.isAligned(from, domain, strictness.dkim))
  if (signer !== undefined) return finding("alignment", "ok", from, `signed by ${signer}, which speaks for ${from}`)
  const isSpfAligned = returnDomain !== undefined && Dmarc.isAligned(from, returnDomain, strictness.spf)
  if (signers.length > 0 && !isSpfAligned)
    return finding(
      "alignment",
      "problem",
      from,
      `the signature is by ${signers.join(", ")} and the envelope's sender at ${returnDomain ?? "no domain"}: neither speaks for ${from}`,
      `sign for ${Dmarc.organizationalDomain(from)}, or send from an address at ${signers[0]}`
    )
  if (isSpfAligned)
    return signers.length > 0
      ? finding("alignment", "ok", from, `the envelope's sender is at ${returnDomain}, if SPF passes for it`)
      : finding(
          "alignment",
          "unknown",
          from,
          "the message is not signed here; whether the relay signs it cannot be seen",
          `sign it for ${Dmarc.organizationalDomain(from)}, or see that the relay does`
        )
  return finding(
    "alignment",
    "problem",
    from,
    `the message is not signed here, and the envelope's sender at ${returnDomain ?? "no domain"} does not speak for ${from}`,
    `sign it for ${Dmarc.organizationalDomain(from)}`
  )
}

const unsubscribe = (fields: Fields): Finding => {
  const links = fields.get("List-Unsubscribe")
  const problem = (found: string, remedy: string) =>
    finding("unsubscribe", "problem", "List-Unsubscribe", found, remedy)
  const give = "give `listUnsubscribe` an https: address, which then also offers one-click"
  if (links.length === 0) return problem("the message offers no way off the list in its header", give)
  if (!/<https:\/\//i.test(links.join()))
    return problem("there is no https: address, and so no unsubscribing with one click", give)
  if (!/^List-Unsubscribe=One-Click$/i.test(fields.get("List-Unsubscribe-Post").join().trim()))
    return problem(
      "the https: address is not offered for one click",
      "add the field List-Unsubscribe-Post: List-Unsubscribe=One-Click (RFC 8058)"
    )
  const signatures = fields.get("DKIM-Signature").map((value) => Records.tags(value).get("h")?.toLowerCase() ?? "")
  const isCovered = signatures.some((names) => {
    const signed = names.split(":").map((name) => name.trim())
    return signed.includes("list-unsubscribe") && signed.includes("list-unsubscribe-post")
  })
  if (signatures.length > 0 && !isCovered)
    return problem(
      "the signature does not cover the fields, so that receivers pass them over (RFC 8058 §4)",
      "sign List-Unsubscribe and List-Unsubscribe-Post too"
    )
  return signatures.length === 0
    ? finding("unsubscribe", "ok", "List-Unsubscribe", "one click, if whoever signs the message signs these fields too")
    : finding("unsubscribe", "ok", "List-Unsubscribe", "one click, and signed")
}

/** The words of a link off a list in some languages; a link to the address of the header will do in any. */
const leaving =
  /unsubscri|opt[ -]?out|abmelden|abbestell|austragen|désabonn|désinscri|darse de baja|cancelar (?:la )?suscripci|disiscri|uitschrijven|afmelden|avregistrer|wypisz|отписа|配信停止|退订/i

const unsubscribeLink = ({ html, text }: Preview.Preview, fields: Fields): ReadonlyArray<Finding> => {
  const address = /<(https:[^>]+)>/i.exec(fields.get("List-Unsubscribe").join())?.[1]
  const body = `${html ?? ""}\n${text}`
  const hasLink = leaving.test(body) || (address !== undefined && body.replaceAll("&amp;", "&").includes(address))
  return [
    hasLink
      ? finding("unsubscribeLink", "ok", "body", "the body names a way off the list")
      : finding(
          "unsubscribeLink",
          "advice",
          "body",
          "no visible way off the list was found in the body",
          "add a link to unsubscribe that readers see"
        )
  ]
}

const size = ({ html }: Preview.Preview): Finding => {
  const bytes = html === undefined ? 0 : Buffer.byteLength(html)
  return bytes > clippedAt
    ? finding(
        "size",
        "advice",
        "body",
        `the HTML has ${Math.round(bytes / 1024)} KB; Gmail shows the first 102 KB, and the rest behind a link`,
        "make the HTML smaller, so that the link to unsubscribe is shown too"
      )
    : finding("size", "ok", "body", `the HTML has ${Math.round(bytes / 1024)} KB, of which Gmail shows all`)
}
