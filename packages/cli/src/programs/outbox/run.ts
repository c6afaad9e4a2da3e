/**
 * What `mailrace outbox run` does.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { ExitStatus } from "../../CommandError.ts"
import { keepApart } from "../../internal/files.ts"
import * as Conclusion from "../../output/Conclusion.ts"
import * as FileMode from "../../outbox/FileMode.ts"
import type * as OwnershipTimes from "../../outbox/OwnershipTimes.ts"
import * as Dispatching from "../../dispatching/Dispatching.ts"
import type { RunContext } from "../../dispatching/DispatchRun.ts"
import * as Output from "../../output/Output.ts"
import * as OutboxLocation from "../../outbox/OutboxLocation.ts"
import * as Stdio from "effect/Stdio"

/** Which outbox is sent from, and how. */
export interface Options extends OutboxLocation.Options, FileMode.Options, OwnershipTimes.Options, Dispatching.Options {
  /** Ends when nothing is due any more. */
  readonly drain: boolean
}

/** Sends what is due. */
export const run = Effect.fnUntraced(
  function* (options: Options) {
    const stdio = yield* Stdio.Stdio
    const say = (text: string) => Effect.provideService(Output.say(text), Stdio.Stdio, stdio)
    yield* keepApart({ "--db": options.db }, { "--report": options.report, "--deliveries": options.deliveries })
    let number = 0
    const open = Effect.gen(function* () {
      const outbox = yield* OutboxLocation.open(options, { create: !options.drain })
      for (const warning of yield* FileMode.warnings(outbox.name)) yield* say(warning)
      return {
        outbox,
        ends: options.drain,
        watch: (moment: RunContext) => watch(outbox, moment),
        nameOf: ({ id, mailId }) => ({ index: number++, id: mailId ?? id, place: `mail ${id}` })
      } satisfies Dispatching.Task
    })
    const result = yield* Dispatching.run(options, open, (_, outbox) =>
      Effect.flatMap(Dispatching.remainder(outbox), (text) => (text === undefined ? Effect.void : say(text)))
    )
    if (result.failure !== undefined) return yield* Effect.fail(result.failure)
    if (options.drain) yield* Conclusion.settle(result)
    else if (result.report.unrecorded > 0) yield* new ExitStatus({ status: 1 })
  },
  Effect.scoped,
  OutboxLocation.explained
)

/** Looks at the backlog now and then, and less often where looking takes long. */
const watch = (outbox: OutboxLocation.Service, { state }: RunContext): Effect.Effect<void> =>
  Effect.forever(
    Effect.gen(function* () {
      const before = yield* Clock.currentTimeMillis
      const stats = yield* Effect.option(outbox.stats)
      if (stats._tag === "Some") state.backlog.due = dueNow(stats.value, before)
      const took = (yield* Clock.currentTimeMillis) - before
      yield* Effect.sleep(Math.max(2000, took * 50))
    })
  )

/** What waits in lanes that have something due; a lane whose first mail is due later has nothing now. */
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
