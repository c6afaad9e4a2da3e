/**
 * A stream without an outbox holds a limit together with the dispatchers of a PostgreSQL outbox, by the ledgers there.
 */
import { assert, describe, it } from "@effect/vitest"
import * as FlowOptions from "@mailrace/flow/FlowOptions"
import * as FlowTransport from "@mailrace/flow/FlowTransport"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Mailer from "mailrace/Mailer"
import { MailTransport } from "mailrace/MailTransport"
import * as Outbox from "../src/Outbox.ts"
import { mail } from "./support/fixtures.ts"
import * as FreshPostgres from "./support/freshPostgres.ts"
import * as ScriptedTransport from "./support/scriptedTransport.ts"
import { shared } from "./support/sharedPostgres.ts"

describe("a limit in the ledgers of a PostgreSQL outbox", () => {
  const server = shared()

  it.live("holds for a stream and a dispatcher together", () =>
    Effect.gen(function* () {
      const running = yield* server
      const name = yield* FreshPostgres.schema(running)
      const enough = yield* Latch.make()
      let begun = 0
      const relay = ScriptedTransport.make((message) => {
        if (++begun === 6) enough.openUnsafe()
        return Effect.succeed(ScriptedTransport.taken(message))
      })
      const options = { relay: "ses", rate: ["6/d"] }
      const mails = Stream.map(Stream.range(1, 6), (i) => mail(`x${i}@a.test`))
      const { ledgers } = yield* FreshPostgres.open(running, name)
      const flow = yield* FlowTransport.make(relay.transport, { ...options, ledgers })
      const open = Layer.build(Layer.fresh(Outbox.layerPostgres(FreshPostgres.place(running, name))))
      const outbox = Context.get(yield* open, Outbox.Outbox)
      yield* Stream.runDrain(outbox.enqueueAll(mails))
      yield* Effect.forkScoped(
        Effect.provideService(
          outbox.run({ flow: Result.getOrThrow(FlowOptions.resolve(options, 0)) }),
          MailTransport,
          relay.transport
        )
      )
      yield* Effect.forkScoped(
        mails.pipe(
          Mailer.sendAll(),
          Stream.runDrain,
          Effect.provideService(MailTransport, Context.get(flow, MailTransport))
        )
      )
      yield* enough.await
      // Time for more, which must not come.
      yield* Effect.sleep("200 millis")
      assert.lengthOf(relay.sent, 6)
    }).pipe(Effect.scoped)
  )
})
