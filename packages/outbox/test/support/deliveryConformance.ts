/**
 * Sending what is due and recording how it ended, the same for every store. Days pass on the test clock.
 */
import { assert, describe } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import type * as Composed from "mailrace/Composed"
import { Composer } from "mailrace/Composer"
import type * as Mail from "mailrace/Mail"
import * as MailError from "mailrace/MailError"
import * as MimeComposer from "mailrace/MimeComposer"
import type * as Dispatcher from "../../src/Dispatcher.ts"
import * as Outbox from "../../src/Outbox.ts"
import { hear, mail, run, settle, tester, type Fresh } from "./fixtures.ts"
import * as ScriptedTransport from "./scriptedTransport.ts"

const minute = 60_000
const hour = 60 * minute

/** Goes to a moment, stopping a millisecond before it: what is sent too early shows by its time. */
const goTo = (time: number) =>
  Effect.gen(function* () {
    yield* TestClock.setTime(time - 1)
    yield* settle
    yield* TestClock.setTime(time)
  })

/** Runs the tests against a store. */
export const deliverySuite = (fresh: Fresh): void => {
  const test = tester(fresh)
  describe("delivery", () => {
    test("an accepted message names the relay and its reply", () =>
      Effect.gen(function* () {
        const relay = ScriptedTransport.make()
        const receipt = yield* Outbox.enqueue(mail())
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
          attempts.map(({ number, outcome, code }) => [number, outcome, code]),
          [[1, "accepted", 250]]
        )
      }))

    test("a permanently refused message is rejected, with the relay's reply", () =>
      Effect.gen(function* () {
        const receipt = yield* Outbox.enqueue(mail())
        yield* run(ScriptedTransport.make(() => Effect.fail(ScriptedTransport.refusal)))
        const { attempts, entry } = (yield* Outbox.get(receipt.id))!
        assert.strictEqual(entry.state, "rejected")
        assert.deepStrictEqual([entry.lastCode, entry.lastEnhanced, entry.lastReply], [550, "5.7.1", "not wanted"])
        assert.deepStrictEqual(
          attempts.map(({ number, outcome }) => [number, outcome]),
          [[1, "MessageRejected"]]
        )
      }))

    test("a deferred message is tried after 1, 5, 15 minutes, 1 hour and every 4 hours, for 5 days", () =>
      Effect.gen(function* () {
        const relay = ScriptedTransport.make(() => Effect.fail(ScriptedTransport.deferral()))
        const events = yield* hear
        const receipt = yield* Outbox.enqueue(mail())
        const untried: Array<unknown> = []
        yield* Effect.forkScoped(run(relay, { until: "never", onUntried: (mail) => untried.push(mail) }))
        const dueTimes: Array<number> = [0]
        while (true) {
          const event = yield* events.next("Deferred", "Expired")
          if (event._tag === "Expired") break
          dueTimes.push(event.dueAt!.getTime())
          yield* goTo(event.dueAt!.getTime())
        }
        assert.deepStrictEqual(
          relay.sent.map(({ at }) => at),
          dueTimes
        )
        const waits = dueTimes.slice(1).map((time, i) => time - dueTimes[i]!)
        const wanted = [1 * minute, 5 * minute, 15 * minute, hour, ...waits.slice(4).map(() => 4 * hour)]
        waits.forEach((wait, i) => {
          assert.isAtLeast(wait, wanted[i]!)
          assert.isAtMost(wait, wanted[i]! * 1.2 + 1)
        })
        // It is given up when the next attempt would come too late.
        assert.isAbove(dueTimes.at(-1)! + 4.8 * hour, 120 * hour)
        assert.isBelow(dueTimes.at(-1)!, 120 * hour)
        assert.deepStrictEqual([...new Set(relay.sent.map(({ messageId }) => messageId))], [receipt.messageId])
        const { attempts, entry } = (yield* Outbox.get(receipt.id))!
        assert.strictEqual(entry.state, "expired")
        assert.strictEqual(attempts.length, relay.sent.length)
        assert.deepStrictEqual(untried, [])
      }))

    test("a schedule that ends leaves a dead letter with its whole history; a retry starts the schedule again", () =>
      Effect.gen(function* () {
        const relay = ScriptedTransport.make((message, nth) =>
          nth <= 3
            ? Effect.fail(ScriptedTransport.deferral({ text: `attempt ${nth}` }))
            : Effect.succeed(ScriptedTransport.taken(message))
        )
        const events = yield* hear
        const { id } = yield* Outbox.enqueue(mail())
        const backoff = Schedule.spaced("10 minutes").pipe(
          Schedule.setInputType<MailError.MailError>(),
          Schedule.upTo({ times: 2 })
        )
        yield* Effect.forkScoped(run(relay, { until: "never", backoff }))
        for (let i = 1; i <= 2; i++) {
          yield* goTo((yield* events.next("Deferred")).dueAt!.getTime())
        }
        yield* events.next("Dead")
        const dead = (yield* Outbox.get(id))!
        assert.strictEqual(dead.entry.state, "dead")
        assert.deepStrictEqual(
          dead.attempts.map(({ at, number, reply }) => [number, at.getTime(), reply]),
          [
            [1, 0, "attempt 1"],
            [2, 10 * minute, "attempt 2"],
            [3, 20 * minute, "attempt 3"]
          ]
        )
        yield* Stream.runDrain(Outbox.retry({ ids: [id] }))
        yield* events.next("Accepted")
        assert.strictEqual((yield* Outbox.get(id))!.attempts.length, 4)
      }))

    test("a greylisted message is tried again after 5 minutes, or at the time that the relay names", () =>
      Effect.gen(function* () {
        const texts: Record<string, string> = {
          "a@one.test": "Greylisted, see http://postgrey.test",
          "b@two.test": "Greylisting in action, please come back in 00:07:30"
        }
        const relay = ScriptedTransport.make((message, nth) =>
          nth === 1
            ? Effect.fail(ScriptedTransport.deferral({ enhanced: "4.7.1", text: texts[message.envelope.to[0]!]! }))
            : Effect.succeed(ScriptedTransport.taken(message))
        )
        const events = yield* hear
        yield* Outbox.enqueue(mail("a@one.test"))
        yield* Outbox.enqueue(mail("b@two.test"))
        yield* Effect.forkScoped(run(relay, { until: "never" }))
        yield* events.next("Deferred")
        yield* events.next("Deferred")
        yield* goTo(5 * minute)
        assert.strictEqual((yield* events.next("Accepted")).lane, "one.test")
        yield* goTo(7.5 * minute)
        assert.strictEqual((yield* events.next("Accepted")).lane, "two.test")
        assert.deepStrictEqual(
          relay.sent.map(({ at }) => at),
          [0, 0, 5 * minute, 7.5 * minute]
        )
      }))

    test("no message is tried before the time that the relay names", () =>
      Effect.gen(function* () {
        const relay = ScriptedTransport.make((message, nth) =>
          nth === 1
            ? Effect.fail(ScriptedTransport.throttling(2 * hour))
            : Effect.succeed(ScriptedTransport.taken(message))
        )
        const events = yield* hear
        yield* Outbox.enqueue(mail())
        yield* Effect.forkScoped(run(relay, { until: "never" }))
        assert.strictEqual((yield* events.next("Deferred")).dueAt!.getTime(), 2 * hour)
        yield* goTo(2 * hour)
        yield* events.next("Accepted")
        assert.deepStrictEqual(
          relay.sent.map(({ at }) => at),
          [0, 2 * hour]
        )
      }))

    test("an unusable relay costs no message, not even with a wrong password", () =>
      Effect.gen(function* () {
        const broken = MailError.make(
          new MailError.AuthenticationFailed({
            problem: "the relay refused the login",
            reply: { code: 535, enhanced: "5.7.8", text: "bad credentials" }
          })
        )
        const events = yield* hear
        const relay = ScriptedTransport.make((message, nth) =>
          nth <= 6 ? Effect.fail(nth % 2 ? broken : ScriptedTransport.unreachable) : Effect.succeed(taken(message))
        )
        yield* Outbox.enqueue(mail())
        yield* Effect.forkScoped(run(relay, { until: "never" }))
        let last = 0
        for (let i = 1; i <= 6; i++) {
          const dueAt = (yield* events.next("Deferred")).dueAt!.getTime()
          assert.isAtMost(dueAt - last, 15 * minute)
          last = dueAt
          yield* goTo(dueAt)
        }
        yield* events.next("Accepted")
      }))

    test("a message is not sent before its time, nor after its expiry", () =>
      Effect.gen(function* () {
        const relay = ScriptedTransport.make()
        const events = yield* hear
        const untried: Array<unknown> = []
        yield* Effect.forkScoped(run(relay, { until: "never", onUntried: (mail) => untried.push(mail) }))
        yield* Outbox.enqueue(mail(), { sendAt: new Date(36 * hour) })
        const late = yield* Outbox.enqueue(mail("late@example.org"), {
          sendAt: new Date(hour),
          expiresAt: new Date(2 * hour),
          lane: "paused"
        })
        yield* Outbox.pause("paused")
        yield* goTo(3 * hour)
        yield* Outbox.resume("paused")
        assert.strictEqual((yield* events.next("Expired")).lane, "paused")
        assert.deepStrictEqual(untried, [{ _tag: "Expired", id: late.id, attempts: 0, reason: undefined }])
        yield* goTo(36 * hour)
        yield* events.next("Accepted")
        assert.deepStrictEqual(
          relay.sent.map(({ at }) => at),
          [36 * hour]
        )
      }))

    test("of several recipients, only those still owed the message are asked again", () =>
      Effect.gen(function* () {
        const outcome = (address: string, nth: number): MailError.RecipientOutcome =>
          address.startsWith("never")
            ? { address, outcome: "rejected", reply: { code: 550, text: "no such user" } }
            : address.startsWith("later") && nth === 1
              ? { address, outcome: "deferred", reply: { code: 452, text: "mailbox full" } }
              : { address, outcome: "accepted" }
        const relay = ScriptedTransport.make((message, nth) =>
          Effect.succeed({
            ...taken(message),
            recipients: message.envelope.to.map((address) => outcome(address, nth))
          })
        )
        const events = yield* hear
        const { id } = yield* Outbox.enqueue({
          ...mail(),
          to: ["now@example.org", "later@example.org", "never@example.org"]
        })
        yield* Effect.forkScoped(run(relay, { until: "never" }))
        yield* goTo((yield* events.next("Deferred")).dueAt!.getTime())
        yield* events.next("Accepted")
        assert.deepStrictEqual(
          relay.sent.map(({ to }) => to),
          [["now@example.org", "later@example.org", "never@example.org"], ["later@example.org"]]
        )
        assert.deepStrictEqual(
          (yield* Outbox.get(id))!.entry.recipients.map(({ address, outcome }) => [address.split("@")[0], outcome]),
          [
            ["now", "accepted"],
            ["later", "accepted"],
            ["never", "rejected"]
          ]
        )
      }))

    test("after a lost final reply, a message is sent again under the same Message-ID, or given up on request", () =>
      Effect.gen(function* () {
        const script = (message: Composed.Composed, nth: number) =>
          nth === 1 ? Effect.fail(ScriptedTransport.unknown) : Effect.succeed(taken(message))
        const events = yield* hear
        const relay = ScriptedTransport.make(script)
        yield* Outbox.enqueue(mail())
        const fiber = yield* Effect.forkScoped(run(relay, { until: "never" }))
        yield* goTo((yield* events.next("Deferred")).dueAt!.getTime())
        yield* events.next("Accepted")
        assert.strictEqual(new Set(relay.sent.map(({ messageId }) => messageId)).size, 1)
        yield* Fiber.interrupt(fiber)
        const { id } = yield* Outbox.enqueue(mail())
        yield* run(ScriptedTransport.make(script), { onUnknown: "giveUp" })
        assert.strictEqual((yield* Outbox.get(id))!.entry.state, "dead")
      }))

    test("a transport that dies costs its message one attempt and the others nothing", () =>
      Effect.gen(function* () {
        const relay = ScriptedTransport.make((message) =>
          message.envelope.to[0]!.startsWith("bad") ? Effect.die("a bug") : Effect.succeed(taken(message))
        )
        const bad = yield* Outbox.enqueue(mail("bad@example.org"))
        const good = yield* Outbox.enqueue(mail("good@example.org"))
        yield* run(relay)
        assert.strictEqual((yield* Outbox.get(good.id))!.entry.state, "accepted")
        const { entry } = (yield* Outbox.get(bad.id))!
        assert.strictEqual(entry.state, "due")
        assert.match(entry.lastReply!, /a bug/)
        assert.isAbove(entry.dueAt.getTime(), yield* Clock.currentTimeMillis)
      }))

    test("a message that bypasses the types is refused with its field, and the others are not", () =>
      Effect.gen(function* () {
        const slips: ReadonlyArray<readonly [unknown, string]> = [
          [{ dsn: { notify: "failure" } }, "dsn.notify"],
          [{ dsn: { notify: ["failures"] } }, "dsn.notify"],
          [{ requireTls: "yes" }, "requireTls"],
          [{ from: null }, "from"],
          [{ to: [null] }, "to[0]"],
          [{ to: 7 }, "to"],
          [{ text: 7 }, "text"],
          [{ attachments: {} }, "attachments"],
          [{ attachments: [null] }, "attachments[0]"],
          [{ envelope: "x" }, "envelope"],
          [{ id: 7 }, "id"],
          [{ date: new Date(Number.NaN) }, "date"]
        ]
        const junk = [
          null,
          7,
          "ann@example.org",
          { _tag: "Composed" },
          { _tag: "Composed", content: new Uint8Array(1) }
        ]
        const mails = [...slips.map(([slip]) => mail("bad@example.org", slip as Partial<Mail.Mail>)), ...junk]
        for (const render of [false, true]) {
          const ends = yield* Stream.fromIterable([mail(), ...mails, mail()] as ReadonlyArray<Mail.Mail>).pipe(
            Outbox.enqueueAll({ render }),
            Stream.runCollect
          )
          assert.deepStrictEqual(
            ends.map((end) =>
              end._tag === "Refusal" && end.error.reason._tag === "InvalidMail" ? end.error.reason.field : end._tag
            ),
            ["Receipt", ...slips.map(([, field]) => field), ...junk.map(() => "mail"), "Receipt"]
          )
        }
        const late = { sendAt: "tomorrow" } as unknown as { readonly sendAt: Date }
        const { reason } = yield* Effect.flip(Outbox.enqueue(mail(), late))
        assert.deepInclude(reason, { _tag: "InvalidMail", field: "sendAt" })
      }))

    test("a message that cannot be composed is rejected, and delays no other", () =>
      Effect.gen(function* () {
        const relay = ScriptedTransport.make((message) => Effect.succeed(taken(message)))
        const bad = yield* Outbox.enqueue(mail("bad@example.org"))
        const good = yield* Outbox.enqueue(mail("good@example.org"))
        yield* Effect.provideService(run(relay), Composer, {
          compose: (one) => (one.to === "bad@example.org" ? Effect.die("a bug") : MimeComposer.compose(one))
        })
        assert.strictEqual((yield* Outbox.get(good.id))!.entry.state, "accepted")
        const { entry } = (yield* Outbox.get(bad.id))!
        assert.strictEqual(entry.state, "rejected")
        assert.include(entry.lastReply!, "mail: composing it failed unexpectedly: a bug")
        assert.lengthOf(relay.sent, 1)
      }))

    test("the caller of a run learns of its start and of each attempt, and may decide later when it ends", () =>
      Effect.gen(function* () {
        const heard: Array<readonly [string, Dispatcher.AttemptedMail]> = []
        let started: number | undefined
        let asked = 0
        const relay = ScriptedTransport.make((message) =>
          message.envelope.to[0]!.startsWith("busy")
            ? Effect.fail(ScriptedTransport.deferral())
            : Effect.succeed(taken(message))
        )
        yield* Outbox.enqueue(mail("ann@example.org", { id: "mine" }), { idempotencyKey: "order 1", tenant: "shop" })
        const busy = yield* Outbox.enqueue(mail("busy@example.org"))
        yield* run(relay, {
          until: () => (asked++ === 0 ? "never" : "idle"),
          poll: "1 milli",
          onStart: (recovered) => Effect.sync(() => (started = recovered)),
          onDelivery: (delivery, attempt) => Effect.sync(() => heard.push([delivery._tag, attempt]))
        }).pipe(Effect.raceFirst(Effect.forever(Effect.andThen(TestClock.adjust("1 milli"), settle))))
        assert.strictEqual(started, 0)
        assert.isAbove(asked, 1)
        const byId = new Map(heard.map(([tag, attempt]) => [attempt.mailId ?? attempt.id, [tag, attempt] as const]))
        assert.deepInclude(byId.get("mine")![1], { idempotencyKey: "order 1", tenant: "shop", state: "accepted" })
        const [tag, attempt] = byId.get(busy.id)!
        assert.deepInclude(attempt, { idempotencyKey: undefined, lane: "example.org", attempts: 1, state: "due" })
        assert.strictEqual(tag, "Deferred")
        assert.deepStrictEqual(attempt.dueAt, (yield* Outbox.get(busy.id))!.entry.dueAt)
      }))
  })
}

const { taken } = ScriptedTransport
