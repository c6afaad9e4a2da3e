import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"
import { MailTransport } from "mailrace/MailTransport"
import * as RetryPolicy from "mailrace/RetryPolicy"
import { SampleRatio } from "mailrace/TraceSampling"
import * as Outbox from "../src/Outbox.ts"
import { mail } from "./support/fixtures.ts"
import * as ScriptedTransport from "./support/scriptedTransport.ts"
import { tempFolder } from "./support/tempFolder.ts"

describe("a message's trace", () => {
  it.effect("leads from its enqueueing to each attempt, across a restart", () =>
    Effect.gen(function* () {
      const path = `${yield* tempFolder}/outbox.db`
      const spans: Array<Tracer.NativeSpan> = []
      const tracer = Tracer.make({
        span: (options) => {
          const span = new Tracer.NativeSpan(options)
          spans.push(span)
          return span
        }
      })
      const relay = ScriptedTransport.make((message, nth) =>
        nth === 1 ? Effect.fail(ScriptedTransport.deferral()) : Effect.succeed(ScriptedTransport.taken(message))
      )
      /** A process of its own, as far as the outbox knows. */
      const process = <A, E>(effect: Effect.Effect<A, E, Outbox.Outbox>) =>
        Effect.provide(effect, Outbox.layerSqlite(path), { local: true })
      const run = Outbox.run({ until: "idle", retry: RetryPolicy.none }).pipe(
        Effect.provideService(MailTransport, relay.transport)
      )
      const { id } = yield* process(Outbox.enqueue(mail())).pipe(Effect.withSpan("request"), Effect.withTracer(tracer))
      yield* process(Effect.withTracer(run, tracer))
      yield* process(Stream.runDrain(Outbox.retry({})))
      yield* process(Effect.withTracer(run, tracer))

      const [request] = spans.filter(({ name }) => name === "request")
      const [enqueue] = spans.filter(({ name }) => name === "mailrace.outbox.enqueue")
      assert.strictEqual(Option.getOrThrow(enqueue!.parent).spanId, request!.spanId)
      assert.strictEqual(enqueue!.attributes.get("mailrace.outbox.id"), id)
      const sends = spans.filter(({ name }) => name === "mailrace.send")
      const attempts = spans.filter(({ name }) => name === "mailrace.outbox.attempt")
      assert.strictEqual(sends.length, 2)
      assert.strictEqual(attempts.length, 2)
      for (const send of sends) assert.strictEqual(send.links[0]?.span.spanId, enqueue!.spanId)
      for (const [i, attempt] of attempts.entries()) {
        assert.strictEqual(attempt.traceId, request!.traceId)
        assert.strictEqual(Option.getOrThrow(attempt.parent).spanId, enqueue!.spanId)
        assert.strictEqual(attempt.links[0]?.span.spanId, sends[i]!.spanId)
        assert.strictEqual(attempt.attributes.get("mailrace.outbox.id"), id)
        assert.strictEqual(attempt.status._tag, "Ended")
      }
      assert.deepStrictEqual(
        attempts.map(({ attributes }) => attributes.get("mailrace.outcome")),
        ["deferred", "accepted"]
      )
    })
  )

  it.effect("does not exist for a message that is not sampled, whichever process sends it", () =>
    Effect.gen(function* () {
      const path = `${yield* tempFolder}/outbox.db`
      const names: Array<string> = []
      const tracer = Tracer.make({
        span: (options) => {
          names.push(options.name)
          return new Tracer.NativeSpan(options)
        }
      })
      yield* Effect.gen(function* () {
        yield* Effect.provideService(Outbox.enqueue(mail()), SampleRatio, 0)
        yield* Outbox.run({ until: "idle" }).pipe(
          Effect.provideService(MailTransport, ScriptedTransport.make().transport)
        )
      }).pipe(Effect.provide(Outbox.layerSqlite(path)), Effect.withTracer(tracer))
      assert.notInclude(names, "mailrace.outbox.enqueue")
      assert.notInclude(names, "mailrace.outbox.attempt")
      assert.include(names, "mailrace.send")
    })
  )
})
