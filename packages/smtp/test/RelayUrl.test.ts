import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as RelayUrl from "../src/RelayUrl.ts"
import { int, pick } from "./support/arbitraries.ts"

/** A fingerprint. */
const pin = "00ff".repeat(16)

const parsed = (text: string) => Result.getOrThrow(RelayUrl.parse(text))

const problem = (text: string): string => {
  const result = RelayUrl.parse(text)
  if (Result.isSuccess(result)) throw new Error(`${text} can be used`)
  return result.failure.problem
}

/** Text in any script, and whatever means something in a URL. */
const text = Arbitrary.map(
  Arbitrary.all([Arbitrary.schema(Schema.String), Arbitrary.array(pick([..."@:/?#%&=+ []é漢😀"]))]),
  ([any, special]) => [...any].filter((character) => character.isWellFormed()).join("") + special.join("")
)

const maybe = <A>(value: Arbitrary.Arbitrary<A>): Arbitrary.Arbitrary<A | undefined> =>
  Arbitrary.flatMap(pick([true, false]), (is): Arbitrary.Arbitrary<A | undefined> =>
    is ? value : Arbitrary.Constant(undefined)
  )

const options = Arbitrary.all({
  host: pick(["relay.example", "127.0.0.1", "::1", "2001:db8::25", "relay_1.local", "xn--bcher-kva.example"]),
  port: maybe(int(1, 65_535)),
  username: maybe(Arbitrary.filter(text, (username) => username !== "")),
  password: text,
  tls: maybe(pick(["implicit", "required", "opportunistic", "off"])),
  tlsPolicy: maybe(pick(["strict", "balanced", "constrained"])),
  tlsName: maybe(pick(["mx.example"])),
  tlsPin: Arbitrary.array(pick([pin, pin.toUpperCase().replaceAll(/..(?=.)/g, "$&:")]), { maxLength: 2 }),
  tlsVerify: maybe(pick([true, false])),
  pipelining: maybe(pick(["auto", "off", "envelope", "overlap", "speculative"])),
  connections: maybe(int(1, 1000)),
  maxMessages: maybe(int(1, 1000)),
  name: maybe(pick(["client.example", "vm", "192.0.2.7", "[IPv6:2001:db8::1]", "mäil.example"])),
  allowInsecureAuth: maybe(pick([true, false])),
  timeoutFinalReply: maybe(pick(["500ms", "30s", "1.5m", "2h"]))
})

/** What is demanded beside a mode that lets mail go in clear is refused, and not read. */
const isContradictory = ({
  tls,
  tlsName,
  tlsPin,
  tlsPolicy,
  tlsVerify
}: {
  readonly [name in "tls" | "tlsName" | "tlsPin" | "tlsPolicy" | "tlsVerify"]: unknown
}): boolean =>
  (tls === "opportunistic" || tls === "off") &&
  (tlsVerify === true || tlsPolicy === "strict" || tlsName !== undefined || String(tlsPin) !== "")

const times = { "500ms": 500, "30s": 30_000, "1.5m": 90_000, "2h": 7_200_000 }

