import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Composer from "../src/Composer.ts"
import type * as Composed from "../src/Composed.ts"
import * as MailError from "../src/MailError.ts"
import * as Mailer from "../src/Mailer.ts"
import * as RetryPolicy from "../src/RetryPolicy.ts"
import * as Scripted from "./support/scripted.ts"

/** Retries without waiting. */
const atOnce = (times = 3) => RetryPolicy.make({ base: 0, times })

const ends = ["accept", "transient", "permanent", "unknown", "refuse", "defer"] as const
type End = (typeof ends)[number]

const act = (message: Composed.Composed, end: End) => {
  const all = (code: number) => {
    const recipients = message.envelope.to.map((address) => Scripted.recipient(address, Scripted.reply(code)))
    return MailError.make(new MailError.RecipientsRejected({ recipients, reply: Scripted.reply(code) }))
  }
  switch (end) {
    case "accept":
      return Effect.succeed(Scripted.receipt(message))
    case "transient":
      return Effect.fail(Scripted.transient)
    case "permanent":
      return Effect.fail(Scripted.permanent)
    case "unknown":
      return Effect.fail(Scripted.unknown)
    case "refuse":
      return Effect.fail(all(550))
    case "defer":
      return Effect.fail(all(450))
  }
}

/** How a mail must end when its attempts go like this, and after how many. */
const rightEnd = (script: ReadonlyArray<End>, retries: number, resend: boolean): readonly [string, number] => {
  let isUnknown = false
  for (let attempt = 0; ; attempt++) {
    const end = script[attempt] ?? "accept"
    if (end === "accept") return ["Accepted", attempt + 1]
    isUnknown ||= end === "unknown"
    const isWorthIt = end === "transient" || end === "defer" || (end === "unknown" && resend)
    if (isWorthIt && attempt < retries) continue
    const tag = isUnknown ? "Unknown" : end === "transient" || end === "defer" ? "Deferred" : "Rejected"
    return [tag, attempt + 1]
  }
}

const int = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))
const boolean = Arbitrary.schema(Schema.Boolean)
const scripts = Arbitrary.array(
  Arbitrary.array(
    Arbitrary.map(int(0, ends.length - 1), (i) => ends[i]!),
    { maxLength: 6 }
  ),
  {
    maxLength: 25
  }
)

const mails = (count: number, to?: ReadonlyArray<string>) =>
  Stream.fromIterable(Array.from({ length: count }, (_, n) => Scripted.message(n, to)))

