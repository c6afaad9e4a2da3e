import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Composed from "../src/Composed.ts"
import * as Dkim from "../src/Dkim.ts"
import * as MailError from "../src/MailError.ts"
import { bothPass, bytesOf, makeSigner, verify } from "./support/dkim.ts"

const header = "From: Ann <ann@example.org>\r\nTo: bob@example.com\r\nSubject: Hello\r\n"

const streamed = (stream: Stream.Stream<Uint8Array, MailError.MailError>): Composed.Composed =>
  Composed.make({
    messageId: "<1@example.org>",
    envelope: { from: undefined, to: [] },
    content: { _tag: "StreamedContent", stream },
    size: 1000
  })

const pieces = (content: Uint8Array, sizes: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const out: Array<Uint8Array> = []
  for (let at = 0, i = 0; at < content.length; at += sizes[i++ % sizes.length]!)
    out.push(content.subarray(at, at + sizes[i % sizes.length]!))
  return out
}

describe("Dkim.sign of streamed content", () => {
  it.effect.prop(
    "signs as if it were whole, wherever the pieces are cut",
    {
      sizes: Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 90 }))), {
        minLength: 1,
        maxLength: 5
      }),
      parts: Arbitrary.array(
        Arbitrary.schema(Schema.Literals(["a", " ", "\t", "\r\n", "\r", "\n", "text ", "\r\n\r\n", "\xe4"])),
        { maxLength: 40 }
      )
    },
    ({ parts, sizes }) =>
      Effect.gen(function* () {
        const signer = yield* makeSigner()
        const content = Buffer.from(`${header}\r\n${parts.join("")}`, "latin1")
        const message = streamed(Stream.fromIterable(pieces(content, sizes)))
        const whole = yield* Dkim.sign(signer)({ ...message, content })
        const signed = yield* Dkim.sign(signer)(message)
        const bytes = yield* bytesOf(signed)
        assert.deepStrictEqual(bytes, yield* bytesOf(whole))
        assert.deepStrictEqual(yield* bytesOf(signed), bytes)
        assert.strictEqual(signed.size, 1000 + bytes.length - content.length)
      }),
    { arbitrary: { runs: 100 } }
  )

  it.effect("does not make an unknown size a known one", () =>
    Effect.gen(function* () {
      const signer = yield* makeSigner()
      const content = Buffer.from(`${header}\r\nbody\r\n`)
      const message = { ...streamed(Stream.make(content)), size: 0 }
      assert.strictEqual((yield* Dkim.sign(signer)(message)).size, 0)
    })
  )

  it.effect("reads a header of nearly a megabyte that arrives in tiny chunks", () =>
    Effect.gen(function* () {
      const signer = yield* makeSigner()
      const content = Buffer.from(`${header}X: ${"x".repeat(1_000_000)}\r\n\r\nbody\r\n`)
      const message = streamed(Stream.fromIterable(pieces(content, [16])))
      const bytes = yield* bytesOf(yield* Dkim.sign(signer)(message))
      assert.isTrue(bytes.equals(yield* bytesOf(yield* Dkim.sign(signer)({ ...message, content }))))
    })
  )

  it.effect("never holds the content that it signs", () =>
    Effect.gen(function* () {
      const signer = yield* makeSigner()
      const line = Buffer.from(`${"x".repeat(76)}\r\n`.repeat(1024))
      let ahead = 0
      let most = 0
      const body = Stream.range(1, 500).pipe(
        Stream.rechunk(1),
        Stream.map(() => {
          most = Math.max(most, ++ahead)
          return line
        })
      )
      const stream = Stream.concat(Stream.succeed<Uint8Array>(Buffer.from(`${header}\r\n`)), body)
      const signed = yield* Dkim.sign(signer)(streamed(stream))
      assert.strictEqual(ahead, 500)
      ahead = most = 0
      let read = 0
      yield* Stream.runForEach((signed.content as Composed.StreamedContent).stream, () =>
        Effect.sync(() => {
          read++
          ahead = 0
        })
      )
      assert.strictEqual(read, 502)
      assert.isAtMost(most, 4)
    })
  )

  it.effect("fails at the end if the content has changed since it was signed", () =>
    Effect.gen(function* () {
      const signer = yield* makeSigner()
      for (const [first, second] of [
        ["text\r\n", "test\r\n"],
        ["text\r\n", "text\r\nmore"]
      ] as const) {
        let opened = 0
        const stream = Stream.suspend(() =>
          Stream.succeed(Buffer.from(`${header}\r\n${opened++ === 0 ? first : second}`))
        )
        const signed = yield* Dkim.sign(signer)(streamed(stream))
        const error = yield* Effect.flip(bytesOf(signed))
        assert.match(error.message, /changed after it was signed/)
        assert.isFalse(error.isRetryable)
      }
    })
  )

  it.effect("fails with the content's own error", () =>
    Effect.gen(function* () {
      const signer = yield* makeSigner()
      const problem = MailError.invalid("attachments[0].path", "gone")
      const stream = Stream.concat(Stream.succeed(Buffer.from(`${header}\r\n`)), Stream.fail(problem))
      assert.strictEqual(yield* Effect.flip(Dkim.sign(signer)(streamed(stream))), problem)
    })
  )

  it.effect("refuses a header that does not end, and one of bare line feeds", () =>
    Effect.gen(function* () {
      const signer = yield* makeSigner()
      const endless = Stream.succeed(Buffer.from(`X: ${"y".repeat(100_000)}\r\n`)).pipe(Stream.forever)
      for (const stream of [endless, Stream.succeed(Buffer.from("From: a@example.org\n\ntext"))]) {
        const error = yield* Effect.flip(Dkim.sign(signer)(streamed(stream)))
        assert.instanceOf(error.reason, MailError.InvalidMessage)
      }
    })
  )

  it.effect("verifies", () =>
    Effect.gen(function* () {
      const signer = yield* makeSigner()
      const content = Buffer.from(`${header}\r\n${`${"QUJD".repeat(19)}\r\n`.repeat(20_000)}`)
      const signed = yield* Dkim.sign(signer)(streamed(Stream.fromIterable(pieces(content, [65_536]))))
      assert.deepStrictEqual(yield* verify(yield* bytesOf(signed), signer.keys), bothPass)
    })
  )
})
