/**
 * Fixtures: a folder for a store, a message, the outcome of an attempt, a run of the dispatcher, and waiting for events.
 */
import { it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Mail from "mailrace/Mail"
import { MailTransport } from "mailrace/MailTransport"
import * as RetryPolicy from "mailrace/RetryPolicy"
import type * as Dispatcher from "../../src/Dispatcher.ts"
import * as Outbox from "../../src/Outbox.ts"
import type { Change, OutboxEvent } from "../../src/OutboxEvent.ts"
import type { Caps, ClaimedRow, OutboxStore, Settlement } from "../../src/OutboxStore.ts"
import type * as ScriptedTransport from "./scriptedTransport.ts"

/** A fresh database; running the inner effect opens it, as often as wanted. */
export type Fresh = (
  caps?: Partial<Caps>
) => Effect.Effect<Effect.Effect<OutboxStore, unknown, Scope.Scope>, unknown, Scope.Scope>

/** Opens the test's database once more, as another process would. */
export class Reopen extends Context.Service<Reopen, Effect.Effect<OutboxStore, unknown, Scope.Scope>>()(
  "test/Reopen"
) {}

/** Options of one test's outbox. */
export interface TestOptions extends Outbox.Options {
  readonly caps?: Partial<Caps> | undefined
}

/** A test with an outbox of its own. */
export const tester =
  (fresh: Fresh) =>
  (
    what: string,
    body: () => Effect.Effect<unknown, unknown, Outbox.Outbox | Reopen | Scope.Scope>,
    options: TestOptions = {}
  ) => {
    const layer = Layer.unwrap(
      Effect.map(fresh(options.caps), (open) =>
        Layer.merge(Outbox.layerStore(open, options), Layer.succeed(Reopen, Reopen.of(open)))
      )
    )
    // What a test forks ends before its outbox does.
    it.effect(what, () => Effect.provide(Effect.scoped(body()), layer))
  }

/** A mail to somebody. */
export const mail = (to = "ann@example.org", more: Partial<Mail.Mail> = {}): Mail.Mail => ({
  from: "News <news@example.com>",
  to,
  subject: "Hello",
  text: "How are you?",
  ...more
})

/** A recorded end of a claim, accepted unless told otherwise. */
export const endOf = ({ attempts, epoch, seq }: ClaimedRow, more: Partial<Settlement> = {}): Settlement => ({
  seq,
  epoch,
  attempts,
  state: "accepted",
  at: 5,
  dueAt: undefined,
  outcome: more.state ?? "accepted",
  relay: undefined,
  code: 250,
  enhanced: undefined,
  reply: "ok",
  recipients: undefined,
  ...more
})

/** Sends what is due, without quick retries. It looks seldom, because virtual days are made of many seconds. */
export const run = (relay: ReturnType<typeof ScriptedTransport.make>, options?: Dispatcher.Options) =>
  Effect.provideService(
    Outbox.run({ retry: RetryPolicy.none, until: "idle", poll: "1 hour", sweepInterval: "1 hour", ...options }),
    MailTransport,
    relay.transport
  )

/** Hears events from now on; `next` waits for one of a kind and skips others. */
export const hear = Effect.gen(function* () {
  const queue = yield* Queue.unbounded<OutboxEvent>()
  yield* Effect.forkScoped(
    Stream.runForEach(yield* Effect.map(Outbox.Outbox, (outbox) => outbox.events), (event) =>
      Queue.offer(queue, event)
    ),
    { startImmediately: true }
  )
  const next = (...changes: ReadonlyArray<Change>): Effect.Effect<OutboxEvent> =>
    Effect.flatMap(Queue.take(queue), (event) =>
      changes.includes(event._tag) ? Effect.succeed(event) : next(...changes)
    )
  return { next }
})

/** A turn of the event loop, at the end of which groups are committed. */
const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))

/** Lets what was set off by the clock reach the store and come back. Answers of a quick store may all come in one turn. */
export const settle = Effect.gen(function* () {
  for (let i = 0; i < 5; i++) {
    yield* turn
    yield* Outbox.stats
  }
})
