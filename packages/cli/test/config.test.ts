/** Relays, limits, keys and lists from a file. */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { generateKeyPairSync } from "node:crypto"
import { readFileSync } from "node:fs"
import * as Collector from "./support/collector.ts"
import { folder, mail } from "./support/command.ts"
import { mailrace } from "./support/inProcess.ts"

const relays = (...servers: ReadonlyArray<TestServer.TestServer["Service"]>): string =>
  servers.map(({ port }, index) => `[relay.r${index + 1}]\nurl = "smtp://127.0.0.1:${port}"\n`).join("")

const mails = (count: number): string => Array.from({ length: count }, (_, n) => mail(`u${n}@x.example`)).join("")

describe("mailrace config", () => {
  it.live("makes a file that it can check, and keeps one that is there", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const file = dir.path("mailrace.toml")
      const made = yield* mailrace(["config", "init", file])
      assert.deepStrictEqual(
        [made.status, made.stdout],
        [0, `${file} is written; edit it, then: mailrace config check ${file}\n`]
      )
      const checked = yield* mailrace(["config", "check", file])
      assert.deepStrictEqual(
        [checked.status, checked.stdout],
        [0, `${file} can be used.\n\nRelay main (127.0.0.1:2525) takes the messages.\n`]
      )
      const again = yield* mailrace(["config", "init", file])
      assert.deepStrictEqual([again.status, again.stderr.split("\n")[0]], [2, `mailrace: ${file} is there already`])
      // What is commented out can be used too.
      const whole = readFileSync(file, "utf8").replace(/^# (?=\[|\w+ = )/gm, "")
      const all = dir.write("all.toml", whole.replace('"smtp://127.0.0.1:2525"', '"smtp://u@127.0.0.1:2525"'))
      dir.write("s1.example.org.pem", keyPem())
      dir.write("unsubscribed.txt", "gone@x.example\n")
      const other = yield* mailrace(["config", "check", all], { env: { MAIN_PASSWORD: "x" } })
      assert.strictEqual(other.status, 0, other.stderr)
      assert.include(other.stdout, "Mail of tenant acme goes by main and spare, at most 100/s for tenant acme.")
    })
  )

  it.live("prints a schema", () =>
    Effect.gen(function* () {
      const { stdout } = yield* mailrace(["config", "schema"])
      assert.includeMembers(Object.keys(JSON.parse(stdout).properties), ["relay", "lane", "tenant", "route", "dkim"])
    })
  )

  it.live("names every fault with its place and remedy, and then nothing is sent", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const server = yield* TestServer.make()
      const file = dir.write("m.toml", `${relays(server)}wieght = 2\n[lame]\n`)
      const input = dir.write("in.ndjson", mails(1))
      for (const args of [
        ["config", "check", file],
        ["send", "-i", input, "--config", file],
        ["send", "-i", input, "--config", file, "--dry-run"],
        ["send", "-i", input, "--config", file, "--durable", dir.path("o.db")],
        ["outbox", "run", "--db", dir.path("o.db"), "--config", file]
      ]) {
        const { status, stderr } = yield* mailrace(args)
        assert.deepStrictEqual(
          [status, stderr],
          [
            2,
            `mailrace: ${file}, line 3, column 1: relay.r1.wieght is not a setting
  try: write weight if that is meant
mailrace: ${file}, line 4, column 1: lame is not a setting
  try: write lane if that is meant
`
          ],
          args.join(" ")
        )
      }
      assert.strictEqual(server.stats.connections, 0)
      const missing = yield* mailrace(["config", "check", dir.path("gone.toml")])
      assert.match(missing.stderr, /gone\.toml: it does not exist\n {2}try: check the path\n$/)
    })
  )
})

