/**
 * Which dispatcher owns which buckets of lanes, when several send from one PostgreSQL database.
 *
 * By default ownership is held by session locks of PostgreSQL (`sessionLocks`), which needs nothing but the database.
 * `OutboxCluster` has it from an Effect cluster, for programs that run one already. Set another with
 * `Effect.provideService(Ownership, …)` or a layer where the outbox is made.
 *
 * An implementation moves buckets in and out of a `Possession`; what follows from that for claims, queues and messages on
 * their way is not its concern. It must keep two promises. Only while nobody else can take a bucket does it call `take`.
 * And it calls `confirmed` for an answer that could not have been given if another had taken an owned bucket before it
 * was asked.
 *
 * Whatever an implementation does wrong, messages are not lost: claims and settlements are fenced by the bucket's owner and
 * epoch in the database.
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
 * The way in place. Defaults to `sessionLocks`.
 *
 * @since 0.1.0
 */
export const Ownership = Context.Reference<Ownership>("mailrace/Ownership", { defaultValue: () => sessionLocks })
