/**
 * Signs messages with DKIM (RFC 6376), by RSA (RFC 8301) and Ed25519 (RFC 8463), with one key or several at once.
 *
 * `layer` signs every composed mail; `sign` signs one message. Header and body are canonicalised as "relaxed", which survives
 * the changes that relays make on the way. From, To and Subject are signed once more than they occur, so that nobody can
 * add another one.
 *
 * Keys are read once. An RSA signature costs a quarter of a millisecond and is computed in threads beside the event loop, so
 * that it uses the other cores. Ed25519 is cheap and is computed in place. Streamed content is read twice, first for its
 * hash, and is never held in memory.
 *
 * **Gotchas**
 *
 * A relay that rewrites a signed field breaks the signature: Amazon SES replaces Message-ID and Date, so leave these out
 * of `headers` there, as in `headers: Dkim.usualHeaders.filter((name) => name !== "Date" && name !== "Message-ID")`.
 *
 * @example
 * ```ts
 * import * as Config from "effect/Config"
 * import * as Effect from "effect/Effect"
 * import * as Layer from "effect/Layer"
 * import * as Dkim from "mailrace/Dkim"
 *
 * export const signed = Layer.unwrap(
 *   Effect.map(Config.Redacted("DKIM_KEY"), (privateKey) =>
 *     Dkim.layer({ domain: "example.org", selector: "s1", privateKey })
 *   )
 * )
 * ```
 *
 * @since 0.1.0
 */

import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Crypto from "node:crypto"
import type * as Composed from "./Composed.ts"
import { Composer } from "./Composer.ts"
import * as AddressSyntax from "./internal/address/addressSyntax.ts"
import * as DkimKey from "./internal/dkim/key.ts"
import * as DkimSignature from "./internal/dkim/signature.ts"
import * as DkimStream from "./internal/dkim/stream.ts"
import * as RelaxedBody from "./internal/dkim/relaxedBody.ts"
import * as RelaxedHeader from "./internal/dkim/relaxedHeader.ts"
import * as MailError from "./MailError.ts"

/**
 * A signing algorithm as in `a=` (RFC 6376 §3.3, RFC 8463 §3).
 *
 * @since 0.1.0
 */
export type Algorithm = DkimKey.Algorithm

/**
 * A private key. Receivers find its public half at `selector._domainkey.domain`.
 *
 * @since 0.1.0
 */
export interface Key {
  /** The domain that takes responsibility, without a `.` at its end; for DMARC the From address's domain or a parent of it. */
  readonly domain: string
  readonly selector: string
  /** RSA of at least 1,024 bits or Ed25519: PEM (PKCS #8 or PKCS #1), not encrypted, or a key already read. */
  readonly privateKey: Redacted.Redacted<string> | Crypto.KeyObject
}

/**
 * The extent of a signature: its fields and its lifetime.
 *
 * @since 0.1.0
 */
export interface Settings {
  /** The fields to sign where they occur, besides From. Defaults to `usualHeaders`. */
  readonly headers?: ReadonlyArray<string> | undefined
  /** The fields that nobody may add again (RFC 6376 §8.15). Defaults to From, To and Subject. */
  readonly oversign?: ReadonlyArray<string> | undefined
  /** The lifetime of a signature, in full seconds. Defaults to no end, so that late mail still verifies. */
  readonly expires?: Duration.Input | undefined
}

/**
 * The options: one key, or several that all sign in their order.
 *
 * @since 0.1.0
 */
export type Options = Settings & (Key | { readonly keys: ReadonlyArray<Key> })

/**
 * The public facts of a key that the DNS must hold.
 *
 * @since 0.1.0
 */
export interface PublicKey {
  /** In ASCII, IDNA's A-labels. */
  readonly domain: string
  readonly selector: string
  readonly algorithm: Algorithm
  /** As in `p=`: base64 (RFC 6376 §3.6.1, RFC 8463 §4). */
  readonly publicKey: string
}

/**
 * A key that can sign.
 *
 * @since 0.1.0
 */
export interface SigningKey extends PublicKey {
  readonly key: Crypto.KeyObject
}

/**
 * Keys that can sign, and the fields that they sign.
 *
 * @since 0.1.0
 */
