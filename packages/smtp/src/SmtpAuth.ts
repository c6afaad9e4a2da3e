/**
 * Logging in (RFC 4954): SASL mechanisms as plain functions from challenge to answer, strongest first.
 *
 * Nothing here reads or writes a connection. A mechanism gives its first answer at once or waits for a challenge, and
 * answers each challenge until the relay says 235 or refuses.
 *
 * @since 0.1.0
 */

import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto"

/**
 * The credentials of a login.
 *
 * @since 0.1.0
 */
export type Credentials = LoginOptions &
  (
    | { readonly username: string; readonly password: Redacted.Redacted<string> }
    | {
        readonly username: string
        /** An OAuth 2.0 access token; run again once when the relay refuses the one before (535). */
        readonly token: Effect.Effect<Redacted.Redacted<string>, unknown>
      }
  )

/**
 * True for the Effect in `token` while it is run because the relay refused the token before (535): a token that is kept
 * must be renewed then.
 *
 * @since 0.1.0
 */
export const TokenWasRefused = Context.Reference<boolean>("@mailrace/smtp/SmtpAuth/TokenWasRefused", {
  defaultValue: () => false
})

/**
 * The options of a login. By default the strongest mechanism that the relay offers is used, and no login is an error.
 *
 * @since 0.1.0
 */
export interface LoginOptions {
  /**
   * The mechanism to log in by, or several in the order in which they are tried; no other is used. Defaults to all that
   * fit the password or token, strongest first.
   */
  readonly mechanism?: MechanismName | ReadonlyArray<MechanismName> | undefined
  /**
   * What to do where the relay does not offer a login: `fail`, `skip` the login and send without, or `try` it all the
   * same, by the first of `mechanism` or else PLAIN (XOAUTH2 with a token). `skip` applies only to a relay that offers no
   * mechanism at all. Defaults to `fail`.
   */
  readonly whenNotOffered?: WhenNotOffered | undefined
}

/**
 * What to do where the relay does not offer a login.
 *
 * @since 0.1.0
 */
export type WhenNotOffered = "fail" | "skip" | "try"

/**
 * The mechanisms, strongest first.
 *
 * @since 0.1.0
 */
export const mechanisms = ["SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2", "CRAM-MD5", "PLAIN", "LOGIN"] as const

/**
 * A mechanism's name as in the reply to EHLO.
 *
 * @since 0.1.0
 */
export type Mechanism = (typeof mechanisms)[number]

/**
 * A mechanism's name in capitals or in small letters.
 *
 * @since 0.1.0
 */
export type MechanismName = Mechanism | Lowercase<Mechanism>

/**
 * A login in progress.
 *
 * @since 0.1.0
 */
export interface Exchange {
  /** The initial response of the AUTH command; without it the relay sends a challenge first. */
  readonly initial: string | undefined
  /** The answer to a challenge, both decoded; fails with what is wrong with the challenge. */
  readonly answer: (challenge: string) => Effect.Effect<string, string>
  /** True if the relay has proved that it knows the password too, where the mechanism asks for that. */
  readonly isProved: () => boolean
}

/**
 * The mechanism to begin with: the first of `candidates`.
 *
 * @since 0.1.0
 */
export const choose = (offered: ReadonlyArray<string>, credentials: Credentials): Mechanism | undefined =>
  candidates(offered, credentials)[0]

/**
 * The mechanisms that the relay offers and the credentials fit: those of `mechanism` in their order, else the strongest
 * first.
 *
 * @since 0.1.0
 */
export const candidates = (offered: ReadonlyArray<string>, credentials: Credentials): ReadonlyArray<Mechanism> => {
  const fitting =
    named(credentials) ?? mechanisms.filter((mechanism) => usesToken(mechanism) === "token" in credentials)
  const found = fitting.filter((mechanism) => offered.includes(mechanism))
  if (found.length > 0 || credentials.whenNotOffered !== "try") return found
  return [named(credentials)?.[0] ?? ("token" in credentials ? "XOAUTH2" : "PLAIN")]
}

/**
 * The mechanisms that `mechanism` names; `undefined` if the choice is left open. A name that is not known stays as it is.
 *
 * @since 0.1.0
 */
export const named = ({ mechanism }: LoginOptions): ReadonlyArray<Mechanism> | undefined =>
  mechanism === undefined ? undefined : [mechanism].flat().map((name) => String(name).toUpperCase() as Mechanism)

/**
 * The same credentials with another password; where they have a token, it is the access token.
 *
 * @since 0.1.0
 */
export const withSecret = (credentials: Credentials, secret: Redacted.Redacted<string>): Credentials =>
  "token" in credentials ? { ...credentials, token: Effect.succeed(secret) } : { ...credentials, password: secret }

/**
 * True if a mechanism takes a token and not a password.
 *
 * @since 0.1.0
 */
export const usesToken = (mechanism: Mechanism): boolean => mechanism === "OAUTHBEARER" || mechanism === "XOAUTH2"

/**
 * Begins a login; `secret` is the password, or the token. `host` and `port` are those of the relay (RFC 7628 §3.1).
 *
 * @since 0.1.0
 */
