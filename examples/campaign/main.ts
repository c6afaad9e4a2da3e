/**
 * A campaign: recipients from a CSV file, a mail for each, and the outcome of each in another CSV file.
 *
 * The file is read as the mails go out, so it may be of any size. Reading, sending and writing are one stream, which
 * moves at the pace of its slowest part.
 *
 *     pnpm --filter @mailrace/example-campaign start [people.csv [outcomes.csv]]
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as SmtpTransport from "@mailrace/smtp/SmtpTransport"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Csv from "effect/encoding/Csv"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import type * as Delivery from "mailrace/Delivery"
import type * as Mail from "mailrace/Mail"
import * as Mailer from "mailrace/Mailer"
import { fileURLToPath } from "node:url"

/** One line of the file. An empty cell of an optional column is as good as none. */
const Person = Schema.Struct({
  email: Schema.String,
  name: Schema.String,
  city: Schema.String,
  points: Schema.optionalKey(Schema.Int)
})

const write = (person: typeof Person.Type): Mail.Mail => {
  const news = person.points === undefined ? "Collect your first points" : `You have ${person.points} points`
  return {
    id: person.email,
    from: "Club <club@example.org>",
    to: { name: person.name, address: person.email },
    subject: `${person.name}, news from ${person.city}`,
    text: `Dear ${person.name},\n\n${news}.\n`,
    html: `<p>Dear ${escape(person.name)},</p><p>${news}.</p>`,
    headers: {
      "List-Unsubscribe": `<mailto:club@example.org?subject=unsubscribe%20${encodeURIComponent(person.email)}>`
    }
  }
}

const escape = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;")

const record = (delivery: Delivery.Delivery) => ({
  email: delivery.id,
  outcome: delivery._tag,
  attempts: String(delivery.attempts),
  reason: delivery._tag === "Accepted" ? "" : delivery.error.message
})

const program = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const [people = fileURLToPath(new URL("people.csv", import.meta.url)), outcomes = "outcomes.csv"] =
    process.argv.slice(2)
  yield* fs.stream(people).pipe(
    Stream.pipeThroughChannel(Csv.decodeSchema(Person)({ headers: true })),
    Stream.map(write),
    Mailer.sendAll(),
    Stream.map(record),
    Stream.tap(({ email, outcome }) => Console.log(`${email}: ${outcome}`)),
    Stream.pipeThroughChannel(Csv.encode({ columns: ["email", "outcome", "attempts", "reason"], headers: true })),
    Stream.run(fs.sink(outcomes))
  )
})

const relay = SmtpTransport.layerUrl(process.env["MAILRACE_RELAY"] ?? "smtp://127.0.0.1:2525")

program.pipe(Effect.provide(Layer.merge(NodeServices.layer, relay)), NodeRuntime.runMain)
