/**
 * Transports that do not speak SMTP: Amazon SES, sendmail, JSON, streams, and plugins of all manners.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Address from "mailrace/Address"
import * as Composed from "mailrace/Composed"
import type * as MailError from "mailrace/MailError"
import { MailTransport } from "mailrace/MailTransport"
import type { MailMessage, Transport } from "nodemailer"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import * as NodemailerTransport from "../src/NodemailerTransport.ts"

const content = "From: Ann <ann@a.test>\r\nSubject: Hello\r\n\r\n.\r\nHi\r\n"

const message = (to: ReadonlyArray<string> = ["bob@b.test"], body: Composed.Content = Buffer.from(content)) =>
  Composed.make({
    messageId: "<1@example.org>",
    envelope: { from: Address.fromStringUnsafe("ann@a.test"), to: to.map(Address.fromStringUnsafe) },
    content: body,
    size: content.length
  })

const send = (transport: NodemailerTransport.AnyTransport, given = message()) =>
  Effect.flatMap(MailTransport, (service) => service.send(given)).pipe(
    Effect.provide(NodemailerTransport.layer(transport))
  )

const failure = (transport: NodemailerTransport.AnyTransport, given = message()) =>
  Effect.map(Effect.flip(send(transport, given)), ({ reason }) => reason)

const tags = (recipients: ReadonlyArray<MailError.RecipientOutcome>) =>
  recipients.map(({ address, outcome, reply }) => [address, outcome, reply?.code].filter(Boolean).join(" "))

describe("NodemailerTransport over Amazon SES", () => {
  const ses = (answer: (command: { readonly input: any }) => unknown) => ({
    SES: {
      sesClient: { send: async (command: { readonly input: any }) => answer(command) },
      SendEmailCommand: class {
        readonly input: unknown
        constructor(input: unknown) {
          this.input = input
        }
      }
    }
  })
  const error = (name: string, httpStatusCode?: number) => {
    throw Object.assign(new Error("in its words"), {
      name,
      $metadata: httpStatusCode === undefined ? {} : { httpStatusCode }
    })
  }

  it.live("hands on envelope and bytes, and gives SES's identifier as the reply", () =>
    Effect.gen(function* () {
      let input: any
      const transport = ses((command) => {
        input = command.input
        return { MessageId: "0100-abc" }
      })
      const receipt = yield* send(transport, message(["bob@b.test", "carol@c.test"]))
      assert.strictEqual(Buffer.from(input.Content.Raw.Data).toString(), content)
      assert.deepStrictEqual(input.Destination.ToAddresses, ["bob@b.test", "carol@c.test"])
      assert.deepStrictEqual(receipt, {
        reply: { code: 250, text: "0100-abc" },
        recipients: [
          { address: "bob@b.test", outcome: "accepted" },
          { address: "carol@c.test", outcome: "accepted" }
        ],
        relay: "SESTransport"
      })
    })
  )

  for (const [name, status, tag, isRetryable] of [
    ["TooManyRequestsException", 429, "Throttled", true],
    ["ThrottlingException", 400, "Throttled", true],
    ["MessageRejected", 400, "MessageRejected", false],
    ["AccountSuspendedException", 400, "MessageRejected", false],
    ["InternalFailure", 500, "MessageRejected", true],
    ["UnrecognizedClientException", 403, "AuthenticationFailed", false],
    ["ExpiredTokenException", 400, "AuthenticationFailed", false],
    ["TimeoutError", undefined, "OutcomeUnknown", false]
  ] as const) {
    it.live(`${name} is ${tag}`, () =>
      Effect.gen(function* () {
        const reason = yield* failure(ses(() => error(name, status)))
        assert.strictEqual(reason._tag, tag)
        assert.strictEqual(reason.isRetryable, isRetryable)
        assert.include(reason.message, "in its words")
      })
    )
  }
})

describe("NodemailerTransport over sendmail", () => {
  /** A program that puts its arguments and its input into files, and exits as told. */
  const sendmail = (script: string) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "mailrace-sendmail-"))
        const path = Path.join(folder, "sendmail")
        Fs.writeFileSync(path, `#!/bin/sh\nprintf '%s\\n' "$@" > ${folder}/args\ncat > ${folder}/input\n${script}\n`)
        Fs.chmodSync(path, 0o755)
        const read = (name: string) => Fs.readFileSync(Path.join(folder, name), "utf8")
        return { transport: { sendmail: true as const, path }, read, folder }
      }),
      ({ folder }) => Effect.sync(() => Fs.rmSync(folder, { recursive: true }))
    )

  it.live("hands on envelope and bytes", () =>
    Effect.gen(function* () {
      const { read, transport } = yield* sendmail("exit 0")
      const receipt = yield* send(transport, message(["bob@b.test", "carol@c.test"]))
      assert.strictEqual(read("args"), "-i\n-f\nann@a.test\nbob@b.test\ncarol@c.test\n")
      assert.strictEqual(read("input"), content)
      assert.strictEqual(receipt.reply.text, "Messages queued for delivery")
      assert.strictEqual(receipt.relay, "Sendmail")
    })
  )

  for (const [script, tag, isRetryable] of [
    ["exit 75", "MessageRejected", true],
    ["exit 67", "MessageRejected", false],
    ["kill -9 $$", "OutcomeUnknown", false]
  ] as const) {
    it.live(`${script} is ${tag}`, () =>
      Effect.gen(function* () {
        const { transport } = yield* sendmail(script)
        const reason = yield* failure(transport)
        assert.strictEqual(reason._tag, tag)
        assert.strictEqual(reason.isRetryable, isRetryable)
      })
    )
  }

  it.live("says that the program is missing, and no word of a relay", () =>
    Effect.gen(function* () {
      const reason = yield* failure({ sendmail: true, path: "/nowhere/sendmail" })
      assert.deepInclude(reason, { _tag: "TransportUnavailable", transport: "Sendmail", isRetryable: false })
      assert.include(reason.message, "ENOENT")
      assert.strictEqual(reason.remedy, "install /nowhere/sendmail, or correct the transport's `path`")
    })
  )

  it.live("says that the program may not be run", () =>
    Effect.gen(function* () {
      const { transport } = yield* sendmail("exit 0")
      Fs.chmodSync(transport.path, 0o600)
      const reason = yield* failure(transport)
      assert.deepInclude(reason, { _tag: "TransportUnavailable", transport: "Sendmail", isRetryable: false })
      assert.strictEqual(reason.remedy, `let this user execute ${transport.path}`)
    })
  )

  it.live("says that a script found no sendmail (exit 127)", () =>
    Effect.gen(function* () {
      const { transport } = yield* sendmail("exit 127")
      const reason = yield* failure(transport)
      assert.deepInclude(reason, { _tag: "TransportUnavailable", transport: "Sendmail", isRetryable: false })
      assert.notInclude(reason.message + reason.remedy, "relay")
    })
  )

  it.live("an address that would be read as an option is refused", () =>
    Effect.gen(function* () {
      const { folder, transport } = yield* sendmail("exit 0")
      assert.strictEqual((yield* failure(transport, message(["-oops@b.test"])))._tag, "InvalidMessage")
      assert.isFalse(Fs.existsSync(Path.join(folder, "args")))
    })
  )
})