export interface Signer {
  readonly keys: ReadonlyArray<SigningKey>
  readonly coverage: DkimSignature.Coverage
  /** In seconds. */
  readonly expires: number | undefined
}

/**
 * A key or an option that cannot be used to sign. It never holds any part of a key.
 *
 * @since 0.1.0
 */
export class DkimError extends Schema.TaggedError<DkimError>("mailrace/DkimError")("DkimError", {
  problem: Schema.String,
  /** What to try, as an imperative without a full stop. */
  remedy: Schema.String,
  /** The key at fault, as the name of its DNS record. */
  key: Schema.optional(Schema.String)
}) {
  override get message(): string {
    return `DKIM${this.key === undefined ? "" : ` key ${this.key}`}: ${this.problem}; ${this.remedy}`
  }
}

/**
 * The fields that RFC 6376 §5.4.1 advises to sign, those of RFC 8058 §4, and those that tell a reader how to decode the body.
 *
 * @since 0.1.0
 */
export const usualHeaders: ReadonlyArray<string> = [
  "From",
  "Sender",
  "Reply-To",
  "Subject",
  "Date",
  "Message-ID",
  "To",
  "Cc",
  "In-Reply-To",
  "References",
  "MIME-Version",
  "Content-Type",
  "Content-Transfer-Encoding",
  "Resent-Date",
  "Resent-From",
  "Resent-Sender",
  "Resent-To",
  "Resent-Cc",
  "Resent-Message-ID",
  "List-Id",
  "List-Help",
  "List-Unsubscribe",
  "List-Unsubscribe-Post",
  "List-Subscribe",
  "List-Post",
  "List-Owner",
  "List-Archive"
]

/**
 * Reads the keys. Fails with `DkimError` for an unusable key, domain, selector or field name.
 *
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Signer, DkimError> =>
  Effect.suspend(() => {
    const keys: Array<SigningKey> = []
    for (const given of "keys" in options ? options.keys : [options]) {
      const key = readKey(given)
      if (key instanceof DkimError) return Effect.fail(key)
      keys.push(key)
    }
    if (keys.length === 0)
      return Effect.fail(new DkimError({ problem: "no key is given", remedy: "give one in `keys`" }))
    const oversign = options.oversign ?? ["From", "To", "Subject"]
    // From must be signed (RFC 6376 §5.4), and an oversigned field must be named.
    const names = distinct(["From", ...(options.headers ?? usualHeaders), ...oversign])
    const bad = names.find((name) => !/^[\x21-\x39\x3b-\x7e]{1,76}$/.test(name) || unsignable.test(name))
    if (bad !== undefined)
      return Effect.fail(
        new DkimError({
          problem: `the field ${JSON.stringify(bad.slice(0, 76))} cannot be signed`,
          remedy: "name fields that relays leave alone, without colons"
        })
      )
    const expires = options.expires === undefined ? undefined : Duration.toSeconds(options.expires)
    if (expires !== undefined && !(expires >= 1 && expires < 1e10))
      return Effect.fail(
        new DkimError({
          problem: "a signature must be valid for at least a second",
          remedy: "raise expires, or leave it out"
        })
      )
    return Effect.succeed({
      keys,
      coverage: { headers: names, oversigned: new Set(oversign.map((name) => name.toLowerCase())) },
      expires: expires === undefined ? undefined : Math.floor(expires)
    })
  })

/**
 * Signs a message: adds one DKIM-Signature field for each key before all other fields. `knownHash` is the body's hash from
 * `bodyHash` or `bodyHashAfter` and saves hashing it again. A wrong one makes a signature that does not verify. Streamed
 * content ignores it.
 *
 * Fails with `InvalidMessage` if the message has no From or its header is malformed. Errors from reading streamed content
 * pass through.
 *
 * @since 0.1.0
 */
