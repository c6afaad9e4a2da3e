/**
 * Ownership of the outbox's buckets from an Effect cluster (`effect/cluster`), instead of `Ownership.sessionLocks`.
 *
 * **When to use**
 *
 * `layer`, in a program that runs an Effect cluster already and wants its outbox shared as its entities are. `layerSql`,
 * where the cluster's tables should record who is there but no process may listen on a port. In all other cases the default
 * is better: over the same database it takes over in 2 seconds instead of 3 to 35, and needs two connections fewer.
 *
 * **Details**
 *
 * Each shard of a group has a singleton, and whoever runs it owns the buckets whose number modulo the number of shards is
 * the shard's. A singleton that ends leaves them: it gives waiting messages back, and first lets those on their way end, as
 * long as the cluster waits for it (`entityTerminationTimeout`). Besides the cluster's own locks, the outbox checks its
 * tables with each heartbeat for buckets that another dispatcher has taken, and begins nothing after a `lease` without an
 * answer.
 *
 * **Gotchas**
 *
 * `effect/cluster` is unstable, and so is this module: its API may change in a minor release of either.
 *
 * The cluster cannot tell whether shards have settled. A dispatcher that ends when nothing is due (`until`) therefore waits
 * until each bucket has an owner, and until it has gained and lost none for two of the cluster's refreshes
 * (`refreshAssignmentsInterval`).
 *
 * The cluster keeps `last_heartbeat` without a time zone: let all runners' sessions have the same (`TimeZone`). Its lock
 * numbers depend on the order of the shard groups: a rolling deployment that adds a group has two runners own one shard
 * for a while. The outbox's fence keeps messages from being lost then; some may be sent twice.
 *
 * With `layer`, shards stay with a runner whose dispatcher has ended, and nobody sends their messages. End the cluster's
 * layer with the outbox's.
 *
 * Dispatchers with different ways of ownership must not work on one database at the same time.
 *
 * @example
 * ```ts
 * import * as Outbox from "@mailrace/outbox/Outbox"
 * import * as OutboxCluster from "@mailrace/outbox/OutboxCluster"
 * import * as Layer from "effect/Layer"
 * import * as Redacted from "effect/Redacted"
 *
 * export const outbox = Outbox.layerPostgres({ url: Redacted.make("postgres://localhost/shop") }).pipe(
 *   Layer.provide(OutboxCluster.layerSql())
 * )
 * ```
 *
 * @stability unstable
 *
 * @since 0.1.0
 */

import * as LogEvent from "mailrace/LogEvent"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as EntityId from "effect/cluster/EntityId"
import * as MessageStorage from "effect/cluster/MessageStorage"
import * as RunnerAddress from "effect/cluster/RunnerAddress"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as Runners from "effect/cluster/Runners"
import * as Sharding from "effect/cluster/Sharding"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as SqlRunnerStorage from "effect/cluster/SqlRunnerStorage"
import * as Confirmation from "./internal/dispatch/confirmation.ts"
import { toOutboxError } from "./internal/postgres/error.ts"
import * as OwnershipRows from "./internal/postgres/ownershipRows.ts"
import * as PostgresSession from "./internal/postgres/session.ts"
import * as Lane from "./Lane.ts"
import type { OutboxError } from "./OutboxError.ts"
import { Ownership, type Possession } from "./Ownership.ts"

/**
 * Options for following the program's own cluster.
 *
 * @since 0.1.0
 */
export interface Options {
  /** The group whose shards the buckets follow; this runner must be assigned to it. Defaults to `default`. */
  readonly shardGroup?: string | undefined
}

/**
 * Options for the cluster of `layerSql`.
 *
 * @since 0.1.0
 */
export interface SqlOptions {
  /** The prefix of the names of the cluster's tables. Defaults to `mailrace_cluster`. */
  readonly prefix?: string | undefined
}

/**
 * Ownership that follows the shards of the program's own cluster.
 *
 * @since 0.1.0
 */
export const layer = (
  options: Options = {}
): Layer.Layer<never, never, Sharding.Sharding | ShardingConfig.ShardingConfig> =>
  Layer.effectContext(
    Effect.gen(function* () {
      const sharding = yield* Sharding.Sharding
      const { refreshAssignmentsInterval, shardsPerGroup } = yield* ShardingConfig.ShardingConfig
      const cluster: Cluster = {
        sharding,
        shards: shardsPerGroup,
        group: options.shardGroup ?? "default",
        refreshMs: Duration.toMillis(refreshAssignmentsInterval)
      }
      return Context.make(Ownership, { hold: (possession) => hold(cluster, possession) })
    })
  )

/**
 * Ownership by a cluster of its own in the outbox's database. No runner listens or is contacted: PostgreSQL alone
 * knows the runners and the holders of shards. The cluster refreshes with each heartbeat, and its locks expire with
 * the lease.
 *
 * @since 0.1.0
 */
