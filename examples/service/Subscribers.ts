/**
 * The subscribers of a digest. The list here is made up; a real one would ask a database, page by page.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Ref from "effect/Ref"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"

/** A subscriber. */
export interface Subscriber {
  readonly id: string
  readonly address: string
  readonly topics: ReadonlyArray<string>
}

/** A page of the list could not be read. */
export class SubscribersError extends Schema.TaggedError<SubscribersError>("example/SubscribersError")(
  "SubscribersError",
  { page: Schema.Int }
) {}

/** The list of subscribers. */
export class Subscribers extends Context.Service<
  Subscribers,
  {
    readonly all: Stream.Stream<Subscriber, SubscribersError>
    /** Sends no more to this one, because the address does not work. */
    readonly suspend: (id: string) => Effect.Effect<void>
    readonly suspended: Effect.Effect<ReadonlyArray<string>>
  }
>()("example/Subscribers") {
  static readonly layer = Layer.effect(
    Subscribers,
    Effect.gen(function* () {
      const suspended = yield* Ref.make<ReadonlyArray<string>>([])
      const readPage = (page: number): Effect.Effect<ReadonlyArray<Subscriber>, SubscribersError> =>
        page > lastPage
          ? Effect.fail(new SubscribersError({ page }))
          : Effect.succeed(Array.from({ length: pageSize }, (_, index) => makeUp(page * pageSize + index)))
      return Subscribers.of({
        all: Stream.paginate(0, (page) =>
          Effect.map(readPage(page), (subscribers) => [
            subscribers,
            page < lastPage ? Option.some(page + 1) : Option.none()
          ])
        ),
        suspend: (id) => Ref.update(suspended, (ids) => [...ids, id]),
        suspended: Ref.get(suspended)
      })
    })
  )
}

const pageSize = 10
const lastPage = 3

/** Every tenth is at a domain that is gone. */
const makeUp = (number: number): Subscriber => ({
  id: `subscriber-${number}`,
  address: `reader${number}@${number % 10 === 9 ? "gone" : "inbox"}.example`,
  topics: number % 2 === 0 ? ["garden", "kitchen"] : ["garden"]
})