describe("mailrace config check", () => {
  it.live("reads the lists that the file names, and tells which holds nobody", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const file = dir.write("m.toml", 'suppress = [ "gone.txt", "more.txt" ]\n')
      dir.write("gone.txt", Buffer.from("\uFEFFann@x.example\r\n", "utf16le"))
      dir.write("more.txt", "# nobody yet\n")
      const empty = yield* mailrace(["config", "check", file])
      assert.deepStrictEqual(
        [empty.status, empty.stdout, empty.stderr],
        [
          0,
          `${file} can be used.\n\nAddresses in gone.txt and more.txt get no mail.\n`,
          `the suppression list ${dir.path("more.txt")} holds nobody\n`
        ]
      )
      dir.write("more.txt", "bob@x.example\nann at x.example\n")
      const wrong = yield* mailrace(["config", "check", file])
      assert.deepStrictEqual([wrong.status, wrong.stdout], [2, ""])
      assert.include(
        wrong.stderr,
        `mailrace: ${file}, line 1, column 26: ${dir.path("more.txt")}, line 2: it is neither an address nor a domain: `
      )
      assert.include(wrong.stderr, "\n  try: write an address, or a domain as @example.org")
    })
  )

  it.live("has an answer in words, and no stack trace, to a file with any broken byte", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      yield* mailrace(["config", "init", dir.path("whole.toml")])
      const whole = readFileSync(dir.path("whole.toml"))
      const end = whole.indexOf("\n# [relay.spare]")
      let refused = 0
      for (let at = whole.indexOf("[relay.main]"); at < end; at += 11) {
        const bytes = Buffer.from(whole)
        bytes[at] = [0x00, 0x22, 0x5b, 0x5d, 0xff, 0x3d][at % 6]!
        const { status, stderr } = yield* mailrace(["config", "check", dir.write("m.toml", bytes)])
        assert.include([0, 2], status)
        assert.strictEqual(status === 0, stderr === "", stderr)
        assert.notMatch(stderr, /^\s+at |\.[jt]s:\d|Error/m)
        if (status === 2) refused++
        if (status === 2) assert.match(stderr, /^mailrace: .*m\.toml(, line \d+, column \d+)?: .+\n {2}try: .+\n/)
      }
      assert.isAtLeast(refused, 5)
    })
  )

  it.live("says that a folder is no configuration", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const { status, stderr } = yield* mailrace(["config", "check", dir.path(".")])
      assert.strictEqual(status, 2)
      assert.match(stderr, /^mailrace: .*: it is a folder\n {2}try: name a file\n$/)
    })
  )
})

describe("mailrace rules", () => {
  it.live("says what is done at a reply, by whose rule, and from where that is known", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const test = (...args: ReadonlyArray<string>) => mailrace(["rules", "test", ...args])
      const gmail = yield* test("421-4.7.28 an unusual rate", "--lane", "gmail.com")
      assert.strictEqual(gmail.status, 0)
      assert.match(gmail.stdout, /^gmail-rate \(Gmail\): the domain is left alone for 10 minutes\n/)
      assert.match(gmail.stdout, /\nsource: https:\/\/support\.google\.com\/\S+ \(2026-02\)\n$/)
      const file = dir.write("m.toml", '[[rule]]\nreply = "421 4.7.28"\nlane = "gmail.com"\npause = "90s"\n')
      const own = yield* test("421 4.7.28 an unusual rate", "--lane", "gmail.com", "--config", file)
      assert.match(own.stdout, /^rule 1 \(the configuration\): the domain is left alone for 1\.5 minutes\n/)
      const none = yield* test("550 5.1.1 no such user", "--lane", "gmail.com")
      assert.strictEqual(none.stdout, "No rule knows this reply.\nThe message is refused for good.\n")
      const fine = yield* test("250 2.0.0 ok")
      assert.strictEqual(fine.stdout, "The relay accepts the command; there is nothing to do.\n")
      const wrong = yield* test("slow down")
      assert.deepStrictEqual(
        [wrong.status, wrong.stderr.split("\n")[0]],
        [2, 'mailrace: "slow down" is not a reply, because it does not begin with a code']
      )
      const limiting = dir.write(
        "limits.toml",
        '[[rule]]\nreply = "421 4.7.28"\nlane = "gmail.com"\nslow_to = "5/s"\nconnections = 2\nfor = "2h"\nbounce_as = "5.7.1"\n'
      )
      const limited = yield* test("421 4.7.28 an unusual rate", "--lane", "gmail.com", "--config", limiting)
      assert.strictEqual(
        limited.stdout.split("\n")[0],
        "rule 1 (the configuration): the message is refused for good with 5.7.1; the domain gets at most 5/s and 2 messages at once for 2 hours"
      )
      const list = yield* mailrace(["rules", "list", "--config", file])
      assert.match(list.stdout, /^rule 1 \(the configuration\)\n {2}the domain is left alone for 1\.5 minutes\n/)
      assert.include(list.stdout, "\n\nses-rate (Amazon SES)\n  the relay is left alone for 2 seconds\n")
    })
  )
})