export const layerSql = ({ prefix = "mailrace_cluster" }: SqlOptions = {}): Layer.Layer<never> =>
  Layer.succeed(Ownership, {
    hold: (possession) =>
      Effect.gen(function* () {
        const { heartbeatMs, name } = possession.database
        const built = yield* Effect.mapError(Layer.build(ownCluster(possession, prefix)), (error: SqlError) =>
          toOutboxError(name, error)
        )
        const sharding = Context.get(built, Sharding.Sharding)
        yield* hold({ sharding, shards: ownShards, group: ownGroup, refreshMs: heartbeatMs }, possession)
      })
  })

interface Cluster {
  readonly sharding: Sharding.Sharding["Service"]
  readonly shards: number
  readonly group: string
  readonly refreshMs: number
}

/** Shards of a cluster of the outbox's own: each has four buckets. */
const ownShards = 256

const ownGroup = "mailrace"

const ownCluster = ({ database, owner }: Possession, prefix: string) =>
  Sharding.layer.pipe(
    Layer.provide([Runners.layerNoop, RunnerHealth.layerNoop, SqlRunnerStorage.layerWith({ prefix })]),
    Layer.provide(MessageStorage.layerNoop),
    Layer.provide([
      ShardingConfig.layer({
        runnerAddress: Option.some(RunnerAddress.make(owner.replaceAll("/", "."), 1)),
        availableShardGroups: [ownGroup],
        assignedShardGroups: [ownGroup],
        shardsPerGroup: ownShards,
        shardLockExpiration: database.leaseMs,
        shardLockRefreshInterval: database.leaseMs / 4,
        refreshAssignmentsInterval: database.heartbeatMs
      }),
      Layer.succeed(SqlClient, database.client)
    ])
  )

/** Singletons for all shards with buckets, and a check of the fence with each heartbeat. */
const hold = (cluster: Cluster, possession: Possession): Effect.Effect<void, OutboxError, Scope.Scope> =>
  Effect.gen(function* () {
    const { client, heartbeatMs, leaseMs, name } = possession.database
    const session = PostgresSession.make(client, name)
    const rows = OwnershipRows.make(session, possession.owner, leaseMs)
    let changedAt = yield* Clock.currentTimeMillis
    const changed = Effect.map(Clock.currentTimeMillis, (now) => {
      changedAt = now
    })

    const look = Effect.gen(function* () {
      const since = Confirmation.now()
      yield* rows.renew(possession.inFlight)
      // A copy of the buckets in question: others may be taken in the meantime.
      const owned = new Map(possession.owned)
      const mine = yield* rows.mine([...owned.keys()])
      const lost = [...owned].flatMap(([bucket, epoch]) =>
        mine.get(bucket) === epoch || possession.owned.get(bucket) !== epoch ? [] : [bucket]
      )
      if (lost.length > 0) yield* Effect.forkDetach(possession.lose(lost), { startImmediately: true })
      possession.confirmed(since)
    })
    const again = { schedule: Schedule.spaced("200 millis"), while: ({ isRetryable }: OutboxError) => isRetryable }
    /** Owns the buckets of a shard while this runs. */
    const own = (buckets: ReadonlyArray<number>) => {
      const given = Effect.andThen(possession.leave(buckets), Effect.ignore(rows.yieldUp(buckets)))
      const taken = Effect.orDie(Effect.retry(possession.take(buckets), again))
      return Effect.andThen(Effect.andThen(taken, changed), Effect.never).pipe(
        Effect.ensuring(Effect.andThen(given, changed))
      )
    }

    yield* rows.renew(0)
    yield* Effect.addFinalizer(() => Effect.ignore(rows.leave))
    yield* registerShards(cluster, own)
    const settledAfter = 2 * cluster.refreshMs
    possession.onSettle(
      Effect.gen(function* () {
        const before = changedAt
        yield* Effect.sleep(Math.max(0, before + settledAfter - (yield* Clock.currentTimeMillis)))
        return before === changedAt && !(yield* Effect.orElseSucceed(rows.isAnyFree, () => true))
      })
    )
    possession.onRenew(() => void Effect.runFork(Effect.ignore(look)))
    yield* look
    const watched = Effect.catch(look, (error) =>
      LogEvent.warning(
        "ownership.lost",
        `cannot see whether buckets of ${name} are still this dispatcher's: ${error.message}`,
        { dispatcher: name }
      )
    )
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(heartbeatMs), watched), { disableYield: true }))
  })

/** Registers a singleton for each shard that has buckets: those that leave the shard's number as the remainder. */
const registerShards = Effect.fnUntraced(function* <E, R>(
  cluster: Cluster,
  own: (buckets: ReadonlyArray<number>) => Effect.Effect<void, E, R>
) {
  for (let shard = 0; shard < Math.min(cluster.shards, Lane.buckets); shard++) {
    const buckets: Array<number> = []
    for (let bucket = shard; bucket < Lane.buckets; bucket += cluster.shards) buckets.push(bucket)
    yield* cluster.sharding.registerSingleton(nameOf(cluster, shard), own(buckets), { shardGroup: cluster.group })
  }
})

/** A singleton's name that the cluster places on this shard, counted from 0. */
const nameOf = ({ group, sharding }: Cluster, shard: number): string => {
  for (let i = 0; ; i++) {
    const name = `mailrace/${shard}/${i}`
    if (sharding.getShardId(EntityId.make(name), group).id === shard + 1) return name
  }
}
