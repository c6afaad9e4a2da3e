import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { MessageStorage, RunnerAddress, RunnerHealth, Runners, Sharding, ShardingConfig } from "effect/cluster"
import * as SqlRunnerStorage from "effect/cluster/SqlRunnerStorage"
import * as PgClient from "@effect/sql-pg/PgClient"
import { randomUUID } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import * as Outbox from "../src/Outbox.ts"
import * as OutboxCluster from "../src/OutboxCluster.ts"
import { Ownership, sessionLocks } from "../src/Ownership.ts"
import { suite } from "./support/ownershipConformance.ts"

suite("session locks", () => Layer.succeed(Ownership, sessionLocks))

suite(
  "the program's cluster",
  (at) =>
    OutboxCluster.layer().pipe(
      Layer.provide(
        Sharding.layer.pipe(
          Layer.provide([Runners.layerNoop, RunnerHealth.layerNoop, SqlRunnerStorage.layerWith({ prefix: "app" })]),
          Layer.provide(MessageStorage.layerNoop)
        )
      ),
      Layer.provide([
        ShardingConfig.layer({
          runnerAddress: Option.some(RunnerAddress.make(randomUUID(), 1)),
          refreshAssignmentsInterval: "200 millis"
        }),
        PgClient.layer(at)
      ])
    ),
  90_000
)

suite("a cluster of the outbox's own", () => OutboxCluster.layerSql(), 90_000)

describe("the times of ownership", () => {
  it.effect("must fit each other", () =>
    Effect.gen(function* () {
      const open = (times: { readonly heartbeat?: string; readonly lease?: string }) =>
        Effect.flip(Layer.build(Outbox.layerPostgres({ host: "127.0.0.1", port: 1, ...(times as object) })))
      const short = yield* open({ heartbeat: "2 seconds", lease: "5 seconds" })
      assert.deepInclude(short.reason, { _tag: "InvalidOption", option: "lease" })
      assert.include(short.message, "must be at least three heartbeats (6000 ms); it is 5000 ms")
      assert.strictEqual(short.remedy, "correct the option `lease`")
      const none = yield* open({ heartbeat: "0 seconds" })
      assert.deepInclude(none.reason, { _tag: "InvalidOption", option: "heartbeat" })
    })
  )
})
