/**
 * A digest every morning at seven, in the readers' time zone.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type * as Delivery from "mailrace/Delivery"
import * as Mailer from "mailrace/Mailer"

/** The news of a day for one reader. */
export interface Issue {
  readonly reader: string
  readonly headlines: ReadonlyArray<string>
}

const count = (deliveries: ReadonlyArray<Delivery.Delivery>) =>
  `${deliveries.filter(({ _tag }) => _tag === "Accepted").length} of ${deliveries.length} digests sent`

/** Sends the issues of today. A day without news has no mail. */
export const send = <E, R>(issues: Stream.Stream<Issue, E, R>) =>
  issues.pipe(
    Stream.filter(({ headlines }) => headlines.length > 0),
    Stream.map(({ headlines, reader }) => ({
      from: "Morning <morning@example.org>",
      to: reader,
      subject: headlines.length === 1 ? headlines[0]! : `${headlines[0]}, and ${headlines.length - 1} more`,
      text: headlines.map((headline) => `- ${headline}`).join("\n")
    })),
    Mailer.sendAll(),
    Stream.runCollect,
    Effect.flatMap((deliveries) => Effect.log(count(deliveries)))
  )

/** Sends at seven in Berlin, every day, through the changes of daylight saving time. A day that fails does not end it. */
export const everyMorning = <E, R>(issues: Stream.Stream<Issue, E, R>) =>
  send(issues).pipe(
    Effect.catchCause((cause) => Effect.logError("no digest today", cause)),
    Effect.schedule(Schedule.cron("0 7 * * *", "Europe/Berlin"))
  )
