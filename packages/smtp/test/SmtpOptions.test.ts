import { assert, describe, it } from "@effect/vitest"
import type { MailTransport } from "mailrace/MailTransport"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { hostname } from "node:os"
import * as ClientName from "../src/internal/protocol/clientName.ts"
import * as SmtpOptions from "../src/SmtpOptions.ts"
import type * as SmtpTls from "../src/SmtpTls.ts"
import * as SmtpTransport from "../src/SmtpTransport.ts"

const host = "relay.example"
const auth = { username: "ann", password: Redacted.make("secret") }

const demands: ReadonlyArray<readonly [SmtpTls.Demand, SmtpTls.Options]> = [
  ["verify", { verify: true }],
  ["pins", { pins: ["00".repeat(32)] }],
  ["ca", { ca: "-----BEGIN CERTIFICATE-----" }],
  ["ca", { ca: ["-----BEGIN CERTIFICATE-----"], verify: false }],
  ["serverName", { serverName: "mail.example" }],
  ["policy", { policy: "strict" }]
]

const refusal = (options: unknown): SmtpOptions.SmtpOptionsError => {
  try {
    SmtpOptions.resolve(options as SmtpOptions.Options)
  } catch (error) {
    assert.instanceOf(error, SmtpOptions.SmtpOptionsError)
    return error
  }
  return assert.fail(`taken: ${JSON.stringify(options)}`)
}

describe("SmtpOptions: how to log in", () => {
  const token = { username: "ann", token: Effect.succeed(Redacted.make("t")) }
  for (const [login, option, problem] of [
    [{ ...auth, mechanism: "DIGEST-MD5" }, "auth.mechanism", /"DIGEST-MD5" is not known/],
    [{ ...auth, mechanism: [] }, "auth.mechanism", /names no mechanism/],
    [{ ...auth, mechanism: "xoauth2" }, "auth.mechanism", /"XOAUTH2" takes a token and not a password/],
    [{ ...token, mechanism: ["OAUTHBEARER", "PLAIN"] }, "auth.mechanism", /"PLAIN" takes a password and not a token/],
    [{ ...auth, whenNotOffered: "never" }, "auth.whenNotOffered", /is not one of fail, skip, try/]
  ] as const) {
    it(`refuses ${JSON.stringify({ ...login, password: undefined, token: undefined })}`, () => {
      const error = refusal({ host, auth: login })
      assert.strictEqual(error.option, option)
      assert.match(error.problem, problem)
      assert.match(error.remedy, /^use /)
    })
  }
})

describe("SmtpOptions: the client's name and address", () => {
  it("refuses a name that no relay could read", () => {
    const error = refusal({ host, name: "my_host.example" })
    assert.strictEqual(error.option, "name")
    assert.include(error.message, 'name "my_host.example" has an underscore')
    assert.include(error.remedy, "full host name")
    for (const name of ["", "a b", 5, "x\r\nRSET"]) assert.strictEqual(refusal({ host, name }).option, "name")
  })

  it("brackets an address, and leaves an unsuitable machine's name to the connection", () => {
    assert.strictEqual(SmtpOptions.resolve({ host, name: "2001:db8::1" }).name, "[IPv6:2001:db8::1]")
    const machine = hostname()
    assert.strictEqual(SmtpOptions.resolve({ host }).name, ClientName.ofMachine(machine))
  })

  it("refuses a local address that is invalid or of another family than the relay's address", () => {
    for (const localAddress of ["", "localhost", "eth0", "192.0.2.256", 7])
      assert.strictEqual(refusal({ host, localAddress }).option, "localAddress", String(localAddress))
    const error = refusal({ host: "::1", localAddress: "192.0.2.7" })
    assert.include(error.message, "192.0.2.7 is IPv4, and the relay's address ::1 is IPv6")
    assert.include(error.remedy, "IPv6")
    assert.strictEqual(SmtpOptions.resolve({ host, localAddress: "192.0.2.7" }).localAddress, "192.0.2.7")
  })
})