describe("mailrace send --config", () => {
  it.live("sends by its relays and routes, signs, and leaves out who is on its lists", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const [one, two] = yield* Effect.all([TestServer.make(), TestServer.make()])
      dir.write("key.pem", keyPem())
      dir.write("gone.txt", "u3@x.example\n")
      const file = dir.write(
        "m.toml",
        `suppress = "gone.txt"
${relays(one, two)}
[[route]]
lane = "special.example"
relay = "r2"
[[route]]
relay = "r1"
[dkim."a.example"]
selector = "s1"
key = { file = "key.pem" }
`
      )
      const from = { from: "News <news@mail.a.example>" }
      const lines = [...Array.from({ length: 9 }, (_, n) => mail(`u${n}@x.example`, from)), mail("b@special.example")]
      const input = dir.write("in.ndjson", lines.join(""))
      const { status, stderr } = yield* mailrace(["send", "-i", input, "--config", file])
      assert.strictEqual(status, 0, stderr)
      assert.deepStrictEqual(
        two.messages.map(({ to }) => to[0]!.address),
        ["b@special.example"]
      )
      assert.sameMembers(
        one.messages.map(({ to }) => to[0]!.address),
        [0, 1, 2, 4, 5, 6, 7, 8].map((n) => `u${n}@x.example`)
      )
      const signed = (server: TestServer.TestServer["Service"]) =>
        server.messages.map(({ content }) =>
          /^DKIM-Signature:.*d=a\.example;/ims.test(Buffer.from(content).toString("latin1"))
        )
      assert.isTrue(signed(one).every(Boolean))
      assert.deepStrictEqual(signed(two), [false])
    })
  )

  it.live("names the place in the file of a list that cannot be read, and sends nothing", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const server = yield* TestServer.make()
      dir.write("fine.txt", "gone@x.example\n")
      dir.write("wrong.txt", "ann at x.example\n")
      const input = dir.write("in.ndjson", mails(1))
      const sent = (suppress: string, ...more: ReadonlyArray<string>) => {
        const file = dir.write("m.toml", `suppress = ${suppress}\n${relays(server)}`)
        return Effect.map(
          mailrace(["send", "-i", input, "--config", file, ...more]),
          ({ status, stderr }) => `${status} ${stderr.replaceAll(file, "m.toml").replaceAll(dir.path("."), "")}`
        )
      }
      for (const more of [[], ["--dry-run"], ["--durable", dir.path("o.db")]]) {
        assert.match(
          yield* sent('[ "fine.txt", "none.txt" ]', ...more),
          /^2 mailrace: m\.toml, line 1, column 26: \S*none\.txt does not exist\n {2}try: check the path\n$/
        )
        assert.match(
          yield* sent('"wrong.txt"', ...more),
          /^2 mailrace: m\.toml, line 1, column 1: \S*wrong\.txt, line 1: it is neither an address nor a domain: .*\n {2}try: write an address, or a domain/
        )
      }
      // A list that a flag names has no place in the file.
      assert.match(
        yield* sent('"fine.txt"', "--suppress", dir.path("none.txt")),
        /^2 mailrace: (?!m\.toml)\S*none\.txt does not exist\n/
      )
      assert.strictEqual(server.stats.messages, 0)
    })
  )

  it.live("by way of an outbox too", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const [one, two] = yield* Effect.all([TestServer.make(), TestServer.make()])
      const file = dir.write("m.toml", relays(one, two))
      const input = dir.write("in.ndjson", mails(20))
      const { status, stderr } = yield* mailrace(["send", "-i", input, "--config", file, "--durable", dir.path("o.db")])
      assert.strictEqual(status, 0, stderr)
      assert.strictEqual(one.messages.length + two.messages.length, 20)
      assert.isAtLeast(Math.min(one.messages.length, two.messages.length), 1)
    })
  )

  it.live("gives way to flags", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const [one, two] = yield* Effect.all([TestServer.make(), TestServer.make()])
      const file = dir.write("m.toml", relays(one))
      const input = dir.write("in.ndjson", mails(4))
      const url = `smtp://127.0.0.1:${two.port}`
      assert.strictEqual((yield* mailrace(["send", "-i", input, "--config", file, "--relay", url])).status, 0)
      assert.deepStrictEqual([one.messages.length, two.messages.length], [0, 4])
      const refused = yield* mailrace(["send", "-i", input, "--config", file, "--password", "x"])
      assert.deepStrictEqual(
        [refused.status, refused.stderr],
        [
          2,
          `mailrace: --password is for a relay that --relay names, and the relays are those of ${file}
  try: say in the file where each password is: password = { env = "RELAY_PASSWORD" }
`
        ]
      )
    })
  )
})

