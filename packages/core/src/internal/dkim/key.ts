/**
 * Reads an operator's private keys for DKIM and checks them before the first message.
 */
import * as Redacted from "effect/Redacted"
import * as Crypto from "node:crypto"

/** A signing algorithm (RFC 6376 §3.3, RFC 8463 §3). */
export type Algorithm = "rsa-sha256" | "ed25519-sha256"

/** A key that can sign. */
export interface PrivateKey {
  readonly algorithm: Algorithm
  readonly key: Crypto.KeyObject
  /** As in `p=` of the DNS record: base64. */
  readonly publicKey: string
}

/** The fault of a key. It never holds any part of the key. */
export interface Fault {
  readonly problem: string
  readonly remedy: string
}

/** Keys under 1,024 bits must not sign (RFC 8301 §3.2). */
const minimumBits = 1024

/** Reads a key: PEM (PKCS #8 or PKCS #1), also with its line breaks written as `\n`, or a key already read. */
export const read = (given: Redacted.Redacted<string> | Crypto.KeyObject): PrivateKey | Fault => {
  const key = given instanceof Crypto.KeyObject ? given : parse(Redacted.value(given))
  return key instanceof Crypto.KeyObject ? check(key) : key
}

/** The public half as `p=` wants it: SubjectPublicKeyInfo for RSA, the bare 32 bytes for Ed25519 (RFC 8463 §4). */
export const publicKeyOf = (key: Crypto.KeyObject): string => {
  const spki = (key.type === "private" ? Crypto.createPublicKey(key) : key).export({ type: "spki", format: "der" })
  return (key.asymmetricKeyType === "ed25519" ? spki.subarray(-32) : spki).toString("base64")
}

const parse = (text: string): Crypto.KeyObject | Fault => {
  // Environment variables and secret stores often hold a PEM in one line.
  const pem = text.replaceAll("\\n", "\n").trim()
  if (!/-----BEGIN [A-Z ]+-----/.test(pem))
    return {
      problem: "the private key is not PEM",
      remedy: 'give the text that begins with "-----BEGIN PRIVATE KEY-----", and not a path or the DNS record'
    }
  if (/-----BEGIN ENCRYPTED|^Proc-Type:.*ENCRYPTED/m.test(pem))
    return {
      problem: "the private key is encrypted",
      remedy: "decrypt it first: openssl pkey -in key.pem -out plain.pem"
    }
  if (!/-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/.test(pem))
    return {
      problem: "the PEM holds no private key",
      remedy: "give the private key; the public one belongs in the DNS"
    }
  try {
    return Crypto.createPrivateKey(pem)
  } catch {
    // OpenSSL's words do not help, and its error might hold the input.
    return { problem: "the private key cannot be read", remedy: "check that the PEM is whole and PKCS #8 or PKCS #1" }
  }
}

const check = (key: Crypto.KeyObject): PrivateKey | Fault => {
  if (key.type !== "private") return { problem: `the key is a ${key.type} key`, remedy: "give the private key" }
  switch (key.asymmetricKeyType) {
    case "ed25519":
      return { algorithm: "ed25519-sha256", key, publicKey: publicKeyOf(key) }
    case "rsa": {
      const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
      return bits < minimumBits
        ? {
            problem: `the RSA key has only ${bits} bits`,
            remedy: "make one of 2,048 bits; receivers ignore short keys"
          }
        : { algorithm: "rsa-sha256", key, publicKey: publicKeyOf(key) }
    }
    default:
      return {
        problem: `a key of type ${key.asymmetricKeyType ?? "unknown"} cannot sign with DKIM`,
        remedy: "use RSA or Ed25519"
      }
  }
}