describe("RelayUrl", () => {
  it.prop(
    "reads back all that can be written",
    [Arbitrary.filter(options, (all) => !isContradictory(all))],
    ([{ host, password, port, username, ...parameters }]) => {
      const { timeoutFinalReply } = parameters
      const query = Object.entries(parameters)
        .flatMap(([key, value]) => (Array.isArray(value) ? value : [value]).map((one) => [key, one] as const))
        .filter(([, value]) => value !== undefined)
        .map(([key, value]) => `${key}=${encodeURIComponent(String(value))}`)
      const user = username === undefined ? "" : `${encodeURIComponent(username)}:${encodeURIComponent(password)}@`
      const url = `smtp://${user}${host.includes(":") ? `[${host}]` : host}${port === undefined ? "" : `:${port}`}`
      const { auth, ...rest } = parsed(query.length === 0 ? url : `${url}?${query.join("&")}`)
      assert.deepStrictEqual(rest, {
        host,
        port,
        tls: {
          mode: parameters.tls,
          policy: parameters.tlsPolicy,
          serverName: parameters.tlsName,
          pins: parameters.tlsPin.length === 0 ? undefined : parameters.tlsPin,
          verify: parameters.tlsVerify
        },
        pipelining: parameters.pipelining,
        maxConnections: parameters.connections,
        maxMessages: parameters.maxMessages,
        name: parameters.name,
        allowInsecureAuth: parameters.allowInsecureAuth,
        ...(timeoutFinalReply === undefined ? {} : { timeouts: { finalReply: times[timeoutFinalReply] } })
      })
      assert.strictEqual(auth?.username, username)
      if (auth !== undefined) assert.strictEqual("password" in auth && Redacted.value(auth.password), password)
    },
    { arbitrary: { runs: 300 } }
  )

  it("refuses a name that is neither a domain nor an address, and keeps one that is", () => {
    assert.strictEqual(parsed("smtp://relay.example?name=192.0.2.7").name, "192.0.2.7")
    assert.strictEqual(parsed("smtp://relay.example?name=%5BIPv6:::1%5D").name, "[IPv6:::1]")
    assert.strictEqual(
      problem("smtp://relay.example?name=my_host.example"),
      'name "my_host.example" has an underscore, which no domain name may have'
    )
    for (const name of ["", "a..b", "256.1.1.1", "x%0d%0aRSET"])
      assert.include(problem(`smtp://relay.example?name=${name}`), "name ")
  })

  it("reads the address that connections come from", () => {
    assert.strictEqual(parsed("smtp://relay.example?localAddress=192.0.2.7").localAddress, "192.0.2.7")
    assert.strictEqual(parsed("smtp://relay.example?localAddress=[2001:db8::7]").localAddress, "2001:db8::7")
    assert.strictEqual(parsed("smtp://[::1]?localAddress=::1").localAddress, "::1")
    assert.strictEqual(problem("smtp://relay.example?localAddress=eth0"), 'localAddress "eth0" is not an address')
    assert.strictEqual(
      problem("smtp://127.0.0.1?localAddress=::1"),
      "localAddress ::1 and the relay's address 127.0.0.1 are of different families"
    )
  })

  it("reads each timeout by its name", () => {
    for (const step of ["dns", "connect", "tls", "greeting", "command", "content", "finalReply", "session", "quit"]) {
      const name = `timeout${step[0]!.toUpperCase()}${step.slice(1)}`
      assert.deepStrictEqual(parsed(`smtp://relay.example?${name}=250ms`).timeouts, { [step]: 250 })
      for (const wrong of ["", "5", "-5s", "0s", "s", "5 s", "5d", "1e3s", "Infinity"])
        assert.strictEqual(
          problem(`smtp://relay.example?${name}=${wrong}`),
          `${name} is a time such as 500ms, 30s or 10m, not "${wrong}"`
        )
    }
  })

  it("reads the mechanisms to log in by, in their order", () => {
    assert.deepStrictEqual(parsed("smtp://ann:x@relay.example?auth=plain").auth?.mechanism, ["PLAIN"])
    assert.deepStrictEqual(parsed("smtp://ann@relay.example?auth=LOGIN,Scram-SHA-256").auth?.mechanism, [
      "LOGIN",
      "SCRAM-SHA-256"
    ])
    assert.isUndefined(parsed("smtp://ann@relay.example").auth?.mechanism)
    assert.isTrue("password" in parsed("smtp://ann:x@relay.example?auth=plain").auth!)
  })

  it("takes the password for an access token where the mechanism wants one", () => {
    for (const name of ["xoauth2", "oauthbearer", "OAUTHBEARER,XOAUTH2"]) {
      const { auth } = parsed(`smtp://ann:tok%3Den@relay.example?auth=${name}`)
      assert.isTrue(auth !== undefined && "token" in auth)
      if (auth !== undefined && "token" in auth)
        assert.strictEqual(
          Redacted.value(Effect.runSync(auth.token as Effect.Effect<Redacted.Redacted<string>>)),
          "tok=en"
        )
    }
  })

  it("takes smtps:// for implicit TLS", () => {
    assert.strictEqual(parsed("smtps://relay.example").tls?.mode, "implicit")
    assert.strictEqual(parsed("smtps://relay.example?tls=implicit").tls?.mode, "implicit")
    assert.isUndefined(parsed("smtp://relay.example").tls?.mode)
  })

  it("takes a name in any script and a slash at the end", () => {
    assert.strictEqual(parsed("smtp://b\u00fccher.example/").host, "xn--bcher-kva.example")
    assert.strictEqual(parsed("smtp://RELAY.Example").host, "relay.example")
  })

  for (const [url, expected] of [
    ["relay.example", "it is not a URL"],
    ["", "it is not a URL"],
    ["smtp://relay.example:99999", "the port 99999 is above 65535"],
    ["smtp://ann:65536@relay.example:70000/", "the port 70000 is above 65535"],
    ["smtp://[2001:db8::25]:65536?tls=off", "the port 65536 is above 65535"],
    ["http://relay.example", "the scheme is http:// and not smtp:// or smtps://"],
    ["smtp://", "it has no host"],
    ["smtp:relay.example", "it has no host"],
    ["smtp://a%20b", "its host is neither a name nor an address"],
    ["smtp://relay.example:0", "there is no port 0"],
    ["smtp://relay.example/inbox", "a relay has no path"],
    ["smtp://:secret@relay.example", "it has a password but no user"],
    ["smtp://ann:12#3@relay.example", 'it contains a "#", which must be written as %23'],
    ["smtp://ann:12#", 'it contains a "#", which must be written as %23'],
    ["smtp://ann:%zz@relay.example", "the user or the password is not correctly percent-encoded"],
    ["smtp://relay.example?tls=yes", 'tls is one of implicit, required, opportunistic, off, not "yes"'],
    ["smtp://relay.example?tlsPolicy=weak", 'tlsPolicy is one of strict, balanced, constrained, not "weak"'],
    ["smtp://relay.example?tlsVerify=no", 'tlsVerify is one of true, false, not "no"'],
    ["smtp://relay.example?allowInsecureAuth=1", 'allowInsecureAuth is one of true, false, not "1"'],
    ["smtp://relay.example?pipelining=on", 'pipelining is one of auto, off, envelope, overlap, speculative, not "on"'],
    ["smtp://relay.example?connections=0", 'connections is a whole number from 1, not "0"'],
    [
      "smtp://ann@relay.example?auth=digest-md5",
      'auth is one or more of SCRAM-SHA-256, OAUTHBEARER, XOAUTH2, CRAM-MD5, PLAIN, LOGIN, not "digest-md5"'
    ],
    [
      "smtp://ann@relay.example?auth=",
      'auth is one or more of SCRAM-SHA-256, OAUTHBEARER, XOAUTH2, CRAM-MD5, PLAIN, LOGIN, not ""'
    ],
    ["smtp://ann@relay.example?auth=plain,xoauth2", "auth names mechanisms for a password beside others for a token"],
    ["smtp://relay.example?auth=plain", "it names a mechanism to log in by but no user"],
    ["smtp://relay.example?maxMessages=ten", 'maxMessages is a whole number from 1, not "ten"'],
    ["smtps://relay.example?tls=required", "smtps:// is implicit TLS, not tls=required"],
    ["smtp://relay.example?tls=off&tls=required", "tls is given more than once"],
    ["smtp://relay.example?tls=offered", 'tls is one of implicit, required, opportunistic, off, not "offered"'],
    ["smtp://relay.example?tlsPin=", "tlsPin is empty"],
    ["smtp://relay.example?tlsPin=abc", 'tlsPin is a SHA-256 fingerprint of 64 hexadecimal digits, not "abc"'],
    [
      `smtp://relay.example?tlsPin=${"ab".repeat(20)}`,
      `tlsPin is a SHA-256 fingerprint of 64 hexadecimal digits, not "${"ab".repeat(20)}"`
    ],
    ["smtp://relay.example?tlsName=", "tlsName is empty"],
    ...["opportunistic", "off"].flatMap((mode) =>
      ["tlsVerify=true", `tlsPin=${pin}`, "tlsName=mx.example", "tlsPolicy=strict"].map(
        (demand) =>
          [
            `smtp://relay.example?tls=${mode}&${demand}`,
            `${demand.replace(/^(tlsPin|tlsName)=.*$/, "$1")} demands TLS, and tls=${mode} lets mail go in clear; leave one of them out, or use tls=required`
          ] as const
      )
    ),
    [
      "smtp://relay.example?tls=yes&connections=x",
      'tls is one of implicit, required, opportunistic, off, not "yes"; connections is a whole number from 1, not "x"'
    ]
  ] as ReadonlyArray<readonly [string, string]>) {
    it(`says what is wrong with ${url === "" ? "nothing" : url}`, () => assert.strictEqual(problem(url), expected))
  }

  it("says how to mend what is wrong with a port or a parameter", () => {
    const remedy = (text: string): string => {
      const result = RelayUrl.parse(text)
      return Result.isFailure(result) ? result.failure.remedy : ""
    }
    assert.match(remedy("smtp://relay.example:99999"), /^give the port that the relay listens on/)
    assert.match(remedy("smtp://relay.example?tls=yes"), /^correct the parameter, or leave it out/)
    assert.match(remedy("smtp://relay.example?tsl=off"), /^correct the name, or leave the parameter out/)
    assert.match(remedy("relay.example"), /^write it like smtp:/)
  })

  it("names a parameter that is not known, and all that are", () => {
    assert.match(
      problem("smtp://relay.example?tsl=off"),
      /^the parameter "tsl" is not known; known are tls, tlsPolicy, /
    )
  })

  it("never shows a password, wherever it stands in the URL", () => {
    for (const url of [
      "smtp://ann:12?zebra@relay.example",
      "smtp://ann:12?zebra=@relay.example",
      "smtp://ann:12/zebra@relay.example",
      "smtp://ann:12#zebra@relay.example",
      "smtp://ann:zebra@relay.example:x",
      "smtp://ann:zebra@relay.example?foo=1",
      "smtp://ann:zeb%zzra@relay.example",
      "imap://ann:zebra@relay.example"
    ]) {
      const result = RelayUrl.parse(url)
      assert.isTrue(Result.isFailure(result), url)
      if (Result.isFailure(result)) {
        assert.notInclude(`${result.failure.message} ${result.failure.remedy} ${JSON.stringify(result.failure)}`, "zeb")
        assert.include(result.failure.remedy, "percent-encoded")
      }
    }
  })
})