describe("Mailer.sendAll", () => {
  it.live.prop(
    "ends each mail exactly once and correctly, whatever the transport does",
    [scripts, int(1, 8), boolean, boolean, int(0, 4)],
    ([scripts, concurrency, ordered, resend, retries]) =>
      Effect.gen(function* () {
        const seen: Array<number> = []
        const { calls, provide, state } = Scripted.make((message, attempt) => {
          const n = Number(message.id!.slice(5))
          const answer = act(message, scripts[n]![attempt] ?? "accept")
          // Some take longer than others.
          return n % 3 === 0 ? Effect.andThen(Effect.yieldNow, answer) : answer
        })
        const deliveries = yield* mails(scripts.length).pipe(
          Mailer.sendAll({
            concurrency,
            ordered,
            retry: atOnce(retries),
            onUnknown: resend ? "resend" : "report",
            onDelivery: ({ index }) => Effect.sync(() => seen.push(index))
          }),
          Stream.runCollect,
          provide
        )
        const order = deliveries.map(({ index }) => index)
        const all = scripts.map((_, n) => n)
        assert.deepStrictEqual(ordered ? order : order.toSorted((a, b) => a - b), all)
        assert.deepStrictEqual(
          seen.toSorted((a, b) => a - b),
          all
        )
        for (const { _tag, attempts, id, index, messageId } of deliveries) {
          assert.deepStrictEqual([_tag, attempts], rightEnd(scripts[index]!, retries, resend), `mail ${index}`)
          assert.strictEqual(id, `mail-${index}`)
          // Each attempt under the same Message-ID.
          assert.strictEqual(messageId, `<${index}@x.example>`)
          assert.lengthOf(
            calls.filter(({ message }) => message.messageId === messageId),
            attempts
          )
        }
        assert.isAtMost(state.peak, concurrency)
      }),
    { arbitrary: { runs: 150 } }
  )

  it.live("reports every detail of an accepted mail", () =>
    Effect.gen(function* () {
      const { provide } = Scripted.make((message) => act(message, "accept"))
      const [delivery] = yield* mails(1).pipe(Mailer.sendAll(), Stream.runCollect, provide)
      const { durationMs, ...rest } = delivery!
      assert.isAtLeast(durationMs, 0)
      assert.deepStrictEqual(rest, {
        _tag: "Accepted",
        id: "mail-0",
        index: 0,
        messageId: "<0@x.example>",
        recipients: [Scripted.recipient("to-0@x.example", Scripted.reply(250, "2.1.5"))],
        relay: "relay.example:25",
        reply: Scripted.reply(250, "2.0.0"),
        attempts: 1,
        size: 14
      })
    })
  )

  it.live("retries only deferred recipients and keeps the replies to the others", () =>
    Effect.gen(function* () {
      const to = ["a", "b", "c", "d"].map((name) => `${name}@x.example`)
      const [a, b, c, d] = to as [string, string, string, string]
      const { calls, provide } = Scripted.make((message, attempt) =>
        Effect.succeed(
          Scripted.receipt(
            message,
            attempt === 0
              ? { [b]: Scripted.reply(450), [c]: Scripted.reply(550), [d]: Scripted.reply(451) }
              : attempt === 1
                ? { [d]: Scripted.reply(451) }
                : {}
          )
        )
      )
      const [delivery] = yield* mails(1, to).pipe(Mailer.sendAll({ retry: atOnce() }), Stream.runCollect, provide)
      assert.deepStrictEqual(
        calls.map(({ message }) => message.envelope.to),
        [to, [b, d], [d]] as never
      )
      assert.strictEqual(new Set(calls.map(({ message }) => message.messageId)).size, 1)
      assert.deepInclude(delivery, { _tag: "Accepted", attempts: 3 })
      assert.deepStrictEqual(
        delivery!.recipients.map(({ address, outcome }) => [address, outcome]),
        [
          [a, "accepted"],
          [b, "accepted"],
          [c, "rejected"],
          [d, "accepted"]
        ]
      )
    })
  )

  it.live("ends as accepted if any recipient was, and names the others", () =>
    Effect.gen(function* () {
      const to = ["a@x.example", "b@x.example"]
      for (const [later, outcome] of [
        ["transient", "deferred"],
        ["defer", "deferred"],
        ["permanent", "rejected"],
        ["refuse", "rejected"],
        ["unknown", "unknown"]
      ] as const) {
        const { provide } = Scripted.make((message, attempt) =>
          attempt === 0
            ? Effect.succeed(Scripted.receipt(message, { [to[1]!]: Scripted.reply(450) }))
            : act(message, later)
        )
        const [delivery] = yield* mails(1, to).pipe(Mailer.sendAll({ retry: atOnce() }), Stream.runCollect, provide)
        assert.strictEqual(delivery?._tag, "Accepted")
        assert.deepStrictEqual(
          delivery!.recipients.map(({ outcome }) => outcome),
          ["accepted", outcome],
          later
        )
      }
    })
  )

  it.live("sends the rest at once when a relay takes only so many recipients at a time", () =>
    Effect.gen(function* () {
      const to = Array.from({ length: 45 }, (_, n) => `to-${n}@x.example`)
      for (const tooMany of [Scripted.reply(452, "4.5.3"), { code: 452, text: "Too many recipients" }]) {
        const { calls, provide } = Scripted.make((message) =>
          Effect.succeed(
            Scripted.receipt(
              message,
              Object.fromEntries(message.envelope.to.slice(4).map((address) => [address, tooMany]))
            )
          )
        )
        const [delivery] = yield* mails(1, to).pipe(
          Mailer.sendAll({ retry: RetryPolicy.none }),
          Stream.runCollect,
          provide
        )
        assert.strictEqual(calls.length, 12)
        assert.isTrue(delivery?.recipients.every(({ outcome }) => outcome === "accepted"))
      }
    })
  )

  it.live("does not send twice to an address that is given twice", () =>
    Effect.gen(function* () {
      const to = ["a@x.example", "a@x.example"]
      for (const code of [450, 452]) {
        const { calls, provide } = Scripted.make((message) => {
          const [first, second] = message.envelope.to as unknown as [string, string]
          const deferred = { code, text: "Too many recipients" }
          return Effect.succeed({
            ...Scripted.receipt(message),
            recipients: [Scripted.recipient(first, Scripted.reply(250)), Scripted.recipient(second, deferred)]
          })
        })
        const [delivery] = yield* mails(1, to).pipe(Mailer.sendAll({ retry: atOnce() }), Stream.runCollect, provide)
        assert.lengthOf(calls, 1)
        assert.strictEqual(delivery?._tag, "Accepted")
      }
    })
  )

  it.live("ends a mail that cannot be composed without asking the relay", () =>
    Effect.gen(function* () {
      const { calls, provide } = Scripted.make((message) => act(message, "accept"))
      const error = MailError.invalid("to[0]", "it is empty")
      const mail = { from: "a@x.example", to: "b@x.example", subject: "x" }
      const deliveries = yield* Stream.make(mail, Scripted.message(1), mail).pipe(
        Mailer.sendAll({ ordered: true }),
        Stream.runCollect,
        provide,
        Effect.provideService(Composer.Composer, { compose: () => Effect.fail(error) })
      )
      assert.deepStrictEqual(
        deliveries.map(({ _tag, attempts, id, messageId, size }) => [_tag, attempts, id, messageId, size]),
        [
          ["Rejected", 0, "0", undefined, 0],
          ["Accepted", 1, "mail-1", "<1@x.example>", 14],
          ["Rejected", 0, "2", undefined, 0]
        ]
      )
      assert.lengthOf(calls, 1)
    })
  )

  it.live("takes no more from its source than are on their way", () =>
    Effect.gen(function* () {
      let taken = 0
      const gate = yield* Deferred.make<void>()
      const { provide } = Scripted.make((message) => Effect.andThen(Deferred.await(gate), act(message, "accept")), 7)
      const source = mails(1000).pipe(
        Stream.rechunk(1),
        Stream.tap(() => Effect.sync(() => taken++))
      )
      const fiber = yield* Effect.forkChild(source.pipe(Mailer.sendAll(), Stream.runDrain, provide))
      for (let turns = 0; turns < 50; turns++) yield* Effect.yieldNow
      // One more may wait in the stream's hands.
      assert.isAtLeast(taken, 7)
      assert.isAtMost(taken, 9)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(fiber)
      assert.strictEqual(taken, 1000)
    })
  )

  it.live("fails with its source's error after the messages in flight have ended", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const seen: Array<string> = []
      const { calls, provide } = Scripted.make((message) =>
        Effect.andThen(Deferred.await(gate), act(message, "accept"))
      )
      const source = Stream.concat(mails(3), Stream.fail("the file is broken"))
      const fiber = yield* source.pipe(
        Mailer.sendAll({ onDelivery: ({ _tag }) => Effect.sync(() => seen.push(_tag)) }),
        Stream.runDrain,
        provide,
        Effect.forkChild
      )
      while (calls.length < 3) yield* Effect.yieldNow
      yield* Deferred.succeed(gate, undefined)
      const exit = yield* Fiber.await(fiber)
      assert.isTrue(Exit.isFailure(exit) && Cause.squash(exit.cause) === "the file is broken")
      assert.deepStrictEqual(seen, ["Accepted", "Accepted", "Accepted"])
    })
  )
})

