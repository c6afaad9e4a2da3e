/**
 * A campaign: recipients from a CSV file, a mail for each from one template, and the outcome of each in another CSV file.
 *
 * The template is compiled before anything is read, so that a mistake in it costs nothing; what is the same in all mails
 * is encoded then. The file is read as the mails go out, so it may be of any size. Reading, sending and writing are one
 * stream, which moves at the pace of its slowest part.
 *
 *     pnpm mailrace sink                                                          # in one terminal
 *     pnpm --filter @mailrace/example-campaign start [people.csv [outcomes.csv]]  # in another
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
import * as Dedupe from "mailrace/Dedupe"
import type * as Delivery from "mailrace/Delivery"
import * as Screening from "mailrace/Screening"
import * as Mailer from "mailrace/Mailer"
import * as Suppression from "mailrace/Suppression"
import * as Template from "mailrace/Template"
import { fileURLToPath } from "node:url"

/** One line of the file. An empty cell of an optional column is as good as none. */
const Person = Schema.Struct({
  email: Schema.String,
  name: Schema.String,
  city: Schema.String,
  points: Schema.optionalKey(Schema.Int)
})
type Person = typeof Person.Type

/** Values are made safe for the place that they stand in; the plain text follows from the HTML. */
const newsletter = Template.compile(
  {
    from: "Club <club@example.org>",
    to: { name: "{{name}}", address: "{{email}}" },
    subject: "{{name}}, news from {{city}}",
    html: `<p>Dear {{name}},</p>
<p>{{#if points}}You have {{points}} points.{{else}}Collect your first points.{{/if}}</p>
<p><a href="https://club.example.org/me?who={{email}}">Your page</a></p>`,
    listUnsubscribe: {
      url: "https://club.example.org/unsubscribe?who={{email}}",
      mailto: "club@example.org?subject=unsubscribe"
    }
  },
  { schema: Person }
)

const record = (delivery: Delivery.Delivery) => ({
  email: delivery.id,
  outcome: delivery._tag,
  attempts: String(delivery.attempts),
  reason: delivery._tag === "Accepted" ? "" : delivery.error.message
})

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

const program = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const [people = here("people.csv"), outcomes = "outcomes.csv"] = process.argv.slice(2)
  const template = yield* newsletter
  const tally = Screening.makeTally()
  yield* fs.stream(people).pipe(
    Stream.pipeThroughChannel(Csv.decodeSchema(Person)({ headers: true })),
    Screening.screen([Suppression.check, Dedupe.check()], {
      address: ({ email }: Person) => email,
      onFinding: tally.record
    }),
    Stream.map((person) => template.render({ id: person.email, data: person })),
    Mailer.sendAll(),
    Stream.map(record),
    Stream.tap(({ email, outcome }) => Console.log(`${email}: ${outcome}`)),
    Stream.pipeThroughChannel(Csv.encode({ columns: ["email", "outcome", "attempts", "reason"], headers: true })),
    Stream.run(fs.sink(outcomes))
  )
  const { duplicates, invalid, suppressed } = tally.counts
  yield* Console.log(`left out: ${suppressed} unsubscribed, ${duplicates} twice in the file, ${invalid} no addresses`)
})

const relay = SmtpTransport.layerUrl(process.env["MAILRACE_RELAY"] ?? "smtp://127.0.0.1:2525")

/** Who said no, a line each: an address, or a whole domain as `@example.org`. */
const unsubscribed = Suppression.layerLines(
  FileSystem.FileSystem.pipe(
    Effect.map((fs) => fs.stream(here("unsubscribed.txt"))),
    Stream.unwrap,
    Stream.decodeText,
    Stream.splitLines
  )
)

program.pipe(
  Effect.provide(Layer.mergeAll(unsubscribed, relay).pipe(Layer.provideMerge(NodeServices.layer))),
  NodeRuntime.runMain
)