export const sign =
  (signer: Signer) =>
  (message: Composed.Composed, knownHash?: string): Effect.Effect<Composed.Composed, MailError.MailError> =>
    Effect.withFiber((fiber) => {
      const seconds = Math.floor(fiber.getRef(Clock.Clock).currentTimeMillisUnsafe() / 1000)
      const { content } = message
      if (!(content instanceof Uint8Array))
        return Effect.flatMap(DkimStream.digest(content), (digest) =>
          Effect.flatMap(signatures(signer, digest, seconds), (fields) =>
            Effect.sync(() => ({
              ...message,
              content: DkimStream.prepend(Buffer.from(fields, "latin1"), content, digest),
              size: message.size === 0 ? 0 : message.size + fields.length
            }))
          )
        )
      const split = RelaxedHeader.split(content)
      if (split === undefined)
        return sign(signer)({ ...message, content: RelaxedHeader.withLineEnds(content) }, knownHash)
      const digest = {
        header: split.header,
        bodyHash: knownHash ?? RelaxedBody.hash(content.subarray(split.bodyStart))
      }
      return Effect.map(signatures(signer, digest, seconds), (fields) => {
        const signed = Buffer.allocUnsafe(fields.length + content.length)
        signed.write(fields, "latin1")
        signed.set(content, fields.length)
        return { ...message, content: signed, size: signed.length }
      })
    })

/**
 * Signs every message that the composer makes; that is the native one if no other is provided. The common beginning of a
 * template's messages is hashed once.
 *
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<never, DkimError> =>
  Layer.effect(
    Composer,
    Effect.gen(function* () {
      const signMessage = sign(yield* make(options))
      const composer = yield* Composer
      const hashes = new SharedHashes()
      return {
        compose: (mail) => Effect.flatMap(composer.compose(mail), (message) => signMessage(message)),
        finish: (message, body) =>
          composer.finish === undefined
            ? signMessage(message, body && hashes.of(message.content, body))
            : Effect.flatMap(composer.finish(message, body), (finished) => signMessage(finished))
      }
    })
  )

/**
 * The hash of a body (the bytes after the empty line), for messages that differ in their headers alone.
 *
 * @since 0.1.0
 */
export const bodyHash = (body: Uint8Array): string => RelaxedBody.hash(body)

/**
 * The same for bodies that begin alike: hashes the beginning once and returns a function that adds the rest. It pays off
 * from about 2 KB.
 *
 * @since 0.1.0
 */
export const bodyHashAfter = (beginning: Uint8Array): ((rest: Uint8Array) => string) => {
  const begun = new RelaxedBody.RelaxedBody()
  begun.push(beginning)
  return (rest) => {
    const body = begun.copy()
    body.push(rest)
    return body.digest()
  }
}

/** Copying the state of a hash costs as much as hashing this many bytes. */
const leastShared = 2048

/** Hash functions for bodies with a common beginning, by that beginning. */
class SharedHashes {
  private readonly hashes = new WeakMap<Uint8Array, (rest: Uint8Array) => string>()

  of(content: Composed.Content, { head, start }: Composed.SharedBody): string | undefined {
    if (!(content instanceof Uint8Array)) return undefined
    const end = start + head.length
    if (head.length < leastShared && end < content.length) return undefined
    let hash = this.hashes.get(head)
    if (hash === undefined) this.hashes.set(head, (hash = bodyHashAfter(head)))
    return hash(content.subarray(end))
  }
}

/**
 * A new pair of keys.
 *
 * @since 0.1.0
 */
export interface GeneratedKeys {
  readonly algorithm: Algorithm
  /** PEM, PKCS #8. */
  readonly privateKey: Redacted.Redacted<string>
  /** As in `p=`: base64. */
  readonly publicKey: string
}

/**
 * Makes a new pair of keys: RSA of 2,048 bits, which every receiver knows, or Ed25519.
 *
 * @since 0.1.0
 */
export const generateKeys = (algorithm: Algorithm): Effect.Effect<GeneratedKeys> =>
  Effect.callback((resume) => {
    const made = (error: Error | null, publicKey: Crypto.KeyObject, privateKey: Crypto.KeyObject) =>
      resume(
        error === null
          ? Effect.succeed({
              algorithm,
              privateKey: Redacted.make(String(privateKey.export({ type: "pkcs8", format: "pem" })), {
                label: "DKIM key"
              }),
              publicKey: DkimKey.publicKeyOf(publicKey)
            })
          : Effect.die(error)
      )
    if (algorithm === "rsa-sha256") Crypto.generateKeyPair("rsa", { modulusLength: 2048 }, made)
    else Crypto.generateKeyPair("ed25519", {}, made)
  })

/**
 * The DNS record by which receivers verify signatures (RFC 6376 §3.6.2).
 *
 * @since 0.1.0
 */
