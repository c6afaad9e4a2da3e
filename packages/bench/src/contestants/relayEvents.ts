/**
 * Events at a relay that takes its time, one event per message. The relay and the way to it run in this process, because
 * the events control both and they have next to nothing to do.
 *
 * - `mailrace-cut`: every connection is cut in the middle of a campaign. A figure is the number of messages that a connection
 *   had handed over and the relay had not answered, as "milliseconds".
 * - `mailrace-urgent-alone`, `mailrace-urgent-beside`: one `Mailer.send` each 100 ms, alone and beside `sendAll` of a campaign;
 *   a figure is its time.
 * - `mailrace-interrupt`: 20 messages, and an interrupt after the first ones were begun; a figure is the time that the
 *   interrupt took.
 */
import type * as Delivery from "mailrace/Delivery"
import * as Mailer from "mailrace/Mailer"
import * as RetryPolicy from "mailrace/RetryPolicy"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as TestServer from "@mailrace/testing/TestServer"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { performance } from "node:perf_hooks"
import type { Batch, MakeContestant } from "../Contestant.ts"
import * as RoundTrip from "../RoundTrip.ts"
import { composedFrom } from "./relay.ts"

export const make: MakeContestant = async (spec, messages) => {
  const composed = composedFrom(messages)
  const event = events[spec.contestant]
  if (event === undefined) throw new Error(`there is no event "${spec.contestant}"`)
  return {
    concurrency: 1,
    warmsUp: false,
    send: async (batch) => {
      await Effect.runPromise(Effect.scoped(event(batch, composed)))
    },
    close: async () => {}
  }
}

type Composed = ReturnType<typeof composedFrom>

type Event = (batch: Batch, composed: Composed) => Effect.Effect<void, never, Scope.Scope>

const connections = 10

/** A relay that thinks about each content for this long. */
const thinking = (thinkMs: number) =>
  Effect.orDie(
    TestServer.make({
      faults: [`final:delay=${thinkMs}ms`],
      mailbox: { type: "discard", digest: false },
      checkContent: false,
      transcript: false
    })
  )

const transportTo = (port: number) =>
  SmtpTransport.layer({
    host: "127.0.0.1",
    port,
    name: "bench.example",
    tls: { mode: "off" },
    maxConnections: connections
  })

const campaign = (composed: Composed, count: number) =>
  Stream.map(Stream.range(0, count - 1), (index) => composed(index))

const cut: Event = (batch, composed) =>
  Effect.gen(function* () {
    const server = yield* thinking(100)
    for (let left = batch.count; left > 0; left--) {
      const way = yield* Effect.promise(() => RoundTrip.start({ targetPort: server.port, rttMs: 20 }))
      const sending = yield* campaign(composed, 400).pipe(
        Mailer.sendAll({ retry: RetryPolicy.none }),
        Stream.runCollect,
        Effect.provide(transportTo(way.port)),
        Effect.orDie,
        Effect.forkChild
      )
      yield* Effect.sleep(1500)
      yield* Effect.promise(() => way.close())
      const deliveries: ReadonlyArray<Delivery.Delivery> = yield* Fiber.join(sending)
      batch.accepted(deliveries.filter(({ _tag }) => _tag === "Unknown").length / connections)
    }
  })

const urgent =
  (isBeside: boolean): Event =>
  (batch, composed) =>
    Effect.gen(function* () {
      const server = yield* thinking(20)
      yield* Effect.gen(function* () {
        const beside = yield* Effect.forkChild(
          isBeside ? Stream.runDrain(Mailer.sendAll(campaign(composed, Number.MAX_SAFE_INTEGER))) : Effect.void
        )
        // By now its connections are open, and it sends at its full rate.
        yield* isBeside ? Effect.sleep(1000) : Mailer.send(composed(0))
        const one = (index: number) =>
          Effect.suspend(() => {
            const begin = performance.now()
            return Effect.map(Mailer.send(composed(index)), () => batch.accepted(performance.now() - begin))
          })
        yield* Effect.forEach(
          Array.from({ length: batch.count }, (_, at) => at),
          (at) => Effect.andThen(Effect.sleep(100 * at), one(at)),
          { concurrency: "unbounded", discard: true }
        )
        yield* Fiber.interrupt(beside)
      }).pipe(Effect.provide(transportTo(server.port)), Effect.orDie)
    })

const interrupted: Event = (batch, composed) =>
  Effect.gen(function* () {
    const server = yield* thinking(interruptThinkMs)
    for (let left = batch.count; left > 0; left--) {
      const sending = yield* campaign(composed, 20).pipe(
        Mailer.sendAll(),
        Stream.runDrain,
        Effect.provide(transportTo(server.port)),
        Effect.orDie,
        Effect.forkChild
      )
      yield* Effect.sleep(1000)
      const begin = performance.now()
      yield* Fiber.interrupt(sending)
      batch.accepted(performance.now() - begin)
    }
  })

const interruptThinkMs = 4000

const events: Readonly<Record<string, Event>> = {
  "mailrace-cut": cut,
  "mailrace-urgent-alone": urgent(false),
  "mailrace-urgent-beside": urgent(true),
  "mailrace-interrupt": interrupted
}
