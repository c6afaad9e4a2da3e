import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as Composed from "../src/Composed.ts"
import type * as Mail from "../src/Mail.ts"
import * as MailError from "../src/MailError.ts"
import * as MimeComposer from "../src/MimeComposer.ts"
import * as Files from "./support/files.ts"
import { readWithMailparser, readWithPostalMime, wireProblem } from "./support/readers.ts"

const mail: Mail.Mail = { from: "ann@example.org", to: "bob@example.com", subject: "Hello", text: "Hi Bob\n" }

const opened = (composed: Composed.Composed): Composed.StreamedContent => {
  assert.notInstanceOf(composed.content, Uint8Array)
  return composed.content as Composed.StreamedContent
}

const bytesOf = (composed: Composed.Composed) =>
  Effect.map(Stream.runCollect(opened(composed).stream), (chunks) => Buffer.concat(chunks))

const temporaryFolder = Effect.acquireRelease(
  Effect.promise(() => fs.mkdtemp(path.join(os.tmpdir(), "mailrace-"))),
  (folder) => Effect.promise(() => fs.rm(folder, { recursive: true }))
)

const refusal = (attachment: Mail.Attachment) =>
  Effect.map(Effect.flip(MimeComposer.compose({ ...mail, attachments: [attachment] })), (error) => {
    assert.strictEqual(error.reason._tag, "InvalidMessage")
    return error.reason as MailError.InvalidMessage
  })

const AnyChunks = Arbitrary.array(
  Arbitrary.map(
    Arbitrary.schema(
      Schema.Union([
        Schema.Literals([0, 1, 2, 3, 56, 57, 58, 114]),
        Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 400 }))
      ])
    ),
    (length) => Uint8Array.from({ length }, (_, i) => (i * 37 + length) & 255)
  ),
  { maxLength: 8 }
)

describe("MimeComposer: a stream of unknown size", () => {
  // A number that is too small invites a refusal of the content (RFC 1870 §6.1), none does not.
  it.effect("makes a message of unknown size", () =>
    Effect.gen(function* () {
      const sizeOf = (size?: number) =>
        Effect.map(
          MimeComposer.make().compose({
            from: "a@b.test",
            to: "c@d.test",
            subject: "s",
            text: "t",
            attachments: [
              { filename: "f", content: Stream.make(new Uint8Array(100_000)), ...(size === undefined ? {} : { size }) }
            ]
          }),
          (message) => message.size
        )
      assert.strictEqual(yield* sizeOf(), 0)
      assert.isAbove(yield* sizeOf(100_000), 133_000)
    })
  )
})

