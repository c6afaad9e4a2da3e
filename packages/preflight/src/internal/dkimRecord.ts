/**
 * The DNS record of a DKIM key (RFC 6376 §3.6.1): whether receivers can verify by it, and whether it is that of the key that
 * signs.
 */
import * as Effect from "effect/Effect"
import type * as Dns from "effect/net/Dns"
import { createPublicKey } from "node:crypto"
import { type Finding, finding, unanswered } from "./finding.ts"
import * as Records from "./records.ts"

/** Receivers ignore RSA keys that are shorter (RFC 8301 §3.2); Gmail too. */
const shortestBits = 1024

/** The size that RFC 8301 §3.2 and Gmail recommend. */
const wantedBits = 2048

/** Looks at the record of a selector. `publicKey` is the signing key's, as in `p=`. */
export const check = (
  domain: string,
  selector: string,
  publicKey: string | undefined
): Effect.Effect<Finding, never, Dns.Dns> => {
  const name = `${selector}._domainkey.${domain}`
  return Effect.map(Records.texts(name), (answer) => {
    if (answer._tag === "Unknown") return unanswered("dkim", name, answer.why)
    const records = answer._tag === "None" ? [] : answer.records
    if (records.length === 0)
      return finding(
        "dkim",
        "problem",
        name,
        "there is no key, so no signature with this selector can be verified",
        "publish the record of the key (`Dkim.dnsRecord`), and check the selector"
      )
    if (records.length > 1)
      return finding(
        "dkim",
        "problem",
        name,
        `there are ${records.length} records, and which one counts is left to the receiver`,
        "leave one record"
      )
    return judge(name, records[0]!, publicKey)
  })
}

/** The finding of a domain whose selectors are not known: the DNS cannot be asked for them. */
export const unknownSelector = (domain: string): Finding =>
  finding(
    "dkim",
    "unknown",
    domain,
    "whether the domain has a key cannot be seen without a selector",
    "name the selector: it is s= in the DKIM-Signature field of a mail that was sent"
  )

const judge = (name: string, record: string, publicKey: string | undefined): Finding => {
  const problem = (found: string, remedy: string) => finding("dkim", "problem", name, found, remedy)
  const advice = (found: string, remedy: string) => finding("dkim", "advice", name, found, remedy)
  const tags = Records.tags(record)
  const version = tags.get("v")
  const published = tags.get("p")?.replace(/\s+/g, "")
  if ((version !== undefined && version !== "DKIM1") || published === undefined)
    return problem("the record is no DKIM key", "publish it as v=DKIM1; k=rsa; p=…")
  if (published === "") return problem("the key is revoked (p= is empty)", "sign with a selector whose key is in force")
  const type = tags.get("k")?.toLowerCase() ?? "rsa"
  const key = keyOf(type, published)
  if (key === undefined)
    return problem(`the key in p= cannot be read as ${type}`, "publish the record again, whole and without line breaks")
  if (publicKey !== undefined && keyOf(type, publicKey)?.canonical !== key.canonical)
    return problem(
      "the key is not that of the private key that signs, so that no signature can be verified",
      "publish the record of the signing key, or sign with the key of this record"
    )
  const match = publicKey === undefined ? "" : ", which belongs to the signing key"
  if (key.bits !== undefined && key.bits < shortestBits)
    return problem(`the RSA key has only ${key.bits} bits, and receivers ignore it`, "make one of 2,048 bits")
  if (
    tags.get("h") !== undefined &&
    !tags
      .get("h")!
      .split(":")
      .map((one) => one.trim())
      .includes("sha256")
  )
    return problem("the record allows no sha256, and sha1 is not accepted any more (RFC 8301)", "take h= out")
  if (
    tags
      .get("t")
      ?.split(":")
      .some((flag) => flag.trim() === "y") === true
  )
    return advice(`the key is marked as a test (t=y)${match}`, "take t=y out of the record")
  if (type === "ed25519")
    return advice(
      `an Ed25519 key${match}; not all receivers verify it`,
      "sign with an RSA key beside it, under a selector of its own"
    )
  if (key.bits !== undefined && key.bits < wantedBits)
    return advice(`an RSA key of ${key.bits} bits${match}`, "make one of 2,048 bits, as Gmail recommends")
  return finding("dkim", "ok", name, `an RSA key of ${key.bits} bits${match}`)
}

/** `canonical` is the same for all forms of one key. */
const keyOf = (
  type: string,
  base64: string
): { readonly bits: number | undefined; readonly canonical: string } | undefined => {
  const bytes = Buffer.from(base64, "base64")
  if (type === "ed25519")
    return bytes.length === 32 ? { bits: undefined, canonical: bytes.toString("base64") } : undefined
  if (type !== "rsa") return undefined
  for (const form of ["spki", "pkcs1"] as const) {
    try {
      const key = createPublicKey({ key: bytes, format: "der", type: form })
      if (key.asymmetricKeyType !== "rsa") return undefined
      const canonical = key.export({ type: "spki", format: "der" }).toString("base64")
      return { bits: key.asymmetricKeyDetails?.modulusLength, canonical }
    } catch {
      // RFC 6376 §3.6.1 means PKCS #1, and what is published is SubjectPublicKeyInfo; both are in use.
    }
  }
  return undefined
}
