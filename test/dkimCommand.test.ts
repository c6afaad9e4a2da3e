/**
 * `mailrace dkim keygen` and `mailrace send --dkim-…` together: what is sent verifies with the record that was printed.
 */
import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import * as Effect from "effect/Effect"
import { dkimVerify } from "mailauth/lib/dkim/verify.js"
import { statSync } from "node:fs"
import { folder, mail, mailrace } from "../packages/cli/test/support/command.ts"

/** Milliseconds: each test starts the command several times, on a machine that others use. */
const limit = 30_000

const id = ["--domain", "example.org", "--selector", "s1"]
const signing = ["--dkim-domain", "example.org", "--dkim-selector", "s1"]
const send = (server: TestServer.TestServerService, ...args: ReadonlyArray<string>) =>
  ["send", "--progress", "none", "-r", `smtp://127.0.0.1:${server.port}`, ...args] as const

/** What a receiver makes of a message when the DNS holds what the command printed. */
const verify = (message: Uint8Array, printed: string) =>
  Effect.promise(async () => {
    const name = /^ {2}name {3}(.*)$/m.exec(printed)?.[1]
    const value = /^ {2}value {2}(.*)$/m.exec(printed)?.[1]
    const { results } = await dkimVerify(Buffer.from(message), {
      resolver: async (asked) => {
        if (asked === name && value !== undefined) return [[value]]
        throw Object.assign(new Error(`no record at ${asked}`), { code: "ENOTFOUND" })
      }
    })
    return results.map(({ algo, status }) => `${algo} ${status.result}`)
  })

describe("mailrace dkim", () => {
  it.live.each(["rsa", "ed25519"])(
    "signs messages of each kind of input with an %s key that it made",
    (algorithm) =>
      Effect.gen(function* () {
        const server = yield* TestServer.make()
        const dir = yield* folder
        const key = dir.path("key.pem")
        const made = yield* mailrace(["dkim", "keygen", ...id, "--algorithm", algorithm, "--out", key])
        assert.deepStrictEqual([made.status, made.stderr], [0, ""])
        assert.strictEqual(statSync(key).mode & 0o777, 0o600)
        assert.notInclude(made.stdout, "PRIVATE KEY")

        const pem = dir.read("key.pem")
        const again = yield* mailrace(["dkim", "keygen", ...id, "--out", key])
        assert.deepStrictEqual([again.status, again.stdout], [2, ""])
        assert.match(again.stderr, /key\.pem exists already and is not overwritten/)
        assert.strictEqual(dir.read("key.pem"), pem)

        const ndjson = dir.write("in.ndjson", mail("ann@x.example", { from: "news@example.org" }))
        const eml = dir.write("in.eml", "From: news@example.org\nTo: bob@x.example\nSubject: Hi\n\nDear Bob,\n\n\n")
        const first = yield* mailrace(send(server, ...signing, "--dkim-key", key, "-i", ndjson))
        const second = yield* mailrace(send(server, ...signing, "-i", eml), { env: { MAILRACE_DKIM_KEY: pem } })
        assert.deepStrictEqual([first.status, first.stderr, second.status, second.stderr], [0, "", 0, ""])
        const verified = yield* Effect.forEach(server.messages, ({ content }) => verify(content, made.stdout))
        assert.deepStrictEqual(verified, [[`${algorithm}-sha256 pass`], [`${algorithm}-sha256 pass`]])
        // A message that was changed does not verify, so the verdict above means something.
        const forged = Buffer.from(Buffer.from(server.messages[1]!.content).toString().replace("Dear Bob", "Dear Eve"))
        assert.deepStrictEqual(yield* verify(forged, made.stdout), [`${algorithm}-sha256 neutral`])
      }),
    limit
  )

  it.live(
    "signs the messages of a template and a CSV: sent, through an outbox, and in a dry run",
    () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make()
        const dir = yield* folder
        const made = yield* mailrace(["dkim", "keygen", ...id, "--out", dir.path("key.pem")])
        const html = `<p>Dear {{name}},</p>${"<p>the same for all</p>\n".repeat(200)}<p>no. {{n}}</p>`
        const parts = [
          "-t",
          dir.write("t.html", html),
          "--from",
          "News <news@example.org>",
          "--subject",
          "For {{name}}"
        ]
        const input = dir.write("in.csv", 'to,name,n\nann@x.example,"Änn <b>",1\nbob@x.example,Bob,2\n')
        const args = [...parts, ...signing, "--dkim-key", dir.path("key.pem"), "-i", input]
        const preview = ["--dry-run", "--preview", "2", "--preview-dir", dir.path("seen")]
        const ends = [
          yield* mailrace(send(server, ...args)),
          yield* mailrace(send(server, ...args, "--durable", dir.path("q.db"))),
          yield* mailrace(["send", ...args, ...preview])
        ]
        for (const { status, stderr } of ends) assert.deepStrictEqual([status, stderr], [0, ""])
        assert.strictEqual(server.messages.length, 4)
        const messages = [
          ...server.messages.map(({ content }) => content),
          Buffer.from(dir.read("seen/1.eml")),
          Buffer.from(dir.read("seen/2.eml"))
        ]
        for (const message of messages) assert.deepStrictEqual(yield* verify(message, made.stdout), ["rsa-sha256 pass"])
      }),
    limit
  )

  it.live(
    "writes the key to standard output on request, and all else to standard error",
    () =>
      Effect.gen(function* () {
        const { status, stderr, stdout } = yield* mailrace(["dkim", "keygen", ...id, "--out", "-"])
        assert.strictEqual(status, 0)
        assert.match(stdout, /^-----BEGIN PRIVATE KEY-----\n[^-]*-----END PRIVATE KEY-----\n$/)
        assert.match(stderr, /^s1\._domainkey\.example\.org\. IN TXT \( "v=DKIM1; k=rsa; p=/m)
      }),
    limit
  )

  it.live(
    "says what is wrong with a key before it connects, and never shows it",
    () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make()
        const dir = yield* folder
        const input = dir.write("in.ndjson", mail("ann@x.example"))
        const broken = dir.write("broken.pem", "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
        const cases: ReadonlyArray<readonly [ReadonlyArray<string>, RegExp]> = [
          [signing, /the private key is missing\n {2}try: pass --dkim-key FILE, or set MAILRACE_DKIM_KEY/],
          [["--dkim-key", broken, "--dkim-selector", "s1"], /--dkim-domain is missing/],
          [[...signing, "--dkim-key", dir.path("none.pem")], /none\.pem does not exist/],
          [[...signing, "--dkim-key", broken], /broken\.pem for s1 at example\.org: .*key/]
        ]
        for (const [args, expected] of cases) {
          const { status, stderr, stdout } = yield* mailrace(send(server, "-i", input, ...args))
          assert.deepStrictEqual([status, stdout], [2, ""])
          assert.match(stderr, expected)
          assert.notInclude(stderr, "c2VjcmV0")
        }
        assert.strictEqual(server.messages.length, 0)
      }),
    limit
  )

  it.live(
    "refuses an invalid domain and selector and writes no file",
    () =>
      Effect.gen(function* () {
        const { status, stderr, stdout } = yield* mailrace(["dkim", "keygen", "--domain", "a b", "--selector", "s1"])
        assert.deepStrictEqual([status, stdout], [2, ""])
        assert.match(stderr, /s1 at a b: the domain is not a valid domain name\n {2}try: write it like example\.org/)
      }),
    limit
  )
})
