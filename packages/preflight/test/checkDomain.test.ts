/**
 * What is found about a domain: the verdict, in words why, and what to do.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Dkim from "mailrace/Dkim"
import * as Effect from "effect/Effect"
import { createPublicKey, generateKeyPairSync } from "node:crypto"
import * as Preflight from "../src/Preflight.ts"
import * as Zone from "./zone.ts"

const domain = "example.org"

const rsa = (bits: number): string =>
  generateKeyPairSync("rsa", { modulusLength: bits })
    .publicKey.export({ type: "spki", format: "der" })
    .toString("base64")

const strong = rsa(2048)

const pkcs1 = (spki: string): string =>
  createPublicKey({ key: Buffer.from(spki, "base64"), format: "der", type: "spki" })
    .export({ type: "pkcs1", format: "der" })
    .toString("base64")

const key = (p: string, more = ""): string => `v=DKIM1; k=rsa; ${more}p=${p}`

/** All that a domain needs. */
const good: { readonly [name: string]: Zone.Names } = {
  "example.org": { TXT: ["v=spf1 ip4:192.0.2.0/24 ~all", "something=else"], MX: ["mx.example.org"] },
  "s1._domainkey.example.org": { TXT: [key(strong)] },
  "_dmarc.example.org": { TXT: ["v=DMARC1; p=reject; rua=mailto:dmarc@example.org"] },
  "_mta-sts.example.org": { TXT: ["v=STSv1; id=1"] },
  "_smtp._tls.example.org": { TXT: ["v=TLSRPTv1; rua=mailto:tls@example.org"] },
  "mail.example.org": { A: ["192.0.2.25"] },
  "25.2.0.192.in-addr.arpa": { PTR: ["mail.example.org."] }
}

const policy = "version: STSv1\r\nmode: enforce\r\nmx: *.example.org\r\nmax_age: 604800\r\n"

const all: Preflight.DomainOptions = {
  domain,
  selectors: [{ selector: "s1", publicKey: strong }],
  sendingAddress: "192.0.2.25",
  ehloName: "mail.example.org",
  relay: { name: "smtp://relay.example.org:587", isEncrypted: true },
  fetch: () => Effect.succeed(policy)
}

interface Row {
  readonly what: string
  readonly zone?: { readonly [name: string]: Zone.Names }
  readonly options?: Partial<Preflight.DomainOptions>
  readonly broken?: ReadonlyArray<string>
  readonly missing?: ReadonlyArray<string>
  readonly rule: Preflight.Rule
  readonly verdict: Preflight.Verdict
  readonly found: RegExp
  readonly remedy: RegExp
}

const spf = (text: string, more: { readonly [name: string]: Zone.Names } = {}) => ({
  "example.org": { TXT: [text], MX: ["mx.example.org"] },
  ...more
})

const manyIncludes = Object.fromEntries(
  Array.from({ length: 11 }, (_, n) => [`i${n}.example.org`, { TXT: ["v=spf1 ip4:198.51.100.1 -all"] }])
)

const digits = Array.from({ length: 10 }, (_, digit) => digit)

/** A record that includes ten others. */
const tree = (name: string): string =>
  `v=spf1 ${digits.map((digit) => `include:${name}${digit}.example`).join(" ")} ~all`

/** A name that includes ten others, and those. */
const includesBelow = (name: string): ReadonlyArray<readonly [string, Zone.Names]> => [
  [`${name}.example`, { TXT: [tree(name)] }],
  ...digits.flatMap((a) => [
    [`${name}${a}.example`, { TXT: [tree(`${name}${a}`)] }] as const,
    ...digits.map((b) => [`${name}${a}${b}.example`, { TXT: ["v=spf1 ~all"] }] as const)
  ])
]

