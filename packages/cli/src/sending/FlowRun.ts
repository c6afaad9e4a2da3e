/**
 * Flow control of a run: the limits before the transport, what they hold back, and how many messages are in flight.
 */
import * as FlowOptions from "@mailrace/flow/FlowOptions"
import * as FlowTransport from "@mailrace/flow/FlowTransport"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Delivery from "mailrace/Delivery"
import { MailTransport } from "mailrace/MailTransport"
import { CommandError } from "../CommandError.ts"
import * as FlowFlags from "./FlowFlags.ts"
import { FlowWaits } from "./FlowWaits.ts"
import type { RunState } from "./RunState.ts"

type Transport = MailTransport["Service"]

/** The options of a run's transport. */
export interface Options {
  readonly concurrency?: number | undefined
  readonly flow?: FlowOptions.Options | undefined
}

/** A transport under limits. */
export interface Limited {
  readonly transport: Transport
  /** The most messages in flight; `undefined` for as many as the transport wants. */
  readonly concurrency: number | undefined
}

/** Puts the limits before the transport for as long as the scope lasts; without any, returns the transport. */
export const start = Effect.fnUntraced(function* (transport: Transport, options: Options, state: RunState) {
  const { concurrency, flow } = options
  if (flow === undefined) return { transport, concurrency } satisfies Limited
  const waits = new FlowWaits()
  const limited = yield* Effect.mapError(
    FlowTransport.make(waits.inside(transport), flow),
    ({ message }) => new CommandError({ problem: message })
  )
  const control = Context.get(limited, FlowTransport.Flow)
  state.flow = { waits, status: control.status }
  // Messages that wait and were not begun leave when the run stops.
  yield* Effect.forkScoped(Effect.andThen(Deferred.await(state.enough), control.reconsider))
  return {
    transport: waits.outside(Context.get(limited, MailTransport)),
    concurrency: concurrency ?? concurrencyOf(flow, transport.concurrency)
  } satisfies Limited
})

/** A delivery without the time for which limits held its message back: it starts when they let it. */
export const withoutWait = (delivery: Delivery.Delivery, { flow }: RunState): Delivery.Delivery =>
  flow?.waits === undefined
    ? delivery
    : { ...delivery, durationMs: delivery.durationMs - flow.waits.take(delivery.messageId) }

/** The limits as the dispatcher wants them. */
export const settings = Effect.fnUntraced(function* (options: FlowOptions.Options) {
  const now = yield* Clock.currentTimeMillis
  return yield* Effect.mapError(
    Effect.fromResult(FlowOptions.resolve(options, now)),
    ({ message }) => new CommandError({ problem: message })
  )
})

/** Messages that wait are in flight, so under the relay's rate alone only as many are as are sent in two seconds. */
const concurrencyOf = (flow: FlowOptions.Options, usual = 10): number | undefined => {
  const looksAhead = Object.keys(flow.lanes ?? {}).length > 0 || Object.keys(flow.tenants ?? {}).length > 0
  const perSecond = FlowFlags.perSecond(flow)
  if (looksAhead || perSecond === undefined) return undefined
  return Math.min(usual, Math.max(1, Math.ceil(perSecond * 2)))
}
