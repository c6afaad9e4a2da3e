/**
 * The transport compiles with every version of nodemailer that it names as its peer, and sends through it.
 *
 * The types up to version 9 are those of `@types/nodemailer`. The calls below are what an app writes, so that `pnpm check`
 * fails where one no longer compiles.
 */
import * as TestServer from "@mailrace/testing/TestServer"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as RetryPolicy from "mailrace/RetryPolicy"
import { MailTransport } from "mailrace/MailTransport"
import * as MimeComposer from "mailrace/MimeComposer"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as Nodemailer10 from "nodemailer"
import type { SMTPPoolOptions, SMTPTransportOptions } from "nodemailer"
import * as Nodemailer6 from "nodemailer-6"
import type SmtpTransport6 from "nodemailer-6/lib/smtp-transport/index.js"
import type SmtpPool6 from "nodemailer-6/lib/smtp-pool/index.js"
import * as Nodemailer7 from "nodemailer-7"
import type SmtpTransport7 from "nodemailer-7/lib/smtp-transport/index.js"
import type SmtpPool7 from "nodemailer-7/lib/smtp-pool/index.js"
import * as Nodemailer8 from "nodemailer-8"
import type SmtpTransport8 from "nodemailer-8/lib/smtp-transport/index.js"
import type SmtpPool8 from "nodemailer-8/lib/smtp-pool/index.js"
import { mailraceTransport, type NodemailerOptions, type Options } from "../src/MailraceTransport.ts"
import * as NodemailerTransport from "../src/NodemailerTransport.ts"

// @ts-expect-error There are no types of version 9; its apps have those of version 8.
const Nodemailer9: typeof Nodemailer8 = await import("nodemailer-9")

type PluginOptions = Options & { readonly relay: NodemailerOptions }

/** What an app does with each version: from its own options to the fields of `info`. */
const versions = {
  6: async ({ relay, ...options }: PluginOptions) => {
    const transporter = Nodemailer6.createTransport(mailraceTransport(relay, options))
    const info = await transporter.sendMail({ ...mail, subject: "6" })
    return { info, name: transporter.transporter.name, verified: await transporter.verify() }
  },
  7: async ({ relay, ...options }: PluginOptions) => {
    const transporter = Nodemailer7.createTransport(mailraceTransport(relay, options))
    const info = await transporter.sendMail({ ...mail, subject: "7" })
    return { info, name: transporter.transporter.name, verified: await transporter.verify() }
  },
  8: async ({ relay, ...options }: PluginOptions) => {
    const transporter = Nodemailer8.createTransport(mailraceTransport(relay, options))
    const info = await transporter.sendMail({ ...mail, subject: "8" })
    return { info, name: transporter.transporter.name, verified: await transporter.verify() }
  },
  9: async ({ relay, ...options }: PluginOptions) => {
    const transporter = Nodemailer9.createTransport(mailraceTransport(relay, options))
    const info = await transporter.sendMail({ ...mail, subject: "9" })
    return { info, name: transporter.transporter.name, verified: await transporter.verify() }
  },
  10: async ({ relay, ...options }: PluginOptions) => {
    const transporter = Nodemailer10.createTransport(mailraceTransport(relay, options))
    const info = await transporter.sendMail({ ...mail, subject: "10" })
    return { info, name: transporter.transporter.name, verified: await transporter.verify() }
  }
}

const mail = { from: "Ann <ann@a.test>", to: "bob@b.test", text: "Hi", attachments: [{ content: "attached" }] }

/** Options that an app holds under nodemailer's own types go to the plugin as they are. */
export const takes = {
  6: (plain: SmtpTransport6.Options, pool: SmtpPool6.Options) => [mailraceTransport(plain), mailraceTransport(pool)],
  7: (plain: SmtpTransport7.Options, pool: SmtpPool7.Options) => [mailraceTransport(plain), mailraceTransport(pool)],
  8: (plain: SmtpTransport8.Options, pool: SmtpPool8.Options) => [mailraceTransport(plain), mailraceTransport(pool)],
  10: (plain: SMTPTransportOptions, pool: SMTPPoolOptions) => [mailraceTransport(plain), mailraceTransport(pool)]
}

const transporters = {
  6: () => Nodemailer6.createTransport({ jsonTransport: true }),
  7: () => Nodemailer7.createTransport({ jsonTransport: true }),
  8: () => Nodemailer8.createTransport({ jsonTransport: true }),
  9: () => Nodemailer9.createTransport({ jsonTransport: true }),
  10: () => Nodemailer10.createTransport({ jsonTransport: true })
}

type Send = (options: PluginOptions) => Promise<{
  readonly info: { readonly accepted: ReadonlyArray<unknown>; readonly response: string }
  readonly name: string
  readonly verified: true
}>

describe("nodemailer", () => {
  for (const [version, send] of Object.entries<Send>(versions)) {
    it.live(`${version} sends through the plugin`, () =>
      Effect.gen(function* () {
        const server = yield* TestServer.make()
        const relay = { host: server.host, port: server.port, ignoreTLS: true, disableFileAccess: true }
        const { info, name, verified } = yield* Effect.promise(() => send({ relay, retry: RetryPolicy.none }))
        assert.deepStrictEqual([name, verified], ["Mailrace", true])
        assert.deepStrictEqual(info.accepted, ["bob@b.test"])
        assert.match(info.response, /^250 /)
        assert.include(Buffer.from(server.messages[0]!.content).toString(), `Subject: ${version}`)
      })
    )
  }

  for (const [version, make] of Object.entries(transporters)) {
    it.effect(`${version} is a transport of Mailrace`, () =>
      Effect.gen(function* () {
        const composed = yield* MimeComposer.compose({
          from: "ann@a.test",
          to: "bob@b.test",
          subject: "Hi",
          text: "Hi"
        })
        const receipt = yield* Effect.flatMap(MailTransport, ({ send }) => send(composed)).pipe(
          Effect.provide(NodemailerTransport.layer(make()))
        )
        assert.deepStrictEqual(
          receipt.recipients.map(({ outcome }) => outcome),
          ["accepted"]
        )
      })
    )
  }

  it("of these versions is what the package names as its peer", () => {
    const manifest = JSON.parse(Fs.readFileSync(Path.join(import.meta.dirname, "../package.json"), "utf8"))
    const known = Object.keys(versions).map(Number)
    assert.strictEqual(manifest.peerDependencies.nodemailer, `>=${Math.min(...known)} <${Math.max(...known) + 1}`)
    assert.isUndefined(manifest.dependencies.nodemailer)
    assert.strictEqual(mailraceTransport({ host: "a.test" }).version, manifest.version)
  })
})
