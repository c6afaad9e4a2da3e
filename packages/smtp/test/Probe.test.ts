/**
 * A probe names the phase and the cause of each fault, and what to do.
 */
import * as Certificate from "@mailrace/testing/Certificate"
import * as DnsServer from "@mailrace/testing/DnsServer"
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Net from "node:net"
import * as Tls from "node:tls"
import * as Probe from "../src/Probe.ts"
import * as FullBacklog from "./support/fullBacklog.ts"
import { leavingNothing } from "./support/leaks.ts"
import * as RawRelay from "./support/rawRelay.ts"
import { password } from "./support/relay.ts"

/** Short enough for a test, and longer than anything here takes that works. */
const limits = (ms: number): Probe.Options["timeouts"] => ({
  dns: ms,
  connect: ms,
  tls: ms,
  greeting: ms,
  command: ms,
  finalReply: ms,
  quit: 50
})

type Target = Pick<Probe.Options, "host"> & Partial<Probe.Options>
type Faulty = Effect.Effect<Target, never, Scope.Scope>

interface Row {
  readonly fault: string
  readonly relay: Faulty
  readonly phase: Probe.PhaseName
  readonly cause: RegExp
  readonly advice: RegExp
  /** Whether mail could be sent nevertheless. Defaults to false. */
  readonly ok?: boolean
  /** Whether the fault is a time, which a busy machine blurs. Defaults to false. */
  readonly isTimed?: boolean
}

/** A test server with faults, in clear unless the options say otherwise. */
const server = (options: TestServer.Options, more: Partial<Probe.Options> = {}): Faulty =>
  Effect.map(TestServer.make(options), ({ host, port, tls }) => ({
    host,
    port,
    tls: options.tls === undefined ? { mode: "off" } : { mode: "required", ca: tls!.ca },
    ...more
  }))

/** A name that a DNS server of the test knows, or does not. */
const named = (records: DnsServer.Options["records"], more: Partial<Probe.Options> = {}): Faulty =>
  Effect.map(DnsServer.make({ records }), ({ address }) => ({
    host: "relay.test",
    nameServers: [address],
    tls: { mode: "off" },
    ...more
  }))

/** A relay of a few lines. */
const raw = (onConnection: (socket: Net.Socket) => void, more: Partial<Probe.Options> = {}): Faulty =>
  Effect.map(RawRelay.make(onConnection), ({ host, port }) => ({ host, port, tls: { mode: "off" }, ...more }))

/** A relay that answers each line by a function. */
const scripted = (answer: (line: string) => string | undefined, more: Partial<Probe.Options> = {}): Faulty =>
  raw((socket) => {
    socket.write("220 relay.test\r\n")
    socket.on("data", (bytes) => {
      for (const line of String(bytes).split("\r\n").slice(0, -1)) {
        const reply = answer(line)
        if (reply === undefined) socket.destroy()
        else socket.write(`${reply}\r\n`)
      }
    })
  }, more)

