/**
 * `mailrace probe` shows each phase, names the cause, and says by its exit status whether one failed.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { folder } from "./support/command.ts"
import { mailrace } from "./support/inProcess.ts"

const urlOf = ({ port }: { readonly port: number }, rest = "", user = "") => `smtp://${user}127.0.0.1:${port}${rest}`

describe("mailrace probe", () => {
  it.live("shows the phases of a relay that works, and what it offers", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ users: { ann: "s3cret" }, tls: true })
      const dir = yield* folder
      const ca = dir.write("ca.pem", server.tls!.ca)
      const { status, stderr, stdout } = yield* mailrace(
        ["probe", urlOf(server, "", "ann@"), "--tls-ca", ca, "--to", "me@x.example", "--count", "2"],
        { env: { MAILRACE_PASSWORD: "s3cret" } }
      )
      assert.deepStrictEqual([status, stderr], [0, ""])
      assert.match(stdout, new RegExp(`^smtp://127\\.0\\.0\\.1:${server.port}\\n`))
      const phases = ["dns", "tcp", "greeting", "ehlo", "starttls", "tls", "ehlo", "auth", "envelope", "content"]
      const shown = [...stdout.matchAll(/^(\w+) +[\d.]+ [mµ]?s +█+ {2}/gm)].map(([, name]) => name)
      assert.deepStrictEqual(shown, phases)
      assert.match(stdout, /^TLS +TLSv1\.3, TLS_AES_256_GCM_SHA384, key exchange X25519/m)
      assert.match(stdout, /^ +certificate verified: for localhost, /m)
      assert.match(stdout, /^login +logged in by SCRAM-SHA-256;/m)
      assert.match(stdout, /^ +CHUNKING: content may go by BDAT/m)
      assert.match(stdout, /^pipelining +auto takes speculative: .*\(self-test passed\)$/m)
      assert.match(stdout, /^messages +2 messages accepted; /m)
      assert.match(stdout, /\n\n(?:healthy|look at \w+): .*\n/)
      assert.notInclude(stdout, "s3cret")
      assert.lengthOf(server.messages, 2)
    })
  )

  it.live("exits with 1 when a phase fails, and names the cause and the next step", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ faults: ["greeting:554 5.7.1 go \u001b[31maway"] })
      const { status, stdout } = yield* mailrace(["probe", urlOf(server)])
      assert.strictEqual(status, 1)
      assert.match(stdout, /^greeting +[\d.]+ [mµ]?s +█+ +failed: the relay turns this client away/m)
      assert.match(
        stdout,
        /\nfailed at greeting: the relay turns this client away: "554 5\.7\.1 go {1,2}\[31maway"\n {2}try: {2}read the reply/
      )
      assert.notInclude(stdout, "\u001b")
    })
  )

  it.live("prints the report as JSON", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ users: { ann: "right" } })
      const { status, stdout } = yield* mailrace([
        "probe",
        urlOf(server, "?tls=off&allowInsecureAuth=true", "ann:wr0ng@"),
        "--json"
      ])
      assert.strictEqual(status, 1)
      const report = JSON.parse(stdout)
      assert.containsAllKeys(report, ["target", "ok", "phases", "extensions", "auth", "tls", "pipelining", "diagnosis"])
      assert.isFalse(report.ok)
      for (const phase of report.phases) assert.hasAllKeys(phase, ["name", "ms", "ok", "detail"])
      assert.containsAllKeys(report.pipelining, ["selfTest", "mode"])
      assert.hasAllKeys(report.diagnosis, ["phase", "cause", "advice"])
      assert.strictEqual(report.diagnosis.phase, "auth")
      assert.notInclude(stdout, "wr0ng")
    })
  )

  it.live("only connects in the rounds after the first one", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ users: { ann: "s3cret" } })
      const { status, stdout } = yield* mailrace(
        [
          "probe",
          urlOf(server, "?tls=off&allowInsecureAuth=true", "ann:s3cret@"),
          "--to",
          "me@x.example",
          "--watch",
          "5ms"
        ],
        { interrupted: Effect.asVoid(server.until(({ connections }) => connections >= 4)) }
      )
      assert.strictEqual(status, 0)
      assert.match(
        stdout,
        /\n\d{4}-\d\d-\d\d \d\d:\d\d:\d\d {2}ok +[\d.]+ [mµ]?s {2}dns \d+ {2}tcp \d+ {2}greeting \d+ {2}ehlo \d+\n/
      )
      const verbs = (connection: number) =>
        server.transcript.flatMap(({ by, connection: at, line }) =>
          by === "client" && at === connection ? line.split(" ")[0]! : []
        )
      assert.includeMembers([...verbs(1)], ["AUTH", "MAIL", "DATA", "BDAT"])
      assert.deepStrictEqual(verbs(2), ["EHLO", "QUIT"])
      assert.deepStrictEqual(verbs(3), ["EHLO", "QUIT"])
      assert.lengthOf(server.messages, 1)
    })
  )

  it.live("takes flags instead of the library's options into its advice", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ tls: true })
      const { status, stdout } = yield* mailrace(["probe", urlOf(server, "?tls=required")])
      assert.strictEqual(status, 1)
      assert.match(stdout, /trust the authority's certificate \(--tls-ca\)/)
      assert.notInclude(stdout, "tls.ca`")
    })
  )

  it.live.each([
    [["probe"], /no relay is named/],
    [["probe", "smtp://"], /the relay's URL cannot be used/],
    [["probe", "smtp://h", "--relay", "smtp://h"], /named twice/],
    [
      ["probe", "smtp://h", "--count", "3"],
      /--count is about test messages.*\n {2}try: name their recipient with --to/
    ],
    [["probe", "smtp://h", "--watch", "soon"], /--watch: "soon" is not a length of time\n {2}try: write it as/],
    [["probe", "smtp://h", "--to", "nobody"], /--to: /],
    [["probe", "smtp://h", "--name-server", "dns.example"], /--name-server: "dns\.example" is not an address/]
  ] as ReadonlyArray<readonly [ReadonlyArray<string>, RegExp]>)("exits with 2 for %j", ([args, message]) =>
    Effect.gen(function* () {
      const { status, stderr, stdout } = yield* mailrace(args)
      assert.deepStrictEqual([status, stdout], [2, ""])
      assert.match(stderr, message)
    })
  )
})
