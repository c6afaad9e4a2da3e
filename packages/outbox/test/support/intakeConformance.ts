/**
 * Accepting mails, the same for every store.
 */
import { assert, describe } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Composed from "mailrace/Composed"
import * as Outbox from "../../src/Outbox.ts"
import { mail, run, settle, tester, type Fresh } from "./fixtures.ts"
import * as ScriptedTransport from "./scriptedTransport.ts"

/** Runs the tests against a store. */
export const intakeSuite = (fresh: Fresh): void => {
  const test = tester(fresh)
  describe("accepting", () => {
    test("a message comes back as it was enqueued, under a Message-ID that does not change", () =>
      Effect.gen(function* () {
        const given = mail("Ann <ann@example.org>", {
          cc: ["bob@example.net", { name: "Cleo", address: "cleo@example.com" }],
          headers: { "X-Campaign": "spring", "List-Unsubscribe": ["<mailto:a@b.c>", "<https://b.c>"] },
          html: "<p>How are you?</p>",
          attachments: [{ filename: "a.txt", content: "text" }],
          data: { name: "Ann", points: 3 }
        })
        const receipt = yield* Outbox.enqueue(given)
        assert.isFalse(receipt.duplicate)
        assert.match(receipt.messageId, /^<[0-9a-z]{20}@example\.com>$/)
        const details = yield* Outbox.get(receipt.id)
        assert.strictEqual(details?.entry.state, "due")
        assert.strictEqual(details?.entry.recipient, "ann@example.org")
        assert.deepStrictEqual(details?.mail, { ...given, messageId: receipt.messageId })
      }))

    test("a composed message is sent byte for byte", () =>
      Effect.gen(function* () {
        const content = new Uint8Array(20_000).map((_, i) => i % 251)
        yield* Outbox.enqueue(
          Composed.make({
            messageId: "<own@example.com>",
            envelope: { from: undefined, to: ["bob@example.net"] as never },
            content,
            eightBit: true
          })
        )
        const seen: Array<Composed.Composed> = []
        yield* run(
          ScriptedTransport.make((message) => {
            seen.push(message)
            return Effect.succeed(ScriptedTransport.taken(message))
          })
        )
        assert.deepStrictEqual(Buffer.from(seen[0]!.content as Uint8Array), Buffer.from(content))
        assert.strictEqual(seen[0]!.messageId, "<own@example.com>")
        assert.isTrue(seen[0]!.eightBit)
        assert.isUndefined(seen[0]!.envelope.from)
      }))

    test("a key is known within its tenant, even within one batch", () =>
      Effect.gen(function* () {
        const enqueue = (tenant: string, key: string) => Outbox.enqueue(mail(), { tenant, idempotencyKey: key })
        const first = yield* enqueue("a", "k")
        const [again, other, ...same] = yield* Effect.all(
          [enqueue("a", "k"), enqueue("b", "k"), enqueue("a", "l"), enqueue("a", "l")],
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(again, { ...first, duplicate: true })
        assert.isFalse(other.duplicate)
        assert.deepStrictEqual(
          same.map(({ duplicate }) => duplicate),
          [false, true]
        )
        assert.strictEqual(same[0]!.id, same[1]!.id)
        assert.strictEqual((yield* Outbox.stats).states.due, 3)
      }))

    test("a key is known after the message was sent and its body was deleted", () =>
      Effect.gen(function* () {
        const first = yield* Outbox.enqueue(mail(), { idempotencyKey: "once" })
        yield* run(ScriptedTransport.make())
        const again = yield* Outbox.enqueue(mail(), { idempotencyKey: "once" })
        assert.deepStrictEqual(again, { ...first, duplicate: true })
      }))

    test("a stream is enqueued in order, and only its invalid message is refused", () =>
      Effect.gen(function* () {
        const mails = Array.from({ length: 1000 }, (_, i) => mail(i === 500 ? "nobody" : `u${i}@example.org`))
        const receipts = yield* Stream.runCollect(
          Outbox.enqueueAll(Stream.fromIterable(mails), (_, index) => ({ idempotencyKey: String(index) }))
        )
        assert.strictEqual(receipts.length, 1000)
        const [refusal] = receipts.filter((receipt) => receipt._tag === "Refusal")
        assert.strictEqual(refusal?.index, 500)
        assert.strictEqual(refusal?.error.reason._tag, "InvalidMail")
        const entries = yield* Stream.runCollect(Outbox.list())
        assert.deepStrictEqual(
          entries.map((entry) => entry.id).sort(),
          receipts.flatMap((receipt) => (receipt._tag === "Receipt" ? [receipt.id] : []))
        )
      }))

    test("a message that could never be sent is refused with its field", () =>
      Effect.gen(function* () {
        const field = (effect: Effect.Effect<unknown, unknown, Outbox.Outbox>) =>
          Effect.map(Effect.flip(effect), (error) => (error as { reason: { field: string } }).reason.field)
        assert.strictEqual(yield* field(Outbox.enqueue(mail("nobody"))), "to")
        assert.strictEqual(yield* field(Outbox.enqueue({ ...mail(), from: "" })), "from")
        assert.strictEqual(yield* field(Outbox.enqueue(mail(), { expiresAt: new Date(0) })), "expiresAt")
        assert.strictEqual(
          yield* field(Outbox.enqueue(mail(undefined, { attachments: [{ path: "/no/such/file" }] }))),
          "attachments[0].path"
        )
        assert.strictEqual(yield* field(Outbox.enqueue(mail(undefined, { data: { big: 1n } }))), "data")
      }))

    test(
      "a full outbox is busy but knows its keys, and a stream waits for room",
      () =>
        Effect.gen(function* () {
          yield* Outbox.enqueue(mail(), { idempotencyKey: "k" })
          yield* Outbox.enqueue(mail())
          const busy = yield* Effect.flip(Outbox.enqueue(mail()))
          assert.strictEqual(busy.reason._tag, "Busy")
          assert.strictEqual(busy.reason._tag === "Busy" && busy.reason.scope, "outbox")
          assert.isTrue((yield* Outbox.enqueue(mail(), { idempotencyKey: "k" })).duplicate)
          const stream = yield* Effect.forkChild(
            Stream.runCollect(Outbox.enqueueAll(Stream.fromIterable([mail(), mail(), mail()])))
          )
          yield* settle
          assert.strictEqual((yield* Outbox.stats).states.due, 2)
          for (let round = 0; round < 3; round++) {
            yield* run(ScriptedTransport.make())
            yield* TestClock.adjust("1 second")
            yield* settle
          }
          assert.strictEqual((yield* Fiber.join(stream)).length, 3)
        }),
      { caps: { maxPending: 2 } }
    )

    /** A mail with a body of its own; one that comes again would be stored once. */
    const sized = (bytes: number) => mail(undefined, { text: Math.random().toString(36).repeat(bytes).slice(0, bytes) })

    test(
      "caps also count bytes, of all and of each tenant, and free them when messages are settled",
      () =>
        Effect.gen(function* () {
          const enqueue = (tenant: string, bytes: number) =>
            Effect.map(Effect.result(Outbox.enqueue(sized(bytes), { tenant })), (result) => {
              if (result._tag === "Success") return "stored"
              const { reason } = result.failure
              return reason._tag === "Busy" ? `${reason.scope} ${reason.unit}` : reason._tag
            })
          assert.strictEqual(yield* enqueue("a", 4000), "stored")
          assert.strictEqual(yield* enqueue("a", 4000), "tenant bytes")
          assert.strictEqual(yield* enqueue("a", 500), "stored")
          assert.strictEqual(yield* enqueue("b", 4000), "stored")
          assert.strictEqual(yield* enqueue("c", 4000), "outbox bytes")
          yield* run(ScriptedTransport.make())
          assert.strictEqual((yield* Outbox.stats).pendingBytes, 0)
          yield* TestClock.adjust("1 second")
          assert.strictEqual(yield* enqueue("c", 4000), "stored")
        }),
      { caps: { maxPendingBytes: 10_000, maxPendingBytesPerTenant: 6000 } }
    )

    test(
      "a tenant's cap is its own",
      () =>
        Effect.gen(function* () {
          yield* Outbox.enqueue(mail(), { tenant: "a" })
          const busy = yield* Effect.flip(Outbox.enqueue(mail(), { tenant: "a" }))
          assert.deepStrictEqual(
            busy.reason._tag === "Busy" && [busy.reason.scope, busy.reason.tenant, busy.reason.unit],
            ["tenant", "a", "mails"]
          )
          yield* Outbox.enqueue(mail(), { tenant: "b" })
        }),
      { caps: { maxPendingPerTenant: 1 } }
    )
  })
}
