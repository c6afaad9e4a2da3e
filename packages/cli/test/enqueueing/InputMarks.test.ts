import { assert, describe, it } from "@effect/vitest"
import * as Outbox from "@mailrace/outbox/Outbox"
import * as Effect from "effect/Effect"
import * as Composed from "mailrace/Composed"
import type * as Screening from "mailrace/Screening"
import type { Sendable } from "mailrace/Mailer"
import * as Template from "mailrace/Template"
import { writeFileSync } from "node:fs"
import type { DroppedEntry, MailEntry } from "../../src/input/Entry.ts"
import type { IndexedEntry } from "../../src/input/Entry.ts"
import { InputMarks } from "../../src/enqueueing/InputMarks.ts"
import * as Storable from "../../src/enqueueing/Storable.ts"
import { folder } from "../support/command.ts"
import * as OutboxFile from "../support/outboxFile.ts"

const entry = (
  index: number,
  mail: Sendable,
  more: { readonly line?: number; readonly place?: string } = {}
): IndexedEntry => ({
  index,
  entry: { _tag: "MailEntry", mail, line: index + 1, end: 0, ...more }
})

const hello = (text: string): Sendable => ({ from: "a@x.example", to: "b@y.example", subject: "Hello", text })

const eml = (messageId: string, text: string): Sendable => {
  const content = Buffer.from(`Message-ID: ${messageId}\r\nSubject: Hello\r\n\r\n${text}\r\n`)
  return Composed.make({ messageId, content, envelope: { from: undefined, to: ["b@y.example" as never] } })
}

const source: Template.Source = {
  from: "a@x.example",
  subject: "Hello",
  text: "Hi {{name}}",
  attachments: [{ filename: "a.txt", content: "words" }]
}

const letter = (index: number, template: Template.Template, name: string): IndexedEntry => ({
  index,
  entry: { _tag: "MailEntry", mail: { to: "b@y.example", data: { name } }, template, line: index + 1, end: 0 }
})

describe("InputMarks", () => {
  it.live("recognise the stored messages of an input by position and content, and none of another input", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const input = dir.write("in.ndjson", "")
      writeFileSync(dir.path("other.ndjson"), "")
      const first = entry(0, hello("one"))
      const late = entry(5000, hello("two"), { line: 5003 })
      const file = entry(2, eml("<made-up@x>", "three"), { place: "file a: b=c.eml" })
      const filled = letter(8, yield* Template.compile(source), "Ann")
      yield* OutboxFile.using(
        dir.path("q.db"),
        Effect.gen(function* () {
          const outbox = yield* Outbox.Outbox
          const before = yield* InputMarks.load(outbox, input, Date.now())
          for (const one of [first, late, file, filled]) {
            assert.strictEqual(before.check(one), "new")
            yield* outbox.enqueue((yield* Storable.make(one.entry)).mail, { idempotencyKey: before.keyOf(one) })
          }
          yield* outbox.enqueue(hello("another's"), { idempotencyKey: "order 1" })
          const marks = yield* InputMarks.load(outbox, input, Date.now() + 1000)
          assert.deepStrictEqual([marks.known, marks.dueNow, marks.states.get("due")], [4, 5, 4])
          for (const one of [first, late, file, filled]) assert.strictEqual(marks.check(one), "known")
          assert.deepStrictEqual(marks.markOf(marks.keyOf(first)), { index: 0, place: "line 1" })
          assert.deepStrictEqual(marks.markOf(marks.keyOf(late)), { index: 5000, place: "line 5003" })
          assert.deepStrictEqual(marks.markOf(marks.keyOf(file)), { index: 2, place: "file a: b=c.eml" })
          assert.isUndefined(marks.markOf("order 1"))

          assert.strictEqual(marks.check(entry(0, hello("One"))), "changed")
          assert.strictEqual(marks.check(entry(1, hello("one"))), "new")
          // A Message-ID that was made up while reading says nothing, and a file is known wherever it comes.
          assert.strictEqual(
            marks.check(entry(7, eml("<made-anew@x>", "three"), { place: "file a: b=c.eml" })),
            "known"
          )
          assert.strictEqual(marks.check(entry(2, eml("<made-up@x>", "four"), { place: "file a: b=c.eml" })), "changed")

          // A template's content and its data count; dropped recipients do not.
          const { entry: known } = filled
          const findings: ReadonlyArray<Screening.Finding> = []
          assert.strictEqual(marks.check(letter(8, yield* Template.compile(source), "Ann")), "known")
          assert.strictEqual(marks.check(letter(8, yield* Template.compile(source), "Eve")), "changed")
          assert.strictEqual(
            marks.check(letter(8, yield* Template.compile({ ...source, text: "Bye {{name}}" }), "Ann")),
            "changed"
          )
          const less = { ...known, mail: { ...known.mail, to: [] }, screened: { findings, before: known } } as MailEntry
          assert.strictEqual(marks.check({ entry: less, index: 8 }), "known")
          assert.strictEqual(
            marks.check({ entry: { ...less, _tag: "DroppedEntry" } as DroppedEntry, index: 8 }),
            "known"
          )

          const others = yield* InputMarks.load(outbox, dir.path("other.ndjson"), Date.now())
          assert.deepStrictEqual([others.known, others.check(first)], [0, "new"])
        })
      )
    })
  )
})
