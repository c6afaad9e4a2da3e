/**
 * Logging in as nodemailer does, which logs in to the same relays.
 */
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as MailError from "mailrace/MailError"
import * as RetryPolicy from "mailrace/RetryPolicy"
import * as Nodemailer from "nodemailer"
import { once } from "node:events"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import type { NodemailerError, SendMailOptions } from "nodemailer"
import { mailraceTransport, type NodemailerOptions } from "../src/MailraceTransport.ts"

const mail: SendMailOptions = { from: "ann@a.test", to: "bob@b.test", subject: "Hello", text: "Hi" }

const make = (transport: () => { readonly close: () => void; readonly sendMail: Sender["sendMail"] }) =>
  Effect.acquireRelease(Effect.sync(transport), (transporter) => Effect.promise(async () => transporter.close()))

const ours = (options: NodemailerOptions) =>
  make(() => Nodemailer.createTransport(mailraceTransport(options, { retry: RetryPolicy.none })))

const theirs = (options: NodemailerOptions) => make(() => Nodemailer.createTransport(options))

interface Sender {
  readonly sendMail: (mail: SendMailOptions) => Promise<unknown>
}

/** How verifying ended, and by which mechanisms a login was begun. */
const verified = (relay: TestServer.Options, options: NodemailerOptions, open: typeof ours) =>
  Effect.gen(function* () {
    const server = yield* TestServer.make(relay)
    const transporter = yield* open({ host: server.host, port: server.port, ignoreTLS: true, ...options })
    const verify = Effect.promise(() =>
      (transporter as unknown as Nodemailer.Transporter).verify().then(
        () => ({ code: "verified" }),
        ({ code, command, message }: NodemailerError) => (code === "ENOAUTH" ? { code, command, message } : { code })
      )
    )
    const [first, second] = [yield* verify, yield* verify]
    assert.deepStrictEqual(second, first)
    const lines = server.transcript.flatMap(({ line }) => /^AUTH (\S+)/.exec(line)?.[1] ?? [])
    return { ...first, lines: [...new Set(lines)] }
  })

/** How sending ended, and by which mechanisms a login was begun. */
const outcome = (relay: TestServer.Options, options: NodemailerOptions, open: typeof ours) =>
  Effect.gen(function* () {
    const server = yield* TestServer.make(relay)
    const transporter = yield* open({ host: server.host, port: server.port, ignoreTLS: true, ...options })
    const end = yield* Effect.promise(() =>
      transporter.sendMail(mail).then(
        () => ({ code: "sent", command: undefined }),
        ({ cause, code, command }: NodemailerError) => {
          if (open === ours) assert.isTrue(MailError.isMailError(cause))
          return { code, command }
        }
      )
    )
    const lines = server.transcript.flatMap(({ line }) => /^AUTH (\S+)/.exec(line)?.[1] ?? [])
    return { ...end, lines, messages: server.stats.messages }
  })

const users = { ann: "secret" }
const auth = { user: "ann", pass: "secret" }

const relays: { readonly [name: string]: TestServer.Options } = {
  "no login": {},
  "PLAIN alone": { users, extensions: { auth: ["PLAIN"] } },
  "PLAIN and LOGIN": { users, extensions: { auth: ["PLAIN", "LOGIN"] } }
}

const table: ReadonlyArray<NodemailerOptions> = [
  { auth },
  { auth, forceAuth: true },
  { auth: { user: "ann" } },
  { auth: { user: "ann" }, forceAuth: true },
  { auth: { user: "ann", pass: "wrong" } },
  { auth, authMethod: "PLAIN" },
  { auth, authMethod: "plain" },
  { auth: { ...auth, method: "PLAIN" }, authMethod: "LOGIN" },
  { auth: { ...auth, type: "LOGIN" } },
  { auth, authMethod: "XOAUTH2" }
]

const demanding: TestServer.Options = { ...relays["PLAIN alone"], requireAuth: true }

