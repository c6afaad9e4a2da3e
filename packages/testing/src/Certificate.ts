/**
 * Certificates for tests, made on the spot: an authority and what it issues (X.509, RFC 5280), with ECDSA on P-256.
 *
 * Node has no call that makes a certificate, and a key that is checked in is a key that leaks; the few structures
 * needed are written as DER here.
 *
 * @since 0.1.0
 */

import { generateKeyPairSync, randomBytes, sign, X509Certificate } from "node:crypto"
import type { KeyObject } from "node:crypto"
import * as net from "node:net"
import { addressBytes } from "./internal/addressBytes.ts"
import * as Der from "./internal/der.ts"

/**
 * A certificate with its private key.
 *
 * @since 0.1.0
 */
export interface Certificate {
  /** As PEM. */
  readonly certificate: string
  /** As PEM (PKCS #8). */
  readonly key: string
  /** SHA-256 of the certificate, upper-case hexadecimal with colons. */
  readonly fingerprint256: string
}

/**
 * The contents of a certificate.
 *
 * @since 0.1.0
 */
export interface IssueOptions {
  /** Host names and IP addresses, at least one. */
  readonly names: ReadonlyArray<string>
  /** True if its time ended yesterday. Defaults to false: it began yesterday and lasts for ten years. */
  readonly expired?: boolean | undefined
  /** True if the key signs its own certificate, so that no authority stands behind it. Defaults to false. */
  readonly selfSigned?: boolean | undefined
}

/**
 * An authority that a client can be told to trust.
 *
 * @since 0.1.0
 */
export interface Authority {
  /** Its own certificate as PEM. */
  readonly certificate: string
  readonly issue: (options: IssueOptions) => Certificate
}

/**
 * Makes an authority of its own; takes about a millisecond.
 *
 * @since 0.1.0
 */
export const authority = (): Authority => {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const name = "Mailrace test authority"
  const certificate = build({
    subject: name,
    issuer: name,
    publicKey,
    signer: privateKey,
    days: [-1, 3650],
    extensions: [
      Der.extension("2.5.29.19", true, Der.sequence(Der.boolean(true))),
      Der.extension("2.5.29.15", true, Der.bitString(Buffer.from([0x06]), 1))
    ]
  })
  return {
    certificate: toPem(certificate),
    issue: ({ names, expired, selfSigned }) => {
      const keys = generateKeyPairSync("ec", { namedCurve: "P-256" })
      const issued = build({
        subject: names[0] ?? "nobody",
        issuer: selfSigned === true ? (names[0] ?? "nobody") : name,
        publicKey: keys.publicKey,
        signer: selfSigned === true ? keys.privateKey : privateKey,
        days: expired === true ? [-30, -1] : [-1, 3650],
        extensions: [
          Der.extension("2.5.29.17", false, Der.sequence(...names.map(subjectAlternative))),
          Der.extension("2.5.29.37", false, Der.sequence(Der.oid("1.3.6.1.5.5.7.3.1")))
        ]
      })
      return {
        certificate: toPem(issued),
        key: keys.privateKey.export({ type: "pkcs8", format: "pem" }) as string,
        fingerprint256: new X509Certificate(issued).fingerprint256
      }
    }
  }
}

interface Parts {
  readonly subject: string
  readonly issuer: string
  readonly publicKey: KeyObject
  readonly signer: KeyObject
  /** From when until when, in days from now. */
  readonly days: readonly [number, number]
  readonly extensions: ReadonlyArray<Buffer>
}

const ecdsaWithSha256 = "1.2.840.10045.4.3.2"
const dayMs = 86_400_000

/** A certificate as DER (RFC 5280 §4.1). */
const build = ({ subject, issuer, publicKey, signer, days, extensions }: Parts): Buffer => {
  const algorithm = Der.sequence(Der.oid(ecdsaWithSha256))
  const serial = randomBytes(16)
  // The first bit is the sign, and a first byte of zero would not be the shortest form.
  serial[0] = (serial[0]! & 0x7f) | 0x40
  const now = Date.now()
  const toSign = Der.sequence(
    Der.explicit(0, Der.integer(Buffer.from([2]))),
    Der.integer(serial),
    algorithm,
    commonName(issuer),
    Der.sequence(Der.time(new Date(now + days[0] * dayMs)), Der.time(new Date(now + days[1] * dayMs))),
    commonName(subject),
    publicKey.export({ type: "spki", format: "der" }),
    Der.explicit(3, Der.sequence(...extensions))
  )
  return Der.sequence(toSign, algorithm, Der.bitString(sign("sha256", toSign, signer), 0))
}

const commonName = (name: string): Buffer =>
  Der.sequence(Der.set(Der.sequence(Der.oid("2.5.4.3"), Der.utf8String(name))))

/** A DNS name or an IP address (RFC 5280 §4.2.1.6). */
const subjectAlternative = (name: string): Buffer =>
  net.isIP(name) === 0 ? Der.implicit(2, Buffer.from(name)) : Der.implicit(7, addressBytes(name))

const toPem = (der: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${der.toString("base64").replaceAll(/.{1,64}/g, "$&\n")}-----END CERTIFICATE-----\n`