export interface DnsRecord {
  /** As in `s1._domainkey.example.org`. */
  readonly name: string
  readonly type: "TXT"
  /** The value in one piece, as most providers' forms take it. */
  readonly value: string
  /** The value in pieces of at most 255 octets, as it stands in the record itself (RFC 1035 §3.3). */
  readonly strings: ReadonlyArray<string>
  /** The record as a line of a zone file. */
  readonly zone: string
}

/**
 * The DNS record for a public key.
 *
 * @since 0.1.0
 */
export const dnsRecord = (key: PublicKey): DnsRecord => {
  const name = `${key.selector}._domainkey.${key.domain}`
  const value = `v=DKIM1; k=${key.algorithm === "rsa-sha256" ? "rsa" : "ed25519"}; p=${key.publicKey}`
  const strings = value.match(/.{1,255}/g) ?? []
  const zone = `${name}. IN TXT ( ${strings.map((text) => `"${text}"`).join(" ")} )`
  return { name, type: "TXT", value, strings, zone }
}

/** Fields that do not survive the way, or that relays add (RFC 6376 §5.4.1). */
const unsignable = /^(?:return-path|received|dkim-signature|bcc|resent-bcc)$/i

const distinct = (names: ReadonlyArray<string>): ReadonlyArray<string> => [
  ...new Map(names.map((name) => [name.toLowerCase(), name])).values()
]

const readKey = (given: Key): SigningKey | DkimError => {
  const domain = AddressSyntax.domainToAscii(given.domain)?.toLowerCase()
  const name = `${given.selector}._domainkey.${domain ?? given.domain}`
  const fail = (fault: DkimKey.Fault) => new DkimError({ ...fault, key: name.slice(0, 300) })
  if (domain === undefined || !isDomain(domain))
    return fail({ problem: "the domain is not a valid domain name", remedy: "write it like example.org" })
  if (!isDomain(given.selector))
    return fail({ problem: "the selector is not valid", remedy: "use letters, digits, hyphens and dots" })
  const read = DkimKey.read(given.privateKey)
  return "problem" in read ? fail(read) : { domain, selector: given.selector, ...read }
}

/** Labels of letters, digits, hyphens and underscores (RFC 6376 §3.1, §3.5). */
const isDomain = (text: string): boolean =>
  text.length <= 253 && /^[a-z\d_](?:[a-z\d_-]{0,61}[a-z\d])?(?:\.[a-z\d_](?:[a-z\d_-]{0,61}[a-z\d])?)*$/i.test(text)

/** The fields DKIM-Signature for a message, in the order of the keys. */
const signatures = (
  signer: Signer,
  digest: DkimStream.Digest,
  seconds: number
): Effect.Effect<string, MailError.MailError> => {
  let covered: DkimSignature.Covered
  try {
    covered = DkimSignature.coverUnsafe(signer.coverage, RelaxedHeader.parseUnsafe(digest.header))
  } catch (error) {
    if (MailError.isMailError(error)) return Effect.fail(error)
    throw error
  }
  const fields: Array<string> = []
  const slow: Array<(done: (error: Error | null) => void) => void> = []
  for (const [index, { algorithm, domain, key, selector }] of signer.keys.entries()) {
    const value = DkimSignature.unsigned({
      algorithm,
      domain,
      selector,
      timestamp: seconds,
      expiration: signer.expires === undefined ? undefined : seconds + signer.expires,
      names: covered.names,
      bodyHash: digest.bodyHash
    })
    const input = DkimSignature.input(covered, value)
    if (algorithm === "ed25519-sha256")
      // Ed25519 signs the hash, not the text (RFC 8463 §3).
      fields[index] = DkimSignature.field(value, Crypto.sign(null, Crypto.hash("sha256", input, "buffer"), key))
    else
      slow.push((done) =>
        Crypto.sign("sha256", input, key, (error, signature) => {
          if (error === null) fields[index] = DkimSignature.field(value, signature)
          done(error)
        })
      )
  }
  if (slow.length === 0) return Effect.succeed(fields.join(""))
  return Effect.callback((resume) => {
    let left = slow.length
    for (const start of slow)
      start((error) => {
        if (error !== null) resume(Effect.die(error))
        else if (--left === 0) resume(Effect.succeed(fields.join("")))
      })
  })
}
