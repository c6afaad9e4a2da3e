/**
 * Looks up the messages that the dispatcher ends without an attempt, so that they are counted and reported like the others.
 */
import type { Untried } from "@mailrace/outbox/Dispatcher"
import type { Entry } from "@mailrace/outbox/OutboxEntry"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { UntriedEnd } from "../results/Tally.ts"
import type { Service } from "../outbox/OutboxLocation.ts"

/** A message that ended without an attempt, and its entry if the outbox could be read. */
export interface FoundMail {
  readonly id: string
  readonly end: UntriedEnd
  readonly entry: Entry | undefined
  /** The message's own id, where it has one and the body is still there. */
  readonly mailId: string | undefined
}

/** Takes messages that ended without an attempt. */
export interface UnattemptedMails {
  readonly add: (mail: Untried) => void
  /** Completes when every message that was added is reported; no more may be added. */
  readonly end: Effect.Effect<void>
}

/** Looks up each message and reports it. `withIds` finds the messages' own ids as well, which reads each body. */
export const make = Effect.fnUntraced(function* (
  outbox: Service,
  withIds: boolean,
  report: (mail: FoundMail) => Effect.Effect<void>
) {
  const queue = yield* Queue.unbounded<Untried, Cause.Done>()
  const find = Effect.fnUntraced(function* (mails: ReadonlyArray<Untried>) {
    const listed = yield* Effect.orElseSucceed(
      Stream.runCollect(outbox.list({ ids: mails.map(({ id }) => id) })),
      () => []
    )
    const entries = new Map(listed.map((entry) => [entry.id, entry]))
    for (const mail of mails) {
      const details = withIds ? yield* Effect.orElseSucceed(outbox.get(mail.id), () => undefined) : undefined
      yield* report({ id: mail.id, end: endOf(mail), entry: entries.get(mail.id), mailId: details?.mail?.id })
    }
  })
  const reporting = yield* Effect.forkScoped(
    Stream.fromQueue(queue).pipe(Stream.rechunk(lookedUpAtOnce), Stream.runForEachArray(find))
  )
  return {
    add: (mail) => void Queue.offerUnsafe(queue, mail),
    end: Effect.andThen(Queue.end(queue), Fiber.join(reporting))
  } satisfies UnattemptedMails
})

const lookedUpAtOnce = 250

/** A message that processes died on may have arrived. */
const endOf = ({ _tag, reason }: Untried): UntriedEnd =>
  _tag === "Expired" ? "expired" : reason === undefined ? "unknown" : "invalid"