/** What an app passes that has no credentials, or whose environment lacks them. */
const withoutCredentials: ReadonlyArray<NodemailerOptions> = [
  undefined,
  {},
  { user: undefined, pass: undefined },
  { user: "", pass: "" },
  { pass: "secret" },
  { type: "login" }
].flatMap((auth) => [{ auth }, { auth, forceAuth: true }])

const byToken: NodemailerOptions = { auth: { type: "OAuth2" } }

describe("A login from nodemailer's options", () => {
  for (const [name, relay] of Object.entries(relays)) {
    it.live(`ends as nodemailer's own at a relay that offers ${name}`, () =>
      Effect.gen(function* () {
        for (const options of table)
          assert.deepStrictEqual(
            yield* outcome(relay, options, ours),
            yield* outcome(relay, options, theirs),
            JSON.stringify(options)
          )
      })
    )
  }

  for (const [name, relay] of Object.entries({ ...relays, "and demands one": demanding }))
    for (const pool of [false, true])
      it.live(`is verified as by nodemailer's ${pool ? "pool" : "own"} at a relay that offers ${name}`, () =>
        Effect.gen(function* () {
          for (const options of [...table, ...withoutCredentials, byToken])
            assert.deepStrictEqual(
              yield* verified(relay, { ...options, pool }, ours),
              yield* verified(relay, { ...options, pool }, theirs),
              JSON.stringify({ ...options, pool })
            )
        })
      )

  it.live("without credentials ends as nodemailer's own when sending", () =>
    Effect.gen(function* () {
      for (const relay of Object.values(relays))
        for (const options of withoutCredentials)
          for (const pool of [false, true])
            assert.deepStrictEqual(
              yield* outcome(relay, { ...options, pool }, ours),
              yield* outcome(relay, { ...options, pool }, theirs),
              JSON.stringify({ ...options, pool })
            )
      const inClear: TestServer.Options = { extensions: { starttls: false } }
      for (const auth of [undefined, {}, { user: undefined, pass: undefined }])
        assert.strictEqual((yield* outcome(inClear, { auth, ignoreTLS: false }, ours)).messages, 1)
    })
  )

  it.live("goes by the strongest mechanism, or by the one that is named where the relay cannot do a stronger", () =>
    Effect.gen(function* () {
      const relay = { users, extensions: { auth: ["CRAM-MD5", "PLAIN", "LOGIN"] } } as const
      assert.deepStrictEqual((yield* outcome(relay, { auth }, ours)).lines, ["CRAM-MD5"])
      for (const authMethod of ["LOGIN", "PLAIN", "CRAM-MD5"])
        assert.deepStrictEqual(yield* outcome(relay, { auth, authMethod }, ours), {
          code: "sent",
          command: undefined,
          lines: [authMethod],
          messages: 1
        })
    })
  )

  it.live("is never in clear, even where the relay offers neither a login nor TLS", () =>
    Effect.gen(function* () {
      for (const relay of [{ extensions: { starttls: false } }, { users, extensions: { starttls: false } }]) {
        const { code, lines, messages } = yield* outcome(relay, { auth, ignoreTLS: false }, ours)
        assert.deepStrictEqual({ code, lines, messages }, { code: "ETLS", lines: [], messages: 0 })
      }
    })
  )

  it.live("by OAuth2 gets its tokens as nodemailer does, and renews one that the relay refused", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ tokens: { ann: "fresh" } })
      const issued = { count: 0, token: "fresh" }
      const issuer = yield* Effect.acquireRelease(
        Effect.promise(async () => {
          const http = createServer((request, response) => {
            request.resume()
            issued.count++
            response.setHeader("content-type", "application/json")
            response.end(JSON.stringify({ access_token: issued.token, expires_in: 3600 }))
          }).listen(0, "127.0.0.1")
          await once(http, "listening")
          return http
        }),
        (http) => Effect.sync(() => http.close())
      )
      const accessUrl = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/token`
      const client = { type: "OAuth2", user: "ann", clientId: "id", clientSecret: "s", refreshToken: "r", accessUrl }
      const relay = { host: server.host, port: server.port, ignoreTLS: true }
      for (const open of [ours, theirs])
        for (const [auth, requests, callbacks, code] of [
          [{ ...client, accessToken: "fresh" }, 0, 0, "sent"],
          [client, 1, 0, "sent"],
          [{ ...client, accessToken: "stale" }, 1, 0, "sent"],
          [{ type: "OAuth2", user: "ann", accessToken: "stale" }, 0, 0, "EAUTH"],
          [{ type: "OAuth2", user: "ann" }, 0, 0, "EAUTH"],
          [{ type: "OAuth2", user: "ann" }, 0, 1, "sent"],
          [{ type: "OAuth2", user: "ann", accessToken: "stale" }, 0, 1, "sent"]
        ] as const) {
          issued.count = 0
          const transporter = (yield* open({ ...relay, auth })) as unknown as Nodemailer.Transporter
          let called = 0
          if (callbacks > 0)
            transporter.set(
              "oauth2_provision_cb",
              (user: string, _: boolean, done: (e: null, token: string) => void) => {
                assert.strictEqual(user, "ann")
                called++
                done(null, "fresh")
              }
            )
          const tokens: Array<string> = []
          transporter.on("token", ({ accessToken }: { readonly accessToken: string }) => tokens.push(accessToken))
          const send = () =>
            Effect.promise(() =>
              transporter.sendMail(mail).then(
                () => "sent",
                (error: NodemailerError) => error.code
              )
            )
          assert.strictEqual(yield* send(), code, JSON.stringify(auth))
          if (code === "sent") yield* send()
          assert.deepStrictEqual([issued.count, called], [requests, callbacks], JSON.stringify(auth))
          assert.deepStrictEqual(
            tokens,
            Array.from({ length: requests }, () => "fresh")
          )
        }
    })
  )

  it.live("goes in clear only where the relay has no TLS and allowInsecureAuth says so", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make({ ...relays["PLAIN alone"], requireAuth: true })
      const relay = { host: server.host, port: server.port, auth }
      const ends = (options: NodemailerOptions | string) =>
        Effect.gen(function* () {
          const transporter = yield* make(() =>
            Nodemailer.createTransport(mailraceTransport(options, { retry: RetryPolicy.none }))
          )
          return yield* Effect.promise(() =>
            transporter.sendMail(mail).then(
              () => "sent",
              (error: NodemailerError) => error.code
            )
          )
        })
      assert.strictEqual(yield* ends(relay), "ETLS")
      assert.strictEqual(yield* ends({ ...relay, mailrace: { allowInsecureAuth: true } }), "sent")
      assert.strictEqual(yield* ends({ ...relay, requireTLS: true, mailrace: { allowInsecureAuth: true } }), "ETLS")
      const url = `smtp://ann:secret@${server.host}:${server.port}`
      assert.strictEqual(yield* ends(url), "ETLS")
      assert.strictEqual(yield* ends(`${url}?allowInsecureAuth=true`), "sent")
    })
  )

  it.live("of a single mail is refused by name, and passed over by a pool", () =>
    Effect.gen(function* () {
      const server = yield* TestServer.make()
      const own = { ...mail, auth }
      const relay = { host: server.host, port: server.port, ignoreTLS: true }
      const layer = SmtpTransport.layer({ host: server.host, port: server.port, tls: { mode: "off" } })
      const ofLayer = make(() => Nodemailer.createTransport(mailraceTransport(layer)))
      for (const transporter of [yield* ours(relay), yield* ofLayer]) {
        const error = yield* Effect.promise(() =>
          transporter.sendMail(own).then(
            () => assert.fail("it was sent"),
            (error: NodemailerError) => error
          )
        )
        assert.strictEqual(error.code, "ECONFIG")
        assert.match(error.message, /"auth" of a single mail.*give it to the transport/)
      }
      const pool = yield* ours({ ...relay, pool: true })
      yield* Effect.promise(() => pool.sendMail(own))
    })
  )
})
