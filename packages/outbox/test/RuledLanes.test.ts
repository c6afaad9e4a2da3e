/**
 * What a rule for a reply asks for, kept to by the dispatcher: it claims and sends no more of the lane, and others go.
 */
import { assert, describe, it } from "@effect/vitest"
import * as FlowOptions from "@mailrace/flow/FlowOptions"
import * as Limit from "@mailrace/flow/Limit"
import type { ProviderRule } from "@mailrace/flow/ProviderRule"
import * as ProviderRules from "@mailrace/flow/ProviderRules"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { TestClock } from "effect/testing"
import * as RetryPolicy from "mailrace/RetryPolicy"
import { MailTransport } from "mailrace/MailTransport"
import * as Outbox from "../src/Outbox.ts"
import { mail, settle } from "./support/fixtures.ts"
import * as ScriptedTransport from "./support/scriptedTransport.ts"

const rule: ProviderRule = {
  name: "test",
  provider: "test",
  lanes: ["slow.test"],
  codes: [451],
  leaves: "lane",
  forMs: 0,
  limits: {
    about: "lane",
    isOfRelay: false,
    slowTo: Result.getOrThrow(Limit.parse("1/m")),
    forMs: 3_600_000
  },
  why: "",
  source: "",
  asOf: ""
}

describe("a rule that slows down a lane", () => {
  it.effect("is followed by the dispatcher, which sends other lanes meanwhile", () =>
    Effect.gen(function* () {
      let asked = 0
      const relay = ScriptedTransport.make((message) =>
        String(message.envelope.to[0]).endsWith("slow.test") && asked++ === 0
          ? Effect.fail(ScriptedTransport.throttling())
          : Effect.succeed(ScriptedTransport.taken(message))
      )
      const flow = Result.getOrThrow(FlowOptions.resolve({ asked: "lanes" }, 0))
      yield* Stream.runDrain(Outbox.enqueueAll(Stream.map(Stream.range(1, 100), () => mail("x@slow.test"))))
      const transport = ProviderRules.transport(relay.transport, "relay.test", [rule])
      const running = yield* Effect.forkScoped(
        Effect.provideService(
          Outbox.run({ concurrency: 1, flow, poll: "1 hour", retry: RetryPolicy.none, sweepInterval: "1 hour" }),
          MailTransport,
          transport
        )
      )
      let minutes = 0
      // In longer steps the clock would outrun the store.
      const beat = Effect.suspend(() => {
        minutes += 1 / 12
        return Effect.andThen(TestClock.adjust("5 seconds"), settle)
      })
      const sent = (lane: string) => relay.sent.filter(({ to }) => to[0]!.endsWith(lane)).length
      while (relay.sent.length === 0) yield* beat
      while (sent("slow.test") < 5) yield* beat
      // The one that asked, one a minute, and the burst.
      assert.isAtMost(sent("slow.test"), 1 + minutes + 1)
      yield* Stream.runDrain(Outbox.enqueueAll(Stream.map(Stream.range(1, 50), () => mail("x@quick.test"))))
      while (sent("quick.test") < 50) yield* beat
      assert.isAtMost(sent("slow.test"), 1 + minutes + 1)
      yield* Fiber.interrupt(running)
    }).pipe(Effect.scoped, Effect.provide(Outbox.layerSqlite(":memory:")))
  )
})

describe("a rule that leaves a relay alone", () => {
  const pausing: ProviderRule = { ...rule, lanes: undefined, leaves: "relay", forMs: 600_000, limits: undefined }

  for (const [relays, isOneRelay, isPaused] of [
    ["the only one", true, true],
    ["one of several", false, false],
    ["one of several by now", () => false, false]
  ] as const)
    it.effect(
      `${isPaused ? "pauses" : "does not pause"} all lanes of the dispatcher, where the relay is ${relays}`,
      () =>
        Effect.gen(function* () {
          let asked = 0
          const relay = ScriptedTransport.make((message) =>
            asked++ === 0
              ? Effect.fail(ScriptedTransport.throttling())
              : Effect.succeed(ScriptedTransport.taken(message))
          )
          yield* Stream.runDrain(Outbox.enqueueAll(Stream.map(Stream.range(0, 19), (i) => mail(`x@lane${i % 4}.test`))))
          const transport = ProviderRules.transport(relay.transport, "relay.test", [pausing])
          const running = yield* Effect.forkScoped(
            Effect.provideService(
              Outbox.run({
                concurrency: 1,
                isOneRelay,
                poll: "1 hour",
                retry: RetryPolicy.none,
                sweepInterval: "1 hour"
              }),
              MailTransport,
              transport
            )
          )
          const beat = (ms: number) => Effect.andThen(TestClock.adjust(ms), settle)
          // A store answers in its own time: what must come is waited for.
          while (relay.sent.length < (isPaused ? 1 : 20)) yield* beat(500)
          for (let beats = 0; beats < 10; beats++) yield* beat(500)
          assert.strictEqual(relay.sent.length, isPaused ? 1 : 20)
          if (isPaused) {
            assert.strictEqual((yield* Outbox.stats).states.claimed, 0)
            for (let beats = 0; beats < 9; beats++) yield* beat(60_000)
            assert.strictEqual(relay.sent.length, 1)
            while (relay.sent.length < 20) yield* beat(2_000)
            assert.isAtLeast(relay.sent.length, 20)
          }
          yield* Fiber.interrupt(running)
        }).pipe(Effect.scoped, Effect.provide(Outbox.layerSqlite(":memory:")))
    )
})

describe("a rule that leaves a lane alone", () => {
  const pausing: ProviderRule = { ...rule, leaves: "lane", forMs: 3_600_000, limits: undefined }

  for (const [of, lane, isPaused] of [
    ["its domain", undefined, true],
    ["a tenant, whose other domains go on", "acme", false]
  ] as const)
    it.effect(`keeps it paused for the whole time in the lane of ${of}`, () =>
      Effect.gen(function* () {
        let asked = 0
        const relay = ScriptedTransport.make((message) =>
          asked++ === 0 ? Effect.fail(ScriptedTransport.throttling()) : Effect.succeed(ScriptedTransport.taken(message))
        )
        yield* Outbox.enqueue(mail("x@slow.test"), { lane })
        const running = yield* Effect.forkScoped(
          Effect.provideService(
            Outbox.run({ concurrency: 1, poll: "1 minute", retry: RetryPolicy.none, sweepInterval: "1 hour" }),
            MailTransport,
            ProviderRules.transport(relay.transport, "relay.test", [pausing])
          )
        )
        const beat = (ms: number) => Effect.andThen(TestClock.adjust(ms), settle)
        for (let beats = 0; beats < 100 && relay.sent.length < 1; beats++) yield* beat(500)
        yield* Outbox.enqueue(mail("y@slow.test"), { lane })
        for (let beats = 0; beats < 58; beats++) yield* beat(60_000)
        assert.strictEqual(relay.sent.length, isPaused ? 1 : 2)
        for (let beats = 0; beats < 100 && relay.sent.length < 3; beats++) yield* beat(10_000)
        assert.strictEqual(relay.sent.length, 3)
        yield* Fiber.interrupt(running)
      }).pipe(Effect.scoped, Effect.provide(Outbox.layerSqlite(":memory:")))
    )
})