const rows: ReadonlyArray<Row> = [
  {
    what: "no SPF record",
    zone: { "example.org": { TXT: ["hello"] } },
    rule: "spf",
    verdict: "problem",
    found: /has no SPF record/,
    remedy: /publish a TXT record/
  },
  {
    what: "an included domain that does not exist",
    zone: spf("v=spf1 include:_spf.gone.example ~all"),
    missing: ["gone.example"],
    rule: "spf",
    verdict: "problem",
    found: /includes _spf\.gone\.example, which does not exist/,
    remedy: /correct that name in the record, or take it out/
  },
  {
    what: "a redirection to a domain that does not exist",
    zone: spf("v=spf1 redirect=_spf.gone.example"),
    missing: ["gone.example"],
    rule: "spf",
    verdict: "problem",
    found: /includes _spf\.gone\.example, which does not exist/,
    remedy: /correct that name in the record, or take it out/
  },
  {
    what: "two SPF records",
    zone: { "example.org": { TXT: ["v=spf1 -all", "v=spf1 ~all"] } },
    rule: "spf",
    verdict: "problem",
    found: /2 SPF records/,
    remedy: /join them/
  },
  {
    what: "an unknown term",
    zone: spf("v=spf1 ipv4:192.0.2.1 -all"),
    rule: "spf",
    verdict: "problem",
    found: /"ipv4:192\.0\.2\.1" in the record of example\.org is no term/,
    remedy: /correct the record/
  },
  {
    what: "a malformed address",
    zone: spf("v=spf1 ip4:192.0.2.300 -all"),
    rule: "spf",
    verdict: "problem",
    found: /is no address/,
    remedy: /correct the record/
  },
  {
    what: "too many lookups",
    zone: spf(
      `v=spf1 ${Object.keys(manyIncludes)
        .map((name) => `include:${name}`)
        .join(" ")} -all`,
      manyIncludes
    ),
    options: { sendingAddress: undefined },
    rule: "spf",
    verdict: "problem",
    found: /takes 11 DNS lookups/,
    remedy: /take out the include:/
  },
  {
    what: "more includes than anybody follows",
    zone: spf(tree("t"), Object.fromEntries(digits.flatMap((a) => includesBelow(`t${a}`)))),
    rule: "spf",
    verdict: "problem",
    found: /takes more than 100 DNS lookups/,
    remedy: /take out the include:/
  },
  {
    what: "an include without a record",
    zone: spf("v=spf1 include:gone.example -all"),
    rule: "spf",
    verdict: "problem",
    found: /the record of example\.org includes gone\.example, which has no SPF record/,
    remedy: /correct that name in the record, or take it out/
  },
  {
    what: "a record that includes itself",
    zone: spf("v=spf1 include:a.example -all", { "a.example": { TXT: ["v=spf1 include:example.org -all"] } }),
    rule: "spf",
    verdict: "problem",
    found: /includes itself/,
    remedy: /correct/
  },
  {
    what: "a record for everybody",
    zone: spf("v=spf1 +all"),
    rule: "spf",
    verdict: "problem",
    found: /every address in the world/,
    remedy: /~all/
  },
  {
    what: "an address that is not allowed",
    zone: spf("v=spf1 ip4:198.51.100.0/24 -all"),
    rule: "spf",
    verdict: "problem",
    found: /does not let 192\.0\.2\.25 send: the result is fail/,
    remedy: /add ip4:192\.0\.2\.25/
  },
  {
    what: "an open end",
    zone: spf("v=spf1 ip4:192.0.2.0/24"),
    rule: "spf",
    verdict: "advice",
    found: /says nothing of addresses/,
    remedy: /~all or -all/
  },
  {
    what: "an address by way of include, redirect, a and mx",
    zone: spf("v=spf1 include:a.example redirect=b.example", {
      "a.example": { TXT: ["v=spf1 mx ~all"], MX: ["other.example"] },
      "b.example": { TXT: ["v=spf1 a:mail.example.org/28 -all"] },
      "mail.example.org": { A: ["192.0.2.17"] },
      "other.example": { A: ["198.51.100.9"] }
    }),
    rule: "spf",
    verdict: "ok",
    found: /4 of 10 lookups; it lets 192\.0\.2\.25 send/,
    remedy: /^null$/
  },
  {
    what: "an SPF record that the DNS does not answer for",
    broken: ["example.org"],
    rule: "spf",
    verdict: "unknown",
    found: /the DNS gave no answer for example\.org/,
    remedy: /try again/
  },
  {
    what: "no selector",
    options: { selectors: [] },
    rule: "dkim",
    verdict: "unknown",
    found: /cannot be seen without a selector/,
    remedy: /s= in the DKIM-Signature/
  },
  {
    what: "no key",
    zone: { ...good, "s1._domainkey.example.org": {} },
    rule: "dkim",
    verdict: "problem",
    found: /there is no key/,
    remedy: /publish the record/
  },
  {
    what: "another key",
    zone: { ...good, "s1._domainkey.example.org": { TXT: [key(rsa(2048))] } },
    rule: "dkim",
    verdict: "problem",
    found: /not that of the private key that signs/,
    remedy: /publish the record of the signing key/
  },
  {
    what: "no answer about dmarc",
    broken: ["_dmarc.example.org"],
    rule: "dmarc",
    verdict: "unknown",
    found: /the DNS gave no answer/,
    remedy: /try again when the DNS answers/
  },
  {
    what: "no answer about mtaSts",
    broken: ["_mta-sts.example.org"],
    rule: "mtaSts",
    verdict: "unknown",
    found: /the DNS gave no answer/,
    remedy: /try again when the DNS answers/
  },
  {
    what: "no answer about tlsRpt",
    broken: ["_smtp._tls.example.org"],
    rule: "tlsRpt",
    verdict: "unknown",
    found: /the DNS gave no answer/,
    remedy: /try again when the DNS answers/
  },
  {
    what: "a revoked key",
    zone: { ...good, "s1._domainkey.example.org": { TXT: [key("")] } },
    rule: "dkim",
    verdict: "problem",
    found: /revoked/,
    remedy: /a selector whose key is in force/
  },
  {
    what: "a broken key",
    zone: { ...good, "s1._domainkey.example.org": { TXT: [key("MIIBIjAN")] } },
    rule: "dkim",
    verdict: "problem",
    found: /cannot be read as rsa/,
    remedy: /whole/
  },
  {
    what: "a short key",
    zone: { ...good, "s1._domainkey.example.org": { TXT: [key(rsa(1024))] } },
    options: { selectors: [{ selector: "s1" }] },
    rule: "dkim",
    verdict: "advice",
    found: /RSA key of 1024 bits/,
    remedy: /2,048 bits/
  },
  {
    what: "a key that is a test",
    zone: { ...good, "s1._domainkey.example.org": { TXT: [key(strong, "t=y:s; ")] } },
    rule: "dkim",
    verdict: "advice",
    found: /t=y/,
    remedy: /take t=y out/
  },
  {
    what: "a key that the DNS does not answer for",
    broken: ["s1._domainkey.example.org"],
    rule: "dkim",
    verdict: "unknown",
    found: /gave no answer/,
    remedy: /try again/
  },
  {
    what: "no DMARC record",
    zone: { ...good, "_dmarc.example.org": {} },
    rule: "dmarc",
    verdict: "problem",
    found: /there is no DMARC record/,
    remedy: /"v=DMARC1; p=none; rua=mailto:dmarc@example\.org"/
  },
  {
    what: "two DMARC records",
    zone: { ...good, "_dmarc.example.org": { TXT: ["v=DMARC1; p=none", "v=DMARC1; p=reject"] } },
    rule: "dmarc",
    verdict: "problem",
    found: /2 DMARC records/,
    remedy: /leave one/
  },
  {
    what: "a DMARC record without a policy",
    zone: { ...good, "_dmarc.example.org": { TXT: ["v=DMARC1; rua=mailto:a@example.org"] } },
    rule: "dmarc",
    verdict: "problem",
    found: /no policy that is known/,
    remedy: /none, quarantine or reject/
  },
  {
    what: "a DMARC record without reports",
    zone: { ...good, "_dmarc.example.org": { TXT: ["v=DMARC1; p=none"] } },
    rule: "dmarc",
    verdict: "advice",
    found: /no reports are asked for/,
    remedy: /add rua=/
  },
  {
    what: "a policy that a subdomain inherits",
    zone: {
      ...good,
      "_dmarc.example.org": { TXT: ["v=DMARC1; p=reject; sp=quarantine; rua=mailto:a@example.org"] }
    },
    options: { domain: "news.example.org" },
    rule: "dmarc",
    verdict: "ok",
    found: /the policy is quarantine, inherited from example\.org/,
    remedy: /^null$/
  },
  {
    what: "a domain that takes no mail",
    zone: { ...good, "example.org": { ...good["example.org"]!, MX: ["."] } },
    rule: "replies",
    verdict: "problem",
    found: /null MX/,
    remedy: /MX record/
  },
  {
    what: "a domain without a place for mail",
    zone: { ...good, "example.org": { TXT: ["v=spf1 -all"] } },
    rule: "replies",
    verdict: "problem",
    found: /neither MX nor address/,
    remedy: /MX record/
  },
  {
    what: "an address that is not known",
    options: { sendingAddress: undefined },
    rule: "ptr",
    verdict: "unknown",
    found: /cannot be seen from here/,
    remedy: /`sendingAddress`/
  },
  {
    what: "an address without a name",
    zone: { ...good, "25.2.0.192.in-addr.arpa": {} },
    rule: "ptr",
    verdict: "problem",
    found: /has no name \(PTR\)/,
    remedy: /hosting provider/
  },
  {
    what: "an address whose name the DNS does not tell",
    broken: ["25.2.0.192.in-addr.arpa"],
    rule: "ptr",
    verdict: "unknown",
    found: /^the DNS gave no answer/,
    remedy: /try again/
  },
  {
    what: "an address whose name has no answer from the DNS",
    broken: ["mail.example.org"],
    rule: "ptr",
    verdict: "unknown",
    found: /^the DNS gave no answer/,
    remedy: /try again/
  },
  {
    what: "a name in EHLO that the DNS does not answer for",
    broken: ["mail.example.org"],
    rule: "ehlo",
    verdict: "unknown",
    found: /^the DNS gave no answer/,
    remedy: /try again/
  },
  {
    what: "an SPF record whose host the DNS does not answer for",
    zone: { ...good, ...spf("v=spf1 a:silent.example.org -all") },
    broken: ["silent.example.org"],
    rule: "spf",
    verdict: "unknown",
    found: /the DNS gave no answer for silent\.example\.org/,
    remedy: /try again/
  },
  {
    what: "an SPF record whose mail servers the DNS does not tell",
    zone: { ...good, ...spf("v=spf1 mx:silent.example.org -all") },
    broken: ["silent.example.org"],
    rule: "spf",
    verdict: "unknown",
    found: /the DNS gave no answer for silent\.example\.org/,
    remedy: /try again/
  },
  {
    what: "an SPF record that lets the address send whatever a silent host behind it has",
    zone: { ...good, ...spf("v=spf1 ip4:192.0.2.0/24 a:silent.example.org mx:silent.example.org -all") },
    broken: ["silent.example.org"],
    rule: "spf",
    verdict: "ok",
    found: /it lets 192\.0\.2\.25 send/,
    remedy: /^null$/
  },
  {
    what: "an address whose name does not lead back",
    zone: { ...good, "mail.example.org": { A: ["192.0.2.99"] } },
    rule: "ptr",
    verdict: "problem",
    found: /called mail\.example\.org, which does not lead back/,
    remedy: /A or AAAA record/
  },
  {
    what: "a name in EHLO that leads elsewhere",
    zone: { ...good, "mail.example.org": { A: ["192.0.2.99"] } },
    rule: "ehlo",
    verdict: "advice",
    found: /leads to 192\.0\.2\.99 and not to 192\.0\.2\.25/,
    remedy: /PTR record/
  },
  {
    what: "a name in EHLO without an address",
    options: { ehloName: "nowhere.example" },
    rule: "ehlo",
    verdict: "problem",
    found: /no address/,
    remedy: /own name/
  },
  {
    what: "a relay in clear",
    options: { relay: { name: "smtp://relay:25", isEncrypted: false } },
    rule: "tls",
    verdict: "problem",
    found: /in clear/,
    remedy: /STARTTLS/
  },
  {
    what: "a relay that was not asked",
    options: { relay: undefined },
    rule: "tls",
    verdict: "unknown",
    found: /no relay was asked/,
    remedy: /name the relay/
  },
  {
    what: "an MTA-STS policy that does not fit the MX",
    options: { fetch: () => Effect.succeed(policy.replace("*.example.org", "*.elsewhere.example")) },
    rule: "mtaSts",
    verdict: "problem",
    found: /does not name mx\.example\.org/,
    remedy: /name every MX/
  },
  {
    what: "an MTA-STS record without a policy",
    options: { fetch: () => Effect.fail("404 Not Found") },
    rule: "mtaSts",
    verdict: "problem",
    found: /cannot be read: 404 Not Found/,
    remedy: /serve the policy/
  },
  {
    what: "no MTA-STS",
    zone: { ...good, "_mta-sts.example.org": {} },
    rule: "mtaSts",
    verdict: "advice",
    found: /no MTA-STS/,
    remedy: /RFC 8461/
  },
  {
    what: "no TLS-RPT",
    zone: { ...good, "_smtp._tls.example.org": {} },
    rule: "tlsRpt",
    verdict: "advice",
    found: /nobody reports/,
    remedy: /TLSRPTv1/
  }
]

