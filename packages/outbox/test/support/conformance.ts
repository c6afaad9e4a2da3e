/**
 * What every store must do, shown through the service. Each test has a store of its own.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as Composed from "mailrace/Composed"
import type * as Mail from "mailrace/Mail"
import { MailTransport } from "mailrace/MailTransport"
import * as RetryPolicy from "mailrace/RetryPolicy"
import type * as Dispatcher from "../../src/Dispatcher.ts"
import * as Outbox from "../../src/Outbox.ts"
import type { Caps } from "../../src/OutboxStore.ts"
import * as ScriptedTransport from "./scriptedTransport.ts"

/** A fresh store for each call. */
export type Fresh = (
  options?: Outbox.Options & { readonly caps?: Partial<Caps> }
) => Layer.Layer<Outbox.Outbox, unknown>

const mail = (to = "ann@example.org", more: Partial<Mail.Mail> = {}): Mail.Mail => ({
  from: "News <news@example.com>",
  to,
  subject: "Hello",
  text: "How are you?",
  ...more
})

type Relay = ReturnType<typeof ScriptedTransport.make>

const run = (relay: Relay, options?: Dispatcher.Options) =>
  Effect.provideService(
    Outbox.run({ retry: RetryPolicy.none, until: "idle", ...options }),
    MailTransport,
    relay.transport
  )

/** Runs the conformance tests against a store. */
export const suite = (name: string, fresh: Fresh): void =>
  describe(name, () => {
    const test = (
      what: string,
      body: () => Effect.Effect<unknown, unknown, Outbox.Outbox>,
      options?: Parameters<Fresh>[0]
    ) => it.effect(what, () => Effect.provide(body(), fresh(options)))

    test("a mail that was enqueued is sent, and its row tells how", () =>
      Effect.gen(function* () {
        const relay = ScriptedTransport.make()
        const receipt = yield* Outbox.enqueue(mail())
        assert.isFalse(receipt.duplicate)
        const waiting = yield* Outbox.get(receipt.id)
        assert.strictEqual(waiting?.entry.state, "due")
        assert.deepStrictEqual(waiting?.mail, { ...mail(), messageId: receipt.messageId })
        yield* run(relay)
        assert.deepStrictEqual(
          relay.sent.map((sent) => sent.messageId),
          [receipt.messageId]
        )
        const { attempts, entry } = (yield* Outbox.get(receipt.id))!
        assert.strictEqual(entry.state, "accepted")
        assert.strictEqual(entry.attempts, 1)
        assert.strictEqual(entry.lane, "example.org")
        assert.strictEqual(entry.lastReply, "Ok: queued as 1A2B")
        assert.strictEqual(entry.lastRelay, "relay.test:25")
        assert.deepStrictEqual(
          attempts.map(({ number, outcome }) => [number, outcome]),
          [[1, "accepted"]]
        )
      }))

    test("a composed message is sent byte for byte", () =>
      Effect.gen(function* () {
        const relay = ScriptedTransport.make()
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
        assert.strictEqual(relay.sent.length, 0)
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

    test("a stream is enqueued in order, a bad mail among others is refused", () =>
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
          entries.map((entry) => entry.id),
          receipts.flatMap((receipt) => (receipt._tag === "Receipt" ? [receipt.id] : []))
        )
      }))
    void TestClock
  })
