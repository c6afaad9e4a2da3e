/**
 * The program of `mailrace outbox run`: sends messages that are due.
 */
import * as OutboxMetrics from "@mailrace/outbox/OutboxMetrics"
import type { Filter } from "@mailrace/outbox/OutboxEntry"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { ExitStatus } from "../../CommandError.ts"
import * as Conclusion from "../../output/Conclusion.ts"
import * as FileMode from "../../outbox/FileMode.ts"
import type * as OwnershipTimes from "../../outbox/OwnershipTimes.ts"
import * as Configuration from "../../sending/Configuration.ts"
import * as NamedFiles from "../../sending/NamedFiles.ts"
import * as DispatchRun from "../../dispatching/DispatchRun.ts"
import type { RunOptions } from "../../sending/RunOptions.ts"
import type { DispatchTask, RunContext } from "../../dispatching/DispatchTask.ts"
import * as Printable from "../../text/printable.ts"
import * as Terminal from "../../output/Terminal.ts"
import { TenantLimits } from "../../sending/TenantLimits.ts"
import * as OutboxLocation from "../../outbox/OutboxLocation.ts"

/** Which outbox is sent from, and how. */
export interface Options extends OutboxLocation.Options, FileMode.Options, OwnershipTimes.Options, RunOptions {
  /** Ends when nothing is due any more. */
  readonly drain: boolean
}

/** Sends what is due. */
export const run = Effect.fnUntraced(
  function* (given: Options) {
    const options = yield* Configuration.read(given)
    const log = yield* Terminal.logger
    yield* NamedFiles.check({ "--db": options.db }, options)
    const tenants = new TenantLimits(options)
    let number = 0
    const open = Effect.gen(function* () {
      const outbox = yield* OutboxLocation.open(options, { create: !options.drain })
      for (const warning of yield* FileMode.warnings(outbox.name)) yield* log(warning)
      yield* noteTenants(outbox, tenants)
      for (const warning of tenants.unused(outbox.name)) yield* log(Printable.line(warning))
      return {
        outbox,
        tenants,
        ends: options.drain,
        watch: (context: RunContext) => watch(outbox, context),
        nameOf: ({ id, mailId }) => ({ index: number++, id: mailId ?? id, place: `message ${id}` })
      } satisfies DispatchTask
    })
    const result = yield* DispatchRun.run(options, open, (_, outbox) =>
      Effect.flatMap(DispatchRun.remainder(outbox), (text) => (text === undefined ? Effect.void : log(text)))
    )
    if (result.failure !== undefined) return yield* Effect.fail(result.failure)
    if (options.drain) yield* Conclusion.settle(result)
    else if (result.report.unrecorded > 0) yield* new ExitStatus({ status: 1 })
  },
  Effect.scoped,
  OutboxLocation.asCommandErrors
)

/** Notes the tenants with limits that the outbox has a message of; all of them if it has no message at all. */
const noteTenants = Effect.fnUntraced(function* (outbox: OutboxLocation.Service, tenants: TenantLimits) {
  if (tenants.names.length === 0) return
  const has = (filter: Filter) =>
    Effect.map(outbox.count(filter), (counts) => Object.values(counts).some((count) => count > 0))
  const isEmpty = !(yield* has({}))
  for (const name of tenants.names) if (isEmpty || (yield* has({ tenant: name }))) tenants.note(name, outbox.name)
})

/** Counts the backlog now and then; less often if counting takes long. */
const watch = (outbox: OutboxLocation.Service, { state }: RunContext): Effect.Effect<void> =>
  Effect.forever(
    Effect.gen(function* () {
      const before = yield* Clock.currentTimeMillis
      const stats = yield* Effect.option(outbox.stats)
      if (stats._tag === "Some") {
        state.backlog.due = dueNow(stats.value, before)
        yield* OutboxMetrics.update(outbox.name, stats.value)
      }
      const took = (yield* Clock.currentTimeMillis) - before
      yield* Effect.sleep(Math.max(2000, took * 50))
    })
  )

/** The messages in lanes that have something due; a lane whose first message is due later has nothing due now. */
const dueNow = (
  { lanes, states }: { readonly lanes: ReadonlyArray<LaneBacklog>; readonly states: { readonly claimed: number } },
  now: number
): number =>
  lanes.reduce(
    (sum, { oldestDueAt, paused, waiting }) =>
      paused || oldestDueAt === undefined || oldestDueAt.getTime() > now ? sum : sum + waiting,
    states.claimed
  )

interface LaneBacklog {
  readonly oldestDueAt: Date | undefined
  readonly paused: boolean
  readonly waiting: number
}
