/**
 * A relay that is healthy, slow, refuses all, is dead, and is healthy again, over real sockets: nothing is lost, and it is
 * sent to at its full rate again. The clock of flow control and of the retries runs fast, so that two minutes take seconds.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import * as Composed from "mailrace/Composed"
import * as Mailer from "mailrace/Mailer"
import { MailTransport } from "mailrace/MailTransport"
import * as RetryPolicy from "mailrace/RetryPolicy"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as TestServer from "@mailrace/testing/TestServer"
import * as FlowTransport from "../src/FlowTransport.ts"

/** A clock that runs `factor` times as fast as the machine's. */
const fast = (factor: number): Clock.Clock => {
  const start = Date.now()
  const millis = (): number => start + (performance.now() - begun) * factor
  const begun = performance.now()
  const nanos = (): bigint => BigInt(Math.round(millis() * 1e6))
  return {
    currentTimeMillisUnsafe: millis,
    currentTimeMillis: Effect.sync(millis),
    currentTimeNanosUnsafe: nanos,
    currentTimeNanos: Effect.sync(nanos),
    monotonicTimeNanosUnsafe: nanos,
    monotonicTimeNanos: Effect.sync(nanos),
    sleep: (duration) =>
      Effect.callback<void>((resume) => {
        const timer = setTimeout(() => resume(Effect.void), Duration.toMillis(duration) / factor)
        return Effect.sync(() => clearTimeout(timer))
      })
  }
}

type Phase = "healthy" | "slow" | "storm" | "dead" | "healed"

const messages = (): Stream.Stream<Composed.Composed> =>
  Stream.range(1, 1_000_000).pipe(
    // What was read is sent, also after the end is wanted.
    Stream.rechunk(8),
    Stream.map((i) =>
      Composed.make({
        messageId: `<${i}@test>`,
        envelope: { from: "a@example.org" as never, to: [`b${i}@example.net` as never] },
        content: new TextEncoder().encode(`Subject: ${i}\r\n\r\nHello\r\n`)
      })
    )
  )

describe("a relay that is slow, refuses all with 421, is dead and recovers", () => {
  it.live("loses nothing, and is sent to at its full rate again", () =>
    Effect.gen(function* () {
      let phase: Phase = "healthy"
      const taken = new Set<string>()
      const server = yield* TestServer.make({
        mailbox: { type: "discard" },
        decide: (event) => {
          if (phase === "dead" && event.phase === "greeting") return { type: "drop" }
          if (phase === "dead" && event.phase === "mail") return { type: "reset" }
          if (phase === "storm" && event.phase === "mail")
            return { type: "reply", code: 421, text: "4.7.0 try again later" }
          if (event.phase !== "final") return undefined
          for (const to of event.to) taken.add(to)
          return { type: "delay", ms: phase === "slow" ? 20 : 2 }
        }
      })
      const smtp = yield* SmtpTransport.make({
        host: server.host,
        port: server.port,
        tls: { mode: "off" },
        pipelining: "off",
        maxConnections: 4
      })
      const limited = yield* FlowTransport.make(Context.get(smtp, MailTransport), { adaptive: true, circuit: true })
      const { status } = Context.get(limited, FlowTransport.Flow)
      const done = yield* Deferred.make<void>()
      let accepted = 0
      let lost = 0
      /** Waits until so many more messages are accepted. */
      const until = (isReached: () => boolean): Effect.Effect<void> =>
        Effect.suspend(() => (isReached() ? Effect.void : Effect.delay(until(isReached), "200 millis")))
      const more = (count: number): Effect.Effect<void> =>
        Effect.suspend(() => {
          const goal = accepted + count
          return until(() => accepted >= goal)
        })
      const states: Array<string> = []
      const isHealed = Effect.gen(function* () {
        while (true) {
          const { gates } = yield* status
          // The search has begun at 2 a second, and goes on until more is not asked for.
          if (gates.circuit === "closed" && gates.phase !== "stopped" && gates.perSecond >= 16) return
          yield* Effect.sleep("500 millis")
        }
      })
      const phases = Effect.gen(function* () {
        yield* more(100)
        phase = "slow"
        yield* more(40)
        phase = "storm"
        yield* Effect.sleep("15 seconds")
        states.push((yield* status).gates.phase)
        phase = "dead"
        const dead = Effect.gen(function* () {
          while ((yield* status).gates.circuit === "closed") yield* Effect.sleep("200 millis")
          states.push((yield* status).gates.circuit)
        })
        yield* dead
        phase = "healed"
        yield* isHealed
        yield* more(200)
        yield* Deferred.succeed(done, undefined)
      })
      yield* Effect.forkScoped(phases)
      yield* messages().pipe(
        Stream.interruptWhen(Deferred.await(done)),
        Mailer.sendAll({ retry: RetryPolicy.make({ times: 200, factor: 1.1 }) }),
        Stream.runForEach((delivery) =>
          Effect.sync(() => {
            if (delivery._tag === "Accepted") accepted++
            else lost++
          })
        ),
        Effect.provideService(MailTransport, Context.get(limited, MailTransport))
      )
      assert.strictEqual(lost, 0)
      assert.strictEqual(taken.size, accepted)
      assert.notStrictEqual(states[0], "open")
      assert.notStrictEqual(states[1], "closed")
      yield* Effect.logInfo(`${accepted} accepted, ${server.stats.commands} commands, ${states.join(", ")}`)
    }).pipe(
      Effect.scoped,
      Effect.provideService(Clock.Clock, fast(20)),
      Effect.provideService(References.MinimumLogLevel, "Error")
    )
  )
})