describe("MimeComposer, streaming", () => {
  it.effect.prop(
    "a stream arrives byte for byte, however it is cut, and its size is known if its author knows it",
    [AnyChunks, AnyChunks],
    Effect.fnUntraced(function* ([first, second]) {
      const whole = [first, second].map((chunks) => Buffer.concat(chunks))
      const composed = yield* MimeComposer.compose({
        ...mail,
        html: "<p>",
        attachments: [
          { filename: "1", content: Stream.fromIterable(first), size: whole[0]!.length },
          { filename: "2", content: Stream.fromIterable(second), cid: "2", size: whole[1]!.length },
          { filename: "3", content: Uint8Array.of(1, 2, 3) }
        ]
      })
      const raw = yield* bytesOf(composed)
      assert.strictEqual(wireProblem(raw), undefined)
      assert.strictEqual(raw.length, composed.size)
      assert.isTrue(raw.equals(yield* bytesOf(composed)), "the same again at the next attempt")
      for (const reader of [readWithMailparser, readWithPostalMime]) {
        const { attachments } = yield* Effect.promise(() => reader(raw))
        assert.sameDeepMembers(
          attachments.map(({ base64, filename }) => [filename, base64]),
          [
            ["1", whole[0]!.toString("base64")],
            ["2", whole[1]!.toString("base64")],
            ["3", "AQID"]
          ]
        )
      }
    }),
    { arbitrary: { runs: 60 } }
  )

  it.effect("100 MB pass through without being held", () =>
    Effect.gen(function* () {
      const chunk = Buffer.alloc(64 * 1024, 7)
      const count = 1600
      function* chunks() {
        for (let i = 0; i < count; i++) yield chunk
      }
      const composed = yield* MimeComposer.compose({
        ...mail,
        attachments: [
          { content: Stream.suspend(() => Stream.fromIterable(chunks(), { chunkSize: 1 })), size: count * chunk.length }
        ]
      })
      const before = process.memoryUsage().arrayBuffers
      let bytes = 0
      let peak = 0
      yield* Stream.runForEach(opened(composed).stream, (piece) =>
        Effect.sync(() => {
          bytes += piece.length
          peak = Math.max(peak, process.memoryUsage().arrayBuffers - before)
        })
      )
      assert.strictEqual(bytes, composed.size)
      assert.isAbove(bytes, 140_000_000)
      assert.isBelow(peak, 70_000_000)
    })
  )

  it.effect("one huge chunk is cut before it is encoded", () =>
    Effect.gen(function* () {
      const huge = Buffer.alloc(3 * 1024 * 1024, 1)
      const composed = yield* MimeComposer.compose({ ...mail, attachments: [{ content: Stream.succeed(huge) }] })
      const largest = yield* Stream.runFold(
        opened(composed).stream,
        () => 0,
        (max, piece) => Math.max(max, piece.length)
      )
      assert.isBelow(largest, 400_000)
    })
  )

  it.effect("a stream that is longer or shorter than announced fails, and names itself", () =>
    Effect.gen(function* () {
      for (const size of [0, 99, 101]) {
        const composed = yield* MimeComposer.compose({
          ...mail,
          attachments: [{ content: Stream.succeed(new Uint8Array(100)), size }]
        })
        const error = yield* Effect.flip(bytesOf(composed))
        assert.include(error.message, "attachments[0]")
        assert.include(error.message, `${size} bytes were announced`)
      }
      const endless = yield* MimeComposer.compose({
        ...mail,
        attachments: [{ content: Stream.forever(Stream.succeed(new Uint8Array(100))), size: 1000 }]
      })
      assert.include((yield* Effect.flip(bytesOf(endless))).message, "1000 bytes were announced")
    })
  )

  it.effect("a stream that fails, fails the content with its own words", () =>
    Effect.gen(function* () {
      const composed = yield* MimeComposer.compose({
        ...mail,
        attachments: [{ content: "x" }, { content: Stream.fail(new Error("disk on fire")) }]
      })
      const error = yield* Effect.flip(bytesOf(composed))
      assert.strictEqual(error.message, "InvalidMessage: attachments[1].content: the stream failed: disk on fire")
    })
  )

  describe("files", () => {
    const layered = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.provide(self, Files.layer)

    it.live("small ones are held, large ones are read at each attempt; both arrive whole under their name", () =>
      Effect.gen(function* () {
        const folder = yield* temporaryFolder
        const small = Buffer.from("small\n")
        const large = Buffer.alloc(1024 * 1024 + 1, "large file ")
        const paths = [path.join(folder, "Grüße.txt"), path.join(folder, "large.bin")] as const
        yield* Effect.promise(() => Promise.all([fs.writeFile(paths[0], small), fs.writeFile(paths[1], large)]))
        const held = yield* MimeComposer.compose({ ...mail, attachments: [{ path: paths[0] }] })
        assert.instanceOf(held.content, Uint8Array)
        const composed = yield* MimeComposer.compose({
          ...mail,
          attachments: [{ path: paths[0] }, { path: paths[1], filename: "b.bin" }]
        })
        const raw = yield* bytesOf(composed)
        assert.strictEqual(raw.length, composed.size)
        const { attachments } = yield* Effect.promise(() => readWithPostalMime(raw))
        assert.deepStrictEqual(
          attachments.map(({ filename, type }) => [filename, type]),
          [
            ["Grüße.txt", "text/plain"],
            ["b.bin", "application/octet-stream"]
          ]
        )
        assert.strictEqual(attachments[0]!.base64, small.toString("base64"))
        assert.isTrue(Buffer.from(attachments[1]!.base64, "base64").equals(large))
        // A file that is written while it is read belongs to no one.
        yield* Effect.promise(() => fs.appendFile(paths[1], "more"))
        assert.include((yield* Effect.flip(bytesOf(composed))).message, "were announced")
      }).pipe(layered)
    )

    const readBy = (composed: Composed.Composed) =>
      Effect.map(
        Effect.all([
          Effect.map(Stream.runCollect(opened(composed).stream), (chunks) =>
            chunks.filter(({ length }) => length > 10_000)
          ),
          Effect.flatMap(bytesOf(composed), (raw) => Effect.promise(() => readWithPostalMime(raw)))
        ]),
        ([chunks, { attachments }]) => ({ chunks, content: Buffer.from(attachments[0]!.base64, "base64") })
      )

    it.live("messages that attach the same file share it until the file changes", () =>
      Effect.gen(function* () {
        const folder = yield* temporaryFolder
        const file = path.join(folder, "a.bin")
        const write = (byte: number, age: number) =>
          Effect.promise(async () => {
            await fs.writeFile(file, Buffer.alloc(700_000, byte))
            const time = new Date(Date.now() - age)
            await fs.utimes(file, time, time)
          })
        const read = Effect.flatMap(MimeComposer.compose({ ...mail, attachments: [{ path: file }] }), readBy)
        yield* write(1, 60_000)
        yield* read
        const { chunks, content } = yield* read
        assert.isAbove(chunks.length, 0)
        assert.isTrue(content.equals(Buffer.alloc(700_000, 1)))
        const again = (yield* read).chunks
        assert.isTrue(again.every((chunk, index) => chunk === chunks[index]))
        // The same size, and other bytes at another time.
        yield* write(2, 30_000)
        assert.isTrue((yield* read).content.equals(Buffer.alloc(700_000, 2)))
        // Written a moment ago: it may be written to again, and its time be the same.
        yield* write(3, 0)
        for (let round = 0; round < 3; round++) yield* read
        const fresh = yield* read
        assert.isTrue(fresh.content.equals(Buffer.alloc(700_000, 3)))
        assert.isFalse((yield* read).chunks.some((chunk) => fresh.chunks.includes(chunk)))
      }).pipe(layered)
    )

    it.live("an ASCII message is attached as a message at any size, and as a file if its lines are too long", () =>
      Effect.gen(function* () {
        const folder = yield* temporaryFolder
        const file = path.join(folder, "a.eml")
        const typeOf = (text: string) =>
          Effect.gen(function* () {
            yield* Effect.promise(() => fs.writeFile(file, text, "latin1"))
            const composed = yield* MimeComposer.compose({ ...mail, attachments: [{ path: file }] })
            const raw =
              composed.content instanceof Uint8Array ? Buffer.from(composed.content) : yield* bytesOf(composed)
            assert.strictEqual(raw.length, composed.size)
            const { attachments } = yield* Effect.promise(() => readWithPostalMime(raw))
            const lines = (bytes: string) => bytes.replace(/\r\n?/g, "\n").trimEnd()
            const sent = Buffer.from(attachments[0]!.base64, "base64").toString("latin1")
            assert.strictEqual(lines(sent), lines(text))
            return attachments[0]!.type
          })
        const message = (line: string, times: number) => `Subject: s\n\n${`${line}\n`.repeat(times)}`
        for (const times of [10, 10_000, 60_000]) {
          assert.strictEqual(yield* typeOf(message("a short line of a message", times)), "message/rfc822")
          assert.strictEqual(yield* typeOf(message("a short line\r\nanother\r", times)), "message/rfc822")
          assert.strictEqual(
            yield* typeOf(`${message("a short line of a message", times)}\xfc`),
            "application/octet-stream"
          )
          assert.strictEqual(
            yield* typeOf(message("a short line of a message", times) + "x".repeat(999)),
            "application/octet-stream"
          )
        }
      }).pipe(layered)
    )

    it.live("one that is missing, or a folder, or unreadable, is refused before anything is sent", () =>
      Effect.gen(function* () {
        const folder = yield* temporaryFolder
        const missing = yield* refusal({ path: path.join(folder, "missing.txt") })
        assert.strictEqual(missing.field, "attachments[0].path")
        assert.include(missing.problem, "no such file")
        const directory = yield* refusal({ path: folder })
        assert.strictEqual(directory.field, "attachments[0].path")
        assert.include(directory.problem, "folder")
        const device = yield* refusal({ path: "/dev/null" })
        assert.include(device.problem, "not a regular file")
        assert.include((yield* refusal({ path: "" })).problem, "not a path")
        assert.include((yield* refusal({ path: "a\0b" })).problem, "not a path")
      }).pipe(layered)
    )
  })
})
