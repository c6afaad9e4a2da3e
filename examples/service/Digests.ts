/**
 * The job that sends each subscriber a digest.
 *
 * Its types tell what can happen: the deliveries' stream fails with `SubscribersError` and nothing else, because a mail
 * that cannot be sent is a value there; that a list of bad addresses must stop the job is the app's own rule, with an
 * error of the app.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as Mail from "mailrace/Mail"
import * as Mailer from "mailrace/Mailer"
import * as RetryPolicy from "mailrace/RetryPolicy"
import { type Subscriber, Subscribers } from "./Subscribers.ts"

/** So many addresses are refused that the list itself must be wrong; going on would harm the sender's name. */
export class TooManyRefused extends Schema.TaggedError<TooManyRefused>("example/TooManyRefused")("TooManyRefused", {
  refused: Schema.Int,
  sent: Schema.Int
}) {}

/** How the job went. */
export interface Summary {
  readonly sent: number
  readonly refused: number
  /** To be sent again by the next run. */
  readonly again: number
}

const nothing: Summary = { sent: 0, refused: 0, again: 0 }

/** Sends the digests. */
export const send = Effect.gen(function* () {
  const subscribers = yield* Subscribers
  return yield* subscribers.all.pipe(
    Stream.map(digestFor),
    Mailer.sendAll({ retry: RetryPolicy.make({ base: "50 millis", times: 2 }) }),
    Stream.runFoldEffect(
      () => nothing,
      Effect.fnUntraced(function* (summary: Summary, delivery) {
        switch (delivery._tag) {
          case "Accepted":
            return { ...summary, sent: summary.sent + 1 }
          case "Deferred":
          case "Unknown":
            return { ...summary, again: summary.again + 1 }
          case "Rejected": {
            yield* subscribers.suspend(delivery.id)
            const refused = summary.refused + 1
            if (refused > 10 && refused > summary.sent)
              return yield* new TooManyRefused({ refused, sent: summary.sent })
            return { ...summary, refused }
          }
        }
      })
    )
  )
})

/** The number of this week's digest. It makes each message the same at every run, so that an outbox knows it again. */
const edition = 212

const digestFor = ({ address, id, topics }: Subscriber): Mail.Mail => ({
  id,
  messageId: `<digest-${edition}.${id}@example.org>`,
  from: "Digest <digest@example.org>",
  to: address,
  subject: `This week: ${topics.join(" and ")}`,
  text: topics.map((topic) => `News about ${topic}.`).join("\n")
})