describe("a message of which one recipient is deferred and the others are refused", () => {
  it.live("is rejected for that recipient too when the whole message is refused later", () =>
    Effect.gen(function* () {
      const to = ["a@x.example", "b@x.example"]
      const { provide } = Scripted.make((message, attempt) => {
        if (attempt > 0) return Effect.fail(Scripted.permanent)
        const recipients = message.envelope.to.map((address) =>
          Scripted.recipient(address, Scripted.reply(address === to[0] ? 550 : 450))
        )
        return Effect.fail(
          MailError.make(new MailError.RecipientsRejected({ recipients, reply: recipients[0]!.reply! }))
        )
      })
      const [delivery] = yield* provide(
        Stream.make(Scripted.message(1, to)).pipe(Mailer.sendAll({ retry: atOnce() }), Stream.runCollect)
      )
      assert.strictEqual(delivery!._tag, "Rejected")
      assert.deepStrictEqual(
        delivery!.recipients.map(({ address, outcome }) => [address, outcome]),
        [
          ["a@x.example", "rejected"],
          ["b@x.example", "rejected"]
        ]
      )
    })
  )
})

describe("Mailer.send", () => {
  it.live("fails with the outcome of every recipient, not only of the last attempt's", () =>
    Effect.gen(function* () {
      const to = ["a@x.example", "b@x.example"]
      const { provide } = Scripted.make((message, attempt) => {
        const recipients = message.envelope.to.map((address) =>
          Scripted.recipient(address, Scripted.reply(attempt === 0 && address === to[0] ? 550 : 450))
        )
        return Effect.fail(
          MailError.make(new MailError.RecipientsRejected({ recipients, reply: recipients[0]!.reply! }))
        )
      })
      const { reason } = yield* Effect.flip(provide(Mailer.send(Scripted.message(1, to), { retry: atOnce() })))
      assert.deepStrictEqual(
        reason._tag === "RecipientsRejected" && reason.recipients.map(({ address, outcome }) => [address, outcome]),
        [
          ["a@x.example", "rejected"],
          ["b@x.example", "deferred"]
        ]
      )
    })
  )

  it.live("succeeds with the accepted delivery and fails with the reason otherwise", () =>
    Effect.gen(function* () {
      for (const end of ends) {
        const { provide } = Scripted.make((message) => act(message, end))
        const result = yield* Effect.result(provide(Mailer.send(Scripted.message(1), { retry: RetryPolicy.none })))
        if (end === "accept") assert.strictEqual(result._tag, "Success")
        else {
          const reasons = {
            refuse: "RecipientsRejected",
            defer: "RecipientsRejected",
            unknown: "OutcomeUnknown"
          } as const
          const reason = end in reasons ? reasons[end as keyof typeof reasons] : "MessageRejected"
          assert.strictEqual(result._tag === "Failure" && result.failure.reason._tag, reason)
        }
      }
    })
  )
})
