/** The server's side of AUTH (RFC 4954): an exchange takes decoded responses and gives a challenge or its end. */
import { createHmac, createHash, pbkdf2Sync, randomBytes, timingSafeEqual } from "node:crypto"
import type { Config, Mechanism } from "./options.ts"

/** The step after a response. `challenge` is not yet base64. */
export type Step =
  | { readonly type: "challenge"; readonly challenge: string }
  | { readonly type: "success"; readonly user: string }
  | { readonly type: "failure" }

/** An exchange under way; called with each response, and first with the initial one or `undefined`. */
export type Exchange = (response: Buffer | undefined) => Step

export const begin = (mechanism: Mechanism, config: Config): Exchange => {
  switch (mechanism) {
    case "PLAIN":
      return plain(config)
    case "LOGIN":
      return login(config)
    case "CRAM-MD5":
      return cramMd5(config)
    case "SCRAM-SHA-256":
      return scram(config)
    case "XOAUTH2":
    case "OAUTHBEARER":
      return bearer(mechanism, config)
  }
}

const challenge = (text: string): Step => ({ type: "challenge", challenge: text })
const failure: Step = { type: "failure" }

const check = (secrets: { readonly [name: string]: string }, user: string, secret: string): Step =>
  Object.hasOwn(secrets, user) && same(Buffer.from(secrets[user]!), Buffer.from(secret))
    ? { type: "success", user }
    : failure

const same = (a: Buffer, b: Buffer): boolean => a.length === b.length && timingSafeEqual(a, b)

/** RFC 4616. */
const plain =
  (config: Config): Exchange =>
  (response) => {
    if (response === undefined) return challenge("")
    const [, user, password] = response.toString().split("\0")
    return check(config.users, user ?? "", password ?? "")
  }

const login = (config: Config): Exchange => {
  let user: string | undefined
  return (response) => {
    if (response === undefined) return challenge("Username:")
    if (user !== undefined) return check(config.users, user, response.toString())
    user = response.toString()
    return challenge("Password:")
  }
}

/** RFC 2195. */
const cramMd5 = (config: Config): Exchange => {
  const nonce = `<${randomBytes(8).toString("hex")}.${Date.now()}@${config.name}>`
  return (response) => {
    if (response === undefined) return challenge(nonce)
    const [, user, digest] = /^(.*) ([0-9a-f]+)$/s.exec(response.toString()) ?? []
    if (user === undefined || digest === undefined || !Object.hasOwn(config.users, user)) return failure
    const expected = createHmac("md5", config.users[user]!).update(nonce).digest("hex")
    return same(Buffer.from(expected), Buffer.from(digest)) ? { type: "success", user } : failure
  }
}

/** RFC 5802 and RFC 7677, without channel binding. */
const scram = (config: Config): Exchange => {
  const salt = randomBytes(16)
  const iterations = 4096
  let first:
    | { readonly user: string; readonly nonce: string; readonly bare: string; readonly server: string }
    | undefined
  let verified: string | undefined
  return (response) => {
    if (response === undefined) return challenge("")
    const text = response.toString()
    if (verified !== undefined) return { type: "success", user: verified }
    if (first === undefined) {
      const [, bare, name, clientNonce] = /^[ny],[^,]*,(n=([^,]*),r=([^,]+).*)$/.exec(text) ?? []
      if (bare === undefined || name === undefined || clientNonce === undefined) return failure
      const user = name.replaceAll("=2C", ",").replaceAll("=3D", "=")
      const nonce = clientNonce + randomBytes(18).toString("base64")
      const server = `r=${nonce},s=${salt.toString("base64")},i=${iterations}`
      first = { user, nonce, bare, server }
      return challenge(server)
    }
    const [, withoutProof, binding, nonce, proof] = /^((c=[^,]+),r=([^,]+)(?:,.*)?),p=([^,]+)$/.exec(text) ?? []
    const { user } = first
    const agrees = binding === "c=biws" || binding === "c=eSws"
    if (withoutProof === undefined || !agrees || nonce !== first.nonce || !Object.hasOwn(config.users, user)) {
      return failure
    }
    const salted = pbkdf2Sync(config.users[user]!, salt, iterations, 32, "sha256")
    const message = `${first.bare},${first.server},${withoutProof}`
    const storedKey = createHash("sha256").update(hmac(salted, "Client Key")).digest()
    const signature = hmac(storedKey, message)
    const clientKey = Buffer.from(proof ?? "", "base64").map((byte, index) => byte ^ signature[index]!)
    if (!same(createHash("sha256").update(clientKey).digest(), storedKey)) return failure
    verified = user
    return challenge(`v=${hmac(hmac(salted, "Server Key"), message).toString("base64")}`)
  }
}

const hmac = (key: Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest()

/** RFC 7628, and Google's forerunner of it. The server refuses by a challenge, which the client has to answer. */
const bearer = (mechanism: "XOAUTH2" | "OAUTHBEARER", config: Config): Exchange => {
  let refused = false
  return (response) => {
    if (response === undefined) return challenge("")
    if (refused) return failure
    const fields = response.toString().split("\x01")
    const user =
      mechanism === "XOAUTH2" ? fields[0]?.replace(/^user=/, "") : /^[ny],a=([^,]*),$/.exec(fields[0] ?? "")?.[1]
    const token = fields.find((field) => /^auth=bearer /i.test(field))?.slice("auth=bearer ".length)
    const step = check(config.tokens, user ?? "", token ?? "")
    if (step.type === "success") return step
    refused = true
    return challenge(JSON.stringify({ status: "401", schemes: "bearer", scope: "mail" }))
  }
}