describe("mailrace send --relay, repeated", () => {
  it.live("sends by all of them, and goes round one that is not there", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const [one, two] = yield* Effect.all([TestServer.make(), TestServer.make()])
      const gone = yield* Effect.scoped(Effect.map(TestServer.make(), ({ port }) => port))
      const input = dir.write("in.ndjson", mails(20))
      const urls = [one.port, gone, two.port].flatMap((port) => ["--relay", `smtp://127.0.0.1:${port}`])
      const { status, stderr } = yield* mailrace(["send", "-i", input, ...urls])
      assert.strictEqual(status, 0, stderr)
      assert.strictEqual(one.messages.length + two.messages.length, 20)
      assert.isAtLeast(Math.min(one.messages.length, two.messages.length), 1)
      assert.include(stderr, `no connection to relay 127.0.0.1:${gone}: `)
    })
  )

  it.live("ends where none of them is there, and where one is named twice", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const input = dir.write("in.ndjson", mails(1))
      const gone = yield* Effect.scoped(
        Effect.map(Effect.all([TestServer.make(), TestServer.make()]), (servers) => servers.map(({ port }) => port))
      )
      const urls = gone.flatMap((port) => ["--relay", `smtp://127.0.0.1:${port}`])
      const none = yield* mailrace(["send", "-i", input, ...urls])
      assert.strictEqual(none.status, 2)
      assert.include(none.stderr, `no connection to relay 127.0.0.1:${gone[0]}: `)
      assert.include(none.stderr, `; nor to the others: 127.0.0.1:${gone[1]}\n`)
      const twice = yield* mailrace(["send", "-i", input, ...urls.slice(0, 2), ...urls.slice(0, 2)])
      assert.include(
        twice.stderr,
        "mailrace: --relay names the same relay twice\n  try: name each relay once, or use --config\n"
      )
    })
  )

  it.live("say where traces go and which recipient domains they name, and a delivery's line has its trace", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const server = yield* TestServer.make()
      const collector = yield* Collector.make
      const telemetry = `telemetry = { otlp = "${collector.url}", recipient_domains = ["x.example"] }\n`
      const file = dir.write("m.toml", telemetry + relays(server))
      const input = dir.write("in.ndjson", mails(1) + mail("bob@y.example"))
      const log = ["--deliveries", dir.path("out.ndjson"), "--progress", "none"]
      const { status, stderr } = yield* mailrace(["send", "-i", input, "--config", file, ...log])
      assert.strictEqual(status, 0, stderr)
      const sent = collector.spans().filter(({ name }) => name === "mailrace.send")
      const domains = sent.flatMap(({ attributes }) =>
        attributes.flatMap(({ key, value }) => (key === "mailrace.recipient.domain" ? [value.stringValue] : []))
      )
      assert.sameMembers(domains, ["x.example", "other"])
      assert.sameMembers(
        dir.lines("out.ndjson").map(({ traceId }) => traceId),
        sent.map(({ traceId }) => traceId)
      )
    })
  )
})

const keyPem = (): string =>
  generateKeyPairSync("rsa", { modulusLength: 1024 }).privateKey.export({ type: "pkcs8", format: "pem" }) as string
