/**
 * A run at one moment, as `/status` of `--metrics` gives it to `mailrace top`: counts, relays, limits, waits and errors.
 *
 * It holds no address and no reply of a relay, because metrics may be public; lanes are domains or tenants. The number of a
 * limit that is not there is `null`.
 */
import type { Gates } from "@mailrace/flow/FlowControl"
import * as Schema from "effect/Schema"
import type { ErrorGroup } from "./Tally.ts"

export interface RelayNow {
  readonly name: string
  /** Sessions that are open. */
  readonly open: number
  /** Sessions that carry messages. */
  readonly busy: number
  /** Messages that wait for a session. */
  readonly waiting: number
  readonly pipelining: string | undefined
  /** The router's knowledge of it, with several relays. */
  readonly health: string | undefined
}

const NumberOrNull = Schema.NullOr(Schema.Number)
const TextOrNull = Schema.NullOr(Schema.String)

const limits = {
  /** The most messages on their way at once. */
  window: NumberOrNull,
  /** The pace, in messages a second. */
  perSecond: NumberOrNull,
  phase: Schema.String
}

/** The run as JSON. */
export const RunStatus = Schema.Struct({
  /** How long it has run. */
  durationMs: Schema.Number,
  /** The outbox that it sends from; other runs may do so too. */
  outbox: TextOrNull,
  /** True if it begins no more messages. */
  isStopping: Schema.Boolean,
  /** Messages that have ended. */
  done: Schema.Number,
  expected: NumberOrNull,
  isExact: Schema.Boolean,
  counts: Schema.Struct({
    accepted: Schema.Number,
    rejected: Schema.Number,
    deferred: Schema.Number,
    unknown: Schema.Number,
    invalid: Schema.Number
  }),
  dropped: Schema.Number,
  retries: Schema.Number,
  p99Ms: Schema.Number,
  /** Messages that were started and have not ended. */
  inFlight: Schema.Number,
  relays: Schema.Array(
    Schema.Struct({
      name: Schema.String,
      open: Schema.Number,
      busy: Schema.Number,
      waiting: Schema.Number,
      pipelining: TextOrNull,
      health: TextOrNull
    })
  ),
  /** The limits of the relay, and of the lanes that are slowed down; `null` where nothing is limited. */
  gates: Schema.NullOr(
    Schema.Struct({
      ...limits,
      circuit: Schema.String,
      lanes: Schema.Array(Schema.Struct({ lane: Schema.String, ...limits }))
    })
  ),
  waits: Schema.Array(Schema.Struct({ gate: Schema.String, key: TextOrNull, forMs: Schema.Number })),
  /** The most frequent errors. */
  errors: Schema.Array(
    Schema.Struct({
      reason: Schema.String,
      code: NumberOrNull,
      enhanced: TextOrNull,
      count: Schema.Number,
      remedy: Schema.String
    })
  )
})
export type RunStatus = typeof RunStatus.Type

/** The most lanes and errors that are given. */
const mostLanes = 200
const mostErrors = 20

/** The relays as JSON. */
export const relays = (all: ReadonlyArray<RelayNow>): RunStatus["relays"] =>
  all.map(({ busy, health, name, open, pipelining, waiting }) => ({
    name,
    open,
    busy,
    waiting,
    pipelining: pipelining ?? null,
    health: health ?? null
  }))

/** The limits as JSON. */
export const gates = ({ circuit, lanes, ...relay }: Gates): NonNullable<RunStatus["gates"]> => ({
  ...limited(relay),
  circuit,
  lanes: lanes.slice(0, mostLanes).map((one) => ({ lane: one.lane, ...limited(one) }))
})

/** A wait for a limit: which, of which lane, tenant or relay, and since when. */
export interface WaitNow {
  readonly gate: string
  readonly key: string | undefined
  readonly since: number
}

/** The waits as JSON. */
export const waits = (all: ReadonlyArray<WaitNow>, now: number): RunStatus["waits"] =>
  all.map(({ gate, key, since }) => ({ gate, key: key ?? null, forMs: Math.max(0, now - since) }))

/** The errors as JSON, the most frequent first. */
export const errors = (groups: ReadonlyArray<ErrorGroup>): RunStatus["errors"] =>
  groups
    .slice(0, mostErrors)
    .map(({ code, count, enhanced, reason, remedy }) => ({ reason, code, enhanced, count, remedy }))

const limited = ({ perSecond, phase, window }: Pick<Gates, "perSecond" | "phase" | "window">) => ({
  window: finite(window),
  perSecond: finite(perSecond),
  phase
})

const finite = (value: number): number | null => (Number.isFinite(value) ? value : null)