/** A relay with TLS from the first byte, by options that the test server does not have. */
const overTls = (options: Tls.TlsOptions): Faulty =>
  Effect.gen(function* () {
    const authority = Certificate.authority()
    const { certificate, key } = authority.issue({ names: ["127.0.0.1"] })
    const server = yield* Effect.acquireRelease(
      Effect.callback<Tls.Server>((resume) => {
        const server = Tls.createServer({ key, cert: certificate, ...options })
        server.on("tlsClientError", () => {})
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    )
    return {
      host: "127.0.0.1",
      port: (server.address() as Net.AddressInfo).port,
      tls: { mode: "implicit", ca: authority.certificate }
    }
  })

/** A relay that takes only clients with a certificate. */
const demandingCertificate = overTls({ requestCert: true, rejectUnauthorized: true })

/** A relay from before TLS 1.2. */
const outdated = overTls({ minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "ALL:@SECLEVEL=0" })

const users = { ann: "secret" }
const auth = password("ann", "secret")
const insecure: Partial<Probe.Options> = { auth, allowInsecureAuth: true, tls: { mode: "off" } }
const required: Partial<Probe.Options> = { tls: { mode: "required" } }
const to = "probe@relay.test"

const rows: ReadonlyArray<Row> = [
  {
    fault: "a name that does not exist",
    relay: named({}),
    phase: "dns",
    cause: /^the name relay\.test does not exist$/,
    advice: /check the spelling/
  },
  {
    fault: "a mail domain in the place of a server",
    relay: named({ "relay.test": { MX: [[10, "mx1.relay.test"]] } }),
    phase: "dns",
    cause: /mail domain without an address of its own; its mail goes to mx1\.relay\.test/,
    advice: /mailrace probe smtp:\/\/mx1\.relay\.test:25/
  },
  {
    fault: "a name without an address",
    relay: named({ "relay.test": { TXT: ["something"] } }),
    phase: "dns",
    cause: /exists but has no address/,
    advice: /name of the mail server/
  },
  {
    fault: "a name server that says nothing",
    relay: named({ "relay.test": { fault: "silent" } }, { timeouts: limits(150) }),
    phase: "dns",
    cause: /the name servers did not answer for relay\.test within 150 ms/,
    advice: /reaches its name servers/
  },
  {
    fault: "a name server that fails",
    relay: named({ "relay.test": { fault: "servfail" } }),
    phase: "dns",
    cause: /give no answer for relay\.test/,
    advice: /DNSSEC/
  },
  {
    fault: "a slow name server",
    relay: Effect.flatMap(server({}), ({ port }) =>
      named({ "relay.test": { A: ["127.0.0.1"], delayMs: 200 } }, { port: port! })
    ),
    phase: "dns",
    cause: /^the name is slow to resolve \(\d+ ms\)$/,
    advice: /first in \/etc\/resolv\.conf/,
    ok: true,
    isTimed: true
  },
  {
    fault: "a name with IPv6 alone, where nothing listens",
    relay: Effect.flatMap(server({}), ({ port }) => named({ "relay.test": { AAAA: ["::1"] } }, { port: port! })),
    phase: "tcp",
    cause: /nothing listens on port \d+ .*relay\.test has only IPv6 addresses/,
    advice: /this machine has IPv6/
  },
  {
    fault: "a closed port",
    relay: Effect.map(Effect.scoped(RawRelay.make(() => {})), ({ host, port }) => ({ host, port })),
    phase: "tcp",
    cause: /nothing listens on port \d+ of 127\.0\.0\.1/,
    advice: /587 and 465 are usual/
  },
  {
    fault: "a listener with a full backlog",
    relay: Effect.map(FullBacklog.make, (port) => ({ host: "127.0.0.1", port, timeouts: limits(150) })),
    phase: "tcp",
    cause: /did not answer within 150 ms, although the host .*takes no more connections/,
    advice: /Recv-Q|use port/
  },
  {
    fault: "a local address that is not this machine's",
    relay: server({}, { tls: { mode: "off" }, localAddress: "192.0.2.1" }),
    phase: "tcp",
    cause: /cannot come from the local address 192\.0\.2\.1/,
    advice: /`localAddress`/
  },
  {
    fault: "a certificate for another name",
    relay: server({ tls: { names: ["other.test", "more.test"] } }),
    phase: "tls",
    cause: /for another name: it carries other\.test, more\.test, and 127\.0\.0\.1 is wanted/,
    advice: /such as other\.test/
  },
  {
    fault: "an expired certificate",
    relay: server({ tls: { expired: true } }),
    phase: "tls",
    cause: /certificate expired .*on \d{4}-\d\d-\d\d$/,
    advice: /renew it/
  },
  {
    fault: "a self-signed certificate",
    relay: server({ tls: { selfSigned: true, implicit: true } }, { tls: { mode: "implicit" } }),
    phase: "tls",
    cause: /self-signed/,
    advice: /tlsVerify=false&tlsPin=[0-9A-F]{64}/
  },
  {
    fault: "a certificate of an authority that is not known",
    relay: server({ tls: true }, required),
    phase: "tls",
    cause: /leads to no authority that this machine trusts \(it is signed by CN=Mailrace test authority\)/,
    advice: /`tls\.ca`/
  },
  {
    fault: "a certificate that is not the pinned one",
    relay: Effect.map(server({ tls: true }), (target) => ({
      ...target,
      tls: { ...target.tls, pins: ["ab".repeat(32)] }
    })),
    phase: "tls",
    cause: /which is not pinned/,
    advice: /compare it with the relay's new certificate/
  },
  {
    fault: "an unverified certificate where none has to be",
    relay: server({ tls: true }, { tls: {} }),
    phase: "tls",
    cause: /leads to no authority/,
    advice: /intermediate/,
    ok: true
  },
  {
    fault: "a TLS version that is too old",
    relay: Effect.map(server({ tls: { maxVersion: "TLSv1.2" } }), (target) => ({
      ...target,
      tls: { ...target.tls, policy: "strict" as const }
    })),
    phase: "tls",
    cause: /speaks no TLS version that the policy strict allows \(1\.3 only\)/,
    advice: /use the TLS policy balanced/
  },
  {
    fault: "TLS versions that no policy allows",
    relay: outdated,
    phase: "tls",
    cause: /speaks no TLS version that the policy balanced allows \(1\.2 or 1\.3\)/,
    advice: /RFC 8996/
  },
  {
    fault: "a TLS alert",
    relay: raw(
      (socket) => {
        socket.once("data", () => socket.end(Buffer.from([0x15, 3, 3, 0, 2, 2, 112])))
      },
      { tls: { mode: "implicit" } }
    ),
    phase: "tls",
    cause: /broke the handshake off with the TLS alert "unrecognized name"/,
    advice: /tlsName/
  },
  {
    fault: "a TLS handshake that hangs",
    relay: server(
      { tls: { implicit: true }, faults: ["tls:hang"] },
      { tls: { mode: "implicit" }, timeouts: limits(150) }
    ),
    phase: "tls",
    cause: /did not go on with the TLS handshake within 150 ms/,
    advice: /MTU/
  },
  {
    fault: "TLS that breaks off",
    relay: server({ tls: true, faults: ["tls:drop"] }),
    phase: "tls",
    cause: /closed the connection during the TLS handshake/,
    advice: /log/
  },
  {
    fault: "no TLS at a port for it",
    relay: server({}, { tls: { mode: "implicit" } }),
    phase: "tls",
    cause: /does not speak TLS at this point/,
    advice: /use STARTTLS: smtp:/
  },
  {
    fault: "a client certificate that is demanded, as TLS 1.3 does after the handshake",
    relay: demandingCertificate,
    phase: "tls",
    cause: /broke the handshake off with the TLS alert "certificate required"/,
    advice: /demands a client certificate/
  },
  {
    fault: "a late greeting",
    relay: server({ faults: ["greeting:delay=200ms"] }),
    phase: "greeting",
    cause: /takes its time before it greets \(\d+ ms\)/,
    advice: /PTR/,
    ok: true,
    isTimed: true
  },
  {
    fault: "554 for a greeting",
    relay: server({ faults: ["greeting:554 5.7.1 you are on a block list"] }),
    phase: "greeting",
    cause: /turns this client away: "554 5\.7\.1 you are on a block list"/,
    advice: /block list/
  },
  {
    fault: "a busy relay",
    relay: server({ faults: ["greeting:421 4.3.2 come back later"] }),
    phase: "greeting",
    cause: /takes no sessions now/,
    advice: /in some minutes/
  },
  {
    fault: "a limit of connections",
    relay: server({ faults: ["greeting:421 4.7.0 too many connections from your address"] }),
    phase: "greeting",
    cause: /allows this client no more connections/,
    advice: /`maxConnections`/
  },
  {
    fault: "a limit of connections that the login meets",
    relay: server({ users, faults: ["auth:454 4.7.0 Too many connections, slow down"] }, insecure),
    phase: "auth",
    cause: /allows this client no more connections: "454 4\.7\.0/,
    advice: /`maxConnections`/
  },
  {
    fault: "a limit of connections that the sender meets",
    relay: server({ faults: ["mail:421 4.4.5 Too many connections"] }, { tls: { mode: "off" }, to }),
    phase: "envelope",
    cause: /allows this client no more connections: "421 4\.4\.5/,
    advice: /`maxConnections`/
  },
  {
    fault: "a limit of connections that the content meets",
    relay: server(
      { faults: ["final:432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded"] },
      { tls: { mode: "off" }, to }
    ),
    phase: "content",
    cause: /allows this client no more connections: "432 4\.3\.2/,
    advice: /`maxConnections`/
  },
  {
    fault: "HTTP that speaks first",
    relay: raw((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")),
    phase: "greeting",
    cause: /speaks HTTP and not SMTP/,
    advice: /smtp:\/\/127\.0\.0\.1:587/
  },
  {
    fault: "HTTP that waits",
    relay: raw((socket) => socket.on("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")), {
      timeouts: limits(500)
    }),
    phase: "greeting",
    cause: /speaks HTTP and not SMTP/,
    advice: /check the port/
  },
  {
    fault: "SSH",
    relay: raw((socket) => socket.write("SSH-2.0-OpenSSH_10.0\r\n")),
    phase: "greeting",
    cause: /speaks SSH and not SMTP/,
    advice: /check the port/
  },
  {
    fault: "a port that wants TLS from the first byte",
    relay: server({ tls: { implicit: true } }, { tls: { mode: "off" }, timeouts: limits(500) }),
    phase: "greeting",
    cause: /wants TLS from the first byte/,
    advice: /mailrace probe smtps:/
  },
  {
    fault: "a silent port",
    relay: raw(() => {}, { timeouts: limits(100) }),
    phase: "greeting",
    cause: /takes the connection but says nothing for 100 ms/,
    advice: /nc -v/
  },
  {
    fault: "a connection that is closed at once",
    relay: raw((socket) => socket.end()),
    phase: "greeting",
    cause: /closed the connection without a greeting/,
    advice: /access lists/
  },
  {
    fault: "a refused EHLO",
    relay: scripted(() => "550 5.7.1 bad name", { tls: { mode: "off" }, name: "client.example" }),
    phase: "ehlo",
    cause: /refuses the name that this client gives in EHLO \("client\.example"\): "550 5\.7\.1 bad name"/,
    advice: /set `name`/
  },
  {
    fault: "a slow EHLO",
    relay: server({ faults: ["ehlo:delay=200ms"] }),
    phase: "ehlo",
    cause: /takes its time to answer EHLO/,
    advice: /look it up/,
    ok: true,
    isTimed: true
  },
  {
    fault: "a dropped EHLO",
    relay: server({ faults: ["ehlo:drop"] }),
    phase: "ehlo",
    cause: /closed the connection when the reply to EHLO was due/,
    advice: /log/
  },
  {
    fault: "no STARTTLS",
    relay: server({}, required),
    phase: "starttls",
    cause: /does not offer STARTTLS on this port/,
    advice: /smtps:\/\/127\.0\.0\.1:465/
  },
  {
    fault: "a STARTTLS that was blotted out",
    relay: scripted((line) => (line.startsWith("EHLO") ? "250-relay.test\r\n250 XXXXXXXA" : "500 what"), required),
    phase: "starttls",
    cause: /blots STARTTLS out of the relay's offer/,
    advice: /inspect esmtp/
  },
  {
    fault: "a STARTTLS that was stripped out",
    relay: scripted((line) => (line.startsWith("EHLO") ? "250-relay.test\r\n250 SIZE" : "220 go ahead"), required),
    phase: "starttls",
    cause: /although the offer that came here lacks it: something on the way strips it out/,
    advice: /cannot be stripped/
  },
  {
    fault: "no STARTTLS where mail may go in clear",
    relay: server({}, { tls: {} }),
    phase: "starttls",
    cause: /does not offer STARTTLS, so that mail to it goes in clear/,
    advice: /a port with TLS/,
    ok: true
  },
  {
    fault: "a slow greeting rather than that mail may go in clear",
    relay: server({ faults: ["greeting:delay=200ms"] }, { tls: {} }),
    phase: "greeting",
    cause: /takes its time before it greets/,
    advice: /PTR/,
    ok: true,
    isTimed: true
  },
  {
    fault: "a STARTTLS that was stripped out where mail may go in clear",
    relay: Effect.flatMap(TestServer.make({ tls: true }), (relay) =>
      raw(
        (socket) => {
          const upstream = RawRelay.handOn(socket, relay)
          upstream.removeAllListeners("data")
          const offer = "250-ENHANCEDSTATUSCODES\r\n250 STARTTLS\r\n"
          upstream.on("data", (bytes) => {
            const text = bytes.toString("latin1")
            socket.write(text.endsWith(offer) ? text.replace(offer, "250 ENHANCEDSTATUSCODES\r\n") : bytes)
          })
        },
        { tls: {} }
      )
    ),
    phase: "starttls",
    cause: /something on the way strips it out/,
    advice: /cannot be stripped/,
    ok: true
  },
  {
    fault: "STARTTLS that cannot be done now",
    relay: server({ tls: true, faults: ["starttls:454"] }),
    phase: "starttls",
    cause: /offers STARTTLS but cannot do it now: "454/,
    advice: /certificate or key/
  },
  {
    fault: "a refused login",
    relay: server({ users }, { ...insecure, auth: password("ann", "wrong") }),
    phase: "auth",
    cause: /refused the login by SCRAM-SHA-256: "535/,
    advice: /app password/
  },
  {
    fault: "no login offered",
    relay: server({}, insecure),
    phase: "auth",
    cause: /offers no login on this connection/,
    advice: /leave the user and the password out/
  },
  {
    fault: "a login in clear",
    relay: server({ users }, { auth, tls: { mode: "off" } }),
    phase: "auth",
    cause: /not encrypted, so the password was not sent/,
    advice: /tls=required/
  },
  {
    fault: "a dropped login",
    relay: server({ users, faults: ["auth:drop"] }, insecure),
    phase: "auth",
    cause: /closed the connection when the login was due/,
    advice: /log/
  },
  {
    fault: "a login that cannot be checked now",
    relay: server({ users, faults: ["auth:454"] }, insecure),
    phase: "auth",
    cause: /cannot check logins now: "454/,
    advice: /LDAP/
  },
  {
    fault: "a refused sender",
    relay: server({ faults: ["mail:550 5.7.1 not yours"] }, { tls: { mode: "off" }, to }),
    phase: "envelope",
    cause: /refused MAIL FROM:<probe@relay\.test>.*: "550 5\.7\.1 not yours"/,
    advice: /verify its domain/
  },
  {
    fault: "a refused recipient",
    relay: server({ faults: ["rcpt:554 5.7.1 relay access denied"] }, { tls: { mode: "off" }, to }),
    phase: "envelope",
    cause: /refused RCPT TO:<probe@relay\.test>: "554 5\.7\.1 relay access denied"/,
    advice: /refuses to relay, log in/
  },
  {
    fault: "a slow envelope",
    relay: server({ faults: ["rcpt:delay=200ms:first=1"] }, { tls: { mode: "off" }, to }),
    phase: "envelope",
    cause: /takes its time to answer MAIL, RCPT or DATA/,
    advice: /block lists/,
    ok: true,
    isTimed: true
  },
  {
    fault: "slow content",
    relay: server({ faults: ["final:delay=250ms"] }, { tls: { mode: "off" }, to }),
    phase: "content",
    cause: /thinks long about each message/,
    advice: /content filters/,
    ok: true,
    isTimed: true
  },
  {
    fault: "refused content",
    relay: server({ faults: ["final:554 5.7.1 spam"] }, { tls: { mode: "off" }, to }),
    phase: "content",
    cause: /refused the content: "554 5\.7\.1 spam"/,
    advice: /read the reply/
  },
  {
    fault: "content that is never answered",
    relay: server({ faults: ["final:hang"] }, { tls: { mode: "off" }, to, timeouts: limits(150) }),
    phase: "content",
    cause: /silent for 150 ms when the reply to the content was due/,
    advice: /content filters/
  },
  {
    fault: "a relay that runs a refused chunk as commands",
    relay: server({ quirks: { unreadRefusedChunk: true } }),
    phase: "content",
    cause: /gets BDAT wrong: a chunk of a BDAT that it refused was run as commands/,
    advice: /RFC 3030/,
    ok: true
  },
  {
    fault: "a relay that offers BDAT and does not know it",
    relay: server({ quirks: { unknownBdat: true } }),
    phase: "content",
    cause: /gets BDAT wrong/,
    advice: /proxy/,
    ok: true
  }
]

const probe = (target: Target) => Probe.run({ timeouts: limits(5_000), ...target })

const shown = ({ advice, cause, fault, ok = false, phase, relay }: Row): void =>
  it.live(`names ${fault}`, () =>
    Effect.gen(function* () {
      const report = yield* probe(yield* relay)
      const { diagnosis } = report
      assert.strictEqual(diagnosis.phase, phase, JSON.stringify(report, null, 1))
      assert.match(diagnosis.cause, cause)
      assert.match(diagnosis.advice.join("\n"), advice)
      assert.strictEqual(report.ok, ok)
      const failed = report.phases.filter((one) => !one.ok).map(({ name }) => name)
      assert.deepStrictEqual(failed, ok ? [] : [phase])
    })
  )

describe.concurrent("Probe at a relay with a fault", () => {
  for (const row of rows) if (row.isTimed !== true) shown(row)
})

// One after the other, so that they do not slow each other's quick phases down.
describe("Probe at a relay that is slow", () => {
  for (const row of rows) if (row.isTimed === true) shown(row)
})

describe("Probe", () => {
  it.live("tells all of a relay that works", () =>
    Effect.gen(function* () {
      const relay = yield* TestServer.make({ users, tls: true, extensions: { limits: { mailMax: 9, rcptMax: 50 } } })
      const dns = yield* DnsServer.make({
        records: { "relay.test": { A: ["127.0.0.1"], MX: [[10, "mx.relay.test"]] } },
        ttl: 77
      })
      const report = yield* probe({
        host: "relay.test",
        port: relay.port,
        nameServers: [dns.address],
        auth,
        tls: { ca: relay.tls!.ca, serverName: "localhost", pins: [relay.tls!.fingerprint256] },
        to,
        count: 3
      })
      assert.isTrue(report.ok, JSON.stringify(report, null, 1))
      assert.strictEqual(report.target, `smtp://relay.test:${relay.port}`)
      assert.deepStrictEqual(
        report.phases.map(({ name }) => name),
        ["dns", "tcp", "greeting", "ehlo", "starttls", "tls", "ehlo", "auth", "envelope", "content"]
      )
      for (const { detail, ms } of report.phases) {
        assert.isAtLeast(ms, 0)
        assert.notStrictEqual(detail, "")
      }
      assert.deepStrictEqual(
        report.addresses.map(({ address, problem, ttl }) => ({ address, problem, ttl })),
        [{ address: "127.0.0.1", problem: null, ttl: 77 }]
      )
      assert.deepStrictEqual(report.exchangers, [{ exchange: "mx.relay.test", priority: 10 }])
      assert.match(report.greeting!, /test\.invalid/)
      assert.deepInclude(report.extensions, {
        keyword: "CHUNKING",
        parameters: [],
        meaning: "content may go by BDAT, in chunks of known length (RFC 3030)"
      })
      assert.deepStrictEqual(report.auth, {
        offered: ["SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN"],
        mechanism: "SCRAM-SHA-256",
        loggedIn: true
      })
      const { chain, daysLeft, name, resumedMs, ...tls } = report.tls!
      assert.strictEqual(tls.version, "TLSv1.3")
      assert.strictEqual(tls.keyType, "EC P-256")
      assert.isTrue(tls.verified)
      assert.isNull(tls.problem)
      assert.isFalse(tls.ocspStapled)
      assert.strictEqual(tls.fingerprint256, relay.tls!.fingerprint256)
      assert.isAbove(daysLeft, 3_000)
      assert.deepStrictEqual(name, {
        wanted: "localhost",
        matches: true,
        carried: ["localhost", "127.0.0.1", "0:0:0:0:0:0:0:1"]
      })
      assert.deepStrictEqual(
        chain.map(({ issuer, subject }) => [subject, issuer]),
        [["CN=localhost", "CN=Mailrace test authority"]]
      )
      assert.isNumber(resumedMs)
      assert.deepStrictEqual(report.pipelining, {
        selfTest: "passed",
        mode: "speculative",
        why: "the relay keeps content apart from commands"
      })
      assert.deepStrictEqual(report.limits, { size: 35_882_577, maxRecipients: 50, maxMessages: 9 })
      assert.lengthOf(report.messages, 3)
      assert.lengthOf(relay.messages, 3)
      assert.strictEqual(relay.messages[0]!.to[0]!.address, to)
      assert.notInclude(JSON.stringify(report), "secret")
      assert.deepStrictEqual(relay.protocolErrors, [])
    })
  )

  for (const [what, refusal, plain, ok] of [
    ["a refusal", "535 5.7.8 no\r\n", "235 2.7.0 yes", true],
    ["no word", "", "235 2.7.0 yes", true],
    ["a refusal, and refuses the next mechanism too", "535 5.7.8 no\r\n", "535 5.7.8 neither", false]
  ] as const) {
    it.live(`logs in by the next mechanism where the relay closes with ${what}, as the transport does`, () =>
      Effect.gen(function* () {
        const logins: Array<string> = []
        const relay = yield* RawRelay.make((socket, n) => {
          socket.write("220 relay.example\r\n")
          socket.on("data", (bytes) => {
            const [verb = "", mechanism = ""] = bytes.toString("latin1").trimEnd().split(" ")
            if (verb === "EHLO") socket.write("250-relay.example\r\n250 AUTH CRAM-MD5 PLAIN\r\n")
            else if (verb === "QUIT") socket.end("221 bye\r\n")
            else if (verb !== "AUTH") socket.end(refusal)
            else {
              logins.push(`${n} ${mechanism}`)
              socket.write(mechanism === "PLAIN" ? `${plain}\r\n` : "334 PDEuMkByZWxheT4=\r\n")
            }
          })
        })
        const report = yield* probe({ ...relay, auth, allowInsecureAuth: true, tls: { mode: "off" } })
        assert.deepStrictEqual(logins, ["1 CRAM-MD5", "2 PLAIN"])
        assert.strictEqual(report.ok, ok, JSON.stringify(report))
        const login = report.phases.filter(({ name }) => name === "auth")
        assert.lengthOf(login, 1)
        if (ok) {
          assert.match(login[0]!.detail, /^logged in by PLAIN, on another connection/)
          assert.deepInclude(report.auth, { mechanism: "PLAIN", loggedIn: true })
        } else {
          assert.match(report.diagnosis.cause, /refused the login by CRAM-MD5: "535 5\.7\.8 no"/)
        }
      })
    )
  }

  it.live("says that there was no login where the relay offers none and none is needed", () =>
    Effect.gen(function* () {
      const relay = yield* server({}, { auth: { ...auth, whenNotOffered: "skip" }, allowInsecureAuth: true })
      const report = yield* probe(relay)
      assert.deepStrictEqual(report.auth, { offered: [], mechanism: null, loggedIn: false })
      assert.include(JSON.stringify(report.phases), "offers no login, so there was none")
    })
  )

  it.live("only connects if it is told to", () =>
    Effect.gen(function* () {
      const relay = yield* TestServer.make({ users, tls: true })
      const report = yield* probe({
        host: relay.host,
        port: relay.port,
        auth,
        tls: { ca: relay.tls!.ca },
        to,
        connectsOnly: true
      })
      assert.isTrue(report.ok)
      assert.deepStrictEqual(
        report.phases.map(({ name }) => name),
        ["dns", "tcp", "greeting", "ehlo", "starttls", "tls", "ehlo"]
      )
      const said = relay.transcript.filter(({ by }) => by === "client").map(({ line }) => line.split(" ")[0])
      assert.deepStrictEqual(said, ["EHLO", "STARTTLS", "EHLO", "QUIT"])
      assert.lengthOf(relay.connections, 1)
    })
  )

  it.live("asks the system for a name, as the transport does", () =>
    Effect.gen(function* () {
      const relay = yield* TestServer.make()
      const report = yield* probe({ host: "localhost", port: relay.port, tls: { mode: "off" } })
      assert.isTrue(report.ok, JSON.stringify(report))
      const reached = report.addresses.find(({ connectMs }) => connectMs !== null)
      assert.strictEqual(reached?.address, "127.0.0.1")
    })
  )

  it.live("names the mode that auto takes, and why", () =>
    Effect.gen(function* () {
      const modeAt = (options: TestServer.Options) =>
        Effect.map(Effect.flatMap(server(options), probe), ({ pipelining }) => pipelining)
      assert.deepStrictEqual(yield* modeAt({ extensions: { pipelining: false } }), {
        selfTest: "skipped",
        mode: "off",
        why: "the relay does not offer PIPELINING"
      })
      assert.deepStrictEqual(yield* modeAt({ extensions: { chunking: false } }), {
        selfTest: "skipped",
        mode: "envelope",
        why: "the relay does not offer CHUNKING"
      })
      assert.deepStrictEqual(yield* modeAt({ extensions: { limits: { mailMax: 2 } } }), {
        selfTest: "skipped",
        mode: "envelope",
        why: "the relay allows 2 messages a session, too few for a self-test to pay"
      })
      assert.deepInclude(yield* modeAt({ quirks: { closeAfterChunk: "refused" } }), {
        selfTest: "failed",
        mode: "envelope"
      })
    })
  )

  it.live("has no word about a certificate that need not be verified", () =>
    Effect.gen(function* () {
      const report = yield* probe(yield* server({ tls: true }, { tls: { mode: "required", verify: false } }))
      assert.isTrue(report.ok)
      assert.isFalse(report.tls!.verified)
      assert.match(report.diagnosis.cause, /^no phase is slow|is slow|takes its time/)
    })
  )

  it.live("leaves nothing open", () =>
    leavingNothing(Effect.flatMap(server({ faults: ["ehlo:hang"] }, { timeouts: limits(100) }), probe))
  )

  it.effect("refuses options that contradict each other", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Probe.run({ host: "127.0.0.1", tls: { mode: "off", verify: true } }))
      assert.strictEqual(error.option, "tls.verify")
    })
  )
})
