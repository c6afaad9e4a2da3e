/**
 * `mailrace preflight` says what is broken, who asks for it and what to do, and sends nothing.
 */
import * as DnsServer from "@mailrace/testing/DnsServer"
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Dkim from "mailrace/Dkim"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { folder, mail } from "./support/command.ts"
import { mailrace } from "./support/inProcess.ts"

/** A domain whose records are in order, and its key in a file. */
const ready = Effect.gen(function* () {
  const dir = yield* folder
  const { privateKey, publicKey } = yield* Dkim.generateKeys("rsa-sha256")
  const record = Dkim.dnsRecord({ algorithm: "rsa-sha256", domain: "x.example", selector: "s1", publicKey })
  const dns = yield* DnsServer.make({
    records: {
      "x.example": { TXT: ["v=spf1 ip4:192.0.2.0/24 ~all"], MX: [[10, "mx.x.example"]] },
      [record.name]: { TXT: [record.value] },
      "_dmarc.x.example": { TXT: ["v=DMARC1; p=reject; rua=mailto:d@x.example"] },
      "25.2.0.192.in-addr.arpa": { PTR: ["mail.x.example"] },
      "mail.x.example": { A: ["192.0.2.25"] },
      "bare.example": { A: ["192.0.2.80"] }
    }
  })
  return { dir, dns, key: dir.write("key.pem", Redacted.value(privateKey)) }
})

/** So wide that nothing is wrapped. */
const wide = { env: { COLUMNS: "300" } }

describe("mailrace preflight", () => {
  it.live("checks domain, key and messages", () =>
    Effect.gen(function* () {
      const { dir, dns, key } = yield* ready
      const server = yield* TestServer.make()
      const input = dir.write("in.ndjson", mail("ann@x.example") + mail("bob@x.example"))
      const known = ["--selector", "s1", "--dkim-key", key, "--sending-address", "192.0.2.25"]
      const messages = ["--input", input, "--list-unsubscribe", "https://x.example/leave"]
      const asked = ["--name-server", dns.address, "--relay", `smtp://127.0.0.1:${server.port}`]
      const { status, stderr, stdout } = yield* mailrace(["preflight", ...known, ...messages, ...asked], wide)
      assert.strictEqual(stderr, "")
      assert.match(stdout, /^x\.example\n\n/)
      assert.match(stdout, /^ok {7}spf: x\.example: one record, 0 of 10 lookups; it lets 192\.0\.2\.25 send$/m)
      assert.match(
        stdout,
        /^ok {7}dkim: s1\._domainkey\.x\.example: an RSA key of 2048 bits, which belongs to the signing key$/m
      )
      assert.match(stdout, /^ok {7}ptr: 192\.0\.2\.25: /m)
      assert.match(stdout, /^ok {7}alignment: x\.example: signed by x\.example, .* \(2 of 2 messages\)$/m)
      assert.match(stdout, /^ok {7}unsubscribe: .*: one click, and signed \(2 of 2 messages\)$/m)
      // The relay of the test does not encrypt, and that is the one rule that is broken.
      assert.match(
        stdout,
        /^problem {2}tls: .*in clear\n +required of all senders by Gmail\n +try: use a relay with STARTTLS/m
      )
      assert.match(stdout, /^unknown {2}spamRate: /m)
      assert.match(stdout, /^Gmail: https:\/\/support\.google\.com\//m)
      assert.match(stdout, /\n1 problem, \d+ advice, \d+ unknown, \d+ ok\n$/)
      assert.strictEqual(status, 1)
      assert.lengthOf(server.messages, 0)
    })
  )

  it.live("exits with 0 when no rule is broken, and prints JSON", () =>
    Effect.gen(function* () {
      const { dns } = yield* ready
      const args = ["preflight", "--domain", "x.example", "--selector", "s1", "--name-server", dns.address, "--json"]
      const { status, stdout } = yield* mailrace(args)
      assert.strictEqual(status, 0, stdout)
      const report = JSON.parse(stdout)
      assert.deepStrictEqual([report.domain, report.ok, report.messages], ["x.example", true, 0])
      for (const finding of report.findings)
        assert.hasAllKeys(finding, ["rule", "verdict", "subject", "found", "remedy", "demands"])
    })
  )

  it.live("says of a domain that does not exist just that, and advises no records", () =>
    Effect.gen(function* () {
      const { dns } = yield* ready
      const { status, stdout } = yield* mailrace(
        ["preflight", "--domain", "gone.example", "--name-server", dns.address],
        wide
      )
      assert.strictEqual(status, 1)
      assert.match(
        stdout,
        /^problem {2}domain: gone\.example: the domain does not exist in the DNS, so receivers refuse mail from it\n +try: check how it is spelt; register it, or send from a domain that exists\n/m
      )
      assert.notMatch(stdout, /publish|spf:|dmarc:/)
    })
  )

  it.live("names broken rules of a domain without records, with flags in the remedies", () =>
    Effect.gen(function* () {
      const { dns } = yield* ready
      const { status, stdout } = yield* mailrace(
        ["preflight", "--domain", "bare.example", "--name-server", dns.address],
        wide
      )
      assert.strictEqual(status, 1)
      assert.match(
        stdout,
        /^problem {2}spf: bare\.example: bare\.example has no SPF record\n +required of bulk senders by Gmail, Yahoo, Microsoft\n +try: publish a TXT record/m
      )
      assert.match(stdout, /check again with it \(--sending-address\)/)
    })
  )

  it.live.each([
    [["preflight"], /nothing is named to check/],
    [["preflight", "--domain", "not a domain"], /--domain: "not a domain" is not a domain/],
    [["preflight", "--domain", "x.example", "--template", "t.html"], /a template alone is no message/],
    [["preflight", "--domain", "x.example", "--dkim-key", "k.pem"], /without its selector/],
    [
      ["preflight", "--domain", "x.example", "--sending-address", "mail"],
      /--sending-address: "mail" is not an IP address/
    ],
    [["preflight", "--domain", "x.example", "--name-server", "dns"], /--name-server: "dns" is not an address/]
  ] as ReadonlyArray<readonly [ReadonlyArray<string>, RegExp]>)("exits with 2 for %j", ([args, message]) =>
    Effect.gen(function* () {
      const { status, stderr, stdout } = yield* mailrace(args)
      assert.deepStrictEqual([status, stdout], [2, ""])
      assert.match(stderr, message)
    })
  )
})
