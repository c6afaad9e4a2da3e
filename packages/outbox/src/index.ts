/**
 * All public modules of `@mailrace/outbox`: the durable queue. Each can be imported alone, as `@mailrace/outbox/Outbox`.
 *
 * @since 0.1.0
 */

export * as Backoff from "./Backoff.ts"
export * as Dispatcher from "./Dispatcher.ts"
export * as DurableTransport from "./DurableTransport.ts"
export * as EnqueueOptions from "./EnqueueOptions.ts"
export * as GroupCommit from "./GroupCommit.ts"
export * as Lane from "./Lane.ts"
export * as Migrations from "./Migrations.ts"
export * as Outbox from "./Outbox.ts"
export * as OutboxEntry from "./OutboxEntry.ts"
export * as OutboxError from "./OutboxError.ts"
export * as OutboxEvent from "./OutboxEvent.ts"
export * as OutboxMetrics from "./OutboxMetrics.ts"
export * as OutboxStore from "./OutboxStore.ts"
export * as Ownership from "./Ownership.ts"
export * as Payload from "./Payload.ts"
export * as PostgresStore from "./PostgresStore.ts"
export * as SqliteStore from "./SqliteStore.ts"
