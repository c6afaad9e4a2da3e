/**
 * A dispatcher that is to end when nothing is due, where buckets change hands while it finds out.
 */
import { assert, describe } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Lane from "../src/Lane.ts"
import * as Outbox from "../src/Outbox.ts"
import type { DispatcherLease, HoldingListener, OutboxStore } from "../src/OutboxStore.ts"
import { mail, Reopen, run, tester } from "./support/fixtures.ts"
import { fresh } from "./support/freshSqlite.ts"
import * as ScriptedTransport from "./support/scriptedTransport.ts"

const test = tester(fresh)

/** Buckets come to this dispatcher in the middle of something: `come` makes the lane's bucket its own. */
interface Arrival {
  readonly lane: string
  come: () => void
}

/** A store whose dispatcher does not own one lane's bucket before it comes; `settle` is asked before the dispatcher ends. */
const sharing = (store: OutboxStore, arrival: Arrival, settle: Effect.Effect<boolean>): OutboxStore => ({
  ...store,
  dispatch: (...args) =>
    Effect.map(store.dispatch(...args), (lease): DispatcherLease => {
      const missing = Lane.bucket(arrival.lane)
      let isMissing = true
      let listener: HoldingListener | undefined
      arrival.come = () => {
        isMissing = false
        listener!.onTaken()
      }
      return {
        ...lease,
        dueLanes: (...args) =>
          Effect.map(lease.dueLanes(...args), (due) => ({
            ...due,
            lanes: due.lanes.filter(({ bucket }) => !isMissing || bucket !== missing)
          })),
        holding: {
          isConfirmed: () => true,
          isSettled: () => true,
          settle,
          left: () => Infinity,
          spend: () => {},
          listen: (given) => {
            listener = given
          }
        }
      }
    })
})

describe("a dispatcher that ends when nothing is due", () => {
  for (const isLast of [true, false]) {
    const answer = isLast ? "nothing is left that nobody owns" : "it took the last that nobody owned"
    test(`sends messages that arrived while it asked, although ${answer}`, () =>
      Effect.gen(function* () {
        const store = yield* yield* Reopen
        const arrival: Arrival = { lane: "late.test", come: () => {} }
        let asked = 0
        const settle = Effect.sync(() => {
          if (asked++ === 0) arrival.come()
          return isLast || asked > 1
        })
        const outbox = Context.get(
          yield* Layer.build(Outbox.layerStore(Effect.succeed(sharing(store, arrival, settle)))),
          Outbox.Outbox
        )
        yield* outbox.enqueue(mail("x@early.test"))
        yield* outbox.enqueue(mail("y@late.test"))
        const relay = ScriptedTransport.make()
        yield* Effect.provideService(run(relay), Outbox.Outbox, outbox)
        assert.deepStrictEqual(
          relay.sent.map(({ to }) => to[0]),
          ["x@early.test", "y@late.test"]
        )
        assert.strictEqual(asked, 2)
      }))
  }
})
