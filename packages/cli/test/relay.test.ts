/**
 * What is wrong with the relay is said in one sentence, with what to try, before any message; and no secret is told.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type Ended, folder, mail, mailrace } from "./support/command.ts"
import { mailrace as mailraceWithin } from "./support/inProcess.ts"

const secret = "s3cr3t-w0rd"

const send = (url: string | undefined, args: ReadonlyArray<string> = [], env: Record<string, string> = {}) =>
  mailrace(["send", "--progress", "none", ...(url === undefined ? [] : ["--relay", url]), "--input", "-", ...args], {
    env,
    stdin: mail("ann@x.example").repeat(3)
  })

const assertRefused = (ended: Ended, problem: RegExp, remedy: RegExp): void => {
  assert.deepStrictEqual([ended.status, ended.stdout], [2, ""], ended.stderr)
  const [first, second, ...rest] = ended.stderr.split("\n")
  assert.match(first!, problem)
  assert.match(second!, remedy)
  assert.deepStrictEqual(rest, [""])
  assert.notInclude(ended.stderr, secret)
}

describe("mailrace send to a relay", () => {
  it.live("that is not named", () =>
    Effect.gen(function* () {
      const ended = yield* mailrace(["send", "--input", "-"], { stdin: mail("ann@x.example") })
      assertRefused(ended, /^mailrace: no relay is named$/, /--relay smtp:\/\/.*MAILRACE_RELAY/)
    })
  )

  it.live("whose URL is wrong", () =>
    Effect.gen(function* () {
      const ended = yield* send(`http://joe:${secret}@127.0.0.1`)
      assertRefused(ended, /^mailrace: the relay's URL cannot be used: the scheme/, /smtp:\/\//)
    })
  )

  it.live("that does not listen", () =>
    Effect.gen(function* () {
      const server = yield* Effect.scoped(TestServer.make())
      const ended = yield* send(`smtp://joe:${secret}@127.0.0.1:${server.port}`)
      assertRefused(ended, new RegExp(`^mailrace: .*127\\.0\\.0\\.1:${server.port}`), /check that a relay listens/)
    })
  )

  it.live("from an address that is not on this machine", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const ended = yield* send(`smtp://127.0.0.1:${server.port}?localAddress=127.0.0.5`, [
        "--local-address",
        "192.0.2.7"
      ])
      assertRefused(
        ended,
        /^mailrace: .*the local address 192\.0\.2\.7 does not belong to this machine$/,
        /set --local-address to an address of this machine/
      )
    })
  )

  it.live("that refuses the password", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ users: { joe: "other" }, tls: true })
      const ended = yield* send(`smtp://joe@localhost:${server.port}?tlsVerify=false`, ["--password", secret])
      assertRefused(ended, /^mailrace: .*refused the login/, /check the user name and the password/)
      assert.strictEqual(server.messages.length, 0)
    })
  )

  it.live("that is asked for TLS in one place and for clear text in another", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ tls: true })
      const dir = yield* folder
      const ca = dir.write("ca.pem", server.tls!.ca)
      const url = `smtp://localhost:${server.port}`
      for (const mode of ["off", "opportunistic"]) {
        const byFlag = yield* send(`${url}?tls=${mode}`, ["--tls-ca", ca])
        assertRefused(byFlag, new RegExp(`^mailrace: --tls-ca demands TLS, but tls=${mode} `), /tls=required/)
        const byUrl = yield* send(`${url}?tls=${mode}&tlsVerify=true`)
        assertRefused(byUrl, new RegExp(`tlsVerify=true demands TLS, and tls=${mode} `), /try: /)
      }
      assert.strictEqual(server.stats.connections, 0)
    })
  )

  it.live("whose STARTTLS somebody has stripped, when TLS was demanded", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ tls: true, extensions: { starttls: false } })
      const dir = yield* folder
      const ca = dir.write("ca.pem", server.tls!.ca)
      const url = `smtp://localhost:${server.port}`
      for (const ended of [
        yield* send(url, ["--tls-ca", ca]),
        yield* send(`${url}?tlsPolicy=strict`),
        yield* send(undefined, [], { MAILRACE_RELAY: `${url}?tlsVerify=true` }),
        yield* send(`${url}?tlsPin=${"00".repeat(32)}`)
      ])
        assertRefused(ended, /^mailrace: .* does not offer STARTTLS/, /try: .*465/)
      assert.notInclude(server.transcript.map(({ line }) => line).join(), "MAIL")
    })
  )

  it.live("that offers TLS and cannot do it: sends in clear, and says so once, in the summary and in the report", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ tls: true, faults: ["tls:garbage"] })
      const ended = yield* send(`smtp://127.0.0.1:${server.port}`)
      assert.strictEqual(ended.status, 0, ended.stderr)
      assert.match(
        ended.stderr,
        /^mailrace: warn: mail to 127\.0\.0\.1:\d+ goes in clear, because TLS failed: .*tls=required.*\n$/
      )
      assert.match(ended.stdout, / {2}tls +failed, so messages went in clear: the relay does not speak TLS/)
      const { stdout } = yield* send(`smtp://127.0.0.1:${server.port}`, ["--json"])
      assert.match(JSON.parse(stdout).tlsFailure, /does not speak TLS/)
      const plain = yield* send(`smtp://127.0.0.1:${server.port}?tls=off`, ["--json"])
      assert.isNull(JSON.parse(plain.stdout).tlsFailure)
    })
  )

  it.live("that runs content as commands: sends in envelope, and says so once, in the summary and in the report", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ quirks: { unreadRefusedChunk: true } })
      const ended = yield* send(`smtp://127.0.0.1:${server.port}`)
      assert.strictEqual(ended.status, 0, ended.stderr)
      assert.match(
        ended.stderr,
        /^mailrace: warn: 127\.0\.0\.1:\d+ is sent to in mode envelope from now on: it failed the self-test: .*\n$/
      )
      assert.match(ended.stdout, / {2}pipelining +envelope, stepped down: it failed the self-test/)
      const { stdout } = yield* send(`smtp://127.0.0.1:${server.port}`, ["--json"])
      assert.match(JSON.parse(stdout).steppedDown, /failed the self-test/)
      assert.deepInclude(JSON.parse(stdout), { pipelining: "envelope", accepted: 3, retries: 0 })
      const off = yield* send(`smtp://127.0.0.1:${server.port}?pipelining=off`, ["--json"])
      assert.isNull(JSON.parse(off.stdout).steppedDown)
    })
  )

  it.live("that takes the password from the environment", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ users: { joe: secret }, requireAuth: true, tls: true })
      const dir = yield* folder
      const ca = dir.write("ca.pem", server.tls!.ca)
      const args = ["--tls-ca", ca, "--json", "--report", dir.path("run.json"), "--deliveries", dir.path("out.ndjson")]
      const ended = yield* send(`smtp://joe@localhost:${server.port}`, args, { MAILRACE_PASSWORD: secret })
      assert.deepStrictEqual([ended.status, ended.stderr], [0, ""])
      assert.deepStrictEqual(
        server.messages.map((message) => message.user),
        ["joe", "joe", "joe"]
      )
      assert.notInclude(ended.stdout + dir.read("run.json") + dir.read("out.ndjson"), secret)
    })
  )

  it.live("whose own password in --relay counts more than one in the environment, which may be another relay's", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ users: { joe: secret }, requireAuth: true })
      const query = "?tls=off&allowInsecureAuth=true"
      const url = (password: string) => `smtp://joe:${password}@127.0.0.1:${server.port}${query}`
      const env = { MAILRACE_PASSWORD: "other" }
      const args = ["send", "--progress", "none", "--input", "-"]
      const named = yield* mailraceWithin([...args, "--relay", url(secret)], { env, stdin: mail("ann@x.example") })
      assert.deepStrictEqual([named.status, named.stderr], [0, ""])
      // Where the URL comes from the environment too, the password beside it counts, as in SmtpTransport.layerConfig.
      const beside = yield* mailraceWithin(args, {
        env: { MAILRACE_RELAY: url("other"), MAILRACE_PASSWORD: secret },
        stdin: mail("ann@x.example")
      })
      assert.deepStrictEqual([beside.status, beside.stderr], [0, ""])
    })
  )

  it.live("whose certificate is for another name, or from an unknown authority", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ tls: { names: ["mail.other.example"] } })
      const dir = yield* folder
      const ca = dir.write("ca.pem", server.tls!.ca)
      const url = `smtp://127.0.0.1:${server.port}?tls=required`
      assertRefused(yield* send(url, ["--tls-ca", ca]), /^mailrace: .*certificate/, /try: /)
      assertRefused(yield* send(url), /^mailrace: .*certificate/, /try: /)
      assert.strictEqual(server.messages.length, 0)
    })
  )

  it.live("that cannot do the TLS that is asked for", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      assertRefused(yield* send(`smtp://127.0.0.1:${server.port}?tls=required`), /^mailrace: .*(TLS|STARTTLS)/, /try: /)
    })
  )

  it.live("that demands TLS or a login, and says so only at the first message", () =>
    Effect.gen(function* () {
      const wantsTls = yield* TestServer.make({ tls: true, requireTls: true })
      const first = yield* send(`smtp://127.0.0.1:${wantsTls.port}?tls=off`)
      assert.strictEqual(first.status, 2)
      assert.match(first.stderr, /^mailrace: the relay demands TLS: "530 .*\n {2}try: use tls=required/)

      const wantsLogin = yield* TestServer.make({ users: { joe: secret }, requireAuth: true })
      const second = yield* send(`smtp://127.0.0.1:${wantsLogin.port}`)
      assert.strictEqual(second.status, 2)
      assert.match(second.stderr, /^mailrace: the relay demands a login: "530 /)
    })
  )
})