describe("SmtpOptions: when TLS is used", () => {
  it("requires TLS where an option demands it; port 465 has it from the first byte", () => {
    for (const [demand, tls] of demands) {
      assert.deepInclude(SmtpOptions.resolve({ host, tls }), { tlsMode: "required", port: 25 }, demand)
      assert.deepInclude(SmtpOptions.resolve({ host, tls, auth }), { tlsMode: "required", port: 587 }, demand)
      assert.strictEqual(SmtpOptions.resolve({ host, port: 465, tls }).tlsMode, "implicit", demand)
      for (const mode of ["implicit", "required"] as const)
        assert.strictEqual(SmtpOptions.resolve({ host, tls: { ...tls, mode } }).tlsMode, mode, demand)
    }
    assert.strictEqual(SmtpOptions.resolve({ host, port: 465, auth }).tlsMode, "implicit")
  })

  it("treats no other option as a demand", () => {
    for (const tls of [
      undefined,
      {},
      { policy: "balanced" },
      { policy: "constrained" },
      { verify: false },
      { pins: [] }
    ])
      assert.strictEqual(SmtpOptions.resolve({ host, tls: tls as SmtpTls.Options }).tlsMode, "opportunistic")
    for (const mode of ["opportunistic", "offered", "off"] as const)
      assert.strictEqual(
        SmtpOptions.resolve({ host, tls: { mode, verify: false, policy: "constrained" } }).tlsMode,
        mode
      )
  })

  it("refuses a demand beside a mode that lets mail go in clear, and names both", () => {
    for (const [demand, tls] of demands) {
      for (const mode of ["opportunistic", "offered", "off"] as const) {
        const error = refusal({ host, tls: { ...tls, mode } })
        assert.strictEqual(error.option, `tls.${demand}`)
        assert.include(error.message, `tls.${demand} demands TLS, and tls.mode "${mode}" lets mail go in clear`)
        assert.include(error.remedy, 'use "required"')
      }
    }
  })

  it("refuses untyped values and never weakens the demand", () => {
    for (const [tls, option] of [
      [{ mode: "require" }, "tls.mode"],
      [{ mode: true }, "tls.mode"],
      [{ policy: "Strict" }, "tls.policy"],
      [{ verify: "true" }, "tls.verify"],
      [{ pins: "00:11" }, "tls.pins"],
      [{ pins: [7] }, "tls.pins"],
      [{ pins: ["abc"] }, "tls.pins"],
      [{ pins: ["00".repeat(32), "sha256/AAAA"] }, "tls.pins"],
      [{ ca: "" }, "tls.ca"],
      [{ ca: [] }, "tls.ca"],
      [{ ca: [7] }, "tls.ca"],
      [{ ca: {} }, "tls.ca"],
      [{ ca: null }, "tls.ca"],
      [{ serverName: "" }, "tls.serverName"],
      [{ serverName: 7 }, "tls.serverName"],
      [{ rejectUnauthorized: true }, "tls.rejectUnauthorized"],
      [true, "tls"],
      ["required", "tls"],
      [null, "tls"]
    ] as const) {
      const error = refusal({ host, tls })
      assert.strictEqual(error.option, option)
      assert.isNotEmpty(error.remedy)
    }
  })

  it("refuses a relay without a host or with an invalid port, by name", () => {
    for (const [given, option, remedy] of [
      [{ hostname: host }, "host", /^give the relay's name or address, as in host: "mail\.example\.org"$/],
      [{ host: "" }, "host", /^give the relay's name/],
      [{ host: { name: host } }, "host", /^give the relay's name/],
      [{ host, port: "587x" }, "port", /^give a whole number from 1 to 65535/],
      [{ host, port: 0 }, "port", /^give a whole number/],
      [{ host, port: 25.5 }, "port", /^give a whole number/],
      [{ host, port: Number.NaN }, "port", /^give a whole number/]
    ] as const) {
      const error = refusal(given)
      assert.strictEqual(error.option, option)
      assert.match(error.remedy, remedy)
    }
    assert.strictEqual(SmtpOptions.resolve({ host, port: 65_535 }).port, 65_535)
  })

  it.effect("fails the layers with it, by options, by URL and by configuration", () =>
    Effect.gen(function* () {
      const failure = <E>(layer: Layer.Layer<MailTransport, E>) =>
        Effect.flip(Effect.scoped(Layer.build(Layer.fresh(layer))))
      const byOptions = yield* failure(SmtpTransport.layer({ host, tls: { mode: "off", pins: ["00".repeat(32)] } }))
      assert.instanceOf(byOptions, SmtpOptions.SmtpOptionsError)
      const url = `smtp://${host}?tls=opportunistic&tlsVerify=true`
      const byUrl = yield* failure(SmtpTransport.layerUrl(url))
      const env = ConfigProvider.layer(ConfigProvider.fromEnvRecord({ MAILRACE_RELAY: url }))
      const byConfig = yield* failure(Layer.provide(SmtpTransport.layerConfig, env))
      for (const error of [byUrl, byConfig])
        assert.include(error.message, "tlsVerify=true demands TLS, and tls=opportunistic lets mail go in clear")
    })
  )
})
