/**
 * What is traced beyond the sampled share, as a collector receives it.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import type * as Address from "mailrace/Address"
import * as Composed from "mailrace/Composed"
import * as Delivery from "mailrace/Delivery"
import * as Mailer from "mailrace/Mailer"
import * as MailError from "mailrace/MailError"
import { MailTransport } from "mailrace/MailTransport"
import * as RetryPolicy from "mailrace/RetryPolicy"
import * as Telemetry from "../src/Telemetry.ts"
import * as OtlpCollector from "./support/OtlpCollector.ts"

const envelope = { from: "ann@a.test" as Address.Address, to: ["bob@b.test" as Address.Address] }
const content = Buffer.from("Subject: x\r\n\r\nx\r\n")

/** Mails whose Message-ID tells their number. */
const mails = (count: number) =>
  Stream.map(Stream.range(1, count), (number) =>
    Composed.make({ messageId: `<${number}@a.test>`, envelope, content, id: `mail ${number}` })
  )

const numberOf = (message: Pick<Composed.Composed, "messageId">): number => Number(message.messageId.slice(1, -8))

/** A clock that stands still but for what a program adds to it. */
const standingClock = () => {
  let nanos = 1_800_000_000_000_000_000n
  const clock: Clock.Clock = {
    currentTimeMillisUnsafe: () => Number(nanos / 1_000_000n),
    currentTimeMillis: Effect.sync(() => Number(nanos / 1_000_000n)),
    currentTimeNanosUnsafe: () => nanos,
    currentTimeNanos: Effect.sync(() => nanos),
    monotonicTimeNanosUnsafe: () => nanos,
    monotonicTimeNanos: Effect.sync(() => nanos),
    sleep: () => Effect.void
  }
  return { clock, pass: (ms: number) => (nanos += BigInt(Math.round(ms * 1e6))) }
}

const accepted = { reply: { code: 250, enhanced: "2.0.0", text: "ok" }, recipients: [], relay: "relay:25" }
const lost = MailError.make(new MailError.OutcomeUnknown({ problem: "the connection was lost" }))

interface Run {
  readonly count: number
  readonly options: Telemetry.Options
  /** What a mail takes, in milliseconds. */
  readonly ms: (number: number) => number
  readonly fails: (number: number) => boolean
}

/** Sends mails in virtual time; gives the spans that arrived, by the number of their mail, and the deliveries. */
const traced = ({ count, fails, ms, options }: Run) =>
  Effect.gen(function* () {
    const collector = yield* OtlpCollector.make()
    const { clock, pass } = standingClock()
    const deliveries: Array<Delivery.Delivery> = []
    const transport = MailTransport.of({
      send: (message, given) =>
        Effect.suspend(() => {
          const number = numberOf(message)
          given?.moments?.leased({ host: "relay", port: 25, mode: "envelope", span: undefined })
          pass(ms(number))
          return fails(number) ? Effect.fail(lost) : Effect.succeed(accepted)
        })
    })
    yield* mails(count).pipe(
      Mailer.sendAll({ concurrency: 1, retry: RetryPolicy.none }),
      Stream.runForEach((delivery) => Effect.sync(() => deliveries.push(delivery))),
      Effect.provideService(MailTransport, transport),
      Effect.provideService(Clock.Clock, clock),
      Effect.provide(Telemetry.layer({ url: collector.url, ...options })),
      Effect.provide(Logger.layer([]))
    )
    const roots = collector.spans.filter(({ name }) => name === "mailrace.send")
    const of = (number: number) =>
      roots.filter(({ attributes }) => attributes["messaging.message.id"] === `<${number}@a.test>`)
    return { collector, deliveries, roots, of }
  })

/**
 * How many mails are sent, a multiple of 500. `MAILRACE_TRACED_MAILS=100000` is a campaign; it takes four seconds, and shows
 * the same as the default.
 */
const count = Number(process.env["MAILRACE_TRACED_MAILS"] ?? 12_500)

/** A mail takes so many milliseconds or half as many more, so that there are several windows. */
const factor = count < 50_000 ? 3 : 1

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index)

