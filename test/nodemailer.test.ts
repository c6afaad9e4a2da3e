/**
 * A program on nodemailer changes its transport line, and nothing else about it changes.
 */
import { assert, describe, it } from "@effect/vitest"
import * as TestServer from "@mailrace/testing/TestServer"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { simpleParser } from "mailparser"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { keys, verify } from "../packages/core/test/support/dkim.ts"

const program = Path.join(import.meta.dirname, "fixtures/registration.mjs")

/** The program with its transport line changed, and the import that the line needs. */
const changed = (source: string): string => {
  const line = /^const transporter = nodemailer\.createTransport\((\{.*\})\)$/m
  assert.match(source, line)
  return source
    .replace(line, "const transporter = nodemailer.createTransport(mailraceTransport($1))")
    .replace(/^import nodemailer.*$/m, '$&\nimport { mailraceTransport } from "@mailrace/nodemailer/MailraceTransport"')
}

/** Runs a program of Node to its end and gives its output. */
const run = (file: string, settings: object): Effect.Effect<ReadonlyArray<string>> =>
  Effect.callback((resume) => {
    const env = { ...process.env, REGISTRATION: JSON.stringify(settings) }
    const child = ChildProcess.execFile(process.execPath, [file], { env }, (error, stdout, stderr) =>
      resume(error === null ? Effect.succeed(stdout.trim().split("\n")) : Effect.die(new Error(stderr)))
    )
    return Effect.sync(() => child.kill("SIGKILL"))
  })

/** What a reader sees of a message, and what a receiver is told of it. */
const seen = ({ content, from, to }: TestServer.TestServerService["messages"][number]) =>
  Effect.map(
    Effect.promise(() => simpleParser(Buffer.from(content), { keepCidLinks: true })),
    (mail) => ({
      envelope: [from.address, ...to.map(({ address }) => address)],
      from: mail.from?.value,
      to: [mail.to].flat()[0]?.value,
      cc: [mail.cc].flat()[0]?.value,
      bcc: mail.bcc,
      subject: mail.subject,
      text: mail.text,
      html: mail.html,
      registration: mail.headers.get("x-registration"),
      attachments: mail.attachments.map(({ cid, content, contentType, filename }) => [
        filename,
        cid,
        contentType,
        content.toString("base64")
      ])
    })
  )

describe("a program on nodemailer", () => {
  it.live(
    "runs unchanged but for the transport line, with attachments and DKIM",
    () =>
      Effect.gen(function* () {
        const { rsa } = yield* keys
        const folder = yield* Effect.acquireRelease(
          Effect.sync(() => Fs.mkdtempSync(Path.join(import.meta.dirname, "fixtures/run-"))),
          (folder) => Effect.sync(() => Fs.rmSync(folder, { recursive: true }))
        )
        Fs.writeFileSync(Path.join(folder, "terms.pdf"), Buffer.alloc(1_500_000, "terms and conditions"))
        const other = Path.join(folder, "registration.mjs")
        Fs.writeFileSync(other, changed(Fs.readFileSync(program, "utf8")))

        const ran = yield* Effect.forEach([program, other], (file) =>
          Effect.gen(function* () {
            const server = yield* TestServer.make({ faults: ["rcpt:550:to=gone@*"] })
            const dkim = {
              domainName: "example.org",
              keySelector: "s1",
              privateKey: Redacted.value(rsa.privateKey)
            }
            const output = yield* run(file, { dkim, folder, port: server.port })
            const known = {
              domain: "example.org",
              selector: "s1",
              algorithm: "rsa-sha256",
              publicKey: rsa.publicKey
            } as const
            const signatures = yield* Effect.forEach(server.messages, ({ content }) => verify(content, [known]))
            const messages = yield* Effect.forEach(server.messages, seen)
            return { output, messages, signatures, connections: server.stats.connections }
          })
        )
        const [theirs, ours] = ran
        assert.strictEqual(theirs!.messages.length, 3)
        assert.strictEqual(theirs!.output.length, 4)
        assert.deepStrictEqual(ours!.output, theirs!.output)
        assert.deepStrictEqual(ours!.messages, theirs!.messages)
        for (const { signatures } of ran)
          assert.deepStrictEqual(signatures.flat(), ["s1 rsa-sha256 pass", "s1 rsa-sha256 pass", "s1 rsa-sha256 pass"])
        assert.strictEqual(theirs!.connections, 4)
        assert.strictEqual(ours!.connections, 1)
      }),
    30_000
  )
})