describe("NodemailerTransport over nodemailer's own test transports", () => {
  it.live("streams and JSON are accepted, since they say no different", () =>
    Effect.gen(function* () {
      const streamed = yield* send({ streamTransport: true, buffer: true })
      assert.deepStrictEqual(tags(streamed.recipients), ["bob@b.test accepted"])
      const json = yield* send({ jsonTransport: true })
      assert.strictEqual(json.relay, "JSONTransport")
    })
  )
})

describe("NodemailerTransport over a plugin", () => {
  const plugin = (
    act: (mail: MailMessage, done: (error: Error | null, info?: any) => void) => void,
    name = "Plugin"
  ): Transport => ({ name, version: "1", send: act as Transport["send"] })

  const read = (mail: MailMessage) =>
    new Promise<Buffer>((resolve, reject) => {
      const chunks: Array<Buffer> = []
      const stream = mail.message.createReadStream()
      stream.on("data", (chunk: Buffer) => chunks.push(chunk))
      stream.on("end", () => resolve(Buffer.concat(chunks)))
      stream.on("error", reject)
    })

  it.live("finds recipients again however the plugin writes them", () =>
    Effect.gen(function* () {
      const to = ["bob@bücher.test", '"o dd"@b.test', "carol@b.test", "dave@b.test", "erin@b.test", "frank@b.test"]
      const receipt = yield* send(
        plugin((_mail, done) =>
          done(null, {
            accepted: ["Bob <bob@BÜCHER.test>", { address: "o dd@b.test", name: "" }],
            rejected: ["CAROL@b.test", "carol@B.test"],
            pending: ["dave@b.test"],
            rejectedErrors: [{ recipient: "erin@b.test", response: "450-4.2.1 busy\n450 4.2.1 really" }],
            response: "250-2.0.0 queued\n250 2.0.0 as 17"
          })
        ),
        message(to)
      )
      assert.deepStrictEqual(tags(receipt.recipients), [
        "bob@bücher.test accepted",
        '"o dd"@b.test accepted',
        "carol@b.test rejected",
        "dave@b.test unknown",
        "erin@b.test deferred 450",
        "frank@b.test unknown"
      ])
      assert.deepStrictEqual(receipt.recipients[4]?.reply, { code: 450, enhanced: "4.2.1", text: "busy\nreally" })
      assert.deepStrictEqual(receipt.reply, { code: 250, enhanced: "2.0.0", text: "queued\nas 17" })
    })
  )

  it.live("success without a recipient is none", () =>
    Effect.gen(function* () {
      const refused = yield* failure(
        plugin((_mail, done) =>
          done(null, {
            accepted: [],
            rejected: ["bob@b.test"],
            rejectedErrors: [{ recipient: "bob@b.test", response: "550 5.1.1 no" }]
          })
        )
      )
      assert.strictEqual(refused._tag, "RecipientsRejected")
      const silent = yield* failure(plugin((_mail, done) => done(null, { accepted: [], rejected: ["bob@b.test"] })))
      assert.strictEqual(silent._tag, "OutcomeUnknown")
    })
  )

  it.live("an error without a reply is judged by how far the content had come", () =>
    Effect.gen(function* () {
      const oops = () => Object.assign(new Error("socket hang up"), { code: "ECONNRESET" })
      const afterwards = plugin((mail, done) => void read(mail).then(() => done(oops())))
      assert.strictEqual((yield* failure(afterwards))._tag, "OutcomeUnknown")
      const meanwhile = plugin((mail, done) => {
        const stream = mail.message.createReadStream()
        stream.once("readable", () => {
          stream.read(4)
          done(oops())
        })
      })
      assert.deepInclude(yield* failure(meanwhile), { _tag: "ConnectionLost", phase: "content" })
      const before = plugin((mail, done) => {
        mail.message.createReadStream()
        done(oops())
      })
      assert.deepInclude(yield* failure(before), { _tag: "ConnectionLost", phase: "envelope" })
      // It may have taken the content from where nobody watches.
      assert.strictEqual((yield* failure(plugin((_mail, done) => done(oops()))))._tag, "OutcomeUnknown")
      const vague = plugin(
        (mail, done) => void read(mail).then(() => done(Object.assign(new Error("no"), { code: "EMESSAGE" })))
      )
      assert.strictEqual((yield* failure(vague))._tag, "OutcomeUnknown")
    })
  )

  it.live("reads streamed content, and a second time if it asks twice", () =>
    Effect.gen(function* () {
      const bytes = Buffer.from(`${content}${"x".repeat(200_000)}\r\n`)
      for (const body of [bytes, { _tag: "StreamedContent", stream: Stream.make(bytes, bytes) }] as const) {
        const taken: Array<Buffer> = []
        const twice = plugin((mail, done) => {
          const all = read(mail)
            .then((first) => taken.push(first))
            .then(() => read(mail))
            .then((second) => taken.push(second))
          all.then(() => done(null, {}), done)
        })
        yield* send(twice, message(["bob@b.test"], body))
        const expected = body === bytes ? bytes : Buffer.concat([bytes, bytes])
        assert.deepStrictEqual(
          taken.map((one) => one.equals(expected)),
          [true, true]
        )
      }
    })
  )

  for (const [code, tag] of [
    ["EFILEACCESS", "InvalidMessage"],
    ["EURLACCESS", "InvalidMessage"],
    ["EREQUIRETLS", "CapabilityMissing"],
    ["ETLS", "TlsFailed"],
    ["ENOAUTH", "AuthenticationFailed"],
    ["EOAUTH2", "AuthenticationFailed"],
    ["EPROXY", "TransportUnavailable"],
    ["ESELFMADE", "OutcomeUnknown"]
  ] as const) {
    it.live(`${code} is ${tag}`, () =>
      Effect.gen(function* () {
        const reason = yield* failure(plugin((_mail, done) => done(Object.assign(new Error("no"), { code }))))
        assert.strictEqual(reason._tag, tag)
      })
    )
  }

  for (const [code, isRetryable] of [
    ["ENOTFOUND", false],
    ["EAI_AGAIN", true],
    ["ECONNREFUSED", true],
    ["EHOSTUNREACH", true]
  ] as const) {
    it.live(`${code} of a transport without a relay is TransportUnavailable by the transport's name`, () =>
      Effect.gen(function* () {
        const syscall = code === "ENOTFOUND" || code === "EAI_AGAIN" ? "getaddrinfo" : "connect"
        const problem = Object.assign(new Error(`${syscall} ${code} api.test`), { code, syscall })
        // It has asked for the content of no message yet.
        const reason = yield* failure(plugin((_mail, done) => done(problem), "SESTransport"))
        assert.deepInclude(reason, { _tag: "TransportUnavailable", transport: "SESTransport", isRetryable })
        assert.include(reason.message, "api.test")
        assert.notMatch(reason.remedy, /port \d|spelling of "SESTransport"/)
      })
    )
  }

  it.live("what nodemailer refuses before the transport is InvalidMessage", () =>
    Effect.gen(function* () {
      const never = plugin(() => assert.fail("it was reached"))
      const many = message(Array.from({ length: 100_001 }, (_, i) => `u${i}@b.test`))
      assert.deepInclude(yield* failure(never, many), { _tag: "InvalidMessage", field: "to" })
    })
  )
})