describe("the tail", () => {
  it.live(
    "holds all failures with their trees at 1 %, and the ten slowest of each window",
    () =>
      Effect.gen(function* () {
        // 12,500 mails in five windows; one in 500 fails.
        const ms = (number: number) => factor * ((number % 900 === 0 ? 5 : 1) + ((number * 7919) % 100_003) / 200_000)
        const fails = (number: number) => number % 500 === 0
        const run = yield* traced({ count, ms, fails, options: { sampleRatio: 0.01, maxQueueSize: 20_000 } })
        const { collector, deliveries, of, roots } = run
        const failures = range(1, count).filter(fails)
        assert.strictEqual(failures.length, count / 500)
        for (const number of failures) {
          const [span, ...others] = of(number)
          assert.strictEqual(others.length, 0)
          assert.deepInclude(span?.attributes, { "error.type": "OutcomeUnknown", "mailrace.id": `mail ${number}` })
          assert.strictEqual(deliveries[number - 1]?.traceId, span?.traceId)
          // The transactions of a sampled mail are the transport's, and this one has none.
          if (span?.attributes["mailrace.trace.kept"] !== "failure") continue
          const children = collector.spans.filter(({ parentSpanId }) => parentSpanId === span?.spanId)
          assert.deepStrictEqual(
            children.map(({ name, traceId }) => ({ name, traceId })),
            [{ name: "smtp.transaction", traceId: span?.traceId }]
          )
        }
        // The windows are those of the ends, from the first mail that was left out.
        const kept = new Set(roots.map(({ attributes }) => attributes["messaging.message.id"]))
        let [windowEnd, now] = [0, 0]
        let window: Array<number> = []
        const missing: Array<number> = []
        const close = () => {
          const slowest = window.toSorted((a, b) => ms(b) - ms(a)).slice(0, 10)
          missing.push(...slowest.filter((number) => !kept.has(`<${number}@a.test>`)))
          window = []
        }
        for (const number of range(1, count)) {
          now += ms(number)
          if (now >= windowEnd) {
            close()
            windowEnd = now + 10_000
          }
          window.push(number)
        }
        close()
        assert.deepStrictEqual(missing, [])
        assert.isBelow(roots.length, count / 500 + 14 * 10 + count * 0.012 + 40)
      }),
    60_000
  )

  it.live("is the whole tree: the mail and its transaction, at their times, with events and codes", () =>
    Effect.gen(function* () {
      const { collector, of } = yield* traced({
        count: 3,
        ms: () => 40,
        fails: (number) => number === 2,
        options: { sampleRatio: 1e-12 }
      })
      const [root] = of(2)
      assert.deepInclude(root?.attributes, { "mailrace.trace.kept": "failure", "mailrace.outcome": "unknown" })
      assert.strictEqual(root?.status.code, 2)
      assert.deepStrictEqual(
        root?.events.map(({ name }) => name),
        ["leased", "exception"]
      )
      const [transaction, ...others] = collector.spans.filter(({ parentSpanId }) => parentSpanId === root?.spanId)
      assert.deepStrictEqual(others, [])
      assert.strictEqual(transaction?.name, "smtp.transaction")
      assert.deepInclude(transaction?.attributes, {
        "server.address": "relay",
        "server.port": 25,
        "error.type": "OutcomeUnknown"
      })
      const [slow] = of(1)
      assert.deepInclude(slow?.attributes, {
        "mailrace.trace.kept": "slow",
        "smtp.reply.code": 250,
        "smtp.reply.enhanced_code": "2.0.0"
      })
      assert.strictEqual(slow?.parentSpanId, undefined)
    })
  )

  it.live("is left out where it is turned off, where nothing is sampled, and inside a span", () =>
    Effect.gen(function* () {
      const run = (options: Telemetry.Options) => traced({ count: 20, ms: () => 1, fails: () => true, options })
      assert.strictEqual((yield* run({ sampleRatio: 1e-12, tail: false })).roots.length, 0)
      assert.strictEqual((yield* run({ sampleRatio: 0 })).roots.length, 0)
      assert.strictEqual((yield* run({ sampleRatio: 1e-12 })).roots.length, 20)
      const inside = Effect.gen(function* () {
        const collector = yield* OtlpCollector.make()
        const send = () => Effect.fail(lost)
        yield* mails(5).pipe(
          Mailer.sendAll({ retry: RetryPolicy.none }),
          Stream.runDrain,
          Effect.withParentSpan(
            Tracer.externalSpan({ traceId: "a".repeat(32), spanId: "b".repeat(16), sampled: false })
          ),
          Effect.provideService(MailTransport, MailTransport.of({ send })),
          Effect.provide(Telemetry.layer({ url: collector.url, sampleRatio: 0.5 }))
        )
        return collector.spans
      })
      assert.deepStrictEqual(yield* inside, [])
    })
  )
})
