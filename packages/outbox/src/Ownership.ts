/**
 * The ownership of buckets of lanes, for several dispatchers that send from one PostgreSQL database.
 *
 * By default, session locks of PostgreSQL hold the ownership (`sessionLocks`), which needs nothing but the database.
 * `OutboxCluster` takes it from an Effect cluster, for programs that run one already. Provide another implementation
 * with `Effect.provideService(Ownership, …)` or a layer where the outbox is made.
 *
 * An implementation moves buckets in and out of a `Possession`; the consequences for claims, queues and messages on
 * their way are not its concern. It must keep two promises. It calls `take` only while no other dispatcher can take
 * the bucket. And it calls `confirmed` only for an answer that could not have been given if another dispatcher had
 * taken an owned bucket before the question.
 *
 * Even if an implementation fails, no message is lost: the bucket's owner and epoch in the database fence claims and
 * settlements.
 *
 * @stability unstable
 *
 * @since 0.1.0
 */

import type { PgClient } from "@effect/sql-pg/PgClient"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Moment } from "./internal/dispatch/confirmation.ts"
import type * as Dispatch from "./internal/dispatch/possession.ts"
import * as LockSession from "./internal/postgres/lockSession.ts"
import * as SessionOwnership from "./internal/postgres/sessionOwnership.ts"
import type { Statements } from "./internal/postgres/dispatch.ts"
import type { OutboxError } from "./OutboxError.ts"

/**
 * A moment on the monotonic and the wall clock, in milliseconds.
 *
 * @since 0.1.0
 */
export type { Moment }

/**
 * The database that is shared, and how closely ownership is watched.
 *
 * @since 0.1.0
 */
export interface Database {
  readonly client: PgClient
  /** The server without its secrets, for messages. */
  readonly name: string
  readonly heartbeatMs: number
  readonly leaseMs: number
}

/**
 * The ownership of one dispatcher.
 *
 * @since 0.1.0
 */
export type Possession = Dispatch.Possession<Statements, Database>

/**
 * A way to share buckets among dispatchers.
 *
 * @since 0.1.0
 */
export interface Ownership {
  /** Becomes one of the dispatchers, and looks after the possession until the scope closes. */
  readonly hold: (possession: Possession) => Effect.Effect<void, OutboxError, Scope.Scope>
}

/**
 * Ownership by advisory locks on a connection of the dispatcher's own, and equal shares by rank.
 *
 * @since 0.1.0
 */
export const sessionLocks: Ownership = {
  hold: (possession) => {
    const { client, ...settings } = possession.database
    return SessionOwnership.hold(
      possession,
      LockSession.open(client, { ...settings, owner: possession.owner }),
      settings
    )
  }
}

/**
 * The ownership in use. Defaults to `sessionLocks`.
 *
 * @since 0.1.0
 */
export const Ownership = Context.Reference<Ownership>("mailrace/Ownership", { defaultValue: () => sessionLocks })
