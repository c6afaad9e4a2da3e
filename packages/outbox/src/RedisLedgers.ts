/**
 * The ledgers of a fleet's limits in Redis, instead of in the outbox's own store.
 *
 * **When to use**
 *
 * Where dispatchers of several outboxes send through the same relays or for the same tenants: SQLite files on several machines,
 * or a PostgreSQL database for each group of tenants. Streams without an outbox share limits with them and with each other
 * (`ledgers` of `FlowTransport`). The dispatchers of one PostgreSQL outbox share their limits already,
 * through that database. Here all limits are shared, those of lanes too, because a lane of two outboxes has two owners.
 *
 * **Details**
 *
 * A ledger is a hash with a version and a text. Each dispatcher reads it, takes the times of its next messages from it, and
 * writes it back if nobody else has meanwhile: two scripts of one key each, so that Redis Cluster can run them, about four
 * times a second for each limit while messages wait. Times are those of the server (`TIME`), so the dispatchers' clocks may
 * differ. While Redis cannot be reached nothing is leased, and nothing that such a limit concerns is sent; a dispatcher
 * that ends takes its leased times with it, a quarter of a second's worth. Less is sent then, never more.
 *
 * The program brings the client as Effect's `Redis` service, such as `NodeRedis` of `@effect/platform-node`.
 *
 * **Gotchas**
 *
 * Limits by the hour and day are counted in Redis alone: turn on `appendonly`, and keep `maxmemory-policy` from evicting the
 * keys (`noeviction`, the default, or one of `volatile-*`; the keys have no time to live). Replication is asynchronous, so a
 * failover may lease the times of its last moment twice.
 *
 * `effect/persistence/Redis` is unstable, and so is this module.
 *
 * @example
 * ```ts
 * import * as NodeRedis from "@effect/platform-node/NodeRedis"
 * import * as FlowOptions from "@mailrace/flow/FlowOptions"
 * import * as Outbox from "@mailrace/outbox/Outbox"
 * import * as RedisLedgers from "@mailrace/outbox/RedisLedgers"
 * import * as Clock from "effect/Clock"
 * import * as Effect from "effect/Effect"
 *
 * export const dispatcher = Effect.gen(function* () {
 *   const outbox = yield* Outbox.Outbox
 *   const now = yield* Clock.currentTimeMillis
 *   const flow = yield* Effect.fromResult(FlowOptions.resolve({ relay: "ses", rate: ["14/s", "50000/d"] }, now))
 *   yield* outbox.run({ flow, ledgers: yield* RedisLedgers.make() })
 * }).pipe(Effect.provide(NodeRedis.layer({ url: "redis://127.0.0.1:6379" })))
 * ```
 *
 * @stability unstable
 *
 * @since 0.1.0
 */

import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redis from "effect/persistence/Redis"
import * as OutboxError from "./OutboxError.ts"
import type { Ledgers, StoredLedger } from "./OutboxStore.ts"

/**
 * The options of the ledgers.
 *
 * @since 0.1.0
 */
export interface Options {
  /** The beginning of the ledgers' keys. Fleets that share a Redis but no limits need one each. Defaults to `mailrace:limit:`. */
  readonly prefix?: string | undefined
  /** How long to wait for an answer of Redis. Defaults to 2 seconds. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * The ledgers in the Redis of the environment, for `Dispatcher.Options.ledgers` and for those of `FlowOptions`.
 *
 * @since 0.1.0
 */
export const make = ({ prefix = "mailrace:limit:", timeout = "2 seconds" }: Options = {}): Effect.Effect<
  Ledgers,
  never,
  Redis.Redis
> =>
  Effect.map(Redis.Redis, (redis) => {
    const read = redis.eval(readScript)
    const write = redis.eval(writeScript)
    const bounded = <A>(answer: Effect.Effect<A, Redis.RedisError>): Effect.Effect<A, OutboxError.OutboxError> =>
      answer.pipe(
        Effect.mapError(({ cause }) => errorOf(problemOf(cause))),
        // A client that has lost its connection keeps commands until it has another.
        Effect.timeoutOrElse({
          duration: timeout,
          orElse: () => Effect.fail(errorOf(`no answer within ${Duration.format(Duration.fromInputUnsafe(timeout))}`))
        })
      )
    return {
      read: (name) =>
        Effect.map(bounded(read(prefix + name)), ([version, ledger, seconds, microseconds]): StoredLedger => ({
          version: Number(version),
          ledger: ledger ?? undefined,
          now: Number(seconds) * 1_000 + Number(microseconds) / 1_000
        })),
      write: (name, version, ledger) =>
        Effect.map(bounded(write(prefix + name, version, ledger)), (written) => Number(written) === 1)
    }
  })

const readScript = Redis.script((key: string) => [key], {
  numberOfKeys: 1,
  lua: `local row = redis.call("HMGET", KEYS[1], "version", "ledger")
local time = redis.call("TIME")
return { row[1] or "0", row[2], time[1], time[2] }`
}).withReturnType<readonly [version: string, ledger: string | null, seconds: string, microseconds: string]>()

const writeScript = Redis.script((key: string, version: number, ledger: string) => [key, version, ledger], {
  numberOfKeys: 1,
  lua: `local version = redis.call("HGET", KEYS[1], "version") or "0"
if version ~= ARGV[1] then return 0 end
redis.call("HSET", KEYS[1], "version", version + 1, "ledger", ARGV[2])
return 1`
}).withReturnType<number | string>()

const problemOf = (cause: unknown): string => {
  if (cause instanceof AggregateError && cause.message === "") return cause.errors.map(problemOf).join("; ")
  return (cause instanceof Error ? cause.message : String(cause)) || "the connection failed"
}

/** Errors begin with a word of their own (Redis protocol, "Simple errors"). */
const errorOf = (problem: string): OutboxError.OutboxError => {
  const hint = settingsHints.find(([word]) => problem.startsWith(word))?.[1]
  return OutboxError.make(
    new OutboxError.Unavailable({
      store: "Redis",
      problem,
      isRetryable: hint === undefined,
      hint: hint ?? "check that Redis runs and can be reached; messages wait meanwhile"
    })
  )
}

/** Faults that waiting does not mend. */
const settingsHints: ReadonlyArray<readonly [word: string, hint: string]> = [
  ["NOAUTH", "give the client the user and the password of Redis"],
  ["WRONGPASS", "correct the client's user or password"],
  [
    "NOPERM",
    "let this user run EVALSHA, SCRIPT LOAD, TIME, HMGET, HGET and HSET on the keys of `prefix` (ACL SETUSER)"
  ],
  ["WRONGTYPE", "choose another `prefix`: other data lies under these keys"]
]
