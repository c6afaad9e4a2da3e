/**
 * Signatures as a receiver sees them: mailauth verifies, with a DNS that holds what is given to it.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { dkimVerify } from "mailauth/lib/dkim/verify.js"
import type * as Composed from "../../src/Composed.ts"
import * as Dkim from "../../src/Dkim.ts"

/** Keys of both kinds, made once. */
export const keys = Effect.runSync(
  Effect.cached(Effect.all({ rsa: Dkim.generateKeys("rsa-sha256"), ed25519: Dkim.generateKeys("ed25519-sha256") }))
)

/** A signer with an RSA key `r`, then an Ed25519 key `e`. */
export const makeSigner = (settings?: Dkim.Settings) =>
  Effect.flatMap(keys, ({ ed25519, rsa }) =>
    Dkim.make({
      ...settings,
      keys: [
        { domain: "example.org", selector: "r", privateKey: rsa.privateKey },
        { domain: "example.org", selector: "e", privateKey: ed25519.privateKey }
      ]
    })
  )

/** What `verify` says when both are right. */
export const bothPass = ["r rsa-sha256 pass", "e ed25519-sha256 pass"]

/** What a receiver makes of a message: for each signature, in order, its selector, algorithm and result. */
export const verify = (message: Uint8Array, known: ReadonlyArray<Dkim.PublicKey>, now?: Date) =>
  Effect.promise(async () => {
    const records = new Map(known.map(Dkim.dnsRecord).map(({ name, strings }) => [name, strings]))
    const { results } = await dkimVerify(Buffer.from(message), {
      strict: true,
      ...(now === undefined ? {} : { curTime: now }),
      resolver: async (name, type) => {
        const strings = records.get(name)
        if (type === "TXT" && strings !== undefined) return [[...strings]]
        throw Object.assign(new Error(`no ${type} at ${name}`), { code: "ENOTFOUND" })
      }
    })
    return results.map(({ algo, selector, status }) => [selector, algo, status.result].filter(Boolean).join(" "))
  })

/** The bytes of a message's content. */
export const bytesOf = (message: Composed.Composed) =>
  message.content instanceof Uint8Array
    ? Effect.succeed(Buffer.from(message.content))
    : Effect.map(Stream.runCollect(message.content.stream), (pieces) => Buffer.concat(pieces))

/** Content as the wire has it: each bare CR or LF made CRLF, and the last line ended. */
export const onTheWire = (content: Uint8Array): Buffer => {
  const lines = Buffer.from(content)
    .toString("latin1")
    .replace(/\r\n?|\n/g, "\r\n")
  return Buffer.from(lines === "" || lines.endsWith("\r\n") ? lines : `${lines}\r\n`, "latin1")
}