describe("Preflight.checkDomain", () => {
  for (const { broken, found, missing, options, remedy, rule, verdict, what, zone = good } of rows) {
    it.effect(`finds ${what}`, () =>
      Effect.gen(function* () {
        const { findings } = yield* Preflight.checkDomain({ ...all, ...options })
        const finding = findings.find((one) => one.rule === rule)!
        assert.strictEqual(finding.verdict, verdict, JSON.stringify(finding))
        assert.match(finding.found, found)
        assert.match(String(finding.remedy), remedy)
      }).pipe(Effect.provide(Zone.layer(zone, broken, missing)))
    )
  }

  it.effect("finds nothing wrong with a good domain, and says what it cannot see", () =>
    Effect.gen(function* () {
      const { findings, strictness } = yield* Preflight.checkDomain(all)
      const verdicts = Object.fromEntries(findings.map(({ rule, verdict }) => [rule, verdict]))
      assert.deepStrictEqual(verdicts, {
        spf: "ok",
        dkim: "ok",
        dmarc: "ok",
        replies: "ok",
        ptr: "ok",
        ehlo: "ok",
        mtaSts: "ok",
        tlsRpt: "ok",
        tls: "ok",
        spamRate: "unknown"
      })
      assert.deepStrictEqual(strictness, { dkim: "relaxed", spf: "relaxed" })
      const { demands } = findings[0]!
      assert.deepStrictEqual(
        demands.map(({ provider }) => provider),
        ["Gmail", "Yahoo", "Microsoft"]
      )
      for (const { source } of demands) assert.match(source, /^https:\/\//)
    }).pipe(Effect.provide(Zone.layer(good)))
  )

  it.effect("says of a domain that does not exist just that, and advises no records", () =>
    Effect.gen(function* () {
      const { findings } = yield* Preflight.checkDomain({ ...all, domain: "Exmaple.org" })
      const verdicts = Object.fromEntries(findings.map(({ rule, verdict }) => [rule, verdict]))
      assert.deepStrictEqual(verdicts, { domain: "problem", ptr: "ok", ehlo: "ok", tls: "ok" })
      const [{ found, remedy, subject }] = findings as [Preflight.Finding]
      assert.deepStrictEqual(
        [subject, found, remedy],
        [
          "exmaple.org",
          "the domain does not exist in the DNS, so receivers refuse mail from it",
          "check how it is spelt; register it, or send from a domain that exists"
        ]
      )
    }).pipe(Effect.provide(Zone.layer(good, [], ["exmaple.org"])))
  )

  it.effect("checks the key of another domain that signs for one that does not exist", () =>
    Effect.gen(function* () {
      const { findings } = yield* Preflight.checkDomain({
        domain: "exmaple.org",
        selectors: [{ selector: "s1" }, { selector: "s1", domain: "example.org" }]
      })
      assert.deepStrictEqual(
        findings.filter(({ rule }) => rule === "dkim").map(({ subject }) => subject),
        ["s1._domainkey.example.org"]
      )
    }).pipe(Effect.provide(Zone.layer(good, [], ["exmaple.org"])))
  )

  it.effect("knows the signing key in the other form of RFC 6376, and without its padding", () =>
    Effect.forEach([pkcs1(strong), strong.replace(/=+$/, "")], (published) =>
      Effect.gen(function* () {
        const { findings } = yield* Preflight.checkDomain(all)
        const found = findings.find(({ rule }) => rule === "dkim")!
        assert.deepStrictEqual(
          [found.verdict, found.found],
          ["ok", "an RSA key of 2048 bits, which belongs to the signing key"]
        )
      }).pipe(Effect.provide(Zone.layer({ ...good, "s1._domainkey.example.org": { TXT: [key(published)] } })))
    )
  )

  it.effect("takes the record that our own key generator prints", () =>
    Effect.gen(function* () {
      for (const algorithm of ["rsa-sha256", "ed25519-sha256"] as const) {
        const { publicKey } = yield* Dkim.generateKeys(algorithm)
        const record = Dkim.dnsRecord({ algorithm, domain, selector: "s1", publicKey })
        const { findings } = yield* Effect.provide(
          Preflight.checkDomain({ ...all, selectors: [{ selector: "s1", publicKey }] }),
          Zone.layer({ ...good, [record.name]: { TXT: [record.value] } })
        )
        const finding = findings.find(({ rule }) => rule === "dkim")!
        assert.strictEqual(finding.verdict, algorithm === "rsa-sha256" ? "ok" : "advice", finding.found)
      }
    })
  )
})
