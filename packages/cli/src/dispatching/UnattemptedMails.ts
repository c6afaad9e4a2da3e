/**
 * Mails that the dispatcher ends without an attempt: looked up as they come, so that they are counted and told as others
 * are.
 */
import type { Untried } from "@mailrace/outbox/Dispatcher"
import type { Entry } from "@mailrace/outbox/OutboxEntry"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { UntriedEnd } from "../sending/Tally.ts"
import type { Service } from "../outbox/OutboxLocation.ts"

/** A mail, with what the outbox knows of it where it could be asked. */
export interface Found {
  readonly id: string
  readonly end: UntriedEnd
  readonly entry: Entry | undefined
  /** The mail's own id, where it has one and the body is still there. */
  readonly mailId: string | undefined
}

/** Takes such mails. */
export interface UntriedMails {
  readonly add: (mail: Untried) => void
  /** Completes when all that came has been told; no more may come. */
  readonly end: Effect.Effect<void>
}

/** Tells each to `tell`. `withIds` asks for the mails' own ids as well, which takes a look at each body. */
export const make = Effect.fnUntraced(function* (
  outbox: Service,
  withIds: boolean,
  tell: (mail: Found) => Effect.Effect<void>
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
      yield* tell({ id: mail.id, end: endOf(mail), entry: entries.get(mail.id), mailId: details?.mail?.id })
    }
  })
  const telling = yield* Effect.forkScoped(
    Stream.fromQueue(queue).pipe(Stream.rechunk(lookedUpAtOnce), Stream.runForEachArray(find))
  )
  return {
    add: (mail) => void Queue.offerUnsafe(queue, mail),
    end: Effect.andThen(Queue.end(queue), Fiber.join(telling))
  } satisfies UntriedMails
})

const lookedUpAtOnce = 250

/** One that a process died on may have arrived. */
const endOf = ({ _tag, reason }: Untried): UntriedEnd =>
  _tag === "Expired" ? "expired" : reason === undefined ? "unknown" : "invalid"
