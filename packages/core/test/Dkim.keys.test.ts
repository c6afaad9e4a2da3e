import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Crypto from "node:crypto"
import * as Util from "node:util"
import * as Dkim from "../src/Dkim.ts"
import { keys } from "./support/dkim.ts"

const key = (privateKey: Dkim.Key["privateKey"]) => ({ domain: "example.org", selector: "s1", privateKey })

const failure = (options: Dkim.Options) => Effect.flip(Dkim.make(options))

describe("Dkim.make", () => {
  it.effect("reads PKCS #8, PKCS #1, a PEM in one line, and a key already read", () =>
    Effect.gen(function* () {
      const { rsa } = yield* keys
      const pem = Redacted.value(rsa.privateKey)
      const object = Crypto.createPrivateKey(pem)
      for (const given of [
        rsa.privateKey,
        Redacted.make(String(object.export({ type: "pkcs1", format: "pem" }))),
        Redacted.make(pem.replaceAll("\n", "\\n")),
        Redacted.make(`\n  ${pem}`),
        object
      ]) {
        const { keys } = yield* Dkim.make(key(given))
        assert.deepStrictEqual(
          keys.map(({ algorithm, domain, publicKey, selector }) => ({ algorithm, domain, publicKey, selector })),
          [{ algorithm: "rsa-sha256", domain: "example.org", publicKey: rsa.publicKey, selector: "s1" }]
        )
      }
    })
  )

  it.effect("names the fault of a bad key without showing the key", () =>
    Effect.gen(function* () {
      const { rsa } = yield* keys
      const pem = Redacted.value(rsa.privateKey)
      const lines = pem.split("\n")
      const generate = Crypto.generateKeyPairSync
      const short = generate("rsa", { modulusLength: 768 }).privateKey
      const cases: ReadonlyArray<readonly [RegExp, Redacted.Redacted<string> | Crypto.KeyObject]> = [
        [/not PEM/, Redacted.make("")],
        [/not PEM/, Redacted.make(lines[1]!)],
        [/cannot be read/, Redacted.make([...lines.slice(0, 5), ...lines.slice(-2)].join("\n"))],
        [/cannot be read/, Redacted.make(pem.replace("BEGIN PRIVATE", "BEGIN RSA PRIVATE"))],
        [/no private key/, Redacted.make(String(Crypto.createPublicKey(pem).export({ type: "spki", format: "pem" })))],
        [
          /encrypted/,
          Redacted.make(
            String(
              Crypto.createPrivateKey(pem).export({
                type: "pkcs8",
                format: "pem",
                cipher: "aes-256-cbc",
                passphrase: "secret"
              })
            )
          )
        ],
        [/768 bits/, short],
        [/type ec /, generate("ec", { namedCurve: "P-256" }).privateKey],
        [/public key/, Crypto.createPublicKey(pem)]
      ]
      for (const [expected, given] of cases) {
        const error = yield* failure(key(given))
        assert.instanceOf(error, Dkim.DkimError)
        assert.match(error.message, expected)
        assert.include(error.message, "s1._domainkey.example.org")
        const told = Util.inspect(error, { depth: 10 }) + JSON.stringify(error)
        for (const line of lines.slice(1, -2)) assert.notInclude(told, line)
      }
    })
  )

  it.effect("refuses domains, selectors, fields and times that make no signature", () =>
    Effect.gen(function* () {
      const { ed25519 } = yield* keys
      const good = key(ed25519.privateKey)
      for (const [expected, options] of [
        [/domain/, { ...good, domain: "" }],
        [/domain/, { ...good, domain: "example..org" }],
        [/domain/, { ...good, domain: "example.org; x=1" }],
        [/domain/, { ...good, domain: "a.".repeat(130) + "org" }],
        [/selector/, { ...good, selector: "" }],
        [/selector/, { ...good, selector: "s 1" }],
        [/selector/, { ...good, selector: "s;d=evil" }],
        [/no key/, { keys: [] }],
        [/Received/, { ...good, headers: ["From", "Received"] }],
        [/field/, { ...good, headers: ["Sub:ject"] }],
        [/field/, { ...good, oversign: ["a\r\nb"] }],
        [/second/, { ...good, expires: 0 }],
        [/second/, { ...good, expires: "-1 days" }],
        [/second/, { ...good, expires: "Infinity" }]
      ] as ReadonlyArray<readonly [RegExp, Dkim.Options]>)
        assert.match((yield* failure(options)).message, expected)
    })
  )

  it.effect("keeps private keys out of everything printable", () =>
    Effect.gen(function* () {
      const { rsa } = yield* keys
      const signer = yield* Dkim.make(key(rsa.privateKey))
      const told = Util.inspect([signer, rsa], { depth: 10, showHidden: true }) + JSON.stringify([signer, rsa])
      for (const line of Redacted.value(rsa.privateKey).split("\n").slice(1, -2)) assert.notInclude(told, line)
    })
  )
})

describe("Dkim.dnsRecord", () => {
  it.effect("holds the public key in strings of at most 255 octets", () =>
    Effect.gen(function* () {
      const { ed25519, rsa } = yield* keys
      for (const { algorithm, publicKey } of [rsa, ed25519]) {
        const record = Dkim.dnsRecord({ domain: "example.org", selector: "s1", algorithm, publicKey })
        assert.strictEqual(record.name, "s1._domainkey.example.org")
        assert.strictEqual(record.type, "TXT")
        assert.strictEqual(record.strings.join(""), record.value)
        assert.isAtMost(Math.max(...record.strings.map((text) => text.length)), 255)
        assert.strictEqual(record.strings.length, algorithm === "rsa-sha256" ? 2 : 1)
        assert.deepStrictEqual(
          [...record.zone.matchAll(/"([^"]*)"/g)].map(([, text]) => text),
          [...record.strings]
        )
      }
      assert.strictEqual(Buffer.from(ed25519.publicKey, "base64").length, 32)
    })
  )

  // RFC 8463 Appendix A.
  it.effect("is that of RFC 8463 for its key", () =>
    Effect.gen(function* () {
      const seed = Buffer.from("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=", "base64")
      const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed])
      const privateKey = Crypto.createPrivateKey({ key: der, format: "der", type: "pkcs8" })
      const signer = yield* Dkim.make({ domain: "football.example.com", selector: "brisbane", privateKey })
      assert.deepInclude(Dkim.dnsRecord(signer.keys[0]!), {
        name: "brisbane._domainkey.football.example.com",
        value: "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
      })
    })
  )
})
