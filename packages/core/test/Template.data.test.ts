/**
 * Where the data come from, and where the mails go.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Mailer from "../src/Mailer.ts"
import { MailTransport } from "../src/MailTransport.ts"
import * as Template from "../src/Template.ts"
import { ann, read, renderOne, source } from "./support/templateRuns.ts"

describe("Template between data and deliveries", () => {
  describe("with a schema", () => {
    const Person = Schema.Struct({
      name: Schema.NonEmptyString,
      code: Schema.FiniteFromString,
      tags: Schema.optionalKey(Schema.Array(Schema.String))
    })

    it.effect("data are decoded, and refused where the schema does", () =>
      Effect.gen(function* () {
        const template = yield* Template.compile(
          { ...source, text: "{{code}}{{#each tags}} {{this}}{{else}}{{/each}}" },
          { schema: Person, missing: "empty" }
        )
        const seen = yield* read(yield* template.render({ to: "a@example.org", data: { name: "Ann", code: "1e3" } }))
        assert.strictEqual(seen.text, "1000")
        // @ts-expect-error: the type knows what the schema wants
        const wrong = template.render({ to: "a@example.org", data: { name: "Ann", code: 5 } })
        assert.strictEqual((yield* Effect.flip(wrong)).message, "InvalidMessage: data.code: Expected string")
        // @ts-expect-error: there are no data
        const none = template.render({ to: "a@example.org" })
        assert.include((yield* Effect.flip(none)).message, "InvalidMessage: data.name:")
        const mail = yield* Effect.flip(
          template.mail({ to: "a@example.org", data: { name: "Ann", code: "1", tags: ["", 5 as never] } })
        )
        assert.strictEqual(mail.message, "InvalidMessage: data.tags.1: Expected string")
      })
    )

    it.effect("a field that it does not have is found when the template is compiled", () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Template.compile({ ...source, text: "{{nmae}}" }, { schema: Person }))
        assert.strictEqual(
          error.message,
          "schema: the template names {{nmae}}, the schema has no such field; correct the template or the schema"
        )
        yield* Template.compile(
          { ...source, text: "{{any.thing}}" },
          { schema: Schema.Record(Schema.String, Schema.Unknown) }
        )
      })
    )
  })

  it.effect("turns a stream of people into a stream of deliveries, invalid addresses included", () =>
    Effect.gen(function* () {
      const template = yield* Template.compile(source)
      const sent: Array<string> = []
      const transport = MailTransport.of({
        send: (message) =>
          Effect.map(read(message), (seen) => {
            sent.push(`${seen.subject} to ${message.envelope.to[0]}`)
            const reply = { code: 250, enhanced: undefined, lines: ["ok"] } as never
            return {
              reply,
              relay: "test:25",
              recipients: message.envelope.to.map((address) => ({ address, outcome: "accepted" as const, reply }))
            }
          })
      })
      const people = [
        { id: "1", to: "ann@example.org", data: { name: "Ann", code: 1 } },
        { id: "2", to: "bob@example.org", data: { code: 1 } },
        { id: "3", to: "carl", data: { name: "Carl", code: 1 } },
        { id: "4", to: "dora@example.org", data: { name: "Dora", code: 1 } }
      ]
      const deliveries = yield* Stream.fromIterable(people).pipe(
        Stream.map(template.render),
        Mailer.sendAll({ ordered: true }),
        Stream.runCollect,
        Effect.provideService(MailTransport, transport)
      )
      assert.deepStrictEqual(
        deliveries.map((delivery) => [delivery.id, delivery.index, delivery._tag, delivery.attempts]),
        [
          ["1", 0, "Accepted", 1],
          ["2", 1, "Rejected", 0],
          ["3", 2, "Rejected", 0],
          ["4", 3, "Accepted", 1]
        ]
      )
      assert.deepStrictEqual(sent, ["Hello Ann to ann@example.org", "Hello Dora to dora@example.org"])
      const [, missing] = deliveries
      assert.include("error" in missing! ? missing.error.message : "", "data.name")
      const one = yield* Effect.provideService(Mailer.send(template.render(people[0]!)), MailTransport, transport)
      assert.strictEqual(one.id, "1")
    })
  )

  it.effect("a run within a run, from a getter of the data, disturbs neither", () =>
    Effect.gen(function* () {
      const inner = yield* Template.compile({ ...source, text: "inner {{x}}" })
      let seen = ""
      const data = {
        name: "Ann",
        get code() {
          const rendered = Effect.runSync(inner.render({ ...ann, data: { name: "I", x: "y".repeat(100) } }))
          seen = Buffer.from(rendered.content as Uint8Array).toString()
          return "outer"
        }
      }
      const outer = yield* read(yield* renderOne({ text: "a{{code}}b" }, data))
      assert.strictEqual(outer.text, "aouterb")
      assert.include(seen, "inner yyy")
    })
  )

  it.effect("refuses a whole address where the template writes http:// before it, as editors do", () =>
    Effect.gen(function* () {
      for (const html of [
        '<a href="http://{{url}}">x</a>',
        '<a href="https://{{{url}}}">x</a>',
        "<img src=' HTTP://{{url}}'>"
      ]) {
        const template = yield* Template.compile({ from: "a@example.org", subject: "s", text: "", html })
        const refused = yield* Effect.flip(template.mail({ to: "b@example.org", data: { url: "https://x.example/a" } }))
        assert.include(
          refused.message,
          "data.url: it is a whole address, before which the template writes http:// once more"
        )
        assert.include(refused.message, 'write href="{{url}}" there')
        const taken = yield* template.mail({ to: "b@example.org", data: { url: "x.example" } })
        assert.match(taken.html!, /:\/\/x\.example/)
      }
    })
  )

  it.effect("finds a name whose accents are stored otherwise than in the data", () =>
    Effect.gen(function* () {
      const forms = ["NFC", "NFD"] as const
      for (const inTemplate of forms)
        for (const inData of forms) {
          const name = "prénom".normalize(inTemplate)
          const template = yield* Template.compile({
            from: "a@example.org",
            subject: `{{${name}}} {{u.${name}}} {{#each xs}}{{${name}}}{{/each}}`
          })
          assert.deepStrictEqual(template.fields, ["prénom".normalize("NFC"), "u.prénom".normalize("NFC"), "xs"])
          const key = "prénom".normalize(inData)
          const { subject } = yield* template.mail({
            to: "b@example.org",
            data: { [key]: "A", u: { [key]: "B" }, xs: [{ [key]: "C" }] }
          })
          assert.strictEqual(subject, "A B C")
        }
    })
  )
})
