/**
 * What a template shares between its mails, and what is done with the mails once they are rendered.
 */
import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type * as Composed from "../src/Composed.ts"
import { Composer } from "../src/Composer.ts"
import * as Dkim from "../src/Dkim.ts"
import * as MimeComposer from "../src/MimeComposer.ts"
import * as Template from "../src/Template.ts"
import * as Dkims from "./support/dkim.ts"
import * as Files from "./support/files.ts"
import { readWithMailparser, readWithPostalMime } from "./support/readers.ts"
import { ann, bytesOf, read, renderOne, source } from "./support/templateRuns.ts"

describe("Template, its parts and its finish", () => {
  it.effect("images and files are encoded once and come along with each mail", () =>
    Effect.gen(function* () {
      const image = Uint8Array.from({ length: 3000 }, (_, i) => i & 255)
      const template = yield* Template.compile({
        ...source,
        html: '<p>{{name}}</p><img src="cid:logo">',
        attachments: [
          { filename: "logo.png", content: image, cid: "logo" },
          { filename: "terms.txt", content: "Terms\n" },
          { filename: "large.bin", content: new Uint8Array(100_000).fill(7) }
        ]
      })
      for (const name of ["Ann", "Bob"]) {
        const rendered = yield* template.render({ ...ann, data: { ...ann.data, name } })
        const raw = yield* bytesOf(rendered)
        for (const reader of [readWithMailparser, readWithPostalMime]) {
          const seen = yield* Effect.promise(() => reader(raw))
          assert.strictEqual(seen.html, `<p>${name}</p><img src="cid:logo">`)
          assert.deepStrictEqual(
            seen.attachments.map(({ base64, cid, filename, inline, type }) => [
              filename,
              cid,
              inline,
              type,
              base64.length
            ]),
            [
              ["logo.png", "logo", true, "image/png", 4000],
              ["terms.txt", undefined, false, "text/plain", 8],
              ["large.bin", undefined, false, "application/octet-stream", 133_336]
            ]
          )
          assert.strictEqual(seen.attachments[0]!.base64, Buffer.from(image).toString("base64"))
        }
      }
    })
  )

  it.effect("bodies share the objects of their common parts, at the stated places", () =>
    Effect.gen(function* () {
      const template = yield* Template.compile({ ...source, attachments: [{ filename: "a", content: "b" }] })
      const bodies = yield* Effect.forEach(["Ann", "Zoë"], (name) =>
        Effect.gen(function* () {
          const rendered = yield* template.render({ ...ann, data: { name, code: name } })
          const raw = yield* bytesOf(rendered)
          const { head, start, tail } = rendered.body!
          assert.strictEqual(raw.subarray(0, start).toString().split("\r\n\r\n").length, 2)
          const body = raw.subarray(start)
          assert.strictEqual(Buffer.compare(body.subarray(0, head.length), head), 0)
          assert.strictEqual(Buffer.compare(body.subarray(body.length - tail.length), tail), 0)
          assert.isAbove(head.length, 50)
          assert.isAbove(tail.length, 50)
          return rendered.body!
        })
      )
      assert.strictEqual(bodies[0]!.head, bodies[1]!.head)
      assert.strictEqual(bodies[0]!.tail, bodies[1]!.tail)
      const fixed = yield* renderOne({ text: "always the same" })
      assert.strictEqual(Buffer.from(fixed.body!.head).toString(), "always the same\r\n")
      assert.lengthOf(fixed.body!.tail, 0)
    })
  )

  it.effect("large files are read once and shared by all messages", () =>
    Effect.gen(function* () {
      const folder = yield* Effect.acquireRelease(
        Effect.promise(() => fs.mkdtemp(path.join(os.tmpdir(), "mailrace-"))),
        (made) => Effect.promise(() => fs.rm(made, { recursive: true }))
      )
      const file = path.join(folder, "large.bin")
      const content = Buffer.from(Uint8Array.from({ length: 1_500_000 }, (_, i) => (i * 7) & 255))
      yield* Effect.promise(() => fs.writeFile(file, content))
      const template = yield* Template.compile({
        ...source,
        attachments: [
          { path: file },
          { filename: "b.txt", content: Stream.fromIterable([Buffer.from("str"), Buffer.from("eam")]) }
        ]
      }).pipe(Effect.provide(Files.layer))
      yield* Effect.promise(() => fs.rm(file))
      const [one, other] = yield* Effect.all([template.render(ann), template.render(ann)])
      assert.isUndefined(one.body)
      for (const rendered of [one, other]) {
        assert.notInstanceOf(rendered.content, Uint8Array)
        for (const attempt of [1, 2]) {
          const seen = yield* read(rendered)
          assert.strictEqual(seen.text, "Dear Ann,\nyour code is 4711.", `attempt ${attempt}`)
          assert.deepStrictEqual(seen.header("message-id"), [rendered.messageId])
          assert.strictEqual(seen.attachments[0]!.base64, content.toString("base64"))
          assert.strictEqual(Buffer.from(seen.attachments[1]!.base64, "base64").toString(), "stream")
        }
      }
      const inFull = yield* read(yield* template.render({ ...ann, calendar: { content: "METHOD:REQUEST" } }))
      assert.includeMembers(
        inFull.attachments.map(({ base64, filename, type }) => `${filename} ${type} ${base64.length}`),
        ["large.bin application/octet-stream 2000000", "b.txt text/plain 8"]
      )
      const largest = (rendered: Composed.Composed) =>
        Effect.map(
          Stream.runCollect((rendered.content as Composed.StreamedContent).stream),
          (chunks) => chunks.toSorted((a, b) => b.length - a.length)[0]!
        )
      assert.strictEqual(yield* largest(one), yield* largest(other))
    })
  )

  it.effect("a mail's own files and invitation come beside the template's", () =>
    Effect.gen(function* () {
      const template = yield* Template.compile({ ...source, attachments: [{ filename: "a.txt", content: "a" }] })
      const rendered = yield* template.render({
        ...ann,
        id: "9",
        attachments: [{ filename: "b.txt", content: "b" }],
        calendar: { content: "BEGIN:VCALENDAR\nMETHOD:REQUEST\nEND:VCALENDAR" }
      })
      assert.strictEqual(rendered.id, "9")
      assert.isUndefined(rendered.body)
      const seen = yield* read(rendered)
      assert.strictEqual(seen.subject, "Hello Ann")
      assert.includeMembers(
        seen.attachments.map((one) => one.filename),
        ["a.txt", "b.txt"]
      )
      assert.include((yield* bytesOf(rendered)).toString(), "text/calendar; method=REQUEST")
      const invited = yield* template.render({ ...ann, calendar: { content: "METHOD:CANCEL" } })
      assert.include((yield* bytesOf(invited)).toString(), "text/calendar; method=CANCEL")
      const failed = template.render({ ...ann, data: {}, calendar: { content: "" }, id: "10" })
      assert.strictEqual(failed.id, "10")
      assert.include((yield* Effect.flip(failed)).message, "data.name")
    })
  )

  it.effect("an outer composer treats rendered messages like all others", () =>
    Effect.gen(function* () {
      const marked = (message: Composed.Composed) => Effect.succeed({ ...message, tenant: `${message.tenant} marked` })
      const composer = Composer.of({
        compose: (mail) => Effect.flatMap(MimeComposer.compose(mail), marked),
        finish: marked
      })
      const template = yield* Template.compile(source)
      for (const given of [ann, { ...ann, calendar: { content: "METHOD:REQUEST" } }]) {
        const rendered = yield* template
          .render({ ...given, tenant: "blue" })
          .pipe(Effect.provideService(Composer, composer))
        assert.strictEqual(rendered.tenant, "blue marked")
        assert.isUndefined(rendered.body)
        assert.strictEqual((yield* read(rendered)).text, "Dear Ann,\nyour code is 4711.")
      }
    })
  )

  it.live("rendered messages are signed where others are, once", () =>
    Effect.gen(function* () {
      const { ed25519 } = yield* Dkims.keys
      const template = yield* Template.compile({ ...source, html: "<p>{{name}}</p>" })
      const key = { domain: "example.org", selector: "e", privateKey: ed25519.privateKey }
      const marked = (message: Composed.Composed) => Effect.succeed({ ...message, tenant: "marked" })
      const around = Layer.succeed(Composer, {
        compose: (mail) => Effect.flatMap(MimeComposer.compose(mail), marked),
        finish: marked
      })
      for (const given of [ann, { ...ann, calendar: { content: "METHOD:REQUEST" } }]) {
        const rendered = yield* template.render(given).pipe(Effect.provide(Layer.provide(Dkim.layer(key), around)))
        assert.strictEqual(rendered.tenant, "marked")
        const signed = yield* bytesOf(rendered)
        assert.deepStrictEqual(
          yield* Dkims.verify(signed, [
            { domain: "example.org", selector: "e", algorithm: "ed25519-sha256", publicKey: ed25519.publicKey }
          ]),
          ["e ed25519-sha256 pass"]
        )
      }
    })
  )

  it.live("hashes the common beginning of all bodies once, and the signatures verify", () =>
    Effect.gen(function* () {
      const { ed25519 } = yield* Dkims.keys
      const key = { domain: "example.org", selector: "e", privateKey: ed25519.privateKey }
      const publicKey = {
        domain: "example.org",
        selector: "e",
        algorithm: "ed25519-sha256",
        publicKey: ed25519.publicKey
      } as const
      const terms = "Some  terms.\t\r\n \r\n".repeat(400)
      for (const given of [
        { subject: "For {{name}}", text: terms, html: undefined },
        { subject: "For {{name}}", text: "Short.", html: undefined },
        { text: terms, html: "<p>{{name}}</p>" },
        { text: "Short.", html: "<p>{{name}}</p>" }
      ]) {
        const template = yield* Template.compile({ ...source, ...given })
        yield* Effect.gen(function* () {
          for (const name of ["Ann", "Zoë", "x".repeat(5000)]) {
            const signed = yield* bytesOf(yield* template.render({ ...ann, data: { ...ann.data, name } }))
            assert.deepStrictEqual(yield* Dkims.verify(signed, [publicKey]), ["e ed25519-sha256 pass"])
          }
        }).pipe(Effect.provide(Dkim.layer(key)))
      }
    })
  )

  it.effect("HTML without a text gets a plain text, unless that is switched off", () =>
    Effect.gen(function* () {
      const html = '<h1>Hi {{name}}</h1><p>See <a href="https://e.org/{{code}}">it</a></p>'
      const both = yield* read(yield* renderOne({ text: undefined, html }, { name: "A & B", code: "c d" }))
      assert.strictEqual(both.text, "Hi A & B\n\nSee it (https://e.org/c%20d)")
      assert.strictEqual(both.html, '<h1>Hi A &amp; B</h1><p>See <a href="https://e.org/c%20d">it</a></p>')
      for (const given of [
        { text: "", html },
        { text: undefined, html: "<img src='cid:{{name}}'>" }
      ]) {
        const raw = (yield* bytesOf(yield* renderOne(given))).toString()
        assert.include(raw, "Content-Type: text/html")
        assert.notInclude(raw, "text/plain")
      }
    })
  )
})