export const begin = (
  mechanism: Mechanism,
  username: string,
  secret: Redacted.Redacted<string>,
  host: string,
  port: number
): Exchange => {
  const value = Redacted.value(secret)
  switch (mechanism) {
    case "SCRAM-SHA-256":
      return scramSha256(username, value, randomBytes(18).toString("base64"))
    case "OAUTHBEARER":
      return once(
        `n,a=${scramName(username)},\u0001host=${host}\u0001port=${port}\u0001auth=Bearer ${value}\u0001\u0001`,
        "\u0001"
      )
    case "XOAUTH2":
      return once(`user=${username}\u0001auth=Bearer ${value}\u0001\u0001`, "")
    case "CRAM-MD5":
      return {
        initial: undefined,
        answer: (challenge) =>
          Effect.succeed(`${username} ${createHmac("md5", value).update(challenge).digest("hex")}`),
        isProved: () => true
      }
    case "PLAIN":
      return once(`\u0000${username}\u0000${value}`, "")
    case "LOGIN":
      return login(username, value)
  }
}

/** The first answer is the only one; if the relay asks back, an empty one says so (RFC 7628 §3.2.3). */
const once = (initial: string, more: string): Exchange => ({
  initial,
  answer: () => Effect.succeed(more),
  isProved: () => true
})

/** LOGIN (draft-murchison-sasl-login): the relay asks for the name, then for the password, in words that vary. */
const login = (username: string, password: string): Exchange => {
  const answers = [username, password]
  return {
    initial: undefined,
    answer: () =>
      Effect.suspend(() => {
        const answer = answers.shift()
        return answer === undefined
          ? Effect.fail("the relay asks for more than a name and a password")
          : Effect.succeed(answer)
      }),
    isProved: () => true
  }
}

/**
 * The problem of a relay whose proof is wrong.
 *
 * @since 0.1.0
 */
export const wrongProof = "the relay does not know the password; it may be an impostor"

/**
 * SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding.
 *
 * @since 0.1.0
 */
export const scramSha256 = (username: string, password: string, clientNonce: string): Exchange => {
  const clientFirst = `n=${scramName(username)},r=${clientNonce}`
  let serverSignature: Buffer | undefined
  let isProved = false

  const final = (serverFirst: string): Effect.Effect<string, string> => {
    const { i, m, r, s } = attributes(serverFirst)
    const iterations = Number(i)
    if (m !== undefined) return Effect.fail("the relay wants an extension of SCRAM that is not known")
    if (r === undefined || !r.startsWith(clientNonce) || r.length === clientNonce.length) {
      return Effect.fail("the relay's nonce does not extend ours")
    }
    // RFC 7677 §4 asks for at least 4096; the upper bound keeps a hostile relay from burning the CPU.
    if (s === undefined || !Number.isInteger(iterations) || iterations < 4096 || iterations > 10_000_000) {
      return Effect.fail("the relay's salt or iteration count is out of range")
    }
    return Effect.map(derive(password, Buffer.from(s, "base64"), iterations), (salted) => {
      const clientKey = hmac(salted, "Client Key")
      const storedKey = createHash("sha256").update(clientKey).digest()
      const withoutProof = `c=biws,r=${r}`
      const authMessage = `${clientFirst},${serverFirst},${withoutProof}`
      const proof = xor(clientKey, hmac(storedKey, authMessage))
      serverSignature = hmac(hmac(salted, "Server Key"), authMessage)
      return `${withoutProof},p=${proof.toString("base64")}`
    })
  }

  const verify = (serverFinal: string): Effect.Effect<string, string> => {
    const { e, v } = attributes(serverFinal)
    if (e !== undefined) return Effect.fail(`the relay says "${e}"`)
    const signature = Buffer.from(v ?? "", "base64")
    isProved = signature.length === serverSignature!.length && timingSafeEqual(signature, serverSignature!)
    return isProved ? Effect.succeed("") : Effect.fail(wrongProof)
  }

  return {
    initial: `n,,${clientFirst}`,
    answer: (challenge) => (serverSignature === undefined ? final(challenge) : verify(challenge)),
    isProved: () => isProved
  }
}

const derive = (password: string, salt: Buffer, iterations: number): Effect.Effect<Buffer, string> =>
  Effect.callback((resume) => {
    pbkdf2(password.normalize("NFKC"), salt, iterations, 32, "sha256", (error, key) =>
      resume(error === null ? Effect.succeed(key) : Effect.fail(error.message))
    )
  })

const hmac = (key: Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest()

const xor = (a: Buffer, b: Buffer): Buffer => Buffer.from(a.map((byte, i) => byte ^ b[i]!))

/** `=` and `,` have a meaning of their own in SCRAM (RFC 5802 §5.1). */
const scramName = (name: string): string => name.normalize("NFKC").replaceAll("=", "=3D").replaceAll(",", "=2C")

const attributes = (message: string): Readonly<Record<string, string | undefined>> =>
  Object.fromEntries(message.split(",").map((part) => [part.slice(0, 1), part.slice(2)]))
